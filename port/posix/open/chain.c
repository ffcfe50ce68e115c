/* SPDX-License-Identifier: MIT */
/*
 * The images of a handle: the one that is opened, its data file, and what lies below it.
 */
#include "../posix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct qp_layer *layer_new(unsigned depth)
{
	struct qp_layer *layer = calloc(1, sizeof *layer);

	if (layer == NULL)
		return NULL;
	layer->file.fd = -1;
	layer->file.depth = depth;
	layer->data.fd = -1;
	layer->data.depth = depth;
	layer->data.is_data = true;
	return layer;
}

void qp_chain_free(struct qp_layer *top)
{
	while (top != NULL) {
		struct qp_layer *below = top->below;

		qp_file_close(&top->file);
		qp_file_close(&top->data);
		free(top);
		top = below;
	}
}

/* Gives back a file that no layer has taken over. */
static void found_drop(const struct qp_found *found)
{
	struct qp_file unused = { .fd = found->fd, .path = found->path };

	qp_file_close(&unused);
}

static bool attach_data(struct qp_plan *plan, struct qp_layer *layer)
{
	struct qp_found found = { -1, NULL, true };

	if (!qp_find_data(plan, layer, &found)) {
		found_drop(&found);
		return false;
	}
	if (!qp_file_open(&layer->data, found.fd, found.path))
		return false;
	qcow2_image_attach_data(&layer->image, &layer->data.io);
	return true;
}

/* Opens the image of a layer; its header, and what belongs to that, is read at once. */
static bool image_open(struct qp_plan *plan, struct qp_layer *layer)
{
	unsigned options = plan->options->flags;
	struct qcow2_error err;
	unsigned flags = 0;
	int rc;

	if ((options & QCOW2_ALLOW_TRUNCATED) != 0u)
		flags |= QCOW2_OPEN_TRUNCATED;
	if ((options & QCOW2_LAYER_ONLY) != 0u)
		flags |= QCOW2_OPEN_LAYER;
	if ((options & QCOW2_INSPECT) != 0u)
		flags |= QCOW2_OPEN_INSPECT;
	if (!qp_file_keep_head(&layer->file, plan->head))
		return false;
	rc = qcow2_image_open(&layer->image, &layer->file.io, flags, &err);
	if (rc == QCOW2_OK)
		rc = qcow2_image_extensions(&layer->image, &err);
	if (rc != QCOW2_OK)
		qp_fail_core(rc, &err);
	else
		layer->file.table_len = UINT32_C(1) << layer->image.cluster_bits;
	return rc == QCOW2_OK;
}

/* Opens the image of a layer on a file, and the layer's data file. */
static bool layer_open(struct qp_plan *plan, struct qp_layer *layer, struct qp_found found)
{
	unsigned options = plan->options->flags;

	if (!qp_file_open(&layer->file, found.fd, found.path))
		return false;
	if (found.is_raw) {
		qcow2_image_raw(&layer->image, &layer->file.io);
		return true;
	}
	if (!image_open(plan, layer))
		return false;
	if ((layer->image.incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) == 0u ||
	    (options & QCOW2_INSPECT) != 0u)
		return true;
	return attach_data(plan, layer);
}

/* Is there to be an image below this one? */
static bool wants_backing(const struct qp_plan *plan, const struct qp_layer *layer)
{
	const struct qcow2_options *o = plan->options;

	if (layer->image.version == 0u || (o->flags & (QCOW2_LAYER_ONLY | QCOW2_INSPECT)) != 0u)
		return false;
	return layer->image.backing_name.len != 0u || plan->n_taken < o->n_backing;
}

/* A chain must not come back to a file that is in it. */
static bool is_new(const struct qp_layer *top, const struct qp_layer *layer)
{
	for (; top != layer; top = top->below)
		if (qp_file_same(&top->file, &layer->file)) {
			qp_fail(ELOOP, QCOW2_E_DEPTH, "the backing chain is a loop",
			        "the backing chain comes back to the file at depth %u",
			        top->file.depth);
			return false;
		}
	return true;
}

