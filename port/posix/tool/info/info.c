/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 info: what the header says, how full the image is, and which partitions its disk has. It
 * needs no other file, and it shows as much as possible of an image that cannot be read: encrypted,
 * truncated, or without its backing file.
 *
 * All images are opened before the first one is read, because the sandbox allows no more of that.
 */
#include "info.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../commands.h"
#include "../disk/keys.h"
#include "../disk/open.h"
#include "../message.h"
#include "../sandbox/sandbox.h"
#include "qcow2/status.h"

/* One of the images on the command line. */
struct target {
	struct args args; /* the command line, with the name and the flags of this image */
	struct qcow2 *q;  /* NULL: it could not be opened */
	bool cut;         /* the file lacks its end, and the user knows */
	bool alone;       /* without its backing file, although nobody asked for that */
	struct info_chain chain;
};

/* Inspects only, unless the command line says where the other files are. */
static void choose_flags(struct target *t)
{
	struct qcow2_options *o = &t->args.options;

	if (t->args.n_keys == 0u)
		o->flags |= QCOW2_WITHOUT_KEYS;
	if (t->args.backing_chain && (o->flags & (QCOW2_FOLLOW_ANY | QCOW2_LAYER_ONLY)) == 0u)
		o->flags |= QCOW2_FOLLOW;
	if ((o->flags & (QCOW2_FOLLOW | QCOW2_FOLLOW_ANY)) != 0u || o->n_backing != 0u ||
	    o->data_file != NULL)
		return;
	t->alone = (o->flags & QCOW2_LAYER_ONLY) == 0u;
	o->flags |= QCOW2_LAYER_ONLY; /* the layer alone can also be mapped */
	if (t->args.n_keys == 0u)
		o->flags |= QCOW2_INSPECT;
}

/* If the file is cut, warns and opens what is left of it. */
static struct qcow2 *open_whole_or_cut(struct target *t)
{
	const struct qcow2_failure *failure = qcow2_last_failure();
	char reason[sizeof failure->message];
	struct opening o;

	tool_try_open(&t->args, &o);
	if (o.q == NULL && o.result == OPEN_DONE && failure->status == QCOW2_E_TRUNCATED &&
	    failure->depth == 0u) {
		memcpy(reason, failure->message, sizeof reason);
		t->args.options.flags |= QCOW2_ALLOW_TRUNCATED;
		tool_try_open(&t->args, &o);
		t->cut = o.q != NULL;
	}
	if (o.q == NULL)
		tool_open_failed(&t->args, &o);
	else
		tool_warn_of_key(&t->args, &o);
	if (t->cut)
		tool_error(t->args.image, "warning: %s", reason);
	return o.q;
}

static int target_open(struct target *t, const struct args *args, const char *image)
{
	t->args = *args;
	t->args.image = image;
	choose_flags(t);
	t->q = open_whole_or_cut(t);
	if (t->q != NULL && args->backing_chain &&
	    info_chain_begin(&t->chain, &t->args, t->q) != EXIT_OK) {
		qcow2_close(t->q);
		t->q = NULL;
	}
	return t->q != NULL ? EXIT_OK : EXIT_FAILED;
}

/* Of a file that is cut, the tables and the disk would be zeros that nobody wrote. */
static void print_image(struct json *j, const struct target *t)
{
	struct info info;

	info_load(&info, t->args.image, t->q, t->cut);
	if (!t->cut && !t->args.no_scan) {
		info_load_usage(&info, t->args.scan);
		info_load_partitions(&info, t->alone);
	}
	if (t->args.json)
		info_print_json(j, &info);
	else
		info_print_text(&info);
	if (info.has_usage) {
		past_end_warn_cut(&info.usage.past_end, &t->args);
		past_end_warn_zeros(&info.usage.past_end, &t->args);
	}
	info_free(&info);
}

static int target_print(struct json *j, struct target *t)
{
	int rc = EXIT_OK;

	if (t->args.backing_chain)
		rc = info_chain_print(&t->chain, j, &t->args, t->q);
	else
		print_image(j, t);
	qcow2_close(t->q);
	return rc;
}

/* JSON is an array if the command line has several images, and text has blank lines between. */
static int print_all(const struct args *args, struct target *targets)
{
	struct json j = { stdout, 0, true };
	bool is_list = args->json && args->n_images > 1u;
	int rc = EXIT_OK, n_printed = 0;
	unsigned i;

	if (is_list)
		json_begin(&j, NULL, '[');
	for (i = 0; i < args->n_images; i++) {
		if (targets[i].q == NULL)
			continue;
		if (n_printed++ > 0 && !args->json)
			putchar('\n');
		if (target_print(&j, &targets[i]) != EXIT_OK)
			rc = EXIT_FAILED;
	}
	if (is_list)
		json_end(&j, ']');
	return rc;
}

int run_info(struct args *args)
{
	struct target *targets = calloc(args->n_images, sizeof *targets);
	int rc = EXIT_OK;
	unsigned i;

	if (targets == NULL)
		return tool_error(args->image, "out of memory");
	for (i = 0; i < args->n_images; i++)
		if (target_open(&targets[i], args, args->images[i]) != EXIT_OK)
			rc = EXIT_FAILED;
	/* Each image opened, so each password had its chance. */
	if (rc == EXIT_OK)
		rc = keys_check_used(&targets[0].args);
	tzset(); /* localtime(3) opens a file at its first use */
	sandbox_enter_reading(args->no_sandbox);
	if (print_all(args, targets) != EXIT_OK)
		rc = EXIT_FAILED;
	free(targets);
	return rc;
}
