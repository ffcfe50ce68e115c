/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A mutator that knows the format: header fields, extensions, table entries, descriptors of
 * compressed clusters, snapshots, bitmaps, LUKS headers; and version 1. libFuzzer calls it
 * (LLVMFuzzerCustomMutator), and so does AFL++ through afl_mutator.c. Half of the time it calls the
 * mutator of the engine instead. It always does so if the input is not an image, or if FUZZ_PLAIN
 * is in the environment.
 *
 * In a container of fuzz_chain.c it changes one of the layers; their lengths stay.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mutator.h"

/* The mutator of the engine; weak, because some engines have none. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t len, size_t max) __attribute__((weak));

struct mutation {
	uint8_t *data; /* the image */
	size_t len;
	uint64_t random;
	unsigned bits; /* log2 of the cluster size */
	bool extended;
	bool is_v1;
};

static uint32_t below(struct mutation *m, uint32_t n)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return n != 0 ? (uint32_t)(m->random >> 32) % n : 0;
}

static uint64_t get(const struct mutation *m, size_t pos, unsigned n)
{
	uint64_t value = 0;

	if (pos > m->len || m->len - pos < n)
		return 0;
	for (; n > 0; n--)
		value = value << 8 | m->data[pos++];
	return value;
}

static void put(struct mutation *m, size_t pos, uint64_t value, unsigned n)
{
	if (pos > m->len || m->len - pos < n)
		return;
	for (; n > 0; n--)
		m->data[pos++] = (uint8_t)(value >> (8 * (n - 1)));
}

/* ---- Numbers ---- */

/* A position in the file: usually of a cluster, sometimes beside one, or past the end. */
static uint64_t any_pos(struct mutation *m)
{
	uint64_t n_clusters = (m->len >> m->bits) + 2;
	uint64_t pos = (uint64_t)below(m, (uint32_t)n_clusters) << m->bits;

	switch (below(m, 10)) {
	case 0: return pos + below(m, 512);
	case 1: return pos + 512;
	case 2: return (uint64_t)1 << below(m, 64);
	case 3: return m->len - below(m, 600);
	default: return pos;
	}
}

/* A number near a limit, or near the present one. */
static uint64_t any_number(struct mutation *m, uint64_t now)
{
	switch (below(m, 8)) {
	case 0: return below(m, 8);
	case 1: return ((uint64_t)1 << below(m, 64)) - below(m, 3);
	case 2: return now + 1;
	case 3: return now - 1;
	case 4: return now ^ (uint64_t)1 << below(m, 64);
	case 5: return any_pos(m);
	case 6: return now << 1;
	default: return (uint64_t)below(m, 64) << m->bits;
	}
}

/* ---- Header ---- */

struct field {
	uint8_t pos;
	uint8_t len;
};

static void mutate_header(struct mutation *m)
{
	static const struct field fields[] = {
		{ 4, 4 },  { 8, 8 },  { 16, 4 }, { 20, 4 },  { 24, 8 },  { 24, 8 }, { 32, 4 },
		{ 36, 4 }, { 36, 4 }, { 40, 8 }, { 60, 4 },  { 64, 8 },  { 72, 8 }, { 72, 8 },
		{ 80, 8 }, { 88, 8 }, { 96, 4 }, { 100, 4 }, { 104, 1 },
	};
	struct field f = fields[below(m, sizeof fields / sizeof fields[0])];

	if (f.pos == 20 && below(m, 4) != 0)
		put(m, 20, 9 + below(m, 13), 4);
	else if (f.pos == 72)
		put(m, 72, get(m, 72, 8) ^ (uint64_t)1 << below(m, 6), 8);
	else
		put(m, f.pos, any_number(m, get(m, f.pos, f.len)), f.len);
}

/* The bytes from which a target takes its choices: see common.h. */
static void mutate_choices(struct mutation *m)
{
	put(m, 48 + below(m, 12), below(m, 256), 1);
}

/* ---- Extensions ---- */

