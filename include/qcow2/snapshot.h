/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Internal snapshots: lists those that an image has, and opens one, or the state of the machine
 * that was saved with it, as an image. qcow2.txt "Snapshots".
 */
#ifndef QCOW2_SNAPSHOT_H
#define QCOW2_SNAPSHOT_H

#include "qcow2/image.h"
#include "qcow2/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One entry of the snapshot table. */
struct qcow2_snapshot {
	uint64_t l1_pos;        /* position of its L1 table; not validated */
	uint64_t disk_size;     /* bytes; that of the image if the entry has none; not validated */
	uint64_t vm_state_size; /* bytes of the machine's saved state; 0 for only the disk */
	uint64_t vm_clock_nsec; /* how long the machine had run, nanoseconds */
	uint64_t icount;        /* instructions that it had executed; valid if has_icount */
	uint64_t id_pos;        /* of the id in the image file; the name follows it */
	uint32_t l1_entries;    /* number of entries of its L1 table; not validated */
	uint32_t date_sec;      /* when it was taken: seconds since 1970 */
	uint32_t date_nsec;     /* and nanoseconds */
	uint16_t id_len;        /* bytes of the id */
	uint16_t name_len;      /* bytes of the name */
	bool has_disk_size;     /* the entry has disk_size */
	bool has_icount;        /* icount is valid */

	/* For the walk over the table: qcow2_snapshot_next sets these and goes on from them. */
	uint32_t index;    /* of this entry, from 0 */
	uint64_t pos;      /* of this entry, in the image file */
	uint64_t next_pos; /* where the next entry begins */
};

/*
 * Gets the first snapshot (previous is NULL), or the one after *previous, into *snapshot, which may
 * be the same object.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   image or snapshot is NULL, or the image is closed
 *	QCOW2_E_NOT_FOUND  there is no further snapshot: the image has image->n_snapshots
 *	QCOW2_E_SNAPSHOT   the entry is invalid; err->pos is its position
 *	QCOW2_E_TRUNCATED  the file ends before the entry does, and the image was opened without
 *	                   QCOW2_OPEN_TRUNCATED
 *	QCOW2_E_IO         the io callback failed
 *
 * Cost: at most two io calls.
 */
int qcow2_snapshot_next(const struct qcow2_image *image, const struct qcow2_snapshot *previous,
                        struct qcow2_snapshot *snapshot, struct qcow2_error *err);

/*
 * Copies the id of a snapshot, id_len bytes, and after it the name, name_len bytes, to buf. Neither
 * has a terminator.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   an argument other than err is NULL, or the image is closed
 *	QCOW2_E_TRUNCATED  the file ends before the name does, and the image was opened without
 *	                   QCOW2_OPEN_TRUNCATED
 *	QCOW2_E_IO         the io callback failed
 *
 * Cost: one io call, none if both are empty.
 */
int qcow2_snapshot_strings(const struct qcow2_image *image, const struct qcow2_snapshot *snapshot,
                           void *buf, struct qcow2_error *err);

/*
 * Makes *out the image as it was when the snapshot was taken, with the size that the disk had then.
 * If the entry has no disk size, the disk has its present one, and what the L1 table does not cover
 * is absent. It has the io and the backing image of `image`, so attach the backing image first. out
 * must not be `image`. On failure *out is a closed image, or unchanged with QCOW2_E_ARGUMENT.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT            an argument other than err is NULL, or the image is closed
 *	QCOW2_E_SNAPSHOT_DATA_FILE  the image has its data in an external file
 *	QCOW2_E_TOO_BIG             the disk or its L1 table exceeds the limits of QEMU
 *	QCOW2_E_L1                  the L1 table is misplaced, or too short for the disk size that
 *	                            the entry has
 *	QCOW2_E_TRUNCATED           the file ends before the L1 table does, and the image was opened
 *	                            without QCOW2_OPEN_TRUNCATED
 * With QCOW2_E_TOO_BIG and QCOW2_E_L1, err->pos is the position of the entry.
 *
 * Cost: no io call.
 */
int qcow2_snapshot_image(struct qcow2_image *out, const struct qcow2_image *image,
                         const struct qcow2_snapshot *snapshot, struct qcow2_error *err);

/*
 * Makes *out an image of the machine's state that was saved with the snapshot: RAM and devices, as
 * QEMU's migration stream, which begins with the bytes "QEVM". It has vm_state_size bytes, and no
 * image below it. qcow2.txt "Snapshots", bytes 32-35: the state follows the disk in the L1 table
 * of the snapshot. out must not be `image`. On failure *out is a closed image, or unchanged with
 * QCOW2_E_ARGUMENT.
 *
 * Fails as qcow2_snapshot_image does, and with
 *	QCOW2_E_NOT_FOUND  the snapshot has no state: its vm_state_size is 0
 *	QCOW2_E_L1         the L1 table is too short for the state; err->detail is vm_state_size
 *	QCOW2_E_ENCRYPTED  the image is encrypted by the old method, AES: its sectors have numbers
 *	                   that count from the beginning of the disk
 *
 * Cost: no io call.
 */
int qcow2_snapshot_state_image(struct qcow2_image *out, const struct qcow2_image *image,
                               const struct qcow2_snapshot *snapshot, struct qcow2_error *err);

#ifdef __cplusplus
}
#endif
#endif
