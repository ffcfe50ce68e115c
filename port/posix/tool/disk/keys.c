/* SPDX-License-Identifier: MIT */
/*
 * Reads passwords when the library asks for them, each file once. Their bytes are used as they are.
 */
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "prompt.h"

/* A password has at most so many bytes: more are a wrong file. */
enum { KEY_MAX = 1024 * 1024, KEY_ROOM = 4096 };

struct key {
	bool is_read;
	char *bytes;
	size_t len;
	size_t room;
};

static void key_wipe(struct key *key)
{
	if (key->bytes != NULL)
		explicit_bzero(key->bytes, key->room);
	free(key->bytes);
	memset(key, 0, sizeof *key);
}

/*
 * gcc's analyzer does not follow keys in an array by an index, so it takes the memory that they get
 * for lost.
 */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 10
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif
/* Makes room for more bytes. realloc(3) would leave a copy of the old ones behind. */
static bool key_grow(struct key *key)
{
	struct key longer = *key;

	longer.room = key->room == 0u ? KEY_ROOM : 2u * key->room;
	longer.bytes = malloc(longer.room);
	if (longer.bytes == NULL)
		return false;
	if (key->len != 0u)
		memcpy(longer.bytes, key->bytes, key->len);
	key_wipe(key);
	*key = longer;
	return true;
}

/* Reads all that fd has. Returns false with errno set. */
static bool key_read_fd(struct key *key, int fd)
{
	ssize_t n = 1;

	while (n > 0) {
		if (key->len > KEY_MAX) {
			errno = EFBIG;
			return false;
		}
		if (key->len == key->room && !key_grow(key))
			return false;
		do
			n = read(fd, key->bytes + key->len, key->room - key->len);
		while (n < 0 && errno == EINTR);
		if (n > 0)
			key->len += (size_t)n;
	}
	return n == 0;
}

static bool key_read(struct key *key, const struct key_source *source)
{
	int fd = source->fd, error;
	bool done;

	if (source->file != NULL)
		fd = open(source->file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return false;
	done = key_read_fd(key, fd);
	error = errno;
	if (source->file != NULL)
		close(fd);
	errno = error;
	return done;
}

/* The source for the image at this depth: its own, or else one for all images; NULL: none. */
static const struct key_source *find_source(const struct args *args, unsigned depth)
{
	const struct key_source *for_all = NULL, *source = args->keys;
	unsigned i;

	for (i = 0; i < args->n_keys; i++, source++) {
		if (source->has_depth && source->depth == depth)
			return source;
		if (!source->has_depth && for_all == NULL)
			for_all = source;
	}
	return for_all;
}

/* Returns what get_key does. */
static int ask_terminal(struct key *key, const char *name)
{
	int len;

	key_wipe(key); /* the password of another image */
	key->bytes = malloc(PROMPT_ROOM);
	if (key->bytes == NULL)
		return -1;
	key->room = PROMPT_ROOM;
	len = prompt_password(name, key->bytes);
	if (len < 0)
		return 0;
	key->len = (size_t)len;
	return 1;
}

/* Returns what get_key does. */
static int take_source(struct keys *keys, const struct key_source *source, struct key *key)
{
	if (!key->is_read)
		key->is_read = key_read(key, source);
	if (!key->is_read) {
		keys->failed = source->file != NULL ? source->file : "--key-fd";
		return -1;
	}
	keys->line_ends = key->len != 0u && key->bytes[key->len - 1u] == '\n';
	return 1;
}

/* qcow2_options.get_key. */
static int get_key(void *ctx, const struct qcow2_key_request *request, struct qcow2_key *answer)
{
	struct keys *keys = ctx;
	const struct args *args = keys->args;
	const struct key_source *source = find_source(args, request->depth);
	struct key *key = &keys->list[source != NULL ? source - args->keys : args->n_keys];
	int rc;

	if (source != NULL)
		rc = take_source(keys, source, key);
	else
		rc = ask_terminal(key, request->path != NULL ? request->path : args->image);
	answer->bytes = key->bytes;
	answer->len = key->len;
	return rc;
}

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 10
#pragma GCC diagnostic pop
#endif

bool keys_begin(struct keys *keys, const struct args *args, struct qcow2_options *options)
{
	keys->args = args;
	keys->failed = NULL;
	keys->line_ends = false;
	keys->list = calloc(args->n_keys + 1u, sizeof *keys->list);
	options->get_key = get_key;
	options->get_key_ctx = keys;
	return keys->list != NULL;
}

void keys_end(struct keys *keys)
{
	unsigned i;

	for (i = 0; keys->list != NULL && i <= keys->args->n_keys; i++)
		key_wipe(&keys->list[i]);
	free(keys->list);
	keys->list = NULL;
}
