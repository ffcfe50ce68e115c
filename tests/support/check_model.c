/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "check_model.h"

#include <stdlib.h>
#include <string.h>

#define POS    UINT64_C(0x00fffffffffffe00)
#define COPIED (UINT64_C(1) << 63)
#define PACKED (UINT64_C(1) << 62)

struct model {
	struct check_model *m;
	const struct qcow2_image *image;
	const uint8_t *bytes;
	uint64_t len, cluster, n_clusters, max_steps;
	uint32_t *refs; /* n_clusters + 1 */
};

/* A big-endian number of the file; zeros past the end. */
static uint64_t number(const struct model *w, uint64_t pos, unsigned n)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < n; i++)
		value = value << 8 | (pos < w->len && i < w->len - pos ? w->bytes[pos + i] : 0);
	return value;
}

static int is_over(const struct model *w)
{
	return w->m->steps > w->max_steps;
}

static void found(struct model *w, unsigned code)
{
	w->m->n[code]++;
}

static void refer(struct model *w, uint64_t pos, uint64_t len)
{
	uint64_t room = w->len + w->cluster - 1;

	if (len == 0)
		return;
	if (pos > room || len > room - pos) {
		found(w, QCOW2_CHECK_PAST_END);
		return;
	}
	for (uint64_t k = pos / w->cluster; k <= (pos + len - 1) / w->cluster; k++)
		w->refs[k]++;
}

/* The refcount of a cluster, or UINT64_MAX if its block is misplaced. */
static uint64_t refcount(const struct model *w, uint64_t k)
{
	uint64_t bits = UINT64_C(1) << w->image->refcount_order, per = w->cluster * 8 / bits;
	uint64_t entries = w->image->refcount_table_clusters * (w->cluster / 8), block;

	if (k / per >= entries)
		return 0;
	block = number(w, w->image->refcount_table_pos + k / per * 8, 8) & ~UINT64_C(511);
	if (block == 0)
		return 0;
	if (block % w->cluster != 0 || block >> 32 >= INT32_MAX)
		return UINT64_MAX;
	if (bits >= 8)
		return number(w, block + k % per * (bits / 8), (unsigned)bits / 8);
	return number(w, block + k % per * bits / 8, 1) >> k % per * bits % 8 & ((1u << bits) - 1);
}

static void packed_entry(struct model *w, uint64_t entry, uint64_t bitmap, int active)
{
	unsigned x = 62 - (w->image->cluster_bits - 8u);
	uint64_t pos = entry & ((UINT64_C(1) << x) - 1);
	uint64_t len = ((entry & (PACKED - 1)) >> x) * 512 + 512 - pos % 512;

	if (entry & COPIED)
		found(w, QCOW2_CHECK_COMPRESSED_COPIED);
	if (w->image->incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) {
		found(w, QCOW2_CHECK_COMPRESSED_EXTERNAL);
		return;
	}
	if (bitmap != 0) {
		found(w, QCOW2_CHECK_COMPRESSED_SUBCLUSTERS);
		return;
	}
	if (pos >= w->len && pos - w->len + len < w->cluster)
		found(w, QCOW2_CHECK_COMPRESSED_OUTSIDE);
	refer(w, pos, len);
	if (active) {
		w->m->allocated++;
		w->m->fragmented++;
		w->m->compressed++;
	}
}

/* Returns the position of the cluster of a standard entry, or UINT64_MAX if it has none. */
static uint64_t place(const struct model *w, uint64_t entry)
{
	int extended = (w->image->incompatible & QCOW2_INCOMPATIBLE_EXTENDED_L2) != 0;
	int external = (w->image->incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) != 0;
	uint64_t pos = entry & POS;

	if (pos == 0 && ((!extended && (entry & 1)) || !external || !(entry & COPIED)))
		return UINT64_MAX;
	return pos;
}

