/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* This library. */
#define _POSIX_C_SOURCE 200809L

#include "bench/reader.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "qcow2.h"

/* The password of all encrypted images of the benchmark: images.py. */
static int give_key(void *ctx, const struct qcow2_key_request *request, struct qcow2_key *key)
{
	(void)ctx;
	(void)request;
	key->bytes = "bench";
	key->len = 5;
	return 1;
}

struct reader *reader_open(const char *path)
{
	struct qcow2_options options;
	const char *error;
	struct qcow2 *q;

	memset(&options, 0, sizeof options);
	options.struct_size = sizeof options;
	options.flags = QCOW2_FOLLOW;
	options.path = path;
	options.get_key = give_key;
	q = qcow2_open_options(open(path, O_RDONLY), &options, &error);
	if (q == NULL)
		fprintf(stderr, "%s: %s\n", path, error);
	return (struct reader *)(void *)q;
}

uint64_t reader_size(struct reader *reader)
{
	return qcow2_get_size((struct qcow2 *)(void *)reader);
}

bool reader_read(struct reader *reader, void *buf, size_t len, uint64_t off)
{
	return qcow2_read((struct qcow2 *)(void *)reader, buf, len, off) == (int)len;
}

void reader_close(struct reader *reader)
{
	qcow2_close((struct qcow2 *)(void *)reader);
}