static size_t extension_at(struct mutation *m)
{
	size_t pos = get(m, 4, 4) == 2 ? 72 : (size_t)get(m, 100, 4);
	uint32_t n = below(m, 6);

	while (n-- > 0 && pos < m->len && get(m, pos, 4) != 0)
		pos += 8 + (((size_t)get(m, pos + 4, 4) + 7) & ~(size_t)7);
	return pos < m->len ? pos : 112;
}

static void mutate_extension(struct mutation *m)
{
	static const uint32_t types[] = { 0,          0xe2792aca, 0x6803f857,
		                          0x23852875, 0x0537be77, 0x44415441 };
	size_t pos = extension_at(m);

	switch (below(m, 4)) {
	case 0: put(m, pos, types[below(m, 6)], 4); break;
	case 1: put(m, pos + 4, below(m, 40), 4); break;
	case 2: put(m, pos + 4, any_number(m, get(m, pos + 4, 4)), 4); break;
	default: put(m, pos + 8 + below(m, 48), below(m, 256), 1); break;
	}
}

/* ---- Tables ---- */

static uint64_t entry_pos(uint64_t entry)
{
	return entry & UINT64_C(0x00fffffffffffe00);
}

/* The position of one of the first entries of the L1 table. */
static size_t l1_entry_at(struct mutation *m)
{
	uint32_t n = (uint32_t)get(m, 36, 4);

	return (size_t)get(m, 40, 8) + 8 * below(m, n < 64 ? n : 64);
}

static void mutate_l1(struct mutation *m)
{
	size_t pos = l1_entry_at(m);

	switch (below(m, 5)) {
	case 0: put(m, pos, 0, 8); break;
	case 1: put(m, pos, get(m, pos, 8) ^ (uint64_t)1 << below(m, 64), 8); break;
	case 2: put(m, pos, get(m, l1_entry_at(m), 8), 8); break;
	default: put(m, pos, any_pos(m) | (uint64_t)1 << 63, 8); break;
	}
}

/* The position of an L2 table, after a few tries; 0 if none was found. */
static size_t l2_at(struct mutation *m)
{
	uint64_t table = 0;
	int i;

	for (i = 0; i < 8 && table == 0; i++)
		table = entry_pos(get(m, l1_entry_at(m), 8));
	return table < m->len ? (size_t)table : 0;
}

/* "Compressed Clusters Descriptor": bits 0 to x - 1 are the position, x to 61 the sectors. */
static uint64_t descriptor(struct mutation *m)
{
	unsigned x = 70 - m->bits;
	uint64_t sectors = below(m, 4) == 0 ? below(m, 1u << (m->bits - 8)) : below(m, 3);
	uint64_t pos = below(m, 2) == 0 ? any_pos(m) : below(m, (uint32_t)m->len + 1);

	return (uint64_t)1 << 62 | sectors << x | (pos & (((uint64_t)1 << x) - 1));
}

static uint64_t any_entry(struct mutation *m, uint64_t now)
{
	switch (below(m, 9)) {
	case 0: return 0;
	case 1: return 1;
	case 2: return any_pos(m) | 1;
	case 3:
	case 4: return any_pos(m) | (uint64_t)1 << 63;
	case 5: return descriptor(m);
	case 6: return now ^ (uint64_t)1 << below(m, 64);
	case 7: return now + ((uint64_t)1 << m->bits);
	default: return now ^ 1;
	}
}

/* The bitmap of an extended entry: subclusters are absent, allocated, zero or, rarely, both. */
static uint64_t any_bitmap(struct mutation *m)
{
	uint64_t data = below(m, UINT32_MAX);
	uint64_t zero = below(m, UINT32_MAX) & ~data;

	if (below(m, 2) == 0) {
		data = ((uint64_t)1 << below(m, 33)) - 1;
		zero = below(m, 2) == 0 ? ~data & UINT32_MAX : 0;
	}
	if (below(m, 16) == 0)
		zero |= data;
	return zero << 32 | data;
}

