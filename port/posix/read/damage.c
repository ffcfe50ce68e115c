/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Explores a failure of the core. The core reports the file and the position, but a caller that
 * wants to read on after the damage must know the part of the disk, which the core does not keep:
 *
 *	what is bad                     what is lost
 *	data, or compressed data        the run of data that was asked for; the cluster
 *	an L2 entry                     its cluster, and those of neighbours that fail alike
 *	a part of an L2 table           the clusters that its 512 bytes map
 *	an L1 entry, or an L2 table     all that the L2 table maps
 *	a part of an L1 table           all that its 512 bytes map
 *
 * Where images above have clusters in that part, the loss ends before the first of them.
 */
#include "damage.h"

#include <stdio.h>

#include "../failure.h"
#include "../key/sealed.h"
#include "../open/cut.h"
#include "../open/file.h"

/* Log2 of the bytes of an L1 entry, and of what the reader reads of a table at once. */
#define L1_ENTRY_BITS 3u
#define SLICE_BITS    9u

enum { CLUSTERS_ABOVE = 65536 };

/* Bits 9-55 of an L1 entry or a standard L2 entry. */
#define ENTRY_POS UINT64_C(0x00fffffffffffe00)

/* The position in a sector, which is decrypted as a whole. */
#define SECTOR_MASK UINT64_C(511)

/* A failure while it is explored. */
struct failure {
	struct qcow2_reader *reader;
	int status;
	struct qcow2_error err;          /* of the call that failed */
	const struct qcow2_image *image; /* that it is about, or NULL if it is about none */
	struct qcow2_extent extent;      /* where the bytes are that cannot be read */
	bool is_mapped;                  /* the tables are fine, so extent is valid */
	struct qp_damage *damage;
};

/* What an L1 entry or a standard L2 entry points to. In version 1 it has no flags. */
static uint64_t pointer_of(const struct qcow2_image *image, uint64_t entry)
{
	return image->version == 1u ? entry : entry & ENTRY_POS;
}

/* Are its bytes in the file as many as in the disk? */
static bool is_stored(const struct qcow2_extent *e)
{
	return e->kind == QCOW2_EXTENT_DATA || e->kind == QCOW2_EXTENT_ENCRYPTED;
}

/* Is this the extent whose bytes could not be read? */
static bool failed_in(const struct failure *f, const struct qcow2_extent *e)
{
	uint64_t before = f->err.pos - e->pos; /* huge if the failure is before the extent */
	unsigned char byte;

	if (f->err.io != e->io || e->io == NULL)
		return false;
	if (e->kind == QCOW2_EXTENT_DATA)
		return f->status == QCOW2_E_IO && before < e->len;
	/* A read of encrypted data begins at the sector in which the extent does. */
	if (e->kind == QCOW2_EXTENT_ENCRYPTED)
		return (f->status == QCOW2_E_IO || f->status == QCOW2_E_CRYPTO) &&
		       f->err.pos - (e->pos & ~SECTOR_MASK) < e->len + (e->pos & SECTOR_MASK);
	return e->kind == QCOW2_EXTENT_COMPRESSED &&
	       qcow2_reader_read(f->reader, e->off, &byte, 1) == f->status;
}

/* Finds the offset of the failure in the disk, by mapping the range again. */
static bool find_offset(struct failure *f, uint64_t offset, uint64_t len)
{
	struct qcow2_extent *e = &f->extent;

	while (len > 0u) {
		int rc = qcow2_reader_map(f->reader, offset, len, e);

		if (rc != QCOW2_OK) {
			/* What was found before a failed io call is still in the reader. */
			const struct qcow2_extent *found = &f->reader->extent;

			f->damage->offset = offset;
			if (offset - found->off < found->len)
				f->damage->offset = found->off + found->len;
			return true;
		}
		if (failed_in(f, e)) {
			f->is_mapped = true;
			f->damage->offset = offset;
			if (is_stored(e) && f->err.pos > e->pos)
				f->damage->offset += f->err.pos - e->pos;
			return true;
		}
		offset += e->len;
		len -= e->len;
	}
	return false; /* nothing fails this time */
}

/* Finds the image that the failure is about. Counts its depth. */
static unsigned find_image(struct failure *f)
{
	const struct qcow2_image *image = f->reader->image;
	unsigned depth = 0;

	for (; image != NULL; image = image->backing, depth++)
		if (f->err.io == &image->io || (f->err.io != NULL && f->err.io == image->data))
			break;
	f->image = image;
	return depth;
}

/* The number of bytes from offset to the next multiple of 2^bits. */
static uint64_t to_multiple(uint64_t offset, unsigned bits)
{
	return bits < 64u ? (UINT64_C(1) << bits) - (offset & ((UINT64_C(1) << bits) - 1u))
	                  : UINT64_MAX - offset;
}

