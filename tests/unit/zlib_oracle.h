/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What zlib makes of deflate streams. zlib_oracle.c asks zlib and, if TEST_ANSWERS names a file,
 * also writes the answers there. mini/zlib_oracle.c is for targets without zlib (cross.sh): it
 * reads the answers from that file. A test asks the same questions in the same order on each
 * processor. If it did not, the hash of the question would differ, and the test would fail.
 *
 * Each line of the file is an answer: a hash of the question, and then
 *	for zlib_inflate    the result, *made, a hash of the output
 *	for zlib_deflate    the length of the stream; the stream follows the line
 */
#ifndef TEST_ZLIB_ORACLE_H
#define TEST_ZLIB_ORACLE_H

#include <stddef.h>
#include <stdint.h>

enum {
	ZLIB_MADE = 0,         /* zlib made out_len bytes */
	ZLIB_WRONG = -1,       /* it made only *made of them: the stream is damaged or too short */
	ZLIB_WRONG_BEHIND = 1, /* it made all of them and found a fault in what follows */
	ZLIB_CUT_BEHIND = 2    /* it made all of them, and the input ended within what follows */
};

int zlib_inflate(const uint8_t *bytes, size_t len, uint32_t out_len, uint32_t *made);

/* Checks that these are the bytes that the last zlib_inflate made. */
void zlib_same(const uint8_t *bytes);

/* Arguments of deflateInit2, for a raw stream; window_bits is positive here. */
struct zlib_deflate {
	int level, window_bits, memory, strategy;
};

/* Compresses to out; returns the length. */
size_t zlib_deflate(const struct zlib_deflate *how, const uint8_t *bytes, uint32_t len,
                    uint8_t *out, size_t out_len);

/* FNV-1a; the hash of nothing is ZLIB_HASH. */
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