/* Makes a run of entries that continue each other. */
static void make_run(struct mutation *m, size_t pos, unsigned step)
{
	uint64_t entry = get(m, pos, 8);
	uint32_t n = 1 + below(m, below(m, 4) == 0 ? 80 : 6);
	uint64_t add = entry_pos(entry) != 0 ? (uint64_t)1 << m->bits : 0;

	while (n-- > 0) {
		pos += step;
		entry += add;
		put(m, pos, entry, 8);
	}
}

static void mutate_l2(struct mutation *m)
{
	unsigned step = m->extended ? 16 : 8;
	size_t table = l2_at(m);
	size_t n = ((size_t)1 << m->bits) / step;
	size_t pos;

	if (table == 0)
		return;
	pos = table + step * below(m, (uint32_t)(below(m, 3) == 0 ? n : n < 32 ? n : 32));
	if (m->extended && below(m, 2) == 0)
		put(m, pos + 8, any_bitmap(m), 8);
	else if (below(m, 4) == 0)
		make_run(m, pos, step);
	else
		put(m, pos, any_entry(m, get(m, pos, 8)), 8);
}

/* ---- Snapshots ---- */

static void mutate_snapshot(struct mutation *m)
{
	static const struct field fields[] = { { 0, 8 },  { 8, 4 },  { 12, 2 }, { 14, 2 },
		                               { 32, 4 }, { 36, 4 }, { 40, 8 }, { 48, 8 } };
	struct field f = fields[below(m, 8)];
	size_t pos = (size_t)get(m, 64, 8);
	uint32_t n = below(m, 4);

	while (n-- > 0 && pos < m->len)
		pos += (40 + (size_t)get(m, pos + 36, 4) + (size_t)get(m, pos + 12, 2) +
		        (size_t)get(m, pos + 14, 2) + 7) &
		       ~(size_t)7;
	pos += f.pos;
	put(m, pos, f.len == 8 && below(m, 2) ? any_pos(m) : any_number(m, get(m, pos, f.len)),
	    f.len);
}

/* ---- Bitmaps ---- */

/* The payload of the extension of this type; 0 if there is none. */
static size_t extension_find(const struct mutation *m, uint32_t type)
{
	size_t pos = get(m, 4, 4) == 2 ? 72 : (size_t)get(m, 100, 4);
	int i;

	for (i = 0; i < 16 && pos < m->len && get(m, pos, 4) != 0; i++) {
		if (get(m, pos, 4) == type)
			return pos + 8;
		pos += 8 + (((size_t)get(m, pos + 4, 4) + 7) & ~(size_t)7);
	}
	return 0;
}

/* The position of one of the first entries of the directory. */
static size_t bitmap_at(struct mutation *m, size_t extension)
{
	size_t pos = (size_t)get(m, extension + 16, 8);
	uint32_t n = below(m, 4);

	while (n-- > 0 && pos < m->len)
		pos += (24 + (size_t)get(m, pos + 20, 4) + (size_t)get(m, pos + 18, 2) + 7) &
		       ~(size_t)7;
	return pos;
}

/* Sets a granularity, and the number of table entries that fits it. */
static void put_granularity(struct mutation *m, size_t bitmap)
{
	uint32_t granularity = 8 + below(m, 25);
	unsigned bits = m->bits + 3 + granularity;

	put(m, bitmap + 17, granularity, 1);
	if (below(m, 4) != 0)
		put(m, bitmap + 8, ((get(m, 24, 8) - 1) >> bits) + 1, 4);
}

static void mutate_bitmap_entry(struct mutation *m, size_t bitmap)
{
	static const struct field fields[] = { { 0, 8 },  { 8, 4 },  { 16, 1 }, { 17, 1 },
		                               { 18, 2 }, { 20, 4 }, { 24, 1 } };
	struct field f = fields[below(m, 7)];

	switch (below(m, 4)) {
	case 0: put_granularity(m, bitmap); break;
	case 1: put(m, bitmap + 12, below(m, 5), 4); break;
	case 2: put(m, bitmap, any_pos(m), 8); break;
	default: put(m, bitmap + f.pos, any_number(m, get(m, bitmap + f.pos, f.len)), f.len); break;
	}
}

