/* SPDX-License-Identifier: MIT */
/*
 * Internal snapshots: list them, and open one as an image.
 */
#ifndef QCOW2_SNAPSHOT_H
#define QCOW2_SNAPSHOT_H

#include <stdbool.h>

#include "qcow2/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One entry of the snapshot table, qcow2.txt "Snapshots". */
struct qcow2_snapshot {
	uint64_t l1_pos;
	uint64_t disk_size;     /* bytes; that of the image where the entry has none */
	uint64_t vm_state_size; /* bytes; 0: the disk only */
	uint64_t vm_clock_nsec;
	uint64_t icount; /* valid if has_icount */
	uint64_t id_pos; /* in the image file: id_len bytes, then name_len of the name */
	uint32_t l1_entries;
	uint32_t date_sec; /* since 1970 */
	uint32_t date_nsec;
	uint16_t id_len;
	uint16_t name_len;
	bool has_icount;

	uint32_t index;    /* of this entry, from 0 */
	uint64_t next_pos; /* where the next entry begins */
};

/*
 * Gets the first snapshot (previous == NULL) or the one after *previous, into *snapshot, which may
 * be the same object. A loop over all takes image->n_snapshots calls, and the one that says so.
 * Statuses: ARGUMENT, NOT_FOUND (there are no more), SNAPSHOT, TRUNCATED, IO.
 * Cost: at most two io calls.
 */
int qcow2_snapshot_next(const struct qcow2_image *image, const struct qcow2_snapshot *previous,
                        struct qcow2_snapshot *snapshot, struct qcow2_error *err);

/*
 * Copies the id (id_len bytes) followed by the name (name_len bytes) to buf. Neither is terminated.
 * Statuses: ARGUMENT, IO, TRUNCATED. Cost: one io call, none if both are empty.
 */
int qcow2_snapshot_strings(const struct qcow2_image *image, const struct qcow2_snapshot *snapshot,
                           void *buf, struct qcow2_error *err);

/*
 * Makes *out the image as it was when the snapshot was taken, with the disk size of that time, on
 * the same io and over the same backing image. The parent must be complete: attach first; it must
 * not be *out. On failure *out is as it was, or a closed image that no other call accepts.
 * Statuses: ARGUMENT, L1 (a table that cannot be), TOO_BIG, TRUNCATED,
 * SNAPSHOT_DATA_FILE. No io.
 */
int qcow2_snapshot_image(struct qcow2_image *out, const struct qcow2_image *image,
                         const struct qcow2_snapshot *snapshot, struct qcow2_error *err);

#ifdef __cplusplus
}
#endif
#endif
