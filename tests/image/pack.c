/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "pack.h"

#include <stdlib.h>
#include <string.h>

enum { HASH_BITS_MIN = 9, HASH_BITS_MAX = 16, MATCH_MIN = 3, MATCH_MAX = 258, STORED_MAX = 65535 };
enum { ZSTD_BLOCK_MAX = 1 << 17 };

struct bits {
	uint8_t *out;
	size_t len;
	uint32_t acc;
	unsigned n;
};

static void put_bits(struct bits *b, uint32_t value, unsigned n)
{
	b->acc |= value << b->n;
	b->n += n;
	while (b->n >= 8) {
		b->out[b->len++] = (uint8_t)b->acc;
		b->acc >>= 8;
		b->n -= 8;
	}
}

/* Huffman codes go out with their first bit first. */
static void put_code(struct bits *b, uint32_t code, unsigned n)
{
	uint32_t turned = 0;

	for (unsigned i = 0; i < n; i++)
		turned |= (code >> i & 1) << (n - 1 - i);
	put_bits(b, turned, n);
}

/* RFC 1951 section 3.2.6. */
static void put_symbol(struct bits *b, unsigned symbol)
{
	if (symbol < 144)
		put_code(b, 0x30 + symbol, 8);
	else if (symbol < 256)
		put_code(b, 0x190 + symbol - 144, 9);
	else if (symbol < 280)
		put_code(b, symbol - 256, 7);
	else
		put_code(b, 0xc0 + symbol - 280, 8);
}

static const uint16_t length_base[29] = { 3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
	                                  15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
	                                  67, 83, 99, 115, 131, 163, 195, 227, 258 };
static const uint8_t length_extra[29] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
	                                  2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 };

static void put_match(struct bits *b, unsigned len, unsigned dist)
{
	unsigned i = 28;
	unsigned code = 0;
	unsigned extra = 0;
	unsigned base = dist - 1;

	while (length_base[i] > len)
		i--;
	put_symbol(b, 257 + i);
	put_bits(b, len - length_base[i], length_extra[i]);
	/*
	 * Distance codes 0 to 3 have no extra bits; then there are two codes for each number of
	 * them.
	 */
	while (base >> extra > 3)
		extra++;
	code = 2 * extra + (base >> extra);
	put_code(b, code, 5);
	put_bits(b, base & ((1u << extra) - 1), extra);
}

size_t pack_bound(size_t len)
{
	return len + len / 8 + 5 * (len / STORED_MAX + 1) + 16;
}

size_t pack_stored(uint8_t *out, const uint8_t *in, size_t len)
{
	size_t at = 0;
	size_t done = 0;

	do {
		size_t n = len - done < STORED_MAX ? len - done : STORED_MAX;

		out[at++] = done + n == len;
		out[at++] = (uint8_t)(n & 0xff);
		out[at++] = (uint8_t)(n >> 8);
		out[at++] = (uint8_t)(~n & 0xff);
		out[at++] = (uint8_t)(~n >> 8 & 0xff);
		if (n != 0)
			memcpy(out + at, in + done, n);
		at += n;
		done += n;
	} while (done < len);
	return at;
}

static size_t match_len(const uint8_t *in, size_t from, size_t at, size_t len)
{
	size_t n = 0;

	while (n < MATCH_MAX && at + n < len && in[from + n] == in[at + n])
		n++;
	return n;
}

static unsigned hash3(const uint8_t *p, unsigned bits)
{
	uint32_t v = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;

	return (unsigned)(v * UINT32_C(2654435761) >> (32 - bits));
}

size_t pack_fixed(uint8_t *out, const uint8_t *in, size_t len, unsigned max_dist)
{
	struct bits b = { .out = out };
	unsigned bits = HASH_BITS_MIN;
	size_t *last = NULL; /* position + 1 */
	size_t at = 0;

	while (bits < HASH_BITS_MAX && (size_t)1 << bits < len)
		bits++;
	last = calloc((size_t)1 << bits, sizeof *last);
	if (last == NULL)
		abort();
	put_bits(&b, 1, 1);
	put_bits(&b, 1, 2);
	while (at < len) {
		size_t n = 0;
		size_t from = 0;

		if (len - at >= MATCH_MIN) {
			unsigned h = hash3(in + at, bits);

			from = last[h];
			last[h] = at + 1;
			if (from != 0 && at + 1 - from <= max_dist)
				n = match_len(in, from - 1, at, len);
		}
		if (n >= MATCH_MIN) {
			put_match(&b, (unsigned)n, (unsigned)(at + 1 - from));
			at += n;
		} else {
			put_symbol(&b, in[at++]);
		}
	}
	put_symbol(&b, 256);
	put_bits(&b, 0, 7);
	free(last);
	return b.len;
}

/* Writes a number of n bytes, the lowest first. */
static size_t put_le(uint8_t *out, uint32_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(value >> 8 * i);
	return n;
}

size_t pack_zstd(uint8_t *out, const uint8_t *in, size_t len)
{
	size_t at = 0;
	size_t done = 0;

	at += put_le(out + at, 0xfd2fb528, 4);
	at += put_le(out + at, 0xa0, 1); /* a single segment, its size in 4 bytes */
	at += put_le(out + at, (uint32_t)len, 4);
	do {
		size_t n = len - done < ZSTD_BLOCK_MAX ? len - done : ZSTD_BLOCK_MAX;

		at += put_le(out + at, (uint32_t)n << 3 | (done + n == len), 3);
		if (n != 0)
			memcpy(out + at, in + done, n);
		at += n;
		done += n;
	} while (done < len);
	return at;
}
