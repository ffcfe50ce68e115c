/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "model.h"

#include <string.h>

uint64_t fuzz_number(const uint8_t *bytes, uint64_t len, uint64_t pos, unsigned n)
{
	uint64_t value = 0;

	for (; n > 0; n--, pos++)
		value = value << 8 | (pos < len ? bytes[pos] : 0);
	return value;
}

static uint64_t number(const struct fuzz_model *m, uint64_t pos, unsigned n)
{
	return fuzz_number(m->bytes, m->len, pos, n);
}

/* May the image have len bytes at pos? None are always there. */
static bool there(const struct fuzz_model *m, uint64_t pos, uint64_t len)
{
	if ((m->flags & QCOW2_OPEN_TRUNCATED) != 0 || len == 0)
		return true;
	return pos < m->len && len <= m->len - pos;
}

/* The number of L1 entries for a disk of this size. */
static uint64_t entries_for(uint64_t size, unsigned l1_entry_bits)
{
	return size == 0 ? 0 : ((size - 1) >> l1_entry_bits) + 1;
}

/* A table of n 8-byte entries at pos. */
static int table(const struct fuzz_model *m, const struct qcow2_image *want, uint64_t pos,
                 uint64_t n)
{
	if (pos % want->cluster_len != 0 || pos >= UINT64_C(0x7fffffff00000000))
		return QCOW2_E_L1;
	return there(m, pos, n * 8) ? QCOW2_OK : QCOW2_E_TRUNCATED;
}

/* The header up to the feature bits. */
static int open_shape(const struct fuzz_model *m, struct qcow2_image *want, uint64_t *pos)
{
	bool v3;
	uint64_t least;

	if (number(m, 0, 4) != 0x514649fb)
		return QCOW2_E_NOT_QCOW2;
	want->version = (uint8_t)number(m, 4, 4);
	if (number(m, 4, 4) != 2 && number(m, 4, 4) != 3)
		return QCOW2_E_VERSION;
	v3 = want->version == 3;
	least = v3 ? 104 : 72;
	if (m->len < least)
		return QCOW2_E_TRUNCATED;
	if (number(m, 20, 4) < 9 || number(m, 20, 4) > 21)
		return QCOW2_E_CLUSTER_BITS;
	want->cluster_bits = (uint8_t)number(m, 20, 4);
	want->cluster_len = UINT32_C(1) << want->cluster_bits;
	*pos = 100;
	want->header_len = v3 ? (uint32_t)number(m, 100, 4) : 72;
	if (want->header_len < least || want->header_len > want->cluster_len)
		return QCOW2_E_HEADER;
	*pos = 8;
	if (number(m, 8, 8) > want->cluster_len)
		return QCOW2_E_HEADER;
	want->backing_name.pos = (uint32_t)number(m, 8, 8);
	want->incompatible = v3 ? number(m, 72, 8) : 0;
	want->compatible = v3 ? number(m, 80, 8) : 0;
	want->autoclear = v3 ? number(m, 88, 8) : 0;
	want->refcount_order = v3 ? (uint8_t)number(m, 99, 1) : 4;
	if (want->header_len > 104)
		want->compression_type = (uint8_t)number(m, 104, 1);
	return QCOW2_OK;
}

