/* SPDX-License-Identifier: MIT */
/*
 * From an offset in the virtual disk to an extent: L1 table, L2 table, entry, in one image after
 * the other down the chain. qcow2.txt "Cluster mapping", "L1 table entry", "L2 table entry".
 */
#include "q2.h"

/*
 * How a question is asked: *e says which image (e->image) and where (e->off), and is absent so far.
 * On the way reader->error says what is being looked at, so that a failure has only to return.
 */

/*
 * Parts of a table entry. Spelled as arithmetic on purpose: compilers make the same masks of it,
 * and provers can follow it.
 */

/* Bits 9-55: a position in the file. The rest is reserved or has a meaning of its own. */
static uint64_t entry_pos(uint64_t entry)
{
	return entry % (UINT64_C(1) << 56) - entry % 512u;
}

/* Bit 63: the cluster is used once only. Matters to writers, and where external data starts. */
static bool entry_is_copied(uint64_t entry)
{
	return entry / (UINT64_C(1) << 63) != 0u;
}

/* Bit 62: compressed. It goes before all other bits. */
static bool entry_is_compressed(uint64_t entry)
{
	return entry / (UINT64_C(1) << 62) % 2u != 0u;
}

/* Bit 0, version 3, standard clusters: reads as zeros. */
static bool entry_is_zero(uint64_t entry)
{
	return entry % 2u != 0u;
}

static uint32_t in_cluster(const struct qcow2_extent *e)
{
	return (uint32_t)e->off & (q2_cluster_len(e->image) - 1u);
}

/*
 * "Compressed Clusters Descriptor": with x = 62 - (cluster_bits - 8), bits 0 to x-1 are the
 * position, x to 61 the number of further 512-byte sectors.
 */
static int compressed_extent(uint64_t entry, struct qcow2_extent *e)
{
	unsigned x = 70u - e->image->cluster_bits - 32u; /* 17 to 29, in the high word */
	uint32_t high = (uint32_t)(entry >> 32) & UINT32_C(0x3fffffff);

	/* "External data file": it has no compressed clusters. */
	if (e->image->data != NULL)
		return QCOW2_E_L2_ENTRY;
	e->kind = QCOW2_EXTENT_COMPRESSED;
	e->len = q2_cluster_len(e->image) - in_cluster(e);
	e->io = &e->image->io;
	e->packed_len = ((high >> x) + 1u) * 512u - (uint32_t)entry % 512u;
	e->pos = ((uint64_t)(high & ((UINT32_C(1) << x) - 1u)) << 32) + (uint32_t)entry;
	return QCOW2_OK;
}

/*
 * Is the host cluster of an entry one that can be? On success *e has its place in the file, or
 * none.
 */
static int host_cluster(uint64_t entry, struct qcow2_extent *e)
{
	bool external = e->image->data != NULL;
	uint64_t pos = entry_pos(entry);

	/* Position 0 is the header, except in an external data file. */
	if (pos == 0u && (!external || !entry_is_copied(entry)))
		return QCOW2_OK;
	if (!q2_is_table_pos(e->image, pos))
		return QCOW2_E_L2_ENTRY;
	e->pos = pos + in_cluster(e);
	/* "External data file": guest and host offset are the same. */
	if (external && e->pos != e->off)
		return QCOW2_E_L2_ENTRY;
	e->io = q2_data_io(e->image);
	return QCOW2_OK;
}

/* Data must at least start inside its file; ordinary files end in the middle of a cluster. */
static bool starts_inside(const struct qcow2_extent *e, uint64_t cluster_pos)
{
	return cluster_pos < q2_data_io(e->image)->size ||
	       (e->image->flags & QCOW2_OPEN_TRUNCATED) != 0u;
}

static int data_check(struct qcow2_reader *reader, const struct qcow2_extent *e)
{
	if (starts_inside(e, e->pos - in_cluster(e)))
		return QCOW2_OK;
	reader->error.io = q2_data_io(e->image);
	return QCOW2_E_TRUNCATED;
}

/*
 * Of the parts from number n on: what they are, by bit n of `data` or of `zero`, or of neither; and
 * how far that goes. Returns the number of the first that is different.
 */
static unsigned subclusters_alike(uint32_t data, uint32_t zero, unsigned n, struct qcow2_extent *e)
{
	uint32_t others = data | zero;

	if ((data >> n) % 2u != 0u) {
		e->kind = QCOW2_EXTENT_DATA;
		others = ~data;
	} else if ((zero >> n) % 2u != 0u) {
		e->kind = QCOW2_EXTENT_ZERO;
		others = ~zero;
	}
	others >>= n;
	if (others == 0u)
		return Q2_SUBCLUSTERS;
	for (; others % 2u == 0u; others >>= 1)
		n++;
	return n;
}

