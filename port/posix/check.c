/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Checks an image of the chain.
 */
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cancel.h"
#include "check_text.h"
#include "failure.h"
#include "handle.h"
#include "open/file.h"

enum {
	MEMORY_MOST = 64 * 1024 * 1024, /* unless the caller chooses */
	MEMORY_GOOD = 1024 * 1024,      /* the core then reads 64 KiB at a time */
	LINE_ROOM = 1024
};

/* qcow2.txt "L1 table entry", "Standard Cluster Descriptor": bits 9-55 are a position. */
#define ENTRY_POS UINT64_C(0x00fffffffffffe00)

/* Where the structs ended when they were first published. */
#define OPTIONS_MIN (offsetof(struct qcow2_check_options, ctx) + sizeof(void *))
#define RESULT_MIN  (offsetof(struct qcow2_check_result, snapshot_copied) + sizeof(uint64_t))

/* The cluster that an L1 or L2 entry leads to; UINT64_MAX if it is in an external data file. */
static uint64_t entry_cluster(const struct qcow2_image *image, const struct qcow2_check_finding *f)
{
	if (f->code == QCOW2_CHECK_L2_COPIED &&
	    (image->incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) != 0u)
		return UINT64_MAX;
	return (f->entry & ENTRY_POS) >> image->cluster_bits;
}

/* The numbers of a finding: those members that mean something with its code. */
static void numbers_fill(struct qcow2_finding *to, const struct qcow2_image *image,
                         const struct qcow2_check_finding *f)
{
	to->cluster = UINT64_MAX;
	to->position = qp_file_place(&image->io, f->pos);
	switch (f->code) {
	case QCOW2_CHECK_REFCOUNT:
	case QCOW2_CHECK_LEAK:
		to->cluster = f->cluster;
		to->refcount = f->refcount;
		to->references = f->references;
		to->position = 0;
		break;
	case QCOW2_CHECK_OVERFLOW:
	case QCOW2_CHECK_UNREADABLE:
		to->cluster = f->cluster;
		to->position = 0;
		break;
	case QCOW2_CHECK_BLOCK_SHARED:
		to->cluster = f->cluster;
		to->references = f->references;
		break;
	case QCOW2_CHECK_OWNER: to->cluster = f->cluster; break;
	case QCOW2_CHECK_L1_COPIED:
	case QCOW2_CHECK_L2_COPIED:
		to->cluster = entry_cluster(image, f);
		to->refcount = f->refcount;
		break;
	case QCOW2_CHECK_SNAPSHOT_EXTERNAL:
	case QCOW2_CHECK_BITMAP_DIRECTORY:
	case QCOW2_CHECK_DIRTY:
	case QCOW2_CHECK_MARKED_CORRUPT: to->position = 0; break;
	default: break;
	}
}

static int report(void *ctx, const struct qcow2_check_finding *f)
{
	struct qp_check *check = ctx;
	struct qcow2_finding finding = { 0 };
	char text[LINE_ROOM];

	finding.kind = qp_check_text(text, sizeof text, &check->core, f);
	finding.text = text;
	numbers_fill(&finding, &check->core.image, f);
	return !qp_check_tell(check, &finding);
}

/* Progress is in bytes of the file. A window ends when the walk through its tables does. */
static int step(void *ctx, const struct qcow2_check *core)
{
	struct qp_check *check = ctx;
	double share = (double)core->l1_done / ((double)core->image.l1_entries + 1.0);
	uint64_t window = core->window_end - core->first;
	uint64_t done = ((uint64_t)core->first + (uint64_t)((double)window * share))
	                << core->image.cluster_bits;

	return !qp_check_show(check, done < check->total ? done : check->total);
}

/* Copies the caller's options; `to` is zeros, the defaults. */
static bool check_options_copy(struct qcow2_check_options *to,
                               const struct qcow2_check_options *from)
{
	if (from == NULL)
		return true;
	if (from->struct_size < OPTIONS_MIN) {
		qp_fail_text(EINVAL, 0, "struct_size of the check options is not set");
		return false;
	}
	return qp_options_copy(to, sizeof *to, from, from->struct_size);
}

