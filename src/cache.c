/* SPDX-License-Identifier: MIT */
/*
 * Tables of the images of a chain, cached in slices of 512 bytes.
 *
 * A slice is the smallest piece that every device can read, and reading more than one for a random
 * access costs more than it saves. A key tells the image of the chain and the place in its file.
 * The slots form sets of four: the key picks the set, and the slots of a set are given up in turn.
 *
 *	memory: [slice 0] [slice 1] ...    ... [key 1] [key 0]
 *
 * Slots are taken into use by doubling, as misses show that they are wanted, so that a reader with
 * much memory is started as fast as one with little. Doubling loses the slices whose set changes.
 */
#include "internal.h"

enum { CACHE_WAYS = 4 };

/* In `high`: the slot is empty. No image of a chain is so deep. */
#define KEY_NONE UINT32_MAX

enum { DEPTH_BITS = 10 }; /* of `high`; above them are the high bits of a position */

typedef char depth_fits[QCOW2_CHAIN_MAX < 1 << DEPTH_BITS ? 1 : -1];

/* reader.h promises what a slot takes. */
typedef char slot_fits[Q2_SLICE_LEN + sizeof(struct q2_slice_key) == QCOW2_READER_SLICE ? 1 : -1];

void q2_cache_init(struct qcow2_reader *reader, size_t len)
{
	reader->spare = len;
	reader->mask = 0;
	reader->keys = (struct q2_slice_key *)(void *)(reader->memory + len) - 1;
	reader->keys->high = KEY_NONE;
}

/* Misses are counted from the number of slots that there were: the first of them go to new ones. */
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
		(reader->keys - ++n)->high = KEY_NONE;
	while (n < reader->mask);
	/*@ split reader->mask; */
}

/*
 * The set of a key, times CACHE_WAYS. Slices that follow each other should be in different sets, as
 * those a power of two apart, and those at like places in the images of a chain. These steps crowd
 * the sets least of all that were tried on such tables (test_crowd).
 */
static uint32_t first_of_set(uint32_t high, uint32_t low)
{
	uint32_t n = low ^ high << 16;

	n ^= n >> 5;
	n += n >> 7;
	return n * CACHE_WAYS;
}

/* The key of the slot that has the slice, or of that to be given up: it ends there. */
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
                              uint64_t table, uint32_t entry)
{
	q2_cursor *at = &reader->error;
	uint64_t pos = table + entry;
	uint32_t high = ((uint32_t)(pos >> 41) << DEPTH_BITS) + e->depth;
	uint32_t low = (uint32_t)(pos / Q2_SLICE_LEN);
	struct q2_slice_key *key = key_find(reader, high, low);
	uint8_t *bytes = reader->memory + (size_t)(reader->keys - key) * Q2_SLICE_LEN;
	int rc;

	/*@ assert 0 <= reader->keys - key <= reader->mask < room(reader->keys); */
	/*@ assert key == reader->keys + (key - reader->keys); */
	/*@ assert bytes == reader->memory + 512 * (reader->keys - key); */
	/*@ assert 0 <= bytes - reader->memory <= INT64_MAX - 512; */
	/*@ assert (bytes - reader->memory) % 512 == 0; */
	/*@ assert (bytes - reader->memory + entry % 512) % 512 == entry % 512; */
	/*@ assert \valid(bytes + (0 .. 511)) && \valid(key); */
	/*@ assert slice(bytes + entry % 512 - reader->memory) == bytes - reader->memory; */
	/*@ assert reader->memory + (bytes - reader->memory) == bytes; */
	/*@ assert good_entry(reader, bytes + entry % 512); */
	/*@ assert \separated(bytes + (0 .. 511), key, reader, at->io); */
	/*@ assert \separated(bytes + (0 .. 511), key, reader, at->io->ops); */
	if (key->high != high || key->low != low) {
		key->high = KEY_NONE; /* until all of it is there */
		at->pos = pos - entry % Q2_SLICE_LEN;
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
	return bytes + entry % Q2_SLICE_LEN;
}