static void standard_entry(struct model *w, uint64_t entry, uint64_t bitmap, uint64_t guest,
                           uint64_t *expected, int active)
{
	int extended = (w->image->incompatible & QCOW2_INCOMPATIBLE_EXTENDED_L2) != 0;
	int external = (w->image->incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) != 0;
	uint64_t pos = place(w, entry);
	uint32_t data = (uint32_t)bitmap, zero = (uint32_t)(bitmap >> 32);

	if (entry & (UINT64_C(0x3f000000000001fe) | (extended ? 1 : 0)))
		found(w, QCOW2_CHECK_L2_RESERVED);
	if (!extended && (entry & 1) && w->image->version == 2)
		found(w, QCOW2_CHECK_ZERO_VERSION);
	if (pos == UINT64_MAX) {
		if (data != 0)
			found(w, QCOW2_CHECK_SUBCLUSTERS_NOWHERE);
		return;
	}
	if (data & zero)
		found(w, QCOW2_CHECK_SUBCLUSTERS);
	if (pos % w->cluster != 0)
		found(w, (extended ? data == 0 : entry & 1) ? QCOW2_CHECK_ZERO_UNALIGNED
		                                            : QCOW2_CHECK_DATA_UNALIGNED);
	if (active) {
		w->m->allocated++;
		w->m->fragmented += *expected != 0 && pos != *expected;
		*expected = pos + w->cluster;
	}
	if (!external)
		refer(w, pos, w->cluster);
	else if (pos != guest)
		found(w, QCOW2_CHECK_EXTERNAL_OFFSET);
}

static void count_l2(struct model *w, uint64_t table, uint64_t guest, int active)
{
	uint64_t step = UINT64_C(1) << w->image->l2_entry_bits, expected = 0;

	for (uint64_t at = 0; at < w->cluster && !is_over(w); at += step, guest += w->cluster) {
		uint64_t entry = number(w, table + at, 8);
		uint64_t bitmap = step == 16 ? number(w, table + at + 8, 8) : 0;

		w->m->steps++;
		if (entry & PACKED)
			packed_entry(w, entry, bitmap, active);
		else if ((entry | bitmap) != 0)
			standard_entry(w, entry, bitmap, guest, &expected, active);
	}
}

static void count_l1(struct model *w, uint64_t table, uint64_t entries, int active)
{
	refer(w, table, entries * 8);
	for (uint64_t i = 0; i < entries && !is_over(w); i++) {
		uint64_t entry = table < w->len ? number(w, table + i * 8, 8) : 0;
		uint64_t pos = entry & POS;

		w->m->steps++;
		if (entry == 0)
			continue;
		if (entry & UINT64_C(0x7f000000000001ff))
			found(w, QCOW2_CHECK_L1_RESERVED);
		refer(w, pos, w->cluster);
		if (pos % w->cluster != 0)
			found(w, QCOW2_CHECK_L2_UNALIGNED);
		if (pos < w->len && w->len - pos < w->cluster)
			found(w, QCOW2_CHECK_TABLE_CUT);
		count_l2(w, pos, i << w->image->l1_entry_bits, active);
	}
}

/* Compares bit 63 of an entry with the refcount of its cluster. */
static void flag(struct model *w, unsigned code, uint64_t entry, uint64_t pos, int active)
{
	uint64_t n = refcount(w, pos / w->cluster);

	if (active && n != UINT64_MAX && (n == 1) != ((entry & COPIED) != 0))
		found(w, code);
	else if (!active && pos < w->len && (n == 1) != ((entry & COPIED) != 0))
		w->m->snapshot_copied++;
}

static void flags_l2(struct model *w, uint64_t table, int active)
{
	int external = (w->image->incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) != 0;

	for (uint64_t at = 0; at < w->cluster && !is_over(w);
	     at += UINT64_C(1) << w->image->l2_entry_bits) {
		uint64_t entry = number(w, table + at, 8), pos = place(w, entry);

		w->m->steps++;
		if ((entry & PACKED) || pos == UINT64_MAX)
			continue;
		if (!external)
			flag(w, QCOW2_CHECK_L2_COPIED, entry, pos, active);
		else if (active && !(entry & COPIED))
			found(w, QCOW2_CHECK_L2_COPIED);
	}
}

static void flags_l1(struct model *w, uint64_t table, uint64_t entries, int active)
{
	for (uint64_t i = 0; i < entries && !is_over(w); i++) {
		uint64_t entry = table < w->len ? number(w, table + i * 8, 8) : 0;

		w->m->steps++;
		if ((entry & POS) != 0)
			flag(w, QCOW2_CHECK_L1_COPIED, entry, entry & POS, active);
		if ((entry & POS) != 0)
			flags_l2(w, entry & POS, active);
	}
}

