/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * How the fast decoder for zstd reads bits. Streams of literals and sequences are read backwards,
 * from the last byte to the first, and must be used up exactly. The bits of a stream are numbered
 * from the lowest bit of its first byte. `left` is the number of those not yet taken, so the next
 * one is left - 1. Section numbers are those of RFC 8878.
 *
 * The functions are in a header because the loops over literals and sequences are slower unless
 * compilers can inline them.
 */
#ifndef QCOW2_ZSTD_FAST_BITS_H
#define QCOW2_ZSTD_FAST_BITS_H

#include "load_store.h"
#include "qcow2/types.h"

/* A stream that is read backwards. */
struct zfast_bits {
	const uint8_t *bytes;
	uint32_t left; /* bits not yet taken */
	bool over;     /* more bits were wanted than there are */
};

/* Reads a number of n <= 4 bytes. */
static inline uint32_t q2_zfast_le(const uint8_t *p, uint32_t n)
{
	uint32_t value = 0;

	/*@ loop invariant n <= \at(n, Pre);
	    loop assigns n, value;
	    loop variant n; */
	while (n != 0)
		value = value << 8 | p[--n];
	return value;
}

/* Begins a stream. Returns false if it has no last bit: 4.1, "the final bit". */
static inline bool q2_zfast_open(struct zfast_bits *b, const uint8_t *bytes, uint32_t len)
{
	uint32_t last;

	if (len == 0 || bytes[len - 1] == 0)
		return false;
	b->bytes = bytes;
	b->left = len * 8;
	b->over = false;
	/*@ // Each turn doubles `last`, which was not 0, so there are at most 7.
	    loop invariant len * 8 - 7 <= b->left <= len * 8 && last < 0x200;
	    loop invariant 2 <= last && (b->left <= len * 8 - 1 ==> 4 <= last) &&
	                   (b->left <= len * 8 - 2 ==> 8 <= last) &&
	                   (b->left <= len * 8 - 3 ==> 16 <= last) &&
	                   (b->left <= len * 8 - 4 ==> 32 <= last) &&
	                   (b->left <= len * 8 - 5 ==> 64 <= last) &&
	                   (b->left <= len * 8 - 6 ==> 128 <= last) &&
	                   (b->left <= len * 8 - 7 ==> 256 <= last);
	    loop assigns last, b->left;
	    loop variant b->left; */
	for (last = (uint32_t)bytes[len - 1] << 1; (last & 0x100u) == 0; last <<= 1)
		b->left--;
	b->left--;
	return true;
}

/* Returns the n <= 31 bits from bit number `at` on. */
static inline uint32_t q2_zfast_bits_at(const uint8_t *bytes, uint32_t at, uint32_t n)
{
	const uint8_t *p = bytes + (at >> 3);
	uint32_t have = 8 - (at & 7u);
	uint32_t value = (uint32_t)*p >> (at & 7u);

	/*@ loop invariant 1 <= have < n + 8 || have == 8 - at % 8;
	    loop invariant (at + have) % 8 == 0 && p == bytes + ((at + have) / 8 - 1);
	    loop assigns p, have, value;
	    loop variant 40 - have; */
	for (; have < n; have += 8)
		value |= (uint32_t)(*++p) << have;
	return value & ((1u << n) - 1u);
}

/* Takes the next n <= 31 bits. If there are not so many, returns 0 and sets `over`. */
static inline uint32_t q2_zfast_take(struct zfast_bits *b, uint32_t n)
{
	if (n > b->left) {
		b->left = 0;
		b->over = true;
		return 0;
	}
	b->left -= n;
	return q2_zfast_bits_at(b->bytes, b->left, n);
}

/*
 * Returns the next bits of a stream, the next one highest: all of the word but up to 7. There must
 * be Q2_WORD_BITS bits left.
 */
static inline q2_word q2_zfast_peek_word(const uint8_t *bytes, uint32_t left)
{
	return q2_word_load(bytes + ((left + 7u) >> 3) - sizeof(q2_word)) << ((0u - left) & 7u);
}

#endif