/* The image at this depth, if it can be checked. */
static const struct qcow2_image *image_to_check(const struct qcow2 *q, unsigned depth)
{
	const struct qp_layer *layer = qp_layer_at(q->top, depth);

	if (layer == NULL)
		qp_fail_text(ENOENT, 0, "the backing chain has no image at this depth");
	else if (layer->image.version == 0u)
		qp_fail_text(ENOTSUP, 0, "a raw image has nothing to check");
	else if (layer->image.version == 1u)
		qp_fail_text(ENOTSUP, 0, "an image of version 1 has no refcounts to check");
	else
		return &layer->image;
	return NULL;
}

/* How much memory the core gets: enough for one pass, or what the caller allows. */
static size_t memory_len(const struct qp_check *check, const struct qcow2_image *image)
{
	size_t most = check->options->memory != 0u ? check->options->memory : MEMORY_MOST;
	uint64_t want = QCOW2_CHECK_MEMORY_WHOLE(image->io.size >> image->cluster_bits) + 1u;

	if (want < MEMORY_GOOD)
		want = MEMORY_GOOD;
	if (want > most)
		want = most;
	return want < QCOW2_CHECK_MEMORY ? QCOW2_CHECK_MEMORY : (size_t)want;
}

/* Checks the tables. Returns false after a failure. */
static bool check_tables(struct qp_check *check, const struct qcow2_image *image)
{
	size_t len = memory_len(check, image);
	uint64_t *memory = malloc(len);
	struct qcow2_error err;
	int rc;

	if (memory == NULL) {
		qp_fail_memory();
		return false;
	}
	check->core.report = report;
	check->core.step = step;
	check->core.ctx = check;
	check->core.bitmaps = qcow2_check_bitmaps;
	check->core.strict = qcow2_check_strict;
	check->core.max_calls =
		check->options->max_reads != 0u ? check->options->max_reads : UINT64_MAX;
	if ((check->options->flags & QCOW2_CHECK_TELL_OWNERS) != 0u)
		check->core.flags = QCOW2_CHECK_OWNERS;
	check->total = image->io.size;
	rc = qcow2_image_check(&check->core, image, memory, len, &err);
	free(memory);
	if (rc == QCOW2_E_LIMIT)
		check->ended = true;
	else if (rc != QCOW2_OK)
		qp_fail_core(rc, &err);
	else
		qp_check_show(check, check->total);
	return rc == QCOW2_OK || rc == QCOW2_E_LIMIT;
}

static void result_fill(struct qcow2_check_result *result, const struct qp_check *check)
{
	const struct qcow2_check *c = &check->core;
	struct qcow2_check_result own = { .struct_size = result->struct_size };

	own.corruptions = c->found[QCOW2_CHECK_CORRUPTIONS] + check->unread;
	own.leaks = c->found[QCOW2_CHECK_LEAKS];
	own.errors = c->found[QCOW2_CHECK_ERRORS] + check->errors;
	own.notes = c->found[QCOW2_CHECK_NOTES];
	own.total_clusters = c->n_guest;
	own.allocated_clusters = c->allocated;
	own.fragmented_clusters = c->fragmented;
	own.compressed_clusters = c->compressed;
	own.image_end = (uint64_t)c->end << c->image.cluster_bits;
	own.snapshot_copied = c->snapshot_copied;
	memset(result, 0, own.struct_size);
	memcpy(result, &own, own.struct_size < sizeof own ? own.struct_size : sizeof own);
}

static int check_run(struct qcow2 *q, const struct qcow2_check_options *options,
                     struct qcow2_check_result *result)
{
	struct qcow2_check_options own = { 0 };
	const struct qcow2_image *image;
	struct qp_check check = { .options = &own };

	if (result->struct_size < RESULT_MIN) {
		qp_fail_text(EINVAL, 0, "struct_size of the check result is not set");
		return qp_failed();
	}
	if (!check_options_copy(&own, options))
		return qp_failed();
	image = image_to_check(q, own.depth);
	if (image == NULL || !check_tables(&check, image))
		return qp_failed();
	if ((own.flags & QCOW2_CHECK_DEEP) != 0u && !check.ended && !qp_check_disk(&check, q))
		return qp_failed();
	result_fill(result, &check);
	return check.ended;
}

int qcow2_check(struct qcow2 *q, const struct qcow2_check_options *options,
                struct qcow2_check_result *result)
{
	int cancel_state = qp_cancel_hold();
	int rc = check_run(q, options, result);

	qp_cancel_restore(cancel_state);
	return rc;
}
