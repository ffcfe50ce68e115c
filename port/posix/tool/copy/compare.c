/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 compare: do two disks have the same content?
 *
 * Like `convert`, one thread works, and others join it at the first compressed cluster. Each takes
 * the next piece of the plan, in ascending order, and compares it. What is reported is the lowest
 * offset at which the disks differ or cannot be read, whichever thread came upon it first.
 */
#include "../commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../disk/open.h"
#include "../disk/workers.h"
#include "../message.h"
#include "../sandbox/sandbox.h"
#include "../show/json.h"
#include "../show/progress.h"
#include "compare_plan.h"

enum {
	COMPARE_BUFFER = 128 * 1024, /* two of them stay in the processor's cache */
	EXIT_EQUAL = 0,
	EXIT_DIFFERENT = 1,
	EXIT_TROUBLE = 2 /* as in cmp(1): any failure, also a wrong command line */
};

enum finding_kind { FOUND_NOTHING, FOUND_DIFFERENCE, FOUND_NO_MEMORY, FOUND_FAILURE };

/* What ends the comparison. */
struct finding {
	enum finding_kind kind;
	uint64_t off;
	unsigned side;                /* the disk that cannot be read */
	struct qcow2_failure failure; /* and why */
};

struct compare {
	const struct args *args[2];
	struct qcow2 *q[2];
	uint64_t size[2];

	pthread_mutex_t mutex; /* for plan, progress and first */
	struct compare_plan plan;
	struct progress progress;
	struct finding first; /* the one at the lowest offset so far */

	struct workers helpers;
};

static uint64_t larger_size(const struct compare *c)
{
	return c->size[0] > c->size[1] ? c->size[0] : c->size[1];
}

/* Notes what was found, unless something was found before that offset. Needs the mutex. */
static void note(struct compare *c, enum finding_kind kind, uint64_t off, unsigned side)
{
	if (c->first.kind != FOUND_NOTHING && c->first.off <= off)
		return;
	c->first.kind = kind;
	c->first.off = off;
	c->first.side = side;
	if (kind == FOUND_FAILURE)
		c->first.failure = *qcow2_last_failure();
}

static void note_locked(struct compare *c, enum finding_kind kind, uint64_t off, unsigned side)
{
	pthread_mutex_lock(&c->mutex);
	note(c, kind, off, side);
	pthread_mutex_unlock(&c->mutex);
}

/* After a finding, pieces that were taken before it are still compared, but no more are taken. */
static bool pair_take(struct compare *c, struct compare_piece *piece)
{
	unsigned failed;
	int rc = 0;

	pthread_mutex_lock(&c->mutex);
	if (c->first.kind == FOUND_NOTHING) {
		rc = compare_plan_next(&c->plan, piece, &failed);
		if (rc < 0)
			note(c, FOUND_FAILURE, c->plan.at, failed);
		else
			progress_show(&c->progress, c->plan.at, larger_size(c));
	}
	pthread_mutex_unlock(&c->mutex);
	return rc > 0;
}

/* The number of bytes at the beginning that are the same in both. */
static size_t same_len(const char *a, const char *b, size_t len)
{
	size_t i = 0;

	if (memcmp(a, b, len) == 0)
		return len;
	while (a[i] == b[i])
		i++;
	return i;
}

/* Reads the piece of both disks. Returns false if this fails, which is noted. */
static bool pair_read(struct compare *c, const struct compare_piece *piece, char *const buf[2])
{
	unsigned i;

	for (i = 0; i < 2u; i++) {
		if (!piece->has_data[i])
			memset(buf[i], 0, piece->len);
		else if (qcow2_read(c->q[i], buf[i], piece->len, piece->off) < 0) {
			note_locked(c, FOUND_FAILURE, piece->off, i);
			return false;
		}
	}
	return true;
}

static void *help_compare(void *compare);

/* `alone` is true in the first thread, until it has called the helpers. */
static void compare_pieces(struct compare *c, bool alone, char *const buf[2])
{
	struct compare_piece piece;

	while (pair_take(c, &piece)) {
		size_t same;

		if (alone && piece.compressed) {
			workers_call(&c->helpers, help_compare, c);
			alone = false;
		}
		if (!pair_read(c, &piece, buf))
			return;
		same = same_len(buf[0], buf[1], piece.len);
		if (same != piece.len) {
			note_locked(c, FOUND_DIFFERENCE, piece.off + same, 0);
			return;
		}
	}
}

