/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Opens, reads and closes a handle, and answers what needs no reading.
 */
#include "handle.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cancel.h"
#include "failure.h"
#include "read/damage.h"
#include "read/fork.h"
#include "snapshots.h"

/* Where struct qcow2_options ended when it was first published. */
#define OPTIONS_LEN_MIN (offsetof(struct qcow2_options, open_file_ctx) + sizeof(void *))

/* Entries of all L2 tables that a call of qcow2_map examines: 8 MiB of tables. */
enum { MAP_ENTRIES = 1024 * 1024 };

bool qp_options_copy(void *to, size_t to_len, const void *from, size_t from_len)
{
	const unsigned char *bytes = from;
	size_t i;

	memcpy(to, from, from_len < to_len ? from_len : to_len);
	for (i = to_len; i < from_len; i++)
		if (bytes[i] != 0u) {
			qp_fail_text(EINVAL, 0,
			             "an option is set that this version of the library lacks");
			return false;
		}
	return true;
}

/* Copies the caller's options, or the defaults. */
static bool options_copy(struct qcow2_options *to, const struct qcow2_options *from)
{
	memset(to, 0, sizeof *to);
	to->struct_size = sizeof *to;
	if (from == NULL)
		return true;
	if (from->struct_size < OPTIONS_LEN_MIN) {
		qp_fail_text(EINVAL, 0, "struct_size of the options is not set");
		return false;
	}
	if (!qp_options_copy(to, sizeof *to, from, from->struct_size))
		return false;
	if ((to->flags & QCOW2_VM_STATE) != 0u && to->snapshot == NULL) {
		qp_fail_text(EINVAL, 0, "the saved state belongs to a snapshot; none was given");
		return false;
	}
	return true;
}

/* Opens the chain and finds the image to read. */
static bool handle_fill(struct qcow2 *q, int fd, const struct qcow2_options *o)
{
	bool state = (o->flags & QCOW2_VM_STATE) != 0u;
	struct qcow2_error err;
	int rc;

	if (!qp_chain_open(&q->top, fd, o))
		return false;
	q->image = &q->top->image;
	if (o->snapshot != NULL && !qp_snapshot_select(q, o->snapshot, state))
		return false;
	if ((o->flags & QCOW2_INSPECT) != 0u)
		return true; /* if it cannot be read, the first read fails */
	rc = qcow2_image_ready(q->image, &err);
	if (rc != QCOW2_OK)
		qp_fail_core(rc, &err);
	return rc == QCOW2_OK;
}

/*
 * How much of the disk one call of qcow2_map examines. Tables of a few clusters can map a huge
 * disk, if the L1 table has one L2 table again and again, so the number of entries has a limit.
 */
static uint64_t map_len(const struct qcow2_image *image)
{
	unsigned n_images = 0, bits = 64; /* of the smallest clusters of all qcow2 images */

	for (; image != NULL; image = image->backing) {
		n_images++;
		if (image->version != 0u && image->cluster_bits < bits)
			bits = image->cluster_bits;
	}
	return bits < 64u ? (uint64_t)(MAP_ENTRIES / n_images) << bits : UINT64_MAX;
}

static struct qcow2 *handle_new(int fd, const struct qcow2_options *o)
{
	unsigned n_slots = qp_pool_slots(o->max_readers);
	struct qcow2 *q = malloc(sizeof *q + qp_pool_room(n_slots)); /* the slots follow *q */

	if (q == NULL) {
		qp_chain_refuse(fd, o);
		qp_fail_memory();
		return NULL;
	}
	memset(q, 0, sizeof *q);
	if (!handle_fill(q, fd, o)) {
		qp_chain_free(q->top);
		free(q);
		return NULL;
	}
	q->map_len = map_len(q->image);
	qp_pool_init(&q->pool, q->image, n_slots, q + 1, o->reader_memory);
	qp_fork_add(&q->pool);
	return q;
}

struct qcow2 *qcow2_open_options(int fd, const struct qcow2_options *options,
                                 const char **error_ret)
{
	struct qcow2_options own;
	struct qcow2 *q = NULL;
	int error = errno, cancel_state = qp_cancel_hold();

	qp_failure_reset();
	if (options_copy(&own, options))
		q = handle_new(fd, &own);
	else
		qp_chain_refuse(fd, &own);
	errno = error;
	if (q == NULL) {
		qp_failed();
		if (error_ret != NULL)
			*error_ret = qcow2_last_failure()->text;
	}
	qp_cancel_restore(cancel_state);
	return q;
}

struct qcow2 *qcow2_open(int fd, const char **error_ret)
{
	return qcow2_open_options(fd, NULL, error_ret);
}

void qcow2_close(struct qcow2 *q)
{
	int error = errno, cancel_state = qp_cancel_hold();

	if (q != NULL) {
		qp_fork_remove(&q->pool);
		qp_pool_free(&q->pool);
		qp_chain_free(q->top);
		free(q);
	}
	qp_cancel_restore(cancel_state);
	errno = error;
}

uint64_t qcow2_get_size(struct qcow2 *q)
{
	return q->image->size;
}

int qcow2_read(struct qcow2 *q, void *dest, size_t len, uint64_t offset)
{
	uint64_t size = q->image->size;
	struct qp_slot *slot;
	int rc;

	if (len > INT_MAX)
		len = INT_MAX;
	if (offset >= size || len == 0u)
		return 0;
	if (len > size - offset)
		len = (size_t)(size - offset);
	slot = qp_slot_take(&q->pool);
	if (slot == NULL)
		return qp_failed();
	rc = qcow2_reader_read(&slot->reader.core, offset, dest, len);
	if (rc == QCOW2_E_TRUNCATED && qp_slot_grow(&q->pool, slot))
		rc = qcow2_reader_read(&slot->reader.core, offset, dest, len);
	if (rc != QCOW2_OK)
		qp_fail_reader(&slot->reader.core, rc, offset, len);
	qp_slot_give(&q->pool, slot);
	return rc == QCOW2_OK ? (int)len : qp_failed();
}

const char *qcow2_get_path(struct qcow2 *q, unsigned depth)
{
	const struct qp_layer *layer = qp_layer_at(q->top, depth);

	return layer != NULL ? layer->file.path : NULL;
}

int qcow2_get_fd(struct qcow2 *q, unsigned depth)
{
	const struct qp_layer *layer = qp_layer_at(q->top, depth);

	return layer != NULL ? layer->file.fd : -1;
}

int qcow2_get_data_fd(struct qcow2 *q, unsigned depth)
{
	const struct qp_layer *layer = qp_layer_at(q->top, depth);

	return layer != NULL ? layer->data.fd : -1;
}
