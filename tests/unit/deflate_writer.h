/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Writes deflate streams (RFC 1951) bit by bit, valid or not: blocks, codes, symbols. There is one
 * stream at a time, in `writer`, and one pair of codes, in `lit` and `dist`.
 */
#ifndef TEST_DEFLATE_WRITER_H
#define TEST_DEFLATE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_IN = 400000 }; /* room for the longest stream of the tests */

extern struct deflate_writer {
	uint8_t bytes[MAX_IN];
	size_t n_bits;
} writer;

void begin_stream(void);
size_t stream_len(void); /* in bytes; the last one may be partly used */

void put(uint32_t value, unsigned n);     /* a number of n bits, lowest bit first */
void put_code(uint32_t code, unsigned n); /* a Huffman code of n bits, highest bit first */
void put_stored(bool final, const uint8_t *bytes, uint32_t len);

/* The lengths of a Huffman code, and the code words that follow from them (RFC 1951, 3.2.2). */
struct code {
	uint32_t n; /* symbols */
	uint8_t len[288];
	uint16_t code[288];
};

extern struct code lit, dist;

/* Sets all lengths to 0. The caller then sets those of lit.len and dist.len that it wants. */
void no_codes(uint32_t n_lit, uint32_t n_dist);
/* The longest possible code: symbols[k] has a code word of k + 1 bits, the last one of n - 1. */
void staircase(struct code *c, const uint16_t *symbols, uint32_t n);

void put_fixed(bool final);   /* a header with the fixed codes; sets lit and dist */
void put_dynamic(bool final); /* a header with the codes in lit and dist */
void put_lit(uint32_t symbol);
void put_dist(uint32_t symbol);
void put_literals(const uint8_t *bytes, size_t len);

/* For each length and distance symbol, its least value and number of extra bits (3.2.5). */
extern const uint16_t len_base[29], dist_base[30];
extern const uint8_t len_extra[29], dist_extra[30];

uint32_t dist_symbol(uint32_t distance);
void put_match_of(uint32_t len_symbol, uint32_t len_bits, uint32_t dist_symbol, uint32_t dist_bits);
void put_match(uint32_t len, uint32_t distance);

#endif
