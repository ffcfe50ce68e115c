/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Prints what this library reads from an image, for differential.py.
 *	ours FORMAT IMAGE [FORMAT BACKING]... [data DATA_FILE] [key PASSWORD] [dirty NAME]
 * Standard input has lines "OFFSET LENGTH". The program opens the image twice: "strict", and
 * "lenient" with QCOW2_ALLOW_TRUNCATED. Each time it prints a line "strict 0 SIZE" or "strict
 * STATUS MESSAGE" (or the same with "lenient") and, if the image opened, a line "STATUS" for each
 * range. In the lenient part, the bytes of the range follow a status of 0. The password is for all
 * images that are encrypted.
 *
 * With a NAME, it reads no standard input, and prints the dirty and the clean ranges of that bitmap
 * instead: lines "OFFSET LENGTH 0" or "OFFSET LENGTH 1", at most 30000. The last line is "end" or
 * "more", or "failed STATUS OFFSET MESSAGE".
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qcow2.h"

enum {
	RANGES_MAX = 1024,
	LEN_MAX = 1 << 16,
	CHAIN_MAX = 4,
	DIRTY_MAX = 30000,
	ITERATIONS = 100000
};

static uint64_t offs[RANGES_MAX];
static size_t lens[RANGES_MAX];
static unsigned n_ranges;
static const char *bitmap_name;

static int last_status(void)
{
	const struct qcow2_failure *failure = qcow2_last_failure();

	return failure->status != 0 ? failure->status : -1000 - failure->error;
}

static int give_password(void *ctx, const struct qcow2_key_request *request, struct qcow2_key *key)
{
	(void)request;
	key->bytes = ctx;
	key->len = strlen(ctx);
	return 1;
}

static struct qcow2 *open_chain(int argc, char **argv, unsigned flags)
{
	struct qcow2_file backing[CHAIN_MAX] = { 0 };
	struct qcow2_file data = { 0 };
	struct qcow2_options options = { .struct_size = sizeof options, .flags = flags };
	int i;

	for (i = 3; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "data") == 0) {
			data.path = argv[i + 1];
			options.data_file = &data;
		} else if (strcmp(argv[i], "key") == 0) {
			options.get_key = give_password;
			options.get_key_ctx = argv[i + 1];
			options.max_iterations = ITERATIONS;
		} else if (strcmp(argv[i], "dirty") != 0 && options.n_backing < CHAIN_MAX) {
			backing[options.n_backing].format = argv[i];
			backing[options.n_backing++].path = argv[i + 1];
		}
	}
	options.backing = backing;
	if (options.n_backing == 0) {
		options.backing = NULL;
		options.flags |= QCOW2_LAYER_ONLY;
	}
	return qcow2_open_options(open(argv[2], O_RDONLY | O_CLOEXEC), &options, NULL);
}

static void answer(struct qcow2 *q, unsigned i, int with_bytes)
{
	static uint8_t buf[LEN_MAX];
	int n = qcow2_read(q, buf, lens[i], offs[i]);

	if (n >= 0 && (size_t)n != lens[i]) {
		printf("short\n");
		return;
	}
	printf("%d\n", n < 0 ? last_status() : 0);
	if (n >= 0 && with_bytes)
		fwrite(buf, 1, lens[i], stdout);
}

static void answer_all(int argc, char **argv, const char *name, unsigned flags)
{
	struct qcow2 *q = open_chain(argc, argv, flags);
	unsigned i;

	if (q == NULL) {
		printf("%s %d %s\n", name, last_status(), qcow2_last_failure()->message);
		return;
	}
	printf("%s 0 %" PRIu64 "\n", name, qcow2_get_size(q));
	for (i = 0; i < n_ranges; i++)
		answer(q, i, flags != 0);
	qcow2_close(q);
}

/* Prints the ranges of a bitmap. Returns what the last line is. */
static const char *print_ranges(struct qcow2 *q, uint64_t *off)
{
	struct qcow2_bitmap_set *set;
	struct qcow2_dirty_range range;
	const char *last = "more";
	int i, n = 1;

	if (qcow2_find_bitmaps(q, &bitmap_name, 1, 0, &set) != 0)
		return "failed";
	for (i = 0; i < DIRTY_MAX && n == 1; i++) {
		n = qcow2_map_bitmaps(q, set, *off, UINT64_MAX, &range);
		if (n == 1) {
			printf("%" PRIu64 " %" PRIu64 " %d\n", range.start, range.length,
			       range.dirty != 0);
			*off = range.start + range.length;
		}
	}
	if (n != 1)
		last = n == 0 ? "end" : "failed";
	free(set);
	return last;
}

static void answer_dirty(int argc, char **argv)
{
	struct qcow2 *q = open_chain(argc, argv, QCOW2_ALLOW_TRUNCATED);
	uint64_t off = 0;
	const char *last = q != NULL ? print_ranges(q, &off) : "failed";

	if (strcmp(last, "failed") == 0)
		printf("failed %d %" PRIu64 " %s\n", last_status(), off,
		       qcow2_last_failure()->message);
	else
		puts(last);
	if (q != NULL)
		qcow2_close(q);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (strcmp(argv[argc - 2], "dirty") == 0) {
		bitmap_name = argv[argc - 1];
		answer_dirty(argc, argv);
		return 0;
	}
	while (n_ranges < RANGES_MAX &&
	       scanf("%" SCNu64 " %zu", &offs[n_ranges], &lens[n_ranges]) == 2)
		if (lens[n_ranges++] > LEN_MAX)
			return 2;
	answer_all(argc, argv, "strict", 0);
	answer_all(argc, argv, "lenient", QCOW2_ALLOW_TRUNCATED);
	return 0;
}
