/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "deflate_writer.h"

#include <string.h>

#include "support.h"

struct deflate_writer writer;

void begin_stream(void)
{
	memset(writer.bytes, 0, (writer.n_bits + 7) / 8 + 1);
	writer.n_bits = 0;
}

size_t stream_len(void)
{
	return (writer.n_bits + 7) / 8;
}

void put(uint32_t value, unsigned n)
{
	for (; n != 0; n--, value >>= 1, writer.n_bits++) {
		TRUE(writer.n_bits / 8 < MAX_IN);
		writer.bytes[writer.n_bits / 8] |= (uint8_t)((value & 1) << writer.n_bits % 8);
	}
}

void put_code(uint32_t code, unsigned n)
{
	while (n != 0)
		put(code >> --n & 1, 1);
}

void put_stored(bool final, const uint8_t *bytes, uint32_t len)
{
	uint32_t i;

	put(final, 1);
	put(0, 2);
	put(0, (unsigned)(-writer.n_bits & 7));
	put(len, 16);
	put(~len & 0xffff, 16);
	for (i = 0; i < len; i++)
		put(bytes[i], 8);
}

struct code lit, dist;

static void number_code(struct code *c)
{
	uint32_t next = 0;
	uint8_t len;
	uint32_t i;

	for (len = 1; len <= 15; len++, next <<= 1) {
		for (i = 0; i < c->n; i++) {
			if (c->len[i] == len)
				c->code[i] = (uint16_t)next++;
		}
	}
}

/* RFC 1951 section 3.2.6. */
static void fixed_codes(void)
{
	lit.n = 288;
	dist.n = 32;
	memset(lit.len, 8, 144);
	memset(lit.len + 144, 9, 112);
	memset(lit.len + 256, 7, 24);
	memset(lit.len + 280, 8, 8);
	memset(dist.len, 5, 32);
	number_code(&lit);
	number_code(&dist);
}

void no_codes(uint32_t n_lit, uint32_t n_dist)
{
	memset(&lit, 0, sizeof(lit));
	memset(&dist, 0, sizeof(dist));
	lit.n = n_lit;
	dist.n = n_dist;
}

void staircase(struct code *c, const uint16_t *symbols, uint32_t n)
{
	uint32_t i;

	TRUE(n <= 16);
	for (i = 0; i < n; i++)
		c->len[symbols[i]] = (uint8_t)(i + 1 == n ? i : i + 1);
}
void put_fixed(bool final)
{
	fixed_codes();
	put(final, 1);
	put(1, 2);
}

/* Every code length is written with four bits. */
void put_dynamic(bool final)
{
	uint32_t i;

	number_code(&lit);
	number_code(&dist);
	put(final, 1);
	put(2, 2);
	put(lit.n - 257, 5);
	put(dist.n - 1, 5);
	put(19 - 4, 4);
	for (i = 0; i < 19; i++)
		put(i < 3 ? 0 : 4, 3);
	for (i = 0; i < lit.n + dist.n; i++)
		put_code(i < lit.n ? lit.len[i] : dist.len[i - lit.n], 4);
}

void put_lit(uint32_t symbol)
{
	put_code(lit.code[symbol], lit.len[symbol]);
}

void put_dist(uint32_t symbol)
{
	put_code(dist.code[symbol], dist.len[symbol]);
}

void put_literals(const uint8_t *bytes, size_t len)
{
	while (len-- != 0)
		put_lit(*bytes++);
}

const uint16_t len_base[29] = { 3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
	                        31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258 };
const uint8_t len_extra[29] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
	                        2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 };
const uint16_t dist_base[30] = { 1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
	                         33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
	                         1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577 };
const uint8_t dist_extra[30] = { 0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6,
	                         6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13 };

void put_match_of(uint32_t len_symbol, uint32_t len_bits, uint32_t dist_symbol, uint32_t dist_bits)
{
	put_lit(257 + len_symbol);
	put(len_bits, len_extra[len_symbol]);
	put_dist(dist_symbol);
	put(dist_bits, dist_extra[dist_symbol]);
}

uint32_t dist_symbol(uint32_t distance)
{
	uint32_t symbol = 29;

	while (dist_base[symbol] > distance)
		symbol--;
	return symbol;
}

void put_match(uint32_t len, uint32_t distance)
{
	uint32_t l = 28, d = dist_symbol(distance);

	while (len_base[l] > len)
		l--;
	put_match_of(l, len - len_base[l], d, distance - dist_base[d]);
}
