/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Finds passwords when the library asks for them.
 */
#include "keys.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "prompt.h"

enum { AES_KEY_BYTES = 16 }; /* what follows in the password does not count */

/* The source for the image at this depth: its own, or else the one for all images; NULL: none. */
static struct key_source *find_source(const struct args *args, unsigned depth)
{
	struct key_source *for_all = NULL, *source = args->keys;
	unsigned i;

	for (i = 0; i < args->n_keys; i++, source++) {
		if (source->has_depth && source->depth == depth)
			return source;
		if (!source->has_depth)
			for_all = source;
	}
	return for_all;
}

/* Prompts one after the other: a mount opens several snapshots at once. */
static int prompt_alone(const char *name, char *buf)
{
	static pthread_mutex_t prompting = PTHREAD_MUTEX_INITIALIZER;
	int len;

	pthread_mutex_lock(&prompting);
	len = prompt_password(name, buf);
	pthread_mutex_unlock(&prompting);
	return len;
}

/* Returns what get_key does. */
static int ask_terminal(struct keys *keys, const char *name, struct qcow2_key *answer)
{
	int len;

	if (keys->typed == NULL)
		keys->typed = malloc(PROMPT_ROOM);
	if (keys->typed == NULL)
		return -1;
	len = prompt_alone(name, keys->typed);
	if (len < 0)
		return 0;
	keys->has_answered = true;
	keys->line_ends = false;
	answer->bytes = keys->typed;
	answer->len = (size_t)len;
	return 1;
}

/* Returns what get_key does. */
static int take_source(struct keys *keys, struct key_source *source, struct qcow2_key *answer)
{
	const struct key_source *read = key_source_read(source);

	if (!source->is_asked) /* then other threads may read it */
		source->is_asked = true;
	if (read == NULL) {
		keys->failed = source;
		return -1;
	}
	keys->has_answered = true;
	keys->line_ends = read->len != 0u && read->bytes[read->len - 1u] == '\n';
	answer->bytes = read->bytes;
	answer->len = read->len;
	return 1;
}

/* qcow2_options.get_key. */
static int get_key(void *ctx, const struct qcow2_key_request *request, struct qcow2_key *answer)
{
	struct keys *keys = ctx;
	const struct args *args = keys->args;
	struct key_source *source = find_source(args, request->depth);
	int rc;

	if (source == NULL)
		return ask_terminal(keys, request->path != NULL ? request->path : args->image,
		                    answer);
	rc = take_source(keys, source, answer);
	if (rc > 0 && keys->line_ends && answer->len <= AES_KEY_BYTES &&
	    strcmp(request->method, "aes") == 0)
		keys->aes_line_ends = true;
	return rc;
}

void keys_begin(struct keys *keys, const struct args *args, struct qcow2_options *options)
{
	memset(keys, 0, sizeof *keys);
	keys->args = args;
	options->get_key = get_key;
	options->get_key_ctx = keys;
}

void keys_end(struct keys *keys)
{
	if (keys->typed != NULL)
		explicit_bzero(keys->typed, PROMPT_ROOM);
	free(keys->typed);
	keys->typed = NULL;
}

int keys_check_used(const struct args *args)
{
	bool may_ask = (args->options.flags & (QCOW2_INSPECT | QCOW2_WITHOUT_KEYS)) == 0u;
	unsigned i;

	for (i = 0; i < args->n_keys; i++) {
		if (!args->keys[i].is_asked && may_ask)
			return key_source_unused(&args->keys[i]);
		key_source_close(&args->keys[i]);
	}
	return EXIT_OK;
}