/* Compares with buffers of this thread's own. Only the first thread cannot go without them. */
static void compare_with_buffers(struct compare *c, bool alone)
{
	char *both = malloc(2u * c->plan.room);

	if (both != NULL)
		compare_pieces(c, alone, (char *const[2]){ both, both + c->plan.room });
	else if (alone)
		note_locked(c, FOUND_NO_MEMORY, 0, 0);
	free(both);
}

static void *help_compare(void *compare)
{
	compare_with_buffers(compare, false);
	return NULL;
}

static void compare_disks(struct compare *c)
{
	size_t room = tool_buffer_size(c->q[0], COMPARE_BUFFER);

	/* The larger one of two powers of two is a multiple of the other. */
	room = tool_buffer_size(c->q[1], room);
	compare_plan_begin(&c->plan, c->q, room);
	pthread_mutex_init(&c->mutex, NULL);
	progress_begin(&c->progress, c->args[0]->progress, c->args[0]->quiet);
	compare_with_buffers(c, true);
	workers_wait(&c->helpers);
	progress_end(&c->progress);
	compare_plan_end(&c->plan);
	pthread_mutex_destroy(&c->mutex);
}

static void print_json(const struct compare *c, bool equal)
{
	struct json j = { stdout, 0, true };

	json_begin(&j, NULL, '{');
	json_bool(&j, "equal", equal);
	if (c->first.kind == FOUND_DIFFERENCE)
		json_number(&j, "offset", c->first.off);
	json_number(&j, "size", c->size[0]);
	json_number(&j, "size-b", c->size[1]);
	json_end(&j, '}');
}

static void print_text(const struct compare *c, bool equal)
{
	if (equal)
		puts("The disks are equal.");
	else if (c->first.kind == FOUND_DIFFERENCE)
		printf("The disks differ at offset %" PRIu64 ".\n", c->first.off);
	else
		printf("The disks differ in size: %" PRIu64 " and %" PRIu64 " bytes.\n", c->size[0],
		       c->size[1]);
}

static int report(const struct compare *c)
{
	const struct args *args = c->args[0];
	const struct finding *first = &c->first;
	bool same_size = c->size[0] == c->size[1] || !args->strict;
	bool equal = first->kind == FOUND_NOTHING && same_size;

	if (first->kind == FOUND_FAILURE)
		tool_failed_with(c->args[first->side], &first->failure);
	if (first->kind == FOUND_NO_MEMORY)
		tool_error(args->image, "out of memory");
	if (first->kind == FOUND_FAILURE || first->kind == FOUND_NO_MEMORY)
		return EXIT_TROUBLE;
	if (args->json)
		print_json(c, equal);
	else if (!args->quiet)
		print_text(c, equal);
	return equal ? EXIT_EQUAL : EXIT_DIFFERENT;
}

static int compare(struct compare *c)
{
	const struct args *args = c->args[0];
	unsigned i;

	c->size[0] = qcow2_get_size(c->q[0]);
	c->size[1] = qcow2_get_size(c->q[1]);
	if (c->size[0] != c->size[1] && args->strict)
		return report(c);
	if (c->size[0] != c->size[1] && !args->quiet)
		tool_error(c->args[1]->image,
		           "warning: the disk has %" PRIu64 " bytes, the other one %" PRIu64
		           "; the rest of the longer one must be zeros",
		           c->size[1], c->size[0]);
	compare_disks(c);
	for (i = 0; i < 2u && !args->quiet; i++)
		past_end_warn_cut(&c->plan.side[i].plan.past_end, c->args[i]);
	return report(c);
}

int run_compare(struct args *args)
{
	struct compare c;
	struct args *b = args->second;
	int rc = EXIT_TROUBLE;

	progress_catch_signals();
	memset(&c, 0, sizeof c);
	b->image = args->images[1];
	/* What has no option for the second image counts for both. */
	b->options.flags |= args->options.flags & ~(unsigned)QCOW2_VM_STATE;
	b->options.backing_format = args->options.backing_format;
	b->options.max_iterations = args->options.max_iterations;
	workers_begin(&c.helpers);
	c.args[0] = args;
	c.args[1] = b;
	c.q[0] = tool_open_disk(args);
	c.q[1] = c.q[0] != NULL ? tool_open_disk(b) : NULL;
	if (c.q[1] != NULL) {
		sandbox_enter_reading(args->no_sandbox);
		rc = compare(&c);
	}
	qcow2_close(c.q[1]);
	qcow2_close(c.q[0]);
	return rc;
}