static void snapshots(struct model *w)
{
	const struct qcow2_image *image = w->image;
	uint64_t pos = image->snapshots_pos;

	if (image->n_snapshots != 0 && (image->incompatible & QCOW2_INCOMPATIBLE_DATA_FILE))
		found(w, QCOW2_CHECK_SNAPSHOT_EXTERNAL);
	for (uint32_t i = 0; i < image->n_snapshots && !is_over(w); i++) {
		uint64_t table = number(w, pos, 8), entries = number(w, pos + 8, 4);
		uint64_t extra = number(w, pos + 36, 4), size = number(w, pos + 48, 8);

		w->m->steps++;
		if (extra > 1024) {
			w->m->failed = QCOW2_E_SNAPSHOT;
			return;
		}
		if (extra < 16 && image->version == 3)
			found(w, QCOW2_CHECK_SNAPSHOT_INCOMPLETE);
		if (table % w->cluster != 0) {
			found(w, QCOW2_CHECK_SNAPSHOT_UNALIGNED);
		} else if (entries > 4194304) {
			found(w, QCOW2_CHECK_SNAPSHOT_TOO_BIG);
		} else {
			if (extra >= 16 && size != 0 &&
			    (size - 1) >> image->l1_entry_bits >= entries)
				found(w, QCOW2_CHECK_SNAPSHOT_SHORT);
			count_l1(w, table, entries, 0);
			flags_l1(w, table, entries, 0);
		}
		pos += 40 + extra + number(w, pos + 12, 2) + number(w, pos + 14, 2);
		pos = (pos + 7) / 8 * 8;
	}
	refer(w, image->snapshots_pos, pos - image->snapshots_pos);
}

static void bitmap_table(struct model *w, uint64_t table, uint64_t entries)
{
	refer(w, table, entries * 8);
	for (uint64_t i = 0; i < entries && table < w->len && table + i * 8 < w->len; i++) {
		uint64_t entry = number(w, table + i * 8, 8), pos = entry & POS;

		if (w->m->steps++ > w->max_steps)
			return;
		if ((entry & UINT64_C(0xff000000000001fe)) || pos % w->cluster != 0 ||
		    (pos != 0 && (entry & 1)))
			found(w, QCOW2_CHECK_BITMAP_ENTRY);
		else if (pos != 0)
			refer(w, pos, w->cluster);
	}
}

/* Is the entry of the bitmap directory at pos valid, apart from its length? */
static int bitmap_is_valid(const struct model *w, uint64_t pos)
{
	uint64_t table = number(w, pos, 8), entries = number(w, pos + 8, 4);
	uint64_t flags = number(w, pos + 12, 4), bits = number(w, pos + 17, 1);
	uint64_t name = number(w, pos + 18, 2), covered;

	if (table == 0 || table % w->cluster != 0 || entries == 0 ||
	    entries * w->cluster > 512 * 1024 * 1024 || flags > 3 || number(w, pos + 16, 1) != 1 ||
	    bits < 9 || bits > 31 || name == 0 || name > 1023 || number(w, pos + 20, 4) != 0)
		return 0;
	covered = w->cluster * 8 << bits; /* by an entry of the table */
	return (flags & 1) != 0 || (w->image->size + covered - 1) / covered == entries;
}

static void bitmaps(struct model *w)
{
	uint64_t at = w->image->bitmaps.pos, n, left, pos;

	if (w->image->bitmaps.len == 0 || !(w->image->autoclear & QCOW2_AUTOCLEAR_BITMAPS))
		return;
	n = number(w, at, 4);
	left = number(w, at + 8, 8);
	pos = number(w, at + 16, 8);
	refer(w, pos, left);
	if (pos % w->cluster != 0 || w->image->bitmaps.len != 24 || n == 0 || n > 65535 ||
	    left > n * 1024 || pos > w->len || left > w->len - pos) {
		found(w, QCOW2_CHECK_BITMAP_DIRECTORY);
		return;
	}
	for (; n > 0; n--) {
		uint64_t name = left >= 24 ? number(w, pos + 18, 2) : 0;
		uint64_t len = 24 + name, extra = left >= 24 ? number(w, pos + 20, 4) : 0;

		if (len > left || extra > left - len || !bitmap_is_valid(w, pos)) {
			found(w, QCOW2_CHECK_BITMAP_DIRECTORY);
			return;
		}
		bitmap_table(w, number(w, pos, 8), number(w, pos + 8, 4));
		len = (len + extra + 7) / 8 * 8;
		len = len < left ? len : left;
		pos += len;
		left -= len;
	}
	if (left != 0)
		found(w, QCOW2_CHECK_BITMAP_DIRECTORY);
}