/* Finds and opens the image below `layer`. */
static bool open_below(struct qp_plan *plan, struct qp_layer *top, struct qp_layer *layer)
{
	struct qp_found found = { -1, NULL, false };
	struct qp_layer *below;

	if (layer->file.depth + 1u >= QP_CHAIN_MAX) {
		qp_fail_text(ELOOP, QCOW2_E_DEPTH, "the backing chain has more than 256 files");
		return false;
	}
	below = layer_new(layer->file.depth + 1u);
	if (below == NULL) {
		qp_fail_memory();
		return false;
	}
	layer->below = below;
	if (!qp_find_backing(plan, layer, &found)) {
		found_drop(&found);
		return false;
	}
	qp_file_drop_head(&layer->file); /* here comes the next one's */
	return layer_open(plan, below, found) && is_new(top, below);
}

struct qp_layer *qp_layer_at(struct qp_layer *top, unsigned depth)
{
	while (top != NULL && top->file.depth != depth)
		top = top->below;
	return top;
}

/* Puts the images on top of each other, from the bottom up. */
static void join_layers(struct qp_layer *top, const struct qp_layer *bottom)
{
	unsigned depth = bottom->file.depth;

	while (depth-- > 0u) {
		struct qp_layer *layer = qp_layer_at(top, depth);

		qcow2_image_attach_backing(&layer->image, &layer->below->image);
	}
}

/* What was given and not taken is of no use here: said, not passed over. */
static bool all_taken(const struct qp_plan *plan)
{
	const struct qcow2_options *o = plan->options;

	if ((o->flags & QCOW2_INSPECT) != 0u)
		return true;
	if (plan->n_taken < o->n_backing)
		qp_fail_text(EINVAL, 0, "a backing file is given for an image that takes none");
	else if (o->data_file != NULL && !plan->data_taken)
		qp_fail_text(EINVAL, 0, "a data file is given for an image that has its own data");
	else
		return true;
	return false;
}

void qp_plan_drop(struct qp_plan *plan)
{
	const struct qcow2_options *o = plan->options;
	struct qp_file unused = { .fd = -1 };

	for (; plan->n_taken < o->n_backing; plan->n_taken++)
		if (o->backing[plan->n_taken].path == NULL) {
			unused.fd = o->backing[plan->n_taken].fd;
			qp_file_close(&unused);
		}
	if (o->data_file != NULL && !plan->data_taken && o->data_file->path == NULL) {
		unused.fd = o->data_file->fd;
		qp_file_close(&unused);
	}
}

static bool chain_fill(struct qp_plan *plan, struct qcow2 *q, int fd)
{
	struct qp_found found = { fd, NULL, false };
	struct qp_layer *layer = layer_new(0);

	q->top = layer;
	if (layer == NULL) {
		found_drop(&found);
		qp_fail_memory();
		return false;
	}
	if (plan->options->path != NULL) {
		found.path = strdup(plan->options->path);
		if (found.path == NULL) {
			found_drop(&found);
			qp_fail_memory();
			return false;
		}
	}
	if (!layer_open(plan, layer, found))
		return false;
	for (; wants_backing(plan, layer); layer = layer->below)
		if (!open_below(plan, q->top, layer))
			return false;
	if (!all_taken(plan))
		return false;
	join_layers(q->top, layer);
	return true;
}

bool qp_chain_open(struct qcow2 *q, int fd, const struct qcow2_options *options)
{
	struct qp_plan plan; /* whose head is not to be cleared first */
	struct qp_layer *layer;
	bool done;

	plan.options = options;
	plan.n_taken = 0;
	plan.data_taken = false;
	done = chain_fill(&plan, q, fd);
	for (layer = q->top; layer != NULL; layer = layer->below)
		qp_file_drop_head(&layer->file);
	qp_plan_drop(&plan);
	return done;
}
