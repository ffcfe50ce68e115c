/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * XXH64 with seed 0, the checksum of zstd frames. The steps are those of the XXH64 algorithm in the
 * xxHash specification (doc/xxhash_spec.md).
 *
 * Where registers have 32 bits, a 64-bit multiplication is a call of a helper from the compiler's
 * runtime library on some processors. So it is put together there from 16-bit halves of words.
 */
#include "zstd_format.h"

#define XXH_PRIME_1 UINT64_C(0x9E3779B185EBCA87)
#define XXH_PRIME_2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define XXH_PRIME_3 UINT64_C(0x165667B19E3779F9)
#define XXH_PRIME_4 UINT64_C(0x85EBCA77C2B2AE63)
#define XXH_PRIME_5 UINT64_C(0x27D4EB2F165667C5)

#if UINTPTR_MAX > UINT32_MAX
static uint64_t xxh_mul(uint64_t a, uint64_t b)
{
	return a * b;
}

static uint64_t xxh_rotate(uint64_t value, uint32_t bits)
{
	return value << bits | value >> (64u - bits);
}
#else
/* The low 64 bits of the product. The high words count only once, so no carry of theirs is lost. */
static uint64_t xxh_mul(uint64_t a, uint64_t b)
{
	uint32_t a_low = (uint32_t)a;
	uint32_t b_low = (uint32_t)b;
	uint32_t a0 = a_low & 0xffffu, a1 = a_low >> 16;
	uint32_t b0 = b_low & 0xffffu, b1 = b_low >> 16;
	uint32_t low = a0 * b0;
	uint32_t middle = a1 * b0 + (low >> 16); /* at most 2^32 - 2^16 - 1 */
	uint32_t more = a0 * b1 + (middle & 0xffffu);
	uint32_t high = a1 * b1 + (middle >> 16) + (more >> 16);

	high += a_low * (uint32_t)(b >> 32) + (uint32_t)(a >> 32) * b_low;
	return (uint64_t)high << 32 | (more << 16 | (low & 0xffffu));
}

/* Rotates left by less than 32 bits, but not by 0. */
static uint64_t xxh_rotate(uint64_t value, uint32_t bits)
{
	uint32_t high = (uint32_t)(value >> 32);
	uint32_t low = (uint32_t)value;

	return (uint64_t)(high << bits | low >> (32u - bits)) << 32 |
	       (low << bits | high >> (32u - bits));
}
#endif

static uint32_t xxh_load32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t xxh_load64(const uint8_t *p)
{
	return xxh_load32(p) | (uint64_t)xxh_load32(p + 4) << 32;
}

/* Rotates, multiplies and adds: the end of all steps below. */
static uint64_t xxh_mix(uint64_t value, uint32_t bits, uint64_t factor, uint64_t more)
{
	return xxh_mul(xxh_rotate(value, bits), factor) + more;
}

/* "round": takes 8 bytes of input into an accumulator. */
static uint64_t xxh_round(uint64_t acc, uint64_t input)
{
	return xxh_mix(acc + xxh_mul(input, XXH_PRIME_2), 31, XXH_PRIME_1, 0);
}

/* Takes stripes of 32 bytes into four accumulators, and merges these. */
static uint64_t xxh_stripes(const uint8_t *bytes, const uint8_t *end)
{
	static const uint8_t turns[4] = { 1, 7, 12, 18 };
	uint64_t acc[4] = { XXH_PRIME_1 + XXH_PRIME_2, XXH_PRIME_2, 0, 0 - XXH_PRIME_1 };
	uint64_t hash = 0;
	uint32_t i;

	for (; bytes != end; bytes += 32)
		for (i = 0; i < 4; i++)
			acc[i] = xxh_round(acc[i], xxh_load64(bytes + 8u * i));
	for (i = 0; i < 4; i++)
		hash += xxh_rotate(acc[i], turns[i]);
	for (i = 0; i < 4; i++)
		hash = xxh_mul(hash ^ xxh_round(0, acc[i]), XXH_PRIME_1) + XXH_PRIME_4;
	return hash;
}

/* Takes the last len < 32 bytes. */
static uint64_t xxh_rest(uint64_t hash, const uint8_t *bytes, uint32_t len)
{
	for (; len >= 8; len -= 8, bytes += 8)
		hash = xxh_mix(hash ^ xxh_round(0, xxh_load64(bytes)), 27, XXH_PRIME_1,
		               XXH_PRIME_4);
	if (len >= 4) {
		hash = xxh_mix(hash ^ xxh_mul(xxh_load32(bytes), XXH_PRIME_1), 23, XXH_PRIME_2,
		               XXH_PRIME_3);
		len -= 4;
		bytes += 4;
	}
	for (; len != 0; len--, bytes++)
		hash = xxh_mix(hash ^ xxh_mul(*bytes, XXH_PRIME_5), 11, XXH_PRIME_1, 0);
	return hash;
}

uint64_t q2_xxh64(const uint8_t *bytes, uint32_t len)
{
	uint32_t rest = len & 31u;
	uint64_t hash = XXH_PRIME_5;

	if (rest != len)
		hash = xxh_stripes(bytes, bytes + (len - rest));
	hash = xxh_rest(hash + len, bytes + (len - rest), rest);
	/* "Avalanche": every bit of the input gets a say in every bit of the result. */
	hash = xxh_mul(hash ^ hash >> 33, XXH_PRIME_2);
	hash = xxh_mul(hash ^ hash >> 29, XXH_PRIME_3);
	return hash ^ hash >> 32;
}
