/* SPDX-License-Identifier: MIT */
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

enum {
	MEMORY_MOST = 64 * 1024 * 1024, /* unless the caller chooses */
	MEMORY_GOOD = 1024 * 1024,      /* the core then reads 64 KiB at a time */
	LINE_ROOM = 1024
};

/* Where the structs ended when they were first published. */
#define OPTIONS_MIN (offsetof(struct qcow2_check_options, ctx) + sizeof(void *))
#define RESULT_MIN  (offsetof(struct qcow2_check_result, snapshot_copied) + sizeof(uint64_t))

static int report(void *ctx, const struct qcow2_check_finding *f)
{
	struct qp_check *check = ctx;
	struct qcow2_finding finding = { .cluster = UINT64_MAX, .position = f->pos };
	char text[LINE_ROOM];

	finding.kind = qp_check_text(text, sizeof text, &check->core, f);
	finding.text = text;
	if (f->code == QCOW2_CHECK_REFCOUNT || f->code >= QCOW2_CHECK_LEAK) {
		finding.cluster = f->cluster;
		finding.refcount = f->refcount;
		finding.references = f->references;
	}
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

/* Copies the options to the struct of this version of the library; `to` is zeros. */
static bool check_options_copy(struct qcow2_check_options *to,
                               const struct qcow2_check_options *from)
{
	const unsigned char *bytes = (const unsigned char *)from;
	size_t i, len = from != NULL ? from->struct_size : OPTIONS_MIN;

	if (len < OPTIONS_MIN) {
		qp_fail_text(EINVAL, 0, "struct_size of the check options is not set");
		return false;
	}
	if (from != NULL)
		memcpy(to, from, len < sizeof *to ? len : sizeof *to);
	for (i = sizeof *to; i < len; i++)
		if (bytes[i] != 0u) {
			qp_fail_text(EINVAL, 0,
			             "an option is set that this version of the library lacks");
			return false;
		}
	return true;
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
	check->core.max_calls =
		check->options->max_reads != 0u ? check->options->max_reads : UINT64_MAX;
	if ((check->options->flags & QCOW2_CHECK_TELL_OWNERS) != 0u)
		check->core.flags = QCOW2_CHECK_OWNERS;
	check->total = image->io.size;
	check->has_data_file = (image->incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) != 0u;
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

	own.corruptions = c->corruptions + check->unread;
	own.leaks = c->leaks;
	own.errors = c->unreadable + check->errors;
	own.notes = c->notes;
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
