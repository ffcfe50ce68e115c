/* SPDX-License-Identifier: MIT */
/*
 * qcow2 convert: the disk as a sparse raw file.
 */
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qcow2/image.h"

enum {
	COPY_BUFFER = 1024 * 1024,
	HOLE_BLOCK = 4096 /* zeros of this size and place become holes */
};

struct copy {
	const struct args *args;
	struct qcow2 *q;
	struct output out;
	struct progress progress;
	char *buf;
	size_t room;
};

/* Writes bytes at an offset of the output. */
static bool put(const struct copy *c, const char *bytes, size_t len, uint64_t at)
{
	while (len > 0u) {
		ssize_t n = pwrite(c->out.fd, bytes, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			tool_error(c->args->out, "%s", strerror(errno));
			return false;
		}
		bytes += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
	return true;
}

static bool all_zero(const char *bytes, size_t len)
{
	return len == 0u || (bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1u) == 0);
}

/* The length of the block at `at`, which ends at a multiple of HOLE_BLOCK or with the data. */
static size_t block_len(uint64_t at, size_t len)
{
	size_t n = HOLE_BLOCK - (size_t)(at % HOLE_BLOCK);

	return n < len ? n : len;
}

/* Writes the blocks that are not zeros, as many at once as there are. */
static bool put_sparse(const struct copy *c, size_t len, uint64_t at)
{
	size_t start = 0, i, n;

	for (i = 0; i < len; i += n) {
		n = block_len(at + i, len - i);
		if (!all_zero(c->buf + i, n))
			continue;
		if (!put(c, c->buf + start, i - start, at + start))
			return false;
		start = i + n;
	}
	return put(c, c->buf + start, len - start, at + start);
}

/* Copies [at, end) of the disk, which may hold data. */
static bool copy_range(struct copy *c, uint64_t at, uint64_t end)
{
	while (at < end) {
		size_t len = c->room - (size_t)(at % c->room);
		int n;

		if (len > end - at)
			len = (size_t)(end - at);
		n = qcow2_read(c->q, c->buf, len, at);
		if (n < 0) {
			tool_failed(c->args);
			return false;
		}
		if (!put_sparse(c, (size_t)n, at))
			return false;
		at += (uint64_t)n;
		progress_show(&c->progress, at, qcow2_get_size(c->q));
	}
	return true;
}

/* Copies a segment, but for the holes in the file that it lies in. */
static bool copy_segment(struct copy *c, const struct qcow2_segment *s)
{
	uint64_t done = 0, n;
	bool hole;

	if ((s->flags & QCOW2_SEGMENT_DATA) == 0u)
		return true;
	if ((s->flags & QCOW2_SEGMENT_AT) == 0u)
		return copy_range(c, s->start, s->start + s->length);
	for (; done < s->length; done += n) {
		n = hole_find(s->fd, s->file_offset + done, s->length - done, &hole);
		if (!hole && !copy_range(c, s->start + done, s->start + done + n))
			return false;
	}
	return true;
}

static bool copy_disk(struct copy *c)
{
	uint64_t size = qcow2_get_size(c->q);
	struct qcow2_segment segment;
	uint64_t at = 0;
	int rc;

	if (size > INT64_MAX || ftruncate(c->out.fd, (off_t)size) != 0) {
		tool_error(c->args->out, "%s", strerror(size > INT64_MAX ? EFBIG : errno));
		return false;
	}
	progress_show(&c->progress, 0, size);
	while ((rc = qcow2_map(c->q, at, UINT64_MAX, &segment)) > 0) {
		if (!copy_segment(c, &segment))
			return false;
		at += segment.length;
		progress_show(&c->progress, at, size);
	}
	if (rc < 0)
		tool_failed(c->args);
	return rc == 0;
}

static int convert(struct copy *c)
{
	size_t cluster = (size_t)1 << qcow2_get_image(c->q, 0)->cluster_bits;
	int rc;

	c->room = cluster > COPY_BUFFER ? cluster : COPY_BUFFER;
	c->buf = malloc(c->room);
	if (c->buf == NULL)
		return tool_error(c->args->image, "%s", strerror(errno));
	rc = output_begin(&c->out, c->args->out, c->q);
	if (rc == EXIT_OK) {
		progress_begin(&c->progress, c->args);
		rc = copy_disk(c) ? output_commit(&c->out) : EXIT_FAILED;
		progress_end(&c->progress);
	}
	output_end(&c->out);
	free(c->buf);
	return rc;
}

int run_convert(struct args *args)
{
	struct copy c;
	int rc;

	memset(&c, 0, sizeof c);
	c.args = args;
	c.q = tool_open(args);
	if (c.q == NULL)
		return EXIT_FAILED;
	rc = convert(&c);
	qcow2_close(c.q);
	return rc;
}
