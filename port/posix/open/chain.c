/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Opens the chain: the image, its data file, and the images below it.
 *
 * The images are opened from the top down, because the header of each one names the file below it.
 * Then they are attached from the bottom up, as the core requires.
 */
#include "chain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../failure.h"
#include "../key/unlock.h"
#include "cut.h"
#include "find.h"
#include "qcow2/version1.h"

static struct qp_layer *layer_new(unsigned depth)
{
	struct qp_layer *layer = calloc(1, sizeof *layer);

	if (layer == NULL) {
		qp_fail_memory();
		return NULL;
	}
	layer->file.fd = -1;
	layer->file.depth = depth;
	layer->data.fd = -1;
	layer->data.depth = depth;
	layer->data.is_data = true;
	layer->dir.fd = -1;
	return layer;
}

void qp_chain_free(struct qp_layer *top)
{
	while (top != NULL) {
		struct qp_layer *below = top->below;
		int i;

		qp_file_close(&top->file);
		qp_file_close(&top->data);
		qp_directory_close(&top->dir);
		qp_lock(top);
		for (i = 0; i < QP_NAMES; i++)
			free(top->names[i]);
		free(top);
		top = below;
	}
}

/* Releases a file that no layer owns yet. */
static void found_drop(struct qp_found *found)
{
	qp_close(found->fd);
	free(found->path);
	qp_directory_close(&found->dir);
}

static bool attach_data(struct qp_plan *plan, struct qp_layer *layer)
{
	struct qp_found found = QP_FOUND_NONE;

	if (!qp_find_data(plan, layer, &found)) {
		found_drop(&found);
		return false;
	}
	qp_directory_close(&found.dir); /* a data file names no other file */
	if (!qp_file_open(&layer->data, found.fd, found.path))
		return false;
	qcow2_image_attach_data(&layer->image, &layer->data.io);
	return true;
}

/* The static texts of failures about an image of a version that is not expected. */
static const char is_qcow[] = "the image has version 1: its format is qcow, not qcow2";
static const char is_qcow2[] = "the image has version 2 or 3: its format is qcow2, not qcow";

/* Reads the header of the version that is expected, and its extensions. */
static int header_open(struct qp_layer *layer, const struct qp_found *found, unsigned flags,
                       struct qcow2_error *err)
{
	int rc = QCOW2_E_VERSION;

	if (!found->is_v1)
		rc = qcow2_image_open(&layer->image, &layer->file.io, flags, err);
	if (found->is_v1 || (found->is_any && rc == QCOW2_E_VERSION && err->detail == 1u))
		return qcow2_image_open_v1(&layer->image, &layer->file.io, flags, err);
	/* Reading the disk does not need the extensions, but QEMU refuses damaged ones. */
	return rc == QCOW2_OK ? qcow2_image_extensions(&layer->image, err) : rc;
}

/* Opens the image of a layer. One pread reads the header and usually all that belongs to it. */
static bool image_open(struct qp_plan *plan, struct qp_layer *layer, const struct qp_found *found)
{
	unsigned options = plan->options->flags;
	struct qcow2_error err;
	/* An encrypted image gets its key later, when all files are open. */
	unsigned flags = QCOW2_OPEN_INSPECT;
	int rc;

	if ((options & QCOW2_ALLOW_TRUNCATED) != 0u)
		flags |= QCOW2_OPEN_TRUNCATED;
	if ((options & QCOW2_LAYER_ONLY) != 0u)
		flags |= QCOW2_OPEN_LAYER;
	if (!qp_file_keep_head(&layer->file, plan->head))
		return false;
	rc = header_open(layer, found, flags, &err);
	if (rc == QCOW2_E_VERSION && err.detail - 1u < 3u)
		qp_fail_file(&layer->file, ENOTSUP, found->is_v1 ? is_qcow2 : is_qcow, NULL);
	else if (rc == QCOW2_E_TRUNCATED)
		qp_fail_open_cut(&layer->file, flags, &err);
	else if (rc != QCOW2_OK)
		qp_fail_core(rc, &err);
	else
		layer->file.table_len = UINT32_C(1) << layer->image.cluster_bits;
	return rc == QCOW2_OK;
}

/* Opens the image of a layer in a file, and the layer's data file. */
static bool layer_open(struct qp_plan *plan, struct qp_layer *layer, struct qp_found found)
{
	unsigned options = plan->options->flags;

	layer->dir = found.dir;
	if (!qp_file_open(&layer->file, found.fd, found.path))
		return false;
	if (found.is_raw) {
		qcow2_image_raw(&layer->image, &layer->file.io);
		return true;
	}
	if (!image_open(plan, layer, &found))
		return false;
	if ((layer->image.incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) == 0u ||
	    (options & QCOW2_INSPECT) != 0u)
		return true;
	return attach_data(plan, layer);
}

/* Does the chain go on below this layer? */
static bool wants_backing(const struct qp_plan *plan, const struct qp_layer *layer)
{
	const struct qcow2_options *o = plan->options;
	unsigned alone = QCOW2_LAYER_ONLY | QCOW2_INSPECT | QCOW2_VM_STATE;

	if (layer->image.version == 0u || (o->flags & alone) != 0u)
		return false;
	return layer->image.backing_name.len != 0u || plan->n_taken < o->n_backing;
}

/* Makes sure that no layer above this one has the same file. */
static bool is_new(const struct qp_layer *top, const struct qp_layer *layer)
{
	for (; top != layer; top = top->below)
		if (qp_file_same(&top->file, &layer->file)) {
			qp_fail(ELOOP, QCOW2_E_DEPTH, "the backing chain is a loop",
			        "the backing chain is a loop: depth %u is the same file as "
			        "depth %u",
			        layer->file.depth, top->file.depth);
			return false;
		}
	return true;
}

