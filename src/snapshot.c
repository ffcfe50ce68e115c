/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads internal snapshots, qcow2.txt "Snapshots". The snapshot table has entries of variable
 * length:
 *
 *	[ fixed, 40 bytes ][ extra data ][ id ][ name ][ padding to 8 ]
 *
 * qcow2_snapshot_next reads one after the other. qcow2_snapshot_image makes an image of a snapshot:
 * a copy of the image that has it, with another L1 table and another size.
 *
 * qcow2_snapshot_state_image makes an image of the saved state of the machine. The state has no
 * table of its own: the L1 table of the snapshot goes on for it, at the entry after the last one
 * that maps the disk.
 *
 *	L1 table   [ entries of the disk ........ ][ entries of the state ... ]
 *	           l1_pos                         l1_pos of the state's image
 */
#include "qcow2/snapshot.h"
#include "internal.h"

/* Byte positions in an entry. */
enum {
	AT_SNAPSHOT_L1_POS = 0,
	AT_SNAPSHOT_L1_ENTRIES = 8,
	AT_SNAPSHOT_ID_LEN = 12,
	AT_SNAPSHOT_NAME_LEN = 14,
	AT_SNAPSHOT_DATE_SEC = 16,
	AT_SNAPSHOT_DATE_NSEC = 20,
	AT_SNAPSHOT_VM_CLOCK = 24,
	AT_SNAPSHOT_VM_STATE = 32,
	AT_SNAPSHOT_EXTRA_LEN = 36,
	SNAPSHOT_FIXED_LEN = 40,
	/* In the extra data; an entry may have any part of it, or more. */
	AT_EXTRA_VM_STATE = 0,
	AT_EXTRA_DISK_SIZE = 8,
	AT_EXTRA_ICOUNT = 16,
	EXTRA_READ_LEN = 24
};

/* Decodes the fixed part of an entry. */
static void snapshot_fixed(const uint8_t *e, struct qcow2_snapshot *s)
{
	s->l1_pos = q2_be64(e + AT_SNAPSHOT_L1_POS);
	s->l1_entries = q2_be32(e + AT_SNAPSHOT_L1_ENTRIES);
	s->id_len = (uint16_t)q2_be16(e + AT_SNAPSHOT_ID_LEN);
	s->name_len = (uint16_t)q2_be16(e + AT_SNAPSHOT_NAME_LEN);
	s->date_sec = q2_be32(e + AT_SNAPSHOT_DATE_SEC);
	s->date_nsec = q2_be32(e + AT_SNAPSHOT_DATE_NSEC);
	s->vm_clock_nsec = q2_be64(e + AT_SNAPSHOT_VM_CLOCK);
	s->vm_state_size = q2_be32(e + AT_SNAPSHOT_VM_STATE);
}

/* Decodes those fields of the extra data that are within its len bytes. */
static void snapshot_extra(const uint8_t *extra, uint32_t len, struct qcow2_snapshot *s)
{
	if (len >= AT_EXTRA_DISK_SIZE)
		s->vm_state_size = q2_be64(extra + AT_EXTRA_VM_STATE);
	if (len >= AT_EXTRA_ICOUNT) {
		s->disk_size = q2_be64(extra + AT_EXTRA_DISK_SIZE);
		s->has_disk_size = true;
	}
	if (len >= EXTRA_READ_LEN) {
		s->icount = q2_be64(extra + AT_EXTRA_ICOUNT);
		s->has_icount = true;
	}
}

/* Reads the entry at pos. The next one begins at a multiple of 8. */
static int snapshot_read(const struct qcow2_image *image, uint64_t pos, struct qcow2_snapshot *s,
                         q2_cursor *at)
{
	uint8_t entry[SNAPSHOT_FIXED_LEN];
	uint8_t extra[EXTRA_READ_LEN];
	uint32_t extra_len, known;
	int rc = q2_image_read(image, pos, entry, sizeof entry, at);

	if (rc != QCOW2_OK)
		return rc;
	extra_len = q2_be32(entry + AT_SNAPSHOT_EXTRA_LEN);
	if (extra_len > Q2_SNAPSHOT_EXTRA_MAX)
		return QCOW2_E_SNAPSHOT;
	known = extra_len;
	if (known > EXTRA_READ_LEN)
		known = EXTRA_READ_LEN;
	memset(extra, 0, sizeof extra);
	if (known != 0u)
		rc = q2_image_read(image, pos + SNAPSHOT_FIXED_LEN, extra, known, at);
	if (rc != QCOW2_OK)
		return rc;
	memset(s, 0, sizeof *s);
	s->pos = pos;
	s->disk_size = image->size;
	snapshot_fixed(entry, s);
	snapshot_extra(extra, known, s);
	s->id_pos = pos + SNAPSHOT_FIXED_LEN + extra_len;
	s->next_pos = (s->id_pos + s->id_len + s->name_len + 7u) & ~UINT64_C(7);
	return QCOW2_OK;
}