/* Changes an entry of the bitmap table, or some bytes of the cluster of bits that it has. */
static void mutate_bits(struct mutation *m, size_t bitmap)
{
	uint32_t n = (uint32_t)get(m, bitmap + 8, 4);
	size_t pos = (size_t)get(m, bitmap, 8) + 8 * below(m, n < 80 ? n : 80);
	uint64_t entry = get(m, pos, 8);
	uint32_t len = 1 + below(m, below(m, 2) == 0 ? 4 : 600);
	uint32_t byte = below(m, 3) == 0 ? below(m, 256) : 255 * below(m, 2);

	switch (below(m, 8)) {
	case 0: put(m, pos, below(m, 4), 8); return;
	case 1: put(m, pos, any_pos(m), 8); return;
	case 2: put(m, pos, entry ^ (uint64_t)1 << below(m, 64), 8); return;
	default: break;
	}
	pos = (size_t)entry_pos(entry);
	if (pos == 0)
		return;
	for (pos += below(m, 1u << m->bits); len > 0; len--)
		put(m, pos++, byte, 1);
}

static void mutate_bitmaps(struct mutation *m)
{
	size_t extension = extension_find(m, 0x23852875);
	size_t bitmap = bitmap_at(m, extension);
	size_t pos = extension + 8 * below(m, 3);

	if (extension == 0)
		mutate_l2(m);
	else if (below(m, 8) == 0)
		put(m, pos, any_number(m, get(m, pos, 8)), 8);
	else if (below(m, 3) == 0)
		mutate_bitmap_entry(m, bitmap);
	else
		mutate_bits(m, bitmap);
}

/* ---- LUKS ---- */

/* Changes a field of the LUKS header. Many iterations would keep QEMU busy, so there are few. */
static void mutate_luks(struct mutation *m)
{
	static const struct field fields[] = { { 6, 2 },   { 104, 4 }, { 108, 4 },
		                               { 112, 4 }, { 132, 4 }, { 208, 4 },
		                               { 216, 4 }, { 248, 4 }, { 252, 4 } };
	size_t extension = extension_find(m, 0x0537be77);
	struct field f = fields[below(m, 9)];
	size_t luks, pos;

	if (extension == 0) {
		mutate_l2(m);
		return;
	}
	luks = (size_t)get(m, extension, 8);
	pos = luks + f.pos + (f.pos >= 208 ? 48 * below(m, 8) : 0);
	switch (below(m, 8)) {
	case 0: put(m, extension + 8 * below(m, 2), any_number(m, get(m, extension, 8)), 8); break;
	case 1: put(m, luks + 8 + 32 * below(m, 3) + below(m, 12), 32 + below(m, 96), 1); break;
	case 2: put(m, luks + 164, below(m, 4), 4); break;
	case 3: put(m, luks + 212 + 48 * below(m, 8), below(m, 4), 4); break;
	case 4: put(m, luks + 208 + 48 * below(m, 8), below(m, 2) ? 0xac71f3 : 0xdead, 4); break;
	default: put(m, pos, any_number(m, get(m, pos, f.len)), f.len); break;
	}
}

/* ---- Version 1 ---- */

static void mutate_v1_header(struct mutation *m)
{
	static const struct field fields[] = { { 8, 8 },  { 16, 4 }, { 24, 8 }, { 32, 1 },
		                               { 33, 1 }, { 36, 4 }, { 40, 8 } };
	struct field f = fields[below(m, 7)];

	if (f.pos == 32)
		put(m, 32, 8 + below(m, 10), 1);
	else if (f.pos == 33)
		put(m, 33, 5 + below(m, 10), 1);
	else if (f.pos == 36)
		put(m, 36, below(m, 3), 4);
	else
		put(m, f.pos, any_number(m, get(m, f.pos, f.len)), f.len);
}

