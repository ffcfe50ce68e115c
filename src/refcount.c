/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads refcounts, qcow2.txt "Host cluster management". The refcount table has the positions of
 * refcount blocks. Each block is one cluster of refcounts, which have 1 to 64 bits.
 */
#include "internal.h"
#include "qcow2/refcount.h"

enum { REFCOUNT_TABLE_ENTRY_LEN = 8 };

/* "Bits 9-63 of the offset". Bits 0-8 are reserved; they are ignored, as in QEMU. */
#define REFCOUNT_BLOCK_POS (~UINT64_C(0x1ff))

/* Finds the refcount block with this number. *pos becomes its position, or 0 if it is absent. */
static int refcount_block(const struct qcow2_image *image, uint64_t number, uint64_t *pos,
                          q2_cursor *at)
{
	uint8_t entry[REFCOUNT_TABLE_ENTRY_LEN];
	int rc;

	at->pos = image->refcount_table_pos;
	/* The number is less than 2^50, and the table is below 2^63, so the sum does not wrap. */
	rc = q2_table_check(image, 0, at->pos);
	if (rc == QCOW2_OK)
		rc = q2_image_read(image, at->pos + number * REFCOUNT_TABLE_ENTRY_LEN, entry,
		                   REFCOUNT_TABLE_ENTRY_LEN, at);
	if (rc != QCOW2_OK)
		return rc;
	*pos = q2_be64(entry) & REFCOUNT_BLOCK_POS;
	return q2_table_check(image, 0, *pos);
}

/*
 * Decodes n refcounts of 2^order bits, the first of which begins at bit number `bit` of *bytes.
 * Those of 8 bits and more are big-endian. Shorter ones are packed into a byte from its low end up
 * ("refcount_order").
 */
static void refcounts_decode(const uint8_t *bytes, uint32_t bit, unsigned order, uint32_t n,
                             uint64_t *counts)
{
	for (; n > 0u; n--) {
		uint32_t left = order < 3u ? 1u : 1u << (order - 3u);
		uint64_t count = 0;

		do
			count = count << 8 | *bytes++;
		while (--left > 0u);
		if (order < 3u) {
			count = (uint32_t)count >> bit & ((1u << (1u << order)) - 1u);
			bit = (bit + (1u << order)) % 8u;
			bytes -= bit != 0u; /* the byte has more refcounts */
		}
		*counts++ = count;
	}
}

/*
 * The bytes of the file go to the end of counts and are decoded to its beginning. A refcount has at
 * most 8 bytes, so what is written never overtakes what is still to be read:
 *
 *	counts   [ decoded so far ]            [ bytes of the file, still to be decoded ]
 */
int qcow2_refcounts(const struct qcow2_image *image, uint64_t first, uint32_t *n, uint64_t *counts,
                    struct qcow2_error *err)
{
	struct qcow2_error unseen;
	uint64_t pos = 0, number;
	uint32_t bit, left;
	unsigned order;
	int rc = QCOW2_OK;

	err = q2_err(err, &unseen);
	if (image == NULL || !q2_is_qcow2(image) || n == NULL || counts == NULL)
		return q2_note(err, QCOW2_E_ARGUMENT);
	err->io = &image->io;
	order = image->refcount_order;
	number = q2_shr64(first, image->cluster_bits + 3u - order);
	bit = (uint32_t)first << order & (8u * image->cluster_len - 1u);
	left = (8u * image->cluster_len - bit) >> order;
	if (*n > left)
		*n = left;
	/* Each cluster of the table has 2^(cluster_bits - 3) entries. */
	if (q2_shr64(number, image->cluster_bits - 3u) < image->refcount_table_clusters)
		rc = refcount_block(image, number, &pos, err);
	if (rc == QCOW2_OK && pos == 0u)
		memset(counts, 0, *n * sizeof *counts);
	if (rc == QCOW2_OK && pos != 0u && *n != 0u) {
		uint32_t len = (bit % 8u + (*n << order) + 7u) / 8u;
		uint8_t *bytes = (uint8_t *)(counts + *n) - len;

		rc = q2_image_read(image, pos + bit / 8u, bytes, len, err);
		if (rc == QCOW2_OK)
			refcounts_decode(bytes, bit % 8u, order, *n, counts);
	}
	return q2_note(err, rc == QCOW2_E_L1 ? QCOW2_E_REFCOUNT : rc);
}