/* Releases what a layer needs only while the chain is opened. */
static void layer_settle(struct qp_layer *layer)
{
	qp_file_drop_head(&layer->file);
	qp_directory_close(&layer->dir);
}

/* Finds and opens the image below `layer`. */
static bool open_below(struct qp_plan *plan, struct qp_layer *top, struct qp_layer *layer)
{
	struct qp_found found = QP_FOUND_NONE;
	struct qp_layer *below;

	if (layer->file.depth + 1u >= QP_CHAIN_MAX) {
		qp_fail_text(ELOOP, QCOW2_E_DEPTH, "the backing chain has more than 256 files");
		return false;
	}
	below = layer_new(layer->file.depth + 1u);
	if (below == NULL)
		return false;
	layer->below = below;
	if (!qp_find_backing(plan, layer, &found)) {
		found_drop(&found);
		return false;
	}
	layer_settle(layer); /* the next image needs the buffer for the head */
	return layer_open(plan, below, found) && is_new(top, below);
}

struct qp_layer *qp_layer_at(struct qp_layer *top, unsigned depth)
{
	while (top != NULL && top->file.depth != depth)
		top = top->below;
	return top;
}

/* Attaches its backing file to each image, from the bottom up. */
static void join_layers(struct qp_layer *top, const struct qp_layer *bottom)
{
	unsigned depth = bottom->file.depth;

	while (depth-- > 0u) {
		struct qp_layer *layer = qp_layer_at(top, depth);

		qcow2_image_attach_backing(&layer->image, &layer->below->image);
	}
}

/* Last, so that nobody types a password for a chain that does not open. */
static bool unlock_all(struct qp_layer *layer, const struct qcow2_options *options)
{
	for (; layer != NULL; layer = layer->below)
		if (!qp_unlock(layer, options))
			return false;
	return true;
}

/* A file that was given but is not needed is an error, not ignored. */
static bool all_taken(const struct qp_plan *plan)
{
	const struct qcow2_options *o = plan->options;

	if ((o->flags & QCOW2_INSPECT) != 0u)
		return true;
	if (plan->n_taken < o->n_backing)
		qp_fail_text(EINVAL, 0, "a backing file was given that no image needs");
	else if (o->data_file != NULL && !plan->data_taken)
		qp_fail_text(EINVAL, 0, "a data file was given, but the image has its own data");
	else
		return true;
	return false;
}

static void plan_init(struct qp_plan *plan, const struct qcow2_options *options)
{
	plan->options = options;
	plan->n_taken = 0;
	plan->data_taken = false;
}

/* Closes the descriptors in the options that no layer owns. */
static void plan_drop(const struct qp_plan *plan)
{
	const struct qcow2_options *o = plan->options;
	size_t i;

	for (i = plan->n_taken; i < o->n_backing; i++)
		if (o->backing[i].path == NULL)
			qp_close(o->backing[i].fd);
	if (o->data_file != NULL && !plan->data_taken && o->data_file->path == NULL)
		qp_close(o->data_file->fd);
}

void qp_chain_refuse(int fd, const struct qcow2_options *options)
{
	struct qp_plan plan;

	plan_init(&plan, options);
	plan_drop(&plan);
	qp_close(fd);
}

/* Sets the path of the caller's image. Fails if there is no memory for it. */
static bool given_image(struct qp_found *found, const char *path)
{
	if (path == NULL)
		return true;
	found->path = strdup(path);
	if (found->path == NULL)
		qp_fail_memory();
	return found->path != NULL;
}

/* Notes the format of the caller's image. Fails if it is not one that is read. */
static bool given_format(struct qp_found *found, const char *format)
{
	found->is_raw = format != NULL && strcmp(format, "raw") == 0;
	found->is_v1 = format != NULL && strcmp(format, "qcow") == 0;
	found->is_any = format == NULL;
	if (format == NULL || found->is_raw || found->is_v1 || strcmp(format, "qcow2") == 0)
		return true;
	qp_fail_text(EINVAL, 0, "the format given for the image is neither raw, qcow2 nor qcow");
	return false;
}

static bool chain_fill(struct qp_plan *plan, struct qp_layer **top, int fd)
{
	struct qp_found found = QP_FOUND_NONE;
	struct qp_layer *layer = layer_new(0);

	*top = layer;
	found.fd = fd;
	if (layer == NULL || !given_format(&found, plan->options->format) ||
	    !given_image(&found, plan->options->path)) {
		found_drop(&found);
		return false;
	}
	layer->file.start = plan->options->image_offset;
	layer->file.length = plan->options->image_length;
	if (!layer_open(plan, layer, found))
		return false;
	for (; wants_backing(plan, layer); layer = layer->below)
		if (!open_below(plan, *top, layer))
			return false;
	if (!all_taken(plan))
		return false;
	join_layers(*top, layer);
	return unlock_all(*top, plan->options);
}

bool qp_chain_open(struct qp_layer **top, int fd, const struct qcow2_options *options)
{
	struct qp_plan plan; /* its head stays uninitialized: clearing 4 KiB takes time */
	struct qp_layer *layer;
	bool done;

	plan_init(&plan, options);
	done = chain_fill(&plan, top, fd);
	for (layer = *top; layer != NULL; layer = layer->below)
		layer_settle(layer);
	plan_drop(&plan);
	return done;
}
