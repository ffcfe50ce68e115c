/* SPDX-License-Identifier: MIT */
/*
 * Tables of an image, cached in slices of 512 bytes.
 *
 * A slice is the smallest piece that every device can read, and reading more than one for a random
 * access costs more than it saves. Slices are known by what part of the disk they map, so that an
 * L2 entry is found without a look at L1. The slots form sets of four; the key of a slice picks the
 * set, and in it the slot that was not used for longest is given up.
 *
 *	memory: [slot 0] ... [slot max_slots - 1] [slice 0] ... [slice max_slots - 1]
 *
 * Slots are taken into use by doubling, as misses show that they are wanted, so that a reader with
 * much memory is started as fast as one with little. Doubling loses the slices whose set changes.
 */
#include "q2.h"

enum { CACHE_WAYS = 4, CACHE_SLOTS_MAX = 1 << 20 };

struct slot {
	uint64_t key;                    /* which slice of the image's tables it is */
	uint64_t pos;                    /* where that is in the image's file */
	const struct qcow2_image *image; /* NULL: the slot is empty */
	uint32_t used;                   /* the reader's clock when it was last asked for */
	uint32_t unused;                 /* 32 bytes: a place is found without multiplication */
};

enum { CACHE_SLOT_LEN = sizeof(struct slot) + Q2_SLICE_LEN };

/* reader.h promises what a slot takes. */
typedef char slot_fits[CACHE_SLOT_LEN <= QCOW2_READER_SLICE ? 1 : -1];

static struct slot *slots_of(const struct qcow2_reader *reader)
{
	return (struct slot *)(void *)reader->memory;
}

static void slots_clear(struct qcow2_reader *reader, uint32_t from, uint32_t to)
{
	struct slot *slots = slots_of(reader);
	uint32_t i;

	for (i = from; i < to; i++) {
		slots[i].image = NULL;
		slots[i].used = reader->clock - UINT32_C(0x40000000); /* older than any */
	}
}

void q2_slots_init(struct qcow2_reader *reader, size_t len)
{
	uint32_t n = 1;
	size_t taken = CACHE_SLOT_LEN;

	while (n < CACHE_SLOTS_MAX && taken <= len - taken) {
		n *= 2u;
		taken *= 2u;
	}
	reader->max_slots = n;
	reader->slices = reader->memory + n * sizeof(struct slot);
	reader->n_slots = n < CACHE_WAYS ? n : CACHE_WAYS;
	reader->misses = 0;
	reader->clock = 0;
	slots_clear(reader, 0, reader->n_slots);
}

static void slots_grow(struct qcow2_reader *reader)
{
	uint32_t n = reader->n_slots;

	reader->misses++;
	if (reader->misses <= n || n > reader->max_slots / 2u)
		return;
	slots_clear(reader, n, n * 2u);
	reader->n_slots = n * 2u;
	reader->misses = 0;
}

/*
 * Slices that follow each other go to sets that do; those that are a power of two apart, to others,
 * as do the slices of L1. Images of a chain have tables for the same parts of the disk: they are
 * set apart by what crowded the sets least of all that was tried, at any depth (test_crowd).
 */
static uint32_t first_of_set(const struct qcow2_reader *reader, uint32_t depth, uint64_t key)
{
	uint32_t n = (uint32_t)key ^ (uint32_t)(key >> 62);

	n ^= n >> 9 ^ n >> 17;
	/* Exclusive or keeps compilers from a multiplication: not every processor has one. */
	n += depth << 8 ^ depth << 4 ^ depth << 3 ^ depth;
	return n * CACHE_WAYS & (reader->n_slots - 1u);
}

/* The slot that has the slice, or else that of its set which was not used for longest. */
static uint32_t slot_find(const struct qcow2_reader *reader, const struct qcow2_extent *e,
                          uint64_t key)
{
	const struct slot *slots = slots_of(reader);
	uint32_t first = first_of_set(reader, e->depth, key);
	uint32_t found = first;
	uint32_t oldest = 0;
	uint32_t i;

	for (i = first; i < reader->n_slots && i - first < CACHE_WAYS; i++) {
		uint32_t age;

		if (slots[i].image == e->image && slots[i].key == key)
			return i;
		age = reader->clock - slots[i].used;
		if (age > oldest) {
			oldest = age;
			found = i;
		}
	}
	return found;
}

int q2_slice(struct qcow2_reader *reader, const struct qcow2_extent *e, struct q2_slice *slice)
{
	/* cppcheck-suppress ctuuninitvar ; slice->bytes is what is filled in here */
	uint32_t i = slot_find(reader, e, slice->key);
	struct slot *slot = slots_of(reader) + i;
	uint8_t *bytes = reader->slices + i * Q2_SLICE_LEN;

	if (slot->image != e->image || slot->key != slice->key) {
		int rc;

		if (slice->pos == Q2_SLICE_NOWHERE)
			return QCOW2_E_NOT_FOUND;
		slot->image = NULL; /* until all of it is there */
		rc = q2_io_read(&e->image->io, slice->pos, bytes, Q2_SLICE_LEN, &reader->error);
		if (rc != QCOW2_OK)
			return rc;
		slot->key = slice->key;
		slot->pos = slice->pos;
		slot->image = e->image;
		slots_grow(reader);
	}
	slot->used = reader->clock++;
	slice->pos = slot->pos;
	slice->bytes = bytes;
	return QCOW2_OK;
}
