/* SPDX-License-Identifier: MIT */
/*
 * The documented calls: open, close, size, read.
 */
#include "posix.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Where struct qcow2_options ended when it was first published. */
#define OPTIONS_LEN_MIN (offsetof(struct qcow2_options, open_file_ctx) + sizeof(void *))

/*
 * Brings the caller's options to the form of this library. A struct that is longer than ours is
 * fine if the caller uses nothing of what is new in it.
 */
static bool options_copy(struct qcow2_options *to, const struct qcow2_options *from)
{
	const unsigned char *bytes = (const unsigned char *)from;
	size_t i, len = from != NULL ? from->struct_size : 0u;

	memset(to, 0, sizeof *to);
	to->struct_size = sizeof *to;
	if (from == NULL)
		return true;
	if (len < OPTIONS_LEN_MIN) {
		qp_fail_text(EINVAL, 0, "struct_size of the options is not set");
		return false;
	}
	memcpy(to, from, len < sizeof *to ? len : sizeof *to);
	for (i = sizeof *to; i < len; i++)
		if (bytes[i] != 0u) {
			qp_fail_text(EINVAL, 0, "options of a newer version of the library");
			return false;
		}
	return true;
}

/* Opens what the options say and makes sure that it can be read. */
static bool handle_fill(struct qcow2 *q, int fd, const struct qcow2_options *o)
{
	size_t min, good;
	int rc;

	if (!qp_chain_open(q, fd, o))
		return false;
	q->image = &q->top->image;
	if (o->snapshot != NULL && !qp_snapshot_select(q, o->snapshot))
		return false;
	/* Is all there that reading needs? Whoever only looks is told when he reads. */
	rc = qcow2_reader_memory(q->image, NULL, &min, &good);
	if (rc != QCOW2_OK && (o->flags & QCOW2_INSPECT) == 0u) {
		qp_fail_core(rc, NULL);
		return false;
	}
	q->pool.image = q->image;
	return true;
}

/* All descriptors belong to the library, also when it cannot begin. */
static void drop_all(int fd, const struct qcow2_options *o)
{
	struct qp_file unused = { .fd = fd };
	struct qp_plan plan = { .options = o };

	qp_file_close(&unused);
	qp_plan_drop(&plan);
}

static struct qcow2 *handle_new(int fd, const struct qcow2_options *o)
{
	unsigned n_slots = qp_pool_slots(o->max_readers);
	struct qcow2 *q = malloc(sizeof *q + qp_pool_room(n_slots)); /* the slots are behind it */

	if (q == NULL) {
		drop_all(fd, o);
		qp_fail_memory();
		return NULL;
	}
	memset(q, 0, sizeof *q);
	qp_pool_init(&q->pool, n_slots, q + 1, o->reader_memory);
	if (handle_fill(q, fd, o))
		return q;
	qcow2_close(q);
	return NULL;
}

struct qcow2 *qcow2_open_options(int fd, const struct qcow2_options *options,
                                 const char **error_ret)
{
	struct qcow2_options own;
	struct qcow2 *q = NULL;
	int error = errno;

	qp_failure_reset();
	if (options_copy(&own, options))
		q = handle_new(fd, &own);
	else
		drop_all(fd, &own);
	if (q == NULL)
		qp_fail_deliver(error_ret);
	else
		errno = error;
	return q;
}

struct qcow2 *qcow2_open(int fd, const char **error_ret)
{
	return qcow2_open_options(fd, NULL, error_ret);
}

void qcow2_close(struct qcow2 *q)
{
	int error = errno;

	if (q != NULL) {
		qp_pool_free(&q->pool);
		qp_chain_free(q->top);
		free(q);
	}
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
	if (slot == NULL) {
		qp_fail_deliver(NULL);
		return -1;
	}
	rc = qcow2_reader_read(&slot->reader, offset, dest, len);
	if (rc != QCOW2_OK)
		qp_fail_core(rc, &slot->reader.error);
	qp_slot_give(&q->pool, slot);
	if (rc != QCOW2_OK) {
		qp_fail_deliver(NULL);
		return -1;
	}
	return (int)len;
}