static int open_features(const struct fuzz_model *m, struct qcow2_image *want, uint64_t *pos)
{
	bool extended = (want->incompatible & 16) != 0;

	if (want->compression_type > 1)
		return QCOW2_E_COMPRESSION;
	*pos = 104;
	if (((want->incompatible & 8) != 0) != (want->compression_type == 1))
		return QCOW2_E_HEADER;
	*pos = 88;
	if ((want->autoclear & 2) != 0 && (want->incompatible & 4) == 0)
		return QCOW2_E_HEADER;
	if (want->incompatible >> 5 != 0)
		return QCOW2_E_FEATURE;
	if (extended && want->cluster_bits < 14)
		return QCOW2_E_CLUSTER_BITS;
	want->l2_entry_bits = extended ? 4 : 3;
	want->l1_entry_bits = (uint8_t)(2 * want->cluster_bits - want->l2_entry_bits);
	*pos = 96;
	if (want->version == 3 && number(m, 96, 4) > 6)
		return QCOW2_E_HEADER;
	want->refcount_table_pos = number(m, 48, 8);
	want->refcount_table_clusters = (uint32_t)number(m, 56, 4);
	if (number(m, 32, 4) > 2 || (number(m, 32, 4) != 0 && (m->flags & QCOW2_OPEN_INSPECT) == 0))
		return QCOW2_E_ENCRYPTED;
	want->crypt_method = (uint8_t)number(m, 32, 4);
	return QCOW2_OK;
}

static int open_tables(const struct fuzz_model *m, struct qcow2_image *want, uint64_t *pos)
{
	int rc;

	want->n_snapshots = (uint32_t)number(m, 60, 4);
	want->snapshots_pos = number(m, 64, 8);
	want->l1_entries = (uint32_t)number(m, 36, 4);
	want->l1_pos = number(m, 40, 8);
	want->size = number(m, 24, 8);
	*pos = 64;
	if (want->n_snapshots > 65536)
		return QCOW2_E_TOO_BIG;
	if (want->snapshots_pos % want->cluster_len != 0 || want->snapshots_pos >> 63 != 0)
		return QCOW2_E_HEADER;
	if (want->l1_entries > 4194304)
		return QCOW2_E_TOO_BIG;
	rc = table(m, want, want->l1_pos, want->l1_entries);
	if (rc != QCOW2_OK)
		return rc;
	if (want->size >> 63 != 0 || entries_for(want->size, want->l1_entry_bits) > INT32_MAX)
		return QCOW2_E_TOO_BIG;
	return want->l1_entries < entries_for(want->size, want->l1_entry_bits) ? QCOW2_E_L1
	                                                                       : QCOW2_OK;
}

/* The name of the backing file: inside the first cluster, and inside the file. */
static int open_name(const struct fuzz_model *m, struct qcow2_image *want, uint64_t *pos)
{
	uint64_t len = number(m, 16, 4);

	*pos = 16;
	if (want->backing_name.pos == 0 || len == 0)
		return QCOW2_OK;
	if (len > 1023 || want->backing_name.pos + len > want->cluster_len)
		return QCOW2_E_HEADER;
	want->backing_name.len = (uint32_t)len;
	return there(m, want->backing_name.pos, len) ? QCOW2_OK : QCOW2_E_TRUNCATED;
}

int fuzz_model_open(const struct fuzz_model *m, struct qcow2_image *want, uint64_t *pos)
{
	int rc;

	memset(want, 0, sizeof *want);
	want->flags = m->flags;
	rc = open_shape(m, want, pos);
	if (rc == QCOW2_OK)
		rc = open_features(m, want, pos);
	if (rc == QCOW2_OK)
		rc = open_tables(m, want, pos);
	return rc == QCOW2_OK ? open_name(m, want, pos) : rc;
}

/* Takes an extension, whose payload is at pos. Returns false if the image cannot have it. */
static bool extension_take(struct qcow2_image *want, uint64_t type, uint64_t pos, uint64_t len)
{
	const struct qcow2_span span = { (uint32_t)pos, (uint32_t)len };

	if (type == 0xe2792aca && len > 15)
		return false;
	if (type == 0x0537be77 && (want->crypt_method != 2 || len != 16))
		return false;
	if (type == 0xe2792aca)
		want->backing_format = span;
	if (type == 0x6803f857)
		want->feature_names = span;
	if (type == 0x23852875)
		want->bitmaps = span;
	if (type == 0x0537be77)
		want->crypto = span;
	if (type == 0x44415441)
		want->data_file_name = span;
	return true;
}

