/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The cache of L1 and L2 tables, in slices of 512 bytes. map.c looks up table entries here.
 *
 * Most devices read no less than 512 bytes at a time, and no cluster is shorter. For random access,
 * reading more at once costs more than it saves. A key identifies a slice: the image of the chain,
 * and the position in its file. A slice and its key make a slot:
 *
 *	[slice 0][slice 1] ...  unused  ... [key 1][key 0]
 *
 * The slots form sets of four. The key determines the set, and in a set, the slots are replaced in
 * turn.
 *
 * A reader begins with one slot, and doubles the slots in use when misses show that it needs more.
 * So a reader with much memory starts as fast as one with little, as it need not clear all keys.
 * Doubling loses the slices whose set changes.
 */
#include "internal.h"

enum { CACHE_WAYS = 4 };

/*
 * The low bits of `high` are the depth of an image, the others the high bits of a position. No
 * depth is that of Q2_KEY_NONE.
 */
enum { DEPTH_BITS = 10 };

/* Depths are below QCOW2_CHAIN_MAX, so none has all its bits set as Q2_KEY_NONE has. */
Q2_STATIC_ASSERT(depth_fits, QCOW2_CHAIN_MAX < 1 << DEPTH_BITS);

/* reader.h promises the size of a slot. */
Q2_STATIC_ASSERT(slot_fits, Q2_SLICE_LEN + sizeof(struct q2_slice_key) == QCOW2_READER_SLICE);

void q2_cache_init(struct qcow2_reader *reader, size_t len)
{
	reader->spare = len;
	reader->mask = 0;
	reader->keys = (struct q2_slice_key *)(void *)(reader->memory + len) - 1;
	reader->keys->high = Q2_KEY_NONE;
}

/*
 * Counts a miss, and doubles the slots in use after about 1.5 misses for each. After that the count
 * starts at the number of slots before: key_find replaces the slots of a set in the order of the
 * count, so the first misses go to new slots.
 */
static void cache_grow(struct qcow2_reader *reader)
{
	uint32_t n = reader->mask;

	if (reader->misses++ < 2u * n || reader->spare < (size_t)2 * QCOW2_READER_SLICE)
		return;
	reader->spare /= 2u;
	reader->mask = 2u * n + 1u;
	reader->misses = n + 1u;
	/*@ assert good_cache(reader); */
	/*@ loop invariant \at(reader->mask, Pre) <= n < reader->mask && good_cache(reader);
	    loop assigns n, reader->keys[1 - room(reader->keys) .. 0];
	    loop variant reader->mask - n; */
	do
		(reader->keys - ++n)->high = Q2_KEY_NONE;
	while (n < reader->mask);
	/*@ split reader->mask; */
}

/*
 * Returns the first slot of the set of a key, before the mask is applied. Slices should be in
 * different sets if they follow each other, are a power of two apart, or are at the same place in
 * different images of a chain. Of the functions that we tried on such tables, this one spreads them
 * best (test_crowd in tests/unit/test_chain.c).
 */
static uint32_t first_of_set(uint32_t high, uint32_t low)
{
	uint32_t n = low ^ high << 16;

	n ^= n >> 5;
	n += n >> 7;
	return n * CACHE_WAYS;
}

/*
 * Returns the key of the slot that has the slice. If none has it, the loop has gone through all
 * slots of the set, and its last one is the slot to replace.
 */
static struct q2_slice_key *key_find(const struct qcow2_reader *reader, uint32_t high, uint32_t low)
{
	uint32_t first = first_of_set(high, low);
	uint32_t way = CACHE_WAYS;
	struct q2_slice_key *key;

	/*@ loop invariant way <= CACHE_WAYS;
	    loop assigns key, way;
	    loop variant way; */
	do
		key = reader->keys - ((first + (reader->misses + way) % CACHE_WAYS) & reader->mask);
	while ((key->high != high || key->low != low) && way-- != 0u);
	return key;
}

const uint8_t *q2_table_entry(struct qcow2_reader *reader, const struct qcow2_extent *e,
                              uint64_t pos)
{
	q2_cursor *at = &reader->error;
	uint32_t in_slice = (uint32_t)pos % Q2_SLICE_LEN;
	uint32_t high = ((uint32_t)(pos >> 41) << DEPTH_BITS) + e->depth;
	uint32_t low = (uint32_t)(pos / Q2_SLICE_LEN);
	struct q2_slice_key *key = key_find(reader, high, low);
	uint8_t *bytes = reader->memory + (size_t)(reader->keys - key) * Q2_SLICE_LEN;

	/*@ assert 0 <= reader->keys - key <= reader->mask < room(reader->keys); */
	/*@ assert key == reader->keys + (key - reader->keys); */
	/*@ assert bytes == reader->memory + 512 * (reader->keys - key); */
	/*@ assert 0 <= bytes - reader->memory <= INT64_MAX - 512; */
	/*@ assert (bytes - reader->memory) % 512 == 0; */
	/*@ assert in_slice == pos % 512; */
	/*@ assert (bytes - reader->memory + in_slice) % 512 == in_slice; */
	/*@ assert \valid(bytes + (0 .. 511)) && \valid(key); */
	/*@ assert slice(bytes + in_slice - reader->memory) == bytes - reader->memory; */
	/*@ assert reader->memory + (bytes - reader->memory) == bytes; */
	/*@ assert pos % 8 == 0 ==> good_entry(reader, bytes + in_slice); */
	/*@ assert \separated(bytes + (0 .. 511), key, reader, at->io); */
	/*@ assert \separated(bytes + (0 .. 511), key, reader, at->io->ops); */
	if (key->high != high || key->low != low) {
		int rc;

		key->high = Q2_KEY_NONE; /* a read that fails may leave anything in the slice */
		at->pos = pos - in_slice;
		/*@ calls q2_io_read; */
		rc = reader->fetch(at, bytes, Q2_SLICE_LEN);
		if (rc != QCOW2_OK)
			return NULL;
		key->high = high;
		key->low = low;
		cache_grow(reader);
	}
	at->pos = pos;
	/*@ assert reader->memory == \at(reader->memory, Pre); */
	return bytes + in_slice;
}