/*
 * What each of the 32 parts of a cluster is, in two bitmaps. "Extended L2 Entries": the second word
 * says so; a standard entry says the same for all of them.
 */
static int cluster_extent(struct qcow2_reader *reader, const uint8_t *raw, uint64_t entry,
                          struct qcow2_extent *e)
{
	unsigned bits = e->image->cluster_bits - 5u;
	unsigned n = (in_cluster(e) >> bits) % Q2_SUBCLUSTERS;
	uint32_t zero, data;
	int rc;

	if (q2_has_extended_l2(e->image)) {
		zero = q2_be32(raw + 8);
		data = q2_be32(raw + 12);
		rc = host_cluster(entry, e);
	} else {
		zero = entry_is_zero(entry) ? UINT32_MAX : 0u;
		/* Version 2 has no such bit. */
		if (zero != 0u && e->image->version < 3u)
			return QCOW2_E_L2_ENTRY;
		/* In an external data file, bit 63 does not make it a place. */
		rc = zero != 0u && entry_pos(entry) == 0u ? QCOW2_OK : host_cluster(entry, e);
		data = e->io != NULL ? ~zero : 0u;
	}
	if (rc != QCOW2_OK)
		return rc;
	if ((data & zero) != 0u || (data != 0u && e->io == NULL))
		return QCOW2_E_L2_ENTRY;
	e->len = (subclusters_alike(data, zero, n, e) << bits) - in_cluster(e);
	return e->kind == QCOW2_EXTENT_DATA ? data_check(reader, e) : QCOW2_OK;
}

/*
 * Adds the clusters that follow the first one in its way, as far as the slice goes, or until *e has
 * the bytes that are wanted. An entry that is wrong ends the extent before it: whoever asks for
 * that is told. Entries are compared as they are: where only bit 63 differs, q2_map puts the
 * extents together.
 */
static void extend_in_slice(const struct qcow2_reader *reader, const uint8_t *slice, uint32_t at,
                            uint64_t entry, struct qcow2_extent *e)
{
	uint32_t cluster = q2_cluster_len(e->image);
	uint32_t step = e->io != NULL ? cluster : 0u;

	for (at += 8u; at < Q2_SLICE_LEN && e->len < reader->want; at += 8u) {
		entry += step;
		if (q2_be64(slice + at) != entry)
			break;
		if (step != 0u && entry_pos(entry) == 0u) /* the position has wrapped */
			break;
		if (e->kind == QCOW2_EXTENT_DATA && !starts_inside(e, e->pos + e->len))
			break;
		e->len += cluster;
	}
}

/* The extent that starts at e->off, by entry number `index` of a table, which is in the slice. */
static int l2_extent(struct qcow2_reader *reader, const struct q2_slice *slice, uint32_t index,
                     struct qcow2_extent *e)
{
	bool extended = q2_has_extended_l2(e->image);
	uint32_t at = extended ? index % 32u * 16u : index % 64u * 8u;
	uint64_t entry = q2_be64(slice->bytes + at);
	int rc;

	reader->error.pos = slice->pos + at;
	reader->error.detail = entry;
	if (entry_is_compressed(entry))
		return compressed_extent(entry, e);
	rc = cluster_extent(reader, slice->bytes + index % 32u * 16u, entry, e);
	if (rc == QCOW2_OK && !extended)
		extend_in_slice(reader, slice->bytes, at, entry, e);
	return rc;
}

/*
 * Finds the L2 table of e->off, by a slice of L1. slice->pos gets where it is: 0 if there is none,
 * and then e->len is as far as the L1 entry goes.
 */
static int l2_find(struct qcow2_reader *reader, struct qcow2_extent *e, struct q2_slice *slice)
{
	const struct qcow2_image *image = e->image;
	unsigned bits = q2_l1_entry_bits(image);
	uint64_t in_table = q2_shr64(UINT64_MAX, 64u - bits);
	uint64_t index = q2_shr64(e->off, bits);
	int rc;

	slice->pos = 0;
	e->len = in_table - (e->off & in_table) + 1u;
	if (index >= image->l1_entries) /* of a snapshot: open checks the active table */
		return QCOW2_OK;
	slice->key = Q2_SLICE_OF_L1 + index / 64u;
	slice->pos = image->l1_pos + index / 64u * Q2_SLICE_LEN;
	reader->error.pos = image->l1_pos + index * 8u;
	rc = q2_slice(reader, e, slice);
	if (rc != QCOW2_OK)
		return rc;
	slice->pos = entry_pos(q2_be64(slice->bytes + (uint32_t)index % 64u * 8u));
	if (slice->pos == 0u)
		return QCOW2_OK;
	reader->error.detail = slice->pos;
	rc = q2_table_check(image, q2_cluster_len(image), slice->pos);
	return rc != QCOW2_E_L1 ? rc : QCOW2_E_L2_ENTRY;
}