int fuzz_model_extensions(const struct fuzz_model *m, struct qcow2_image *want)
{
	uint64_t end = want->backing_name.pos != 0 ? want->backing_name.pos : want->cluster_len;
	uint64_t pos = want->header_len;

	while (pos < end) {
		uint64_t type = number(m, pos, 4);
		uint64_t len = number(m, pos + 4, 4);

		if (pos + 8 > end)
			return QCOW2_E_EXTENSION;
		if (pos >= m->len)
			break;
		if (!there(m, pos, 8))
			return QCOW2_E_TRUNCATED;
		if (pos + 8 + len > end)
			return QCOW2_E_EXTENSION;
		if (type == 0)
			break;
		if (!extension_take(want, type, pos + 8, len))
			return QCOW2_E_EXTENSION;
		pos += 8 + (len + 7) / 8 * 8;
	}
	if ((want->incompatible & 4) == 0)
		want->data_file_name.len = 0;
	return QCOW2_OK;
}

int fuzz_model_snapshot(const struct fuzz_model *m, const struct qcow2_image *image, uint64_t pos,
                        uint32_t index, struct qcow2_snapshot *want)
{
	uint64_t extra = number(m, pos + 36, 4);

	memset(want, 0, sizeof *want);
	if (index >= image->n_snapshots)
		return QCOW2_E_NOT_FOUND;
	if (!there(m, pos, 40))
		return QCOW2_E_TRUNCATED;
	if (extra > 1024)
		return QCOW2_E_SNAPSHOT;
	if (!there(m, pos + 40, extra > 24 ? 24 : extra)) /* no more is known */
		return QCOW2_E_TRUNCATED;
	want->index = index;
	want->l1_pos = number(m, pos, 8);
	want->l1_entries = (uint32_t)number(m, pos + 8, 4);
	want->id_len = (uint16_t)number(m, pos + 12, 2);
	want->name_len = (uint16_t)number(m, pos + 14, 2);
	want->date_sec = (uint32_t)number(m, pos + 16, 4);
	want->date_nsec = (uint32_t)number(m, pos + 20, 4);
	want->vm_clock_nsec = number(m, pos + 24, 8);
	want->vm_state_size = extra >= 8 ? number(m, pos + 40, 8) : number(m, pos + 32, 4);
	want->has_disk_size = extra >= 16;
	want->disk_size = extra >= 16 ? number(m, pos + 48, 8) : image->size;
	want->has_icount = extra >= 24;
	want->icount = extra >= 24 ? number(m, pos + 56, 8) : 0;
	want->id_pos = pos + 40 + extra;
	want->next_pos = (want->id_pos + want->id_len + want->name_len + 7) / 8 * 8;
	return QCOW2_OK;
}

int fuzz_model_snapshot_image(const struct fuzz_model *m, const struct qcow2_image *image,
                              const struct qcow2_snapshot *s, bool state, uint64_t *first)
{
	uint64_t of_disk = entries_for(s->disk_size, image->l1_entry_bits);
	uint64_t of_state = entries_for(s->vm_state_size, image->l1_entry_bits);
	int rc;

	*first = 0;
	if ((image->incompatible & 4) != 0)
		return QCOW2_E_SNAPSHOT_DATA_FILE;
	if (s->disk_size >> 63 != 0 || s->l1_entries > 4194304)
		return QCOW2_E_TOO_BIG;
	if (s->has_disk_size && of_disk > s->l1_entries)
		return QCOW2_E_L1;
	rc = table(m, image, s->l1_pos, s->l1_entries);
	if (rc != QCOW2_OK || !state)
		return rc;
	if (image->crypt_method == 1)
		return QCOW2_E_ENCRYPTED;
	if (s->vm_state_size == 0)
		return QCOW2_E_NOT_FOUND;
	*first = of_disk;
	return of_disk + of_state > s->l1_entries ? QCOW2_E_L1 : QCOW2_OK;
}