int qcow2_snapshot_next(const struct qcow2_image *image, const struct qcow2_snapshot *previous,
                        struct qcow2_snapshot *snapshot, struct qcow2_error *err)
{
	struct qcow2_error unseen;
	uint64_t pos;
	uint32_t index = 0;
	int rc;

	err = q2_err(err, &unseen);
	if (image == NULL || !q2_is_open(image) || snapshot == NULL)
		return q2_note(err, QCOW2_E_ARGUMENT);
	pos = image->snapshots_pos;
	if (previous != NULL) {
		index = previous->index + 1u;
		pos = previous->next_pos;
	}
	err->io = NULL;
	if (index >= image->n_snapshots)
		return q2_note(err, QCOW2_E_NOT_FOUND);
	rc = snapshot_read(image, pos, snapshot, err);
	if (rc == QCOW2_OK)
		snapshot->index = index;
	return q2_note(err, rc);
}

int qcow2_snapshot_strings(const struct qcow2_image *image, const struct qcow2_snapshot *snapshot,
                           void *buf, struct qcow2_error *err)
{
	struct qcow2_error unseen;

	if (snapshot == NULL)
		return q2_note(q2_err(err, &unseen), QCOW2_E_ARGUMENT);
	return q2_bytes(image, snapshot->id_pos, (uint32_t)snapshot->id_len + snapshot->name_len,
	                buf, err);
}

/*
 * Can *out, the image of a snapshot, be read? Its size and its L1 table come from the entry and are
 * validated here. In an external data file, each byte is at its offset in the disk, so there is no
 * room for the data of a second state: QEMU makes no such snapshots.
 *
 * A size in the entry is that of the table, which covers it. The size of the image is not, because
 * the disk may have grown since.
 */
static int snapshot_check(const struct qcow2_image *out, bool has_size, q2_cursor *at)
{
	if (q2_has_external_data(out))
		return QCOW2_E_SNAPSHOT_DATA_FILE;
	at->detail = out->size;
	if (out->size > INT64_MAX)
		return QCOW2_E_TOO_BIG;
	at->detail = out->l1_entries;
	if (out->l1_entries > Q2_L1_ENTRIES_MAX)
		return QCOW2_E_TOO_BIG;
	if (has_size && out->size != 0u &&
	    q2_shr64(out->size - 1u, out->l1_entry_bits) >= out->l1_entries)
		return QCOW2_E_L1;
	return q2_table_check(out, Q2_L1_ENTRY_LEN * out->l1_entries, out->l1_pos);
}

int qcow2_snapshot_image(struct qcow2_image *out, const struct qcow2_image *image,
                         const struct qcow2_snapshot *snapshot, struct qcow2_error *err)
{
	struct qcow2_error unseen;
	int rc;

	err = q2_err(err, &unseen);
	err->io = NULL;
	if (out == NULL || image == NULL || !q2_is_open(image) || snapshot == NULL)
		return q2_note(err, QCOW2_E_ARGUMENT);
	memcpy(out, image, sizeof *out);
	out->size = snapshot->disk_size;
	out->l1_pos = snapshot->l1_pos;
	out->l1_entries = snapshot->l1_entries;
	err->io = &image->io;
	err->pos = snapshot->pos;
	rc = snapshot_check(out, snapshot->has_disk_size, err);
	if (rc != QCOW2_OK)
		memset(out, 0, sizeof *out);
	return q2_note(err, rc);
}

/*
 * Turns *out, the image of a snapshot, into the image of its state of len bytes. The state was
 * never in a backing file: QEMU would read there what is at the same offset, past its disk.
 */
static int state_select(struct qcow2_image *out, uint64_t len, q2_cursor *at)
{
	uint64_t first = 0; /* index of the state's first L1 entry */

	/* AES counts sectors from the beginning of the disk, which this image does not know. */
	at->detail = out->crypt_method;
	if (out->crypt_method == QCOW2_CRYPT_AES)
		return QCOW2_E_ENCRYPTED;
	at->detail = len;
	if (len == 0u)
		return QCOW2_E_NOT_FOUND;
	if (out->size != 0u)
		first = q2_shr64(out->size - 1u, out->l1_entry_bits) + 1u;
	if (first > out->l1_entries ||
	    q2_shr64(len - 1u, out->l1_entry_bits) >= out->l1_entries - first)
		return QCOW2_E_L1;
	out->l1_pos += (uint32_t)first * Q2_L1_ENTRY_LEN;
	out->l1_entries -= (uint32_t)first;
	out->size = len;
	out->backing = NULL;
	out->backing_name.len = 0;
	return QCOW2_OK;
}

int qcow2_snapshot_state_image(struct qcow2_image *out, const struct qcow2_image *image,
                               const struct qcow2_snapshot *snapshot, struct qcow2_error *err)
{
	struct qcow2_error unseen;
	int rc;

	err = q2_err(err, &unseen);
	rc = qcow2_snapshot_image(out, image, snapshot, err);
	if (rc != QCOW2_OK)
		return rc;
	rc = state_select(out, snapshot->vm_state_size, err);
	if (rc != QCOW2_OK)
		memset(out, 0, sizeof *out);
	return q2_note(err, rc);
}