static int qcow2_extent(struct qcow2_reader *reader, struct qcow2_extent *e)
{
	const struct qcow2_image *image = e->image;
	bool extended = q2_has_extended_l2(image);
	uint64_t cluster = q2_shr64(e->off, image->cluster_bits);
	uint32_t index = (uint32_t)cluster & ((1u << q2_l2_bits(image)) - 1u);
	struct q2_slice slice;

	slice.key = extended ? cluster / 32u : cluster / 64u;
	slice.pos = Q2_SLICE_NOWHERE;
	if (q2_slice(reader, e, &slice) != QCOW2_OK) {
		int rc = l2_find(reader, e, &slice);

		if (rc != QCOW2_OK || slice.pos == 0u)
			return rc;
		slice.key = extended ? cluster / 32u : cluster / 64u;
		slice.pos += (extended ? index / 32u : index / 64u) * Q2_SLICE_LEN;
		rc = q2_slice(reader, e, &slice);
		if (rc != QCOW2_OK)
			return rc;
	}
	return l2_extent(reader, &slice, index, e);
}

/* What one image says about e->off. */
static int layer_extent(struct qcow2_reader *reader, const struct qcow2_image *image,
                        uint32_t depth, struct qcow2_extent *e)
{
	uint64_t off = e->off;

	memset(e, 0, sizeof *e);
	e->off = off;
	e->image = image;
	e->depth = depth;
	reader->error.io = &image->io;
	if (q2_is_qcow2(image))
		return qcow2_extent(reader, e);
	e->kind = QCOW2_EXTENT_DATA;
	e->io = &image->io;
	e->pos = off;
	e->len = UINT64_MAX;
	return QCOW2_OK;
}

/*
 * Asks one image after the other about e->off. An image above covers what is below, even if that is
 * longer.
 */
static int chain_extent(struct qcow2_reader *reader, struct qcow2_extent *e)
{
	const struct qcow2_image *image = reader->image;
	uint64_t limit = UINT64_MAX;
	uint32_t depth = 0;

	for (;;) {
		int rc;

		if (limit > image->size - e->off)
			limit = image->size - e->off;
		rc = layer_extent(reader, image, depth++, e);
		if (rc != QCOW2_OK)
			return q2_note(&reader->error, rc);
		if (e->len > limit)
			e->len = limit;
		limit = e->len;
		image = image->backing;
		if (e->kind != QCOW2_EXTENT_ABSENT || image == NULL || e->off >= image->size)
			return QCOW2_OK;
	}
}

/* Does b, which begins where a ends, continue it? */
static bool extents_join(const struct qcow2_extent *a, const struct qcow2_extent *b)
{
	if (a->kind != b->kind || a->image != b->image || a->io != b->io)
		return false;
	if (a->kind == QCOW2_EXTENT_COMPRESSED)
		return false;
	return a->io == NULL || b->pos - a->pos == a->len;
}

/* Forgets what lies before `off`, which is in the extent. */
static void extent_advance(struct qcow2_extent *e, uint64_t off)
{
	uint64_t before = off - e->off;

	e->off = off;
	e->len -= before;
	if (e->io != NULL && e->kind != QCOW2_EXTENT_COMPRESSED)
		e->pos += before;
}

int q2_map(struct qcow2_reader *reader, uint64_t off, uint64_t len)
{
	struct qcow2_extent *memo = &reader->memo;
	struct qcow2_extent next;
	int rc;

	if (off - memo->off < memo->len) { /* huge if off lies before it */
		extent_advance(memo, off);
	} else {
		memo->off = off;
		reader->want = len;
		rc = chain_extent(reader, memo);
		if (rc != QCOW2_OK) {
			memo->len = 0;
			return rc;
		}
	}
	while (memo->len < len) {
		next.off = off + memo->len;
		reader->want = len - memo->len;
		rc = chain_extent(reader, &next);
		if (rc == QCOW2_E_IO)
			return rc;
		if (rc != QCOW2_OK || !extents_join(memo, &next))
			break;
		memo->len += next.len;
	}
	return QCOW2_OK;
}
