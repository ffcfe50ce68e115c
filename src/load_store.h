/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Loads and stores of several bytes, for the fast decoders. Compilers turn each into one
 * instruction on processors that allow any alignment. The first byte is the lowest one of a word.
 */
#ifndef QCOW2_LOAD_STORE_H
#define QCOW2_LOAD_STORE_H

#include "qcow2/types.h"

/* Bits that are loaded at once. On 32-bit processors, 64-bit shifts are slow. */
#if SIZE_MAX > 0xffffffff
typedef uint64_t q2_word;
enum { Q2_WORD_BITS = 64 };

static inline q2_word q2_word_load(const uint8_t *p)
{
	return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
	       (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
	       (uint64_t)p[7] << 56;
}

static inline void q2_word_store(uint8_t *p, q2_word value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
	p[2] = (uint8_t)(value >> 16);
	p[3] = (uint8_t)(value >> 24);
	p[4] = (uint8_t)(value >> 32);
	p[5] = (uint8_t)(value >> 40);
	p[6] = (uint8_t)(value >> 48);
	p[7] = (uint8_t)(value >> 56);
}

/*
 * Copies 16 bytes of `out`, as two words one after the other, so that the second may be of what the
 * first one made.
 */
static inline void q2_copy_16(uint8_t *out, uint32_t to, uint32_t from)
{
	q2_word_store(out + to, q2_word_load(out + from));
	q2_word_store(out + to + 8, q2_word_load(out + from + 8));
}
#else
typedef uint32_t q2_word;
enum { Q2_WORD_BITS = 32 };

static inline q2_word q2_word_load(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
#endif

#endif