/* Reads a table entry. Returns false if that fails. */
static bool entry_read(const struct qcow2_image *image, uint64_t pos, uint64_t *entry)
{
	const struct qcow2_io *io = &image->io;
	unsigned char bytes[8];
	unsigned i;

	*entry = 0;
	if (io->ops->read(io->ctx, pos, bytes, sizeof bytes) != 0)
		return false;
	for (i = 0; i < sizeof bytes; i++)
		*entry = *entry << 8 | bytes[i];
	return true;
}

/* Notes that an entry points to something that the file does not have, or not all of it. */
static void points_past(struct failure *f, const char *kind, uint64_t entry_pos, const char *what,
                        uint64_t pos, uint64_t len)
{
	uint64_t size = f->image->io.size;
	bool cut = qp_looks_cut(f->image, pos, len);

	snprintf(f->damage->reason, sizeof f->damage->reason,
	         "%sthe %s entry at file offset %llu points to %s at %llu, %s the end of the "
	         "file (%llu bytes)",
	         cut ? "image is truncated: " : "", kind,
	         (unsigned long long)qp_file_place(&f->image->io, entry_pos), what,
	         (unsigned long long)qp_file_place(&f->image->io, pos),
	         pos < size ? "cut off at" : "past",
	         (unsigned long long)qp_file_place(&f->image->io, size));
	f->damage->looks_cut = cut;
}

/* Notes that an external data file ends before data that belongs at this offset of it. */
static void data_file_ends(struct failure *f)
{
	f->damage->looks_cut = true;
	snprintf(f->damage->reason, sizeof f->damage->reason,
	         "image is truncated: the data at file offset %llu is past the end of the file "
	         "(%llu bytes)",
	         (unsigned long long)f->damage->offset, (unsigned long long)f->err.io->size);
}

/* The position of the L1 entry for the damage. */
static uint64_t l1_entry_pos(const struct failure *f)
{
	return f->image->l1_pos + (f->damage->offset >> f->image->l1_entry_bits << L1_ENTRY_BITS);
}

/* The length of an L2 table: in version 2 that of a cluster. */
static uint64_t l2_table_len(const struct qcow2_image *image)
{
	return UINT64_C(1) << (image->l1_entry_bits - image->cluster_bits + image->l2_entry_bits);
}

/* The position in its table of the L2 entry for the damage. */
static uint64_t l2_entry_at(const struct failure *f)
{
	const struct qcow2_image *image = f->image;
	uint64_t in_table = f->damage->offset & ((UINT64_C(1) << image->l1_entry_bits) - 1u);

	return in_table / image->cluster_len << image->l2_entry_bits;
}

/*
 * Explores a pointer past the end of the image file. Returns log2 of the bytes of the disk that are
 * lost with it.
 */
static unsigned explore_pointer(struct failure *f)
{
	const struct qcow2_image *image = f->image;
	uint64_t l1_entry = 0, l2_entry = 0, table;

	if (!entry_read(image, l1_entry_pos(f), &l1_entry))
		return image->cluster_bits;
	table = pointer_of(image, l1_entry);
	if (table > image->io.size || l2_table_len(image) > image->io.size - table) {
		points_past(f, "L1", l1_entry_pos(f), "an L2 table", table, l2_table_len(image));
		return image->l1_entry_bits;
	}
	if (entry_read(image, table + l2_entry_at(f), &l2_entry))
		points_past(f, "L2", table + l2_entry_at(f), "data", pointer_of(image, l2_entry),
		            image->cluster_len);
	return image->cluster_bits;
}

/*
 * Explores damage of a table entry or of what it points to. Returns log2 of the bytes of the disk
 * that are lost with it, counted from a multiple of them.
 */
static unsigned explore_entry(struct failure *f)
{
	const struct qcow2_image *image = f->image;

	if (f->status == QCOW2_E_L2_ENTRY && f->err.pos == l1_entry_pos(f))
		return image->l1_entry_bits;
	if (f->status != QCOW2_E_TRUNCATED)
		return image->cluster_bits;
	if (f->err.io != image->data)
		return explore_pointer(f);
	data_file_ends(f);
	return image->cluster_bits;
}

/*
 * Explores compressed data that the file does not have. QCOW2_ALLOW_TRUNCATED does not help here.
 */
static void explore_compressed(struct failure *f)
{
	uint64_t l1_entry;

	if (f->status != QCOW2_E_TRUNCATED || !entry_read(f->image, l1_entry_pos(f), &l1_entry))
		return;
	points_past(f, "L2", pointer_of(f->image, l1_entry) + l2_entry_at(f), "compressed data",
	            f->extent.pos, f->extent.packed_len);
	f->damage->looks_cut = false;
}

/* Log2 of the bytes that 512 bytes of an L2 table map. */
static unsigned l2_slice_bits(const struct qcow2_image *image)
{
	unsigned bits = image->cluster_bits + SLICE_BITS - image->l2_entry_bits;

	return bits < image->l1_entry_bits ? bits : image->l1_entry_bits;
}

