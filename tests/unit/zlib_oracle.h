/* SPDX-License-Identifier: MIT */
/*
 * What zlib says about deflate streams. zlib_oracle.c asks zlib, and writes what it says to the
 *file that TEST_ANSWERS names, if that is set. mini/zlib_oracle.c is for targets without zlib
 *(cross.sh): it reads the answers there. The tests ask the same questions on each processor, or
 *they fail.
 *
 * A line of the file is one answer: a hash of the question, and then
 *	of zlib_inflate    what it returns, *made, a hash of the bytes that were made
 *	of zlib_deflate    the length of the stream; the stream follows the line
 */
#ifndef TEST_ZLIB_ORACLE_H
#define TEST_ZLIB_ORACLE_H

#include <stddef.h>
#include <stdint.h>

enum {
	ZLIB_MADE = 0,   /* out_len bytes came */
	ZLIB_WRONG = -1, /* they did not, *made of them did */
	/* They came, but zlib looked further, and did not like what it saw. */
	ZLIB_WRONG_BEHIND = 1,
	/* They came, and the input was over before zlib could tell. */
	ZLIB_CUT_BEHIND = 2
};

int zlib_inflate(const uint8_t *bytes, size_t len, uint32_t out_len, uint32_t *made);

/* Are these the bytes that the last stream made? */
void zlib_same(const uint8_t *bytes);

/* As in deflateInit2; window_bits as a positive number, for a raw stream. */
struct zlib_deflate {
	int level, window_bits, memory, strategy;
};

/* Compresses to out; returns the length. */
size_t zlib_deflate(const struct zlib_deflate *how, const uint8_t *bytes, uint32_t len,
                    uint8_t *out, size_t out_len);

/* FNV-1a, in go: begins with ZLIB_HASH. */
#define ZLIB_HASH UINT64_C(0xcbf29ce484222325)

static inline uint64_t zlib_hash(uint64_t hash, const uint8_t *bytes, size_t len)
{
	for (; len != 0; len--)
		hash = (hash ^ *bytes++) * UINT64_C(0x100000001b3);
	return hash;
}

static inline uint64_t zlib_hash_inflate(const uint8_t *bytes, size_t len, uint32_t out_len)
{
	return zlib_hash(ZLIB_HASH + out_len, bytes, len);
}

static inline uint64_t zlib_hash_deflate(const struct zlib_deflate *how, const uint8_t *bytes,
                                         uint32_t len)
{
	uint8_t settings[] = { (uint8_t)how->level, (uint8_t)how->window_bits, (uint8_t)how->memory,
		               (uint8_t)how->strategy };

	return zlib_hash(zlib_hash(ZLIB_HASH, settings, sizeof(settings)), bytes, len);
}

#endif