static uint64_t most(const struct model *w)
{
	unsigned order = w->image->refcount_order;

	return order < 5 ? (UINT64_C(1) << (1u << order)) - 1 : UINT32_MAX;
}

static void blocks(struct model *w)
{
	uint64_t n = w->image->refcount_table_clusters * (w->cluster / 8);
	uint64_t table = w->image->refcount_table_pos;

	refer(w, table, n * 8);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t pos = number(w, table + i * 8, 8), refs;

		w->m->steps++;
		if (pos == 0)
			continue;
		if (pos % 512 != 0) {
			found(w, QCOW2_CHECK_BLOCK_RESERVED);
		} else if (pos % w->cluster != 0) {
			found(w, QCOW2_CHECK_BLOCK_UNALIGNED);
		} else if (pos >= w->len) {
			found(w, QCOW2_CHECK_BLOCK_OUTSIDE);
		} else {
			refer(w, pos, w->cluster);
			refs = w->refs[pos / w->cluster];
			if ((refs < most(w) ? refs : most(w)) != 1)
				found(w, QCOW2_CHECK_BLOCK_SHARED);
		}
	}
}

static void compare(struct model *w)
{
	w->m->end = 1;
	for (uint64_t k = 0; k <= w->n_clusters; k++) {
		uint64_t refs = w->refs[k], n = refcount(w, k);

		if (k == w->n_clusters && refs == 0)
			break;
		for (; refs > most(w); refs--)
			found(w, QCOW2_CHECK_OVERFLOW);
		if (n == UINT64_MAX) {
			found(w, QCOW2_CHECK_UNREADABLE);
			continue;
		}
		if (n > refs)
			found(w, QCOW2_CHECK_LEAK);
		else if (n < refs)
			found(w, QCOW2_CHECK_REFCOUNT);
		if ((n | refs) != 0)
			w->m->end = k + 1;
	}
}

static void model_all(struct model *w)
{
	const struct qcow2_image *image = w->image;

	if (image->incompatible & QCOW2_INCOMPATIBLE_DIRTY)
		found(w, QCOW2_CHECK_DIRTY);
	if (image->incompatible & QCOW2_INCOMPATIBLE_CORRUPT)
		found(w, QCOW2_CHECK_MARKED_CORRUPT);
	refer(w, 0, w->cluster);
	count_l1(w, image->l1_pos, image->l1_entries, 1);
	flags_l1(w, image->l1_pos, image->l1_entries, 1);
	snapshots(w);
	if (image->crypto.len != 0)
		refer(w, number(w, image->crypto.pos, 8), number(w, image->crypto.pos + 8, 8));
	bitmaps(w);
	blocks(w);
	compare(w);
}

int check_model_run(struct check_model *m, const struct qcow2_image *image, const uint8_t *bytes,
                    size_t len, uint64_t max_steps)
{
	struct model w = { .m = m, .image = image, .bytes = bytes, .len = len };

	memset(m, 0, sizeof *m);
	w.max_steps = max_steps;
	w.cluster = image->cluster_len;
	w.n_clusters = (len + w.cluster - 1) / w.cluster;
	w.refs = calloc(w.n_clusters + 1, sizeof *w.refs);
	if (w.refs == NULL)
		return 0;
	model_all(&w);
	free(w.refs);
	return !is_over(&w);
}

bool check_model_is_strict(unsigned code)
{
	return (code >= QCOW2_CHECK_TABLE_CUT && code < QCOW2_CHECK_LEAK) ||
	       code == QCOW2_CHECK_DIRTY || code == QCOW2_CHECK_MARKED_CORRUPT;
}
