/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 convert: writes the content of the disk to a sparse raw file, a device or a pipe.
 *
 * One thread copies; helpers join it at the first compressed cluster. Each thread takes the next
 * piece of the copy plan, reads it and writes it to its place; pieces finish in any order.
 */
#include "../commands.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../disk/open.h"
#include "../disk/salvage.h"
#include "../disk/workers.h"
#include "../message.h"
#include "../output/output.h"
#include "../sandbox/sandbox.h"
#include "../show/progress.h"
#include "copy_plan.h"
#include "stream.h"

enum {
	COPY_BUFFER = 128 * 1024, /* stays in the processor's cache between read and write */
	HOLE_BLOCK = 4096         /* a block of a usual file system: zeros become a hole */
};

struct copy {
	const struct args *args;
	struct qcow2 *q;
	struct output out;
	struct salvage *salvage; /* NULL without --salvage */
	struct marks marks;
	size_t room; /* bytes in the buffer of each thread */

	pthread_mutex_t mutex; /* for plan, progress and failed */
	struct copy_plan plan;
	struct progress progress;
	bool failed;

	struct workers helpers;
};

/* Is this the first failure? Only that is reported; the other threads stop when they see it. */
static bool is_first_failure(struct copy *c)
{
	bool first;

	pthread_mutex_lock(&c->mutex);
	first = !c->failed;
	c->failed = true;
	pthread_mutex_unlock(&c->mutex);
	return first;
}

/* Writes all bytes to the output at the offset `at`. */
static bool put(struct copy *c, const char *bytes, size_t len, uint64_t at)
{
	while (len > 0u) {
		ssize_t n = pwrite(c->out.fd, bytes, len, (off_t)(c->out.base + at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int error = errno;

			if (is_first_failure(c))
				output_failed(&c->out, error);
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

/* Writes the runs of blocks that are not zeros, each with one call. */
static bool put_sparse(struct copy *c, const char *buf, size_t len, uint64_t at)
{
	size_t start = 0, i, n;

	for (i = 0; i < len; i += n) {
		n = block_len(at + i, len - i);
		if (!all_zero(buf + i, n))
			continue;
		if (!put(c, buf + start, i - start, at + start))
			return false;
		start = i + n;
	}
	return put(c, buf + start, len - start, at + start);
}

static bool piece_take(struct copy *c, struct copy_piece *piece)
{
	int rc = 0;

	pthread_mutex_lock(&c->mutex);
	if (!c->failed)
		rc = copy_plan_next(&c->plan, c->room, piece);
	if (rc < 0) {
		c->failed = true;
		tool_failed(c->args);
	} else if (!c->failed) { /* after a message, the bar must not appear again */
		progress_show(&c->progress, c->plan.at, qcow2_get_size(c->q));
	}
	pthread_mutex_unlock(&c->mutex);
	return rc > 0;
}

static bool put_zeros(struct copy *c, const struct copy_piece *piece)
{
	int error;

	if (output_write_zeros(&c->out, piece->off, piece->len))
		return true;
	error = errno;
	if (is_first_failure(c))
		output_failed(&c->out, error);
	return false;
}

static bool piece_copy(struct copy *c, const struct copy_piece *piece, char *buf)
{
	if (piece->zeros)
		return put_zeros(c, piece);
	if (salvage_read(c->salvage, c->q, buf, piece->len, piece->off))
		return c->out.reads_zero ? put_sparse(c, buf, piece->len, piece->off)
		                         : put(c, buf, piece->len, piece->off);
	if (is_first_failure(c))
		tool_failed(c->args);
	return false;
}

static void *help(void *copy);

/* Copies pieces until none is left. `alone` is true in the first thread, which starts helpers. */
static void copy_pieces(struct copy *c, bool alone)
{
	char *buf = malloc(c->room);
	struct copy_piece piece;

	if (buf == NULL) {
		if (alone && is_first_failure(c))
			tool_error(c->args->image, "out of memory");
		return;
	}
	while (piece_take(c, &piece)) {
		if (alone && piece.compressed) {
			workers_call(&c->helpers, help, c);
			alone = false;
		}
		if (!piece_copy(c, &piece, buf))
			break;
	}
	free(buf);
}

static void *help(void *copy)
{
	copy_pieces(copy, false);
	return NULL;
}

static bool copy_disk(struct copy *c)
{
	copy_plan_begin(&c->plan, c->q, c->salvage, &c->marks, !c->out.reads_zero);
	copy_pieces(c, true);
	workers_wait(&c->helpers);
	copy_plan_end(&c->plan);
	return !c->failed;
}

static int write_file(struct copy *c)
{
	int rc;

	progress_begin(&c->progress, c->args->progress, c->args->quiet);
	rc = copy_disk(c) ? output_commit(&c->out) : EXIT_FAILED;
	progress_end(&c->progress);
	past_end_warn_cut(&c->plan.past_end, c->args);
	return rc;
}

static int write_stream(struct copy *c)
{
	struct stream s = {
		.args = c->args,
		.q = c->q,
		.salvage = c->salvage,
		.fd = c->out.fd,
		.name = c->out.name,
		.end = c->out.size,
	};

	return stream_write(&s) == EXIT_OK ? output_commit(&c->out) : EXIT_FAILED;
}

static int convert(struct copy *c)
{
	struct output *o = &c->out;
	int rc = output_begin(o, c->args, c->q);

	c->room = tool_buffer_size(c->q, COPY_BUFFER);
	if (rc == EXIT_OK && o->is_stream && c->marks.set != NULL)
		rc = tool_error(o->name, "--bitmap needs a file or a device; 'qcow2 cat --bitmap' "
		                         "writes to pipes");
	if (rc == EXIT_OK) {
		sandbox_enter(
			c->args->no_sandbox,
			&(struct sandbox_needs){ .files = { o->fd, salvage_report_fd(c->salvage) },
		                                 .zeroes_blocks = o->is_device,
		                                 .beside = output_beside(o) });
		rc = o->is_stream ? write_stream(c) : write_file(c);
	}
	output_end(o);
	return rc;
}

int run_convert(struct args *args)
{
	struct copy c;
	int rc;

	progress_catch_signals();
	memset(&c, 0, sizeof c);
	c.args = args;
	workers_begin(&c.helpers);
	c.q = tool_open_disk(args);
	if (c.q == NULL)
		return EXIT_FAILED;
	pthread_mutex_init(&c.mutex, NULL);
	rc = marks_begin(&c.marks, args, c.q);
	if (rc == EXIT_OK)
		rc = salvage_begin(&c.salvage, args, c.q);
	if (rc == EXIT_OK)
		rc = convert(&c);
	rc = salvage_end(c.salvage, rc);
	marks_end(&c.marks);
	pthread_mutex_destroy(&c.mutex);
	qcow2_close(c.q);
	return rc;
}