/* Log2 of the bytes that the 512 bytes of a table map which could not be read. */
static unsigned explore_slice(const struct failure *f)
{
	const struct qcow2_image *image = f->image;
	uint64_t slice = l1_entry_pos(f) >> SLICE_BITS << SLICE_BITS;

	if (f->err.pos != slice)
		return l2_slice_bits(image);
	/* The table of a saved state begins inside a slice: then only this entry is sure. */
	if (image->l1_pos % (1u << SLICE_BITS) != 0u)
		return image->l1_entry_bits;
	return image->l1_entry_bits + SLICE_BITS - L1_ENTRY_BITS;
}

/*
 * Adds the clusters after a bad L2 entry that fail alike, if their entries are in the same slice.
 * What a bad L1 entry maps is at least as long as that.
 */
static void add_neighbours(struct failure *f)
{
	const struct qcow2_image *image = f->image;
	struct qp_damage *damage = f->damage;
	uint64_t size = f->reader->image->size;
	uint64_t slice = to_multiple(damage->offset, l2_slice_bits(image));
	struct qcow2_extent unused;

	while (damage->length < slice && damage->length < size - damage->offset) {
		int rc = qcow2_reader_map(f->reader, damage->offset + damage->length, 1, &unused);

		if (rc != f->status || f->reader->error.io != f->err.io)
			break;
		damage->length += image->cluster_len;
	}
}

/*
 * The most that one failure reports: what this many clusters of each image above hold. So the work
 * in these images has a limit, whatever the damage below them is.
 */
static uint64_t clip_limit(const struct failure *f, unsigned depth)
{
	const struct qcow2_image *image = f->reader->image;
	uint64_t limit = UINT64_MAX;

	for (; depth > 0u; depth--, image = image->backing)
		if (((uint64_t)CLUSTERS_ABOVE << image->cluster_bits) < limit)
			limit = (uint64_t)CLUSTERS_ABOVE << image->cluster_bits;
	return limit;
}

/* Ends the damage, which is in an image at this depth, before what the images above have. */
static void clip_by_layers(struct failure *f, unsigned depth)
{
	uint64_t limit = clip_limit(f, depth);
	uint64_t memory[QCOW2_READER_MEMORY / sizeof(uint64_t)];
	const struct qcow2_image *image = f->reader->image;
	struct qcow2_reader reader;
	struct qcow2_extent e;

	if (f->damage->length > limit)
		f->damage->length = limit;
	for (; depth > 0u; depth--, image = image->backing) {
		struct qcow2_image alone = *image;

		alone.backing = NULL;
		alone.flags |= QCOW2_OPEN_LAYER;
		if (f->damage->offset >= alone.size ||
		    qcow2_reader_init(&reader, &alone, memory, sizeof memory) != QCOW2_OK)
			continue;
		if (f->damage->length > alone.size - f->damage->offset)
			f->damage->length = alone.size - f->damage->offset;
		if (qcow2_reader_map(&reader, f->damage->offset, f->damage->length, &e) ==
		            QCOW2_OK &&
		    e.kind == QCOW2_EXTENT_ABSENT)
			f->damage->length = e.len;
	}
}

/* Finds how far the reason reaches. */
static void find_length(struct failure *f)
{
	struct qp_damage *damage = f->damage;
	uint64_t left = f->image->size - damage->offset;

	if (f->is_mapped && is_stored(&f->extent)) {
		damage->length = f->extent.off + f->extent.len - damage->offset;
	} else if (f->is_mapped) {
		damage->length = to_multiple(damage->offset, f->image->cluster_bits);
		explore_compressed(f);
	} else if (f->status == QCOW2_E_IO) {
		damage->length = to_multiple(damage->offset, explore_slice(f));
	} else {
		damage->length = to_multiple(damage->offset, explore_entry(f));
		add_neighbours(f);
	}
	if (damage->length > left)
		damage->length = left;
}

void qp_fail_reader(struct qcow2_reader *reader, int status, uint64_t offset, uint64_t len)
{
	struct qp_damage damage = { .offset = offset, .length = len };
	struct failure f = { .reader = reader, .status = status, .err = reader->error };
	unsigned depth = find_image(&f);

	f.damage = &damage;
	if (f.image == NULL) { /* not a failure of a file */
		qp_fail_core(status, &f.err);
		return;
	}
	if (find_offset(&f, offset, len))
		find_length(&f);
	clip_by_layers(&f, depth);
	if (status == QCOW2_E_CRYPTO && f.image->cipher->decrypt == qp_sealed_decrypt) {
		status = QCOW2_E_ENCRYPTED;
		f.err.detail = f.image->crypt_method;
	}
	qp_fail_damage(status, &f.err, &damage);
}