/* Positions of data are multiples of 512, and those of packed data and of tables any. */
static uint64_t any_v1_entry(struct mutation *m, uint64_t now)
{
	uint64_t pos = below(m, (uint32_t)m->len + 600);
	uint64_t len = below(m, below(m, 2) == 0 ? 100 : 1u << m->bits);

	switch (below(m, 10)) {
	case 0: return 0;
	case 1: return pos;
	case 2: return any_number(m, now);
	case 3: return (uint64_t)1 << 63 | len << (63 - m->bits) | pos;
	case 4: return now ^ (uint64_t)1 << below(m, 64);
	case 5: return now + ((uint64_t)1 << m->bits);
	case 6: return m->len - below(m, 20); /* an entry may be there only in part */
	default: return pos / 512 * 512;
	}
}

/* Changes an entry of the L1 table, or of the L2 table that one of its first entries is about. */
static void mutate_v1_entry(struct mutation *m)
{
	size_t pos = (size_t)get(m, 40, 8) + 8 * below(m, 4);
	uint64_t table = get(m, pos, 8);

	if (table != 0 && table < m->len && below(m, 8) != 0)
		pos = (size_t)table + 8 * below(m, 40);
	put(m, pos, any_v1_entry(m, get(m, pos, 8)), 8);
}

static void mutate_v1(struct mutation *m)
{
	switch (below(m, 8)) {
	case 0:
	case 1: mutate_v1_header(m); break;
	case 2: mutate_choices(m); break;
	default: mutate_v1_entry(m); break;
	}
}

/* ---- All ---- */

/* Flips any bit of the image, such as one of packed data. */
static void flip(struct mutation *m)
{
	size_t pos = below(m, (uint32_t)m->len);

	put(m, pos, get(m, pos, 1) ^ (uint64_t)1 << below(m, 8), 1);
}

static bool is_image(const uint8_t *data, size_t len)
{
	return len >= 104 && memcmp(data, "QFI\xfb", 4) == 0;
}

/* Finds the image in the input, or one of the images of a container. */
static bool find_image(struct mutation *m, uint8_t *data, size_t len)
{
	uint64_t start = 16;
	uint32_t n, i;

	m->data = data;
	m->len = len;
	if (len > 16 && memcmp(data, "LAYR", 4) == 0) {
		n = below(m, 4);
		for (i = 0; i < n; i++)
			start += get(m, 4 + 4 * i, 4);
		if (start >= len)
			start = 16;
		m->data = data + start;
		m->len = len - (size_t)start;
	}
	if (!is_image(m->data, m->len))
		return false;
	m->is_v1 = get(m, 4, 4) == 1;
	m->bits = (unsigned)(m->is_v1 ? get(m, 32, 1) : get(m, 20, 4));
	if (m->bits < 9 || m->bits > 21)
		m->bits = 9;
	m->extended = (get(m, 72, 8) & 16) != 0 && get(m, 4, 4) == 3;
	return true;
}

static void mutate_image(struct mutation *m)
{
	uint32_t n = 1 + below(m, 4);

	while (n-- > 0) {
		if (m->is_v1) {
			mutate_v1(m);
			continue;
		}
		switch (below(m, 20)) {
		case 0:
		case 1: mutate_header(m); break;
		case 2: mutate_extension(m); break;
		case 3:
		case 4: mutate_l1(m); break;
		case 5: mutate_snapshot(m); break;
		case 6:
		case 7: mutate_choices(m); break;
		case 8: flip(m); break;
		case 9:
		case 10:
		case 11:
		case 12: mutate_bitmaps(m); break;
		case 13: mutate_luks(m); break;
		default: mutate_l2(m); break;
		}
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t len, size_t max, unsigned seed)
{
	static int is_plain = -1;
	struct mutation m = { .random = (uint64_t)seed * UINT64_C(0x9e3779b97f4a7c15) + 88172645 };

	if (is_plain < 0)
		is_plain = getenv("FUZZ_PLAIN") != NULL;
	if (is_plain == 0 && find_image(&m, data, len) &&
	    (below(&m, 2) == 0 || LLVMFuzzerMutate == NULL)) {
		mutate_image(&m);
		return len;
	}
	return LLVMFuzzerMutate != NULL ? LLVMFuzzerMutate(data, len, max) : len;
}
