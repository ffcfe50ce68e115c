/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The deflate format with both built-in decoders, in the order of RFC 1951: stored, fixed and
 * dynamic blocks, distances; and for each the streams that are not valid.
 */
#include "inflate.h"

#include <string.h>

/* ---- stored blocks: RFC 1951 section 3.2.4 ---- */

static void test_stored(void **state)
{
	static const uint32_t lens[] = { 1, 2, 7, 8, 9, 255, 4096, 65535 };
	size_t i;

	(void)state;
	random_bytes(wanted, sizeof(wanted), 256);
	for (i = 0; i < COUNT(lens); i++) {
		begin_stream();
		put_stored(true, wanted, lens[i]);
		expect_bytes(wanted, lens[i]);
		EQ(decode_plain(lens[i] + 1), QCOW2_E_COMPRESSED);
	}
	begin_stream();
	put_stored(false, wanted, 0);
	put_stored(false, wanted, 100);
	put_stored(false, wanted, 0);
	put_stored(true, wanted + 100, 65535);
	expect_bytes(wanted, 65635);
}

static void test_stored_after_bits(void **state)
{
	uint32_t n;

	(void)state;
	random_bytes(wanted, sizeof(wanted), 256);
	/* After fixed blocks of growing length, the stored block starts at every bit of a byte. */
	for (n = 0; n < 40; n++) {
		begin_stream();
		put_fixed(false);
		put_literals(wanted, n);
		put_lit(256);
		put_stored(false, wanted + n, 50);
		put_fixed(true);
		put_literals(wanted + n + 50, 20);
		put_lit(256);
		expect_bytes(wanted, n + 70);
	}
}

static void test_stored_complement(void **state)
{
	unsigned bit;

	(void)state;
	for (bit = 0; bit < 32; bit++) {
		begin_stream();
		put_stored(true, wanted, 5);
		EQ(decode_plain(5), QCOW2_OK);
		writer.bytes[1 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		EQ(decode_plain(5), QCOW2_E_COMPRESSED);
	}
}

/* ---- fixed codes: RFC 1951 section 3.2.6 ---- */

static void test_fixed_literals(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < 256; i++)
		wanted[i] = (uint8_t)i;
	begin_stream();
	put_fixed(false);
	put_literals(wanted, 256);
	put_lit(256);
	put_fixed(true); /* these codes are set already */
	put_literals(wanted, 256);
	put_lit(256);
	memcpy(wanted + 256, wanted, 256);
	expect_bytes(wanted, 512);
}

/* Dynamic and fixed blocks in turn: no block may use the codes of the one before it. */
static void test_codes_do_not_stay(void **state)
{
	uint32_t i;

	(void)state;
	begin_stream();
	for (i = 0; i < 6; i++) {
		if (i % 2 == 0) {
			put_fixed(false);
		} else {
			no_codes(257, 1);
			lit.len['a'] = lit.len[256] = 1;
			put_dynamic(i == 5);
		}
		put_lit('a');
		put_lit(256);
	}
	expect_bytes((const uint8_t *)"aaaaaa", 6);
}

/* Matches of every length, near and far in turn: some overlap themselves, some do not. */
static void each_length(bool final)
{
	uint32_t n = 100, symbol;

	put_literals(wanted, n);
	for (symbol = 0; symbol < 29; symbol++) {
		uint32_t bits;

		for (bits = 0; bits < 1u << len_extra[symbol]; bits++) {
			uint32_t distance = symbol % 2 == 0 ? 100 : 1 + bits % 20;
			uint32_t d = dist_symbol(distance);

			put_match_of(symbol, bits, d, distance - dist_base[d]);
			copy_match(n, len_base[symbol] + bits, distance);
			n += len_base[symbol] + bits;
		}
	}
	put_lit(256);
	expect_bytes(wanted, n);
	EQ(decode_plain(n + 1), final ? QCOW2_E_COMPRESSED : QCOW2_E_TRUNCATED);
}

static void each_distance(void)
{
	uint32_t n = 33000, symbol;

	for (symbol = 0; symbol < 30; symbol++) {
		uint32_t max = (1u << dist_extra[symbol]) - 1, k;

		for (k = 0; k < 4; k++) {
			uint32_t bits = k == 0 ? 0 : k == 1 ? max : below(max + 1);
			uint32_t len = 3 + below(40);

			put_match(len, dist_base[symbol] + bits);
			copy_match(n, len, dist_base[symbol] + bits);
			n += len;
		}
	}
	put_lit(256);
	expect_bytes(wanted, n);
}

static void test_fixed_lengths(void **state)
{
	(void)state;
	random_bytes(wanted, 100, 256);
	begin_stream();
	put_fixed(true);
	each_length(true);
	begin_stream();
	put_fixed(false);
	each_length(false);
}

static void test_fixed_distances(void **state)
{
	(void)state;
	random_bytes(wanted, 33000, 256);
	begin_stream();
	put_stored(false, wanted, 33000);
	put_fixed(true);
	each_distance();
}

static void test_fixed_bad_symbols(void **state)
{
	uint32_t symbol;

	(void)state;
	for (symbol = 286; symbol < 288; symbol++) {
		begin_stream();
		put_fixed(true);
		put_lit('a');
		put_lit(symbol);
		put(0, 32);
		EQ(decode_plain(1), QCOW2_OK);
		EQ(decode_plain(2), QCOW2_E_COMPRESSED);
	}
	for (symbol = 30; symbol < 32; symbol++) {
		begin_stream();
		put_fixed(true);
		put_lit('a');
		put_lit(257);
		put_dist(symbol);
		put(0, 300);
		EQ(decode_plain(1), QCOW2_OK);
		EQ(decode_plain(2), QCOW2_E_COMPRESSED);
	}
}

/* The same inside the fast loop, after enough output for any distance. */
static void test_bad_symbols_amid(void **state)
{
	const uint32_t n = 65000;
	uint32_t symbol;

	(void)state;
	random_bytes(wanted, n, 256);
	for (symbol = 284; symbol < 292; symbol++) {
		struct run run = { .out_len = n + 300 };

		begin_stream();
		put_stored(false, wanted, n - 1000);
		put_fixed(true);
		put_literals(wanted + n - 1000, 1000);
		if (symbol < 288) {
			put_lit(symbol);
			put_dist(0);
		} else {
			put_lit(257);
			put_dist(symbol - 260); /* 28 to 31 */
			put(1, 13);
		}
		put(0, 3000);
		EQ(decode_plain(n), QCOW2_OK);
		EQ(decode_plain(n + 1),
		   symbol < 286 || symbol == 288 || symbol == 289 ? QCOW2_OK : QCOW2_E_COMPRESSED);
		if (symbol < 286 || symbol == 288 || symbol == 289)
			continue;
		EQ(decode(writer.bytes, stream_len(), &run), QCOW2_E_COMPRESSED);
		EQ(run.done, n);
	}
}

static void test_block_type_3(void **state)
{
	(void)state;
	begin_stream();
	put(1, 1);
	put(3, 2);
	put(0, 64);
	EQ(decode_plain(1), QCOW2_E_COMPRESSED);
}

/* ---- dynamic codes: RFC 1951 section 3.2.7 ---- */

static void test_dynamic_long_codes(void **state)
{
	static const uint16_t lits[] = { 'a', 'b', 'c', 'd', 'e', 'f', 'g', 257,
		                         'h', 'i', 'j', 256, 'k', 'l', 'm', 285 };
	static const uint16_t dists[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 29 };
	uint32_t n = 0, k;

	(void)state;
	no_codes(286, 30);
	staircase(&lit, lits, 16);
	staircase(&dist, dists, 16);
	begin_stream();
	put_dynamic(true);
	for (k = 0; k < 3000; k++) {
		uint32_t r = below(16);

		if (lits[r] < 256) {
			wanted[n++] = (uint8_t)lits[r];
			put_lit(lits[r]);
		} else if (lits[r] > 256) {
			uint32_t d = below(n > 24600 ? 16 : 15), len = lits[r] == 257 ? 3 : 258;

			if (dist_base[dists[d]] > n || n + len > 60000)
				continue;
			put_match_of(lits[r] - 257u, 0, dists[d], 0);
			copy_match(n, len, dist_base[dists[d]]);
			n += len;
		}
	}
	put_lit(256);
	TRUE(n > 40000);
	expect_bytes(wanted, n);
	EQ(decode_plain(n + 1), QCOW2_E_COMPRESSED);
}

/* Two literals and a match, with the longest codes and extra bits that there are: 70 bits. */
static void test_long_turns(void **state)
{
	static const uint16_t lits[] = { 'c', 'd', 'e', 'f', 'g', 'h', 'i', 256,
		                         'j', 'a', 'b', 'k', 'l', 'm', 'n', 284 };
	static const uint16_t dists[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 29 };
	uint32_t n = 32768, k;

	(void)state;
	no_codes(286, 30);
	staircase(&lit, lits, 16);
	staircase(&dist, dists, 16);
	random_bytes(wanted, n, 256);
	begin_stream();
	put_stored(false, wanted, n);
	put_dynamic(true);
	for (k = 0; k < 200; k++) {
		uint32_t bits = below(8192), extra = below(32);

		put_lit('b');
		put_lit('b');
		wanted[n++] = 'b';
		wanted[n++] = 'b';
		put_match_of(27, extra, 29, bits);
		copy_match(n, 227 + extra, 24577 + bits);
		n += 227 + extra;
	}
	put_lit(256);
	expect_bytes(wanted, n);
}

/* A match that ends anywhere near the end of the output, with more input after it. */
static void test_near_the_end(void **state)
{
	static const uint32_t lens[] = { 3, 10, 17, 18, 33 }, distances[] = { 1, 2, 7, 8, 20 };
	size_t i;

	(void)state;
	random_bytes(wanted, 4096, 256);
	for (i = 0; i < COUNT(lens) * COUNT(distances); i++) {
		uint32_t len = lens[i / COUNT(distances)];
		uint32_t distance = distances[i % COUNT(distances)];
		uint32_t left;

		for (left = 0; left < 34; left++) {
			uint32_t n = 4096 - len - left;

			random_bytes(wanted + n - 40, len + left + 40, 256);
			copy_match(n, len, distance);
			begin_stream();
			put_fixed(true);
			put_literals(wanted, n);
			put_match(len, distance);
			put_literals(wanted + n + len, left);
			put_literals(wanted, 60);
			put_lit(256);
			expect_bytes(wanted, 4096);
		}
	}
}

/* All 286 and 30 symbols in one code each. */
static void test_dynamic_all_symbols(void **state)
{
	uint32_t i;

	(void)state;
	no_codes(286, 30);
	for (i = 0; i < 286; i++)
		lit.len[i] = i < 226 ? 8 : 9; /* 226 / 256 + 60 / 512 = 1 */
	for (i = 0; i < 30; i++)
		dist.len[i] = i < 2 ? 4 : 5;
	random_bytes(wanted, 33000, 256);
	begin_stream();
	put_stored(false, wanted, 33000);
	put_dynamic(true);
	each_distance();
	for (i = 0; i < 286; i++) /* 198 / 512 + 52 / 1024 + 36 / 64 = 1 */
		lit.len[i] = i < 198 ? 9 : i < 250 ? 10 : 6;
	begin_stream();
	put_dynamic(true);
	each_length(true);
}

/* Repeat codes 16, 17 and 18, each with its fewest and its most. */
static void put_repeats(const uint8_t (*codes)[2], size_t n)
{
	size_t i;

	put(1, 1);
	put(2, 2);
	put(0, 5);
	put(0, 5);
	put(15, 4);
	for (i = 0; i < 19; i++) /* 16, 17, 18, 0 with three bits, 1, 8 with two: in that order */
		put(i < 5 ? 3 : i == 17 ? 3 : i == 6 ? 3 : i == 18 ? 3 : 0, 3);
	for (i = 0; i < n; i++) {
		/* Symbols in order: 0, 1, 8 (i == 4), 9 (i == 6), 15 (i == 18), 16, 17, 18. */
		static const uint8_t symbols[] = { 0, 1, 8, 9, 15, 16, 17, 18 };
		uint32_t k = 0;

		while (symbols[k] != codes[i][0])
			k++;
		put_code(k, 3);
		put(codes[i][1], codes[i][0] == 16   ? 2
		                 : codes[i][0] == 17 ? 3
		                 : codes[i][0] == 18 ? 7
		                                     : 0);
	}
	put(0, 200);
}

static int decode_repeats(const uint8_t (*codes)[2], size_t n, uint32_t out_len)
{
	begin_stream();
	put_repeats(codes, n);
	return decode_plain(out_len);
}

/* A block of the reserved type 3, not the last one, whose rest is a valid dynamic block. */
static void test_reserved_type(void **state)
{
	static const uint8_t text[] = "reserved";

	(void)state;
	for (unsigned type = 2; type <= 3; type++) {
		test_case("type %u", type);
		begin_stream();
		no_codes(257, 1);
		for (unsigned i = 0; i < 255; i++)
			lit.len[i] = 8;
		lit.len[255] = 9;
		lit.len[256] = 9;
		put_dynamic(false);
		writer.bytes[0] |= (uint8_t)(type << 1);
		put_literals(text, sizeof text);
		put_lit(256);
		put_fixed(true);
		put_lit(256);
		EQ(decode_plain(sizeof text), type == 2 ? QCOW2_OK : QCOW2_E_COMPRESSED);
	}
}

static void test_dynamic_repeats(void **state)
{
	/* 255 literals of 8 bits, one of 9, the end of 9; a distance of 1 bit. */
	static const uint8_t long_runs[][2] = {
		{ 8, 0 },  { 16, 0 }, { 16, 1 }, { 16, 2 }, { 16, 3 }, { 16, 3 }, { 16, 3 },
		{ 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 },
		{ 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 },
		{ 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 },
		{ 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 },
		{ 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 }, { 16, 3 },
		{ 16, 3 }, { 16, 3 }, { 8, 0 },  { 8, 0 },  { 9, 0 },  { 9, 0 },  { 1, 0 },
	};
	/* 11 + 11 zeros, a literal, zeros up to 256 */
	static const uint8_t zeros[][2] = {
		{ 17, 0 },   { 17, 7 },  { 18, 0 }, { 1, 0 },
		{ 18, 127 }, { 18, 82 }, { 1, 0 },  { 0, 0 },
	};
	static const uint8_t first[][2] = { { 16, 0 }, { 0, 0 } };
	static const uint8_t over[][2] = { { 18, 127 }, { 18, 107 }, { 1, 0 }, { 17, 0 } };
	static const uint8_t over_same[][2] = { { 18, 127 }, { 18, 107 }, { 1, 0 }, { 16, 0 } };
	static const uint8_t over_by_1[][2] = { { 18, 127 }, { 18, 106 }, { 1, 0 }, { 16, 0 } };
	static const uint8_t across[][2] = { { 1, 0 }, { 18, 127 }, { 18, 105 },
		                             { 0, 0 }, { 1, 0 },    { 1, 0 } };

	(void)state;
	EQ(decode_repeats(long_runs, COUNT(long_runs), 20), QCOW2_OK);
	EQ(output[19], 0);
	EQ(decode_repeats(zeros, COUNT(zeros), 20), QCOW2_OK);
	EQ(output[0], 24);
	EQ(output[19], 24);
	EQ(decode_repeats(first, 2, 1), QCOW2_E_COMPRESSED);
	EQ(decode_repeats(over, 4, 1), QCOW2_E_COMPRESSED);
	EQ(decode_repeats(over_same, 4, 1), QCOW2_E_COMPRESSED);
	EQ(decode_repeats(over_by_1, 4, 1), QCOW2_E_COMPRESSED);
	EQ(decode_repeats(across, 6, 8), QCOW2_OK);
	EQ(output[7], 0);
	/* A repeat runs past the last length: the codes of the block before must not be used. */
	begin_stream();
	no_codes(257, 1);
	lit.len['a'] = lit.len[256] = dist.len[0] = 1;
	put_dynamic(false);
	put_lit('a');
	put_lit(256);
	put_repeats(over_by_1, 4);
	EQ(decode_plain(2), QCOW2_E_COMPRESSED);
}

/* Each row: pairs of (symbol, bits) for both codes, and whether these are valid. */
struct tree {
	const char *name;
	struct {
		uint16_t symbol;
		uint8_t len;
	} lit[6], dist[6];
	uint16_t n_lit, n_dist; /* 0: 257, 1 */
	int status;             /* for one byte of output */
};

static const struct tree trees[] = {
	{ "two codes", { { 'a', 1 }, { 256, 1 } }, { { 0, 1 }, { 1, 1 } }, 0, 2, QCOW2_OK },
	{ "no distance", { { 'a', 1 }, { 256, 1 } }, { { 0, 0 } }, 0, 0, QCOW2_OK },
	{ "one distance", { { 'a', 1 }, { 256, 1 } }, { { 0, 1 } }, 0, 0, QCOW2_OK },
	{ "one other distance", { { 'a', 1 }, { 256, 1 } }, { { 3, 1 } }, 0, 4, QCOW2_OK },
	{ "286 and 30", { { 'a', 1 }, { 256, 1 } }, { { 0, 1 } }, 286, 30, QCOW2_OK },
	{ "287", { { 'a', 1 }, { 256, 1 } }, { { 0, 1 } }, 287, 1, QCOW2_E_COMPRESSED },
	{ "288", { { 'a', 1 }, { 256, 1 } }, { { 0, 1 } }, 288, 1, QCOW2_E_COMPRESSED },
	{ "31", { { 'a', 1 }, { 256, 1 } }, { { 0, 1 } }, 257, 31, QCOW2_E_COMPRESSED },
	{ "32", { { 'a', 1 }, { 256, 1 } }, { { 0, 1 } }, 257, 32, QCOW2_E_COMPRESSED },
	{ "no end", { { 'a', 1 }, { 'b', 1 } }, { { 0, 1 } }, 0, 0, QCOW2_E_COMPRESSED },
	{ "no code", { { 'a', 0 } }, { { 0, 1 } }, 0, 0, QCOW2_E_COMPRESSED },
	{ "end alone", { { 256, 1 } }, { { 0, 1 } }, 0, 0, QCOW2_E_COMPRESSED },
	{ "end alone, two bits", { { 256, 2 } }, { { 0, 1 } }, 0, 0, QCOW2_E_COMPRESSED },
	{ "incomplete", { { 'a', 1 }, { 256, 2 } }, { { 0, 1 } }, 0, 0, QCOW2_E_COMPRESSED },
	{ "three of one bit",
	  { { 'a', 1 }, { 'b', 1 }, { 256, 1 } },
	  { { 0, 1 } },
	  0,
	  0,
	  QCOW2_E_COMPRESSED },
	{ "one too many",
	  { { 'a', 1 }, { 'b', 2 }, { 'c', 2 }, { 256, 15 } },
	  { { 0, 1 } },
	  0,
	  0,
	  QCOW2_E_COMPRESSED },
	{ "distance of two bits",
	  { { 'a', 1 }, { 256, 1 } },
	  { { 0, 2 } },
	  0,
	  0,
	  QCOW2_E_COMPRESSED },
	{ "incomplete distances",
	  { { 'a', 1 }, { 256, 1 } },
	  { { 0, 1 }, { 1, 2 } },
	  0,
	  2,
	  QCOW2_E_COMPRESSED },
	{ "too many distances",
	  { { 'a', 1 }, { 256, 1 } },
	  { { 0, 1 }, { 1, 1 }, { 2, 1 } },
	  0,
	  3,
	  QCOW2_E_COMPRESSED },
};
static void test_trees(void **state)
{
	size_t i, k;

	(void)state;
	for (i = 0; i < COUNT(trees); i++) {
		const struct tree *t = &trees[i];

		no_codes(t->n_lit != 0 ? t->n_lit : 257, t->n_dist != 0 ? t->n_dist : 1);
		for (k = 0; k < 6; k++) {
			if (t->lit[k].len != 0)
				lit.len[t->lit[k].symbol] = t->lit[k].len;
			if (t->dist[k].len != 0)
				dist.len[t->dist[k].symbol] = t->dist[k].len;
		}
		begin_stream();
		put_dynamic(true);
		put_lit('a');
		put_lit(256);
		put(0, 100);
		test_case("tree \"%s\"", t->name);
		EQ(decode_plain(1), t->status);
		EQ(zlib_makes(stream_len(), 1), t->status == QCOW2_OK);
	}
}

/* There is a code of 15 bits too few, or one too many. */
static void test_nearly_a_code(void **state)
{
	uint32_t n;

	(void)state;
	for (n = 15; n <= 17; n++) {
		uint32_t i;

		no_codes(257, 1);
		for (i = 0; i < n - 1; i++)
			lit.len['a' + i] = (uint8_t)(i < 15 ? i + 1 : 15);
		if (n == 15)
			lit.len['a'] = 0;
		lit.len[256] = n == 15 ? 1 : 15;
		begin_stream();
		put_dynamic(true);
		put_lit('b');
		put_lit(256);
		put(0, 100);
		EQ(decode_plain(1), n == 16 ? QCOW2_OK : QCOW2_E_COMPRESSED);
		EQ(zlib_makes(stream_len(), 1), n == 16);
	}
}

/* The code length code must be complete, even if it has only one code, or none. */
static void test_code_length_code(void **state)
{
	static const struct {
		uint8_t lens[19]; /* in the order of the file */
		bool good;
	} rows[] = {
		{ { 0 }, false },
		{ { 0, 0, 0, 1 }, false },
		{ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 }, false },
		{ { 0, 0, 1, 0 }, false },
		{ { 0, 0, 1, 1, 1 }, false },
		{ { 0, 0, 1, 2 }, false },
		{ { 7, 7, 7, 7 }, false },
		{ { 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 }, true },
	};
	size_t i, k;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		begin_stream();
		put(1, 1);
		put(2, 2);
		put(0, 10);
		put(15, 4);
		for (k = 0; k < 19; k++)
			put(rows[i].lens[k], 3);
		/*
		 * In the good row, 1 has code 0 and 18 has code 1: one, zeros up to 256, one, one
		 * distance.
		 */
		put_code(0, 1);
		put_code(1, 1);
		put(127, 7);
		put_code(1, 1);
		put(106, 7);
		put_code(0, 1);
		put_code(0, 1);
		put(0, 100);
		EQ(decode_plain(1), rows[i].good ? QCOW2_OK : QCOW2_E_COMPRESSED);
		EQ(zlib_makes(stream_len(), 1), rows[i].good);
	}
}

/* If the only distance code is one bit long, the other bit is no symbol. */
static void test_half_codes(void **state)
{
	uint32_t n;

	(void)state;
	for (n = 1; n < 700; n += 300) {
		no_codes(258, 1);
		lit.len['a'] = 2;
		lit.len[256] = 2;
		lit.len[257] = 1;
		dist.len[0] = 1;
		begin_stream();
		put_dynamic(true);
		memset(wanted, 'a', n + 3);
		put_literals(wanted, n);
		put_match(3, 1);
		expect_bytes(wanted, n + 3);
		put_lit(257);
		put_code(1, 1);
		put(0, 1000);
		EQ(decode_plain(n + 3), QCOW2_OK);
		EQ(decode_plain(n + 4), QCOW2_E_COMPRESSED);
	}
	/* One bit is enough to notice, even if it is the last of the input. */
	begin_stream();
	put_dynamic(true);
	put_lit('a');
	put_lit(257);
	put_code(1, 1);
	EQ(decode_plain(2), QCOW2_E_COMPRESSED);
	no_codes(258, 1);
	lit.len['a'] = lit.len[257] = 2;
	lit.len[256] = 1;
	begin_stream();
	put_dynamic(true);
	put_lit('a');
	put_lit(257);
	put(0, 1000);
	EQ(decode_plain(1), QCOW2_OK);
	EQ(decode_plain(2), QCOW2_E_COMPRESSED);
}

/* ---- distances ---- */

static void test_too_far(void **state)
{
	uint32_t n;

	(void)state;
	for (n = 0; n < 3000; n = n * 3 / 2 + 1) {
		random_bytes(wanted, n + 10, 256);
		begin_stream();
		put_fixed(true);
		put_literals(wanted, n);
		put_match(10, n + 1);
		put(0, 1000);
		EQ(decode_plain(n + 10), QCOW2_E_COMPRESSED);
		if (n == 0)
			continue;
		begin_stream();
		put_fixed(true);
		put_literals(wanted, n);
		put_match(10, n);
		put(0, 1000);
		copy_match(n, 10, n);
		expect_bytes(wanted, n + 10);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stored),
		cmocka_unit_test(test_stored_after_bits),
		cmocka_unit_test(test_stored_complement),
		cmocka_unit_test(test_fixed_literals),
		cmocka_unit_test(test_codes_do_not_stay),
		cmocka_unit_test(test_fixed_lengths),
		cmocka_unit_test(test_fixed_distances),
		cmocka_unit_test(test_fixed_bad_symbols),
		cmocka_unit_test(test_bad_symbols_amid),
		cmocka_unit_test(test_block_type_3),
		cmocka_unit_test(test_dynamic_long_codes),
		cmocka_unit_test(test_long_turns),
		cmocka_unit_test(test_near_the_end),
		cmocka_unit_test(test_dynamic_all_symbols),
		cmocka_unit_test(test_dynamic_repeats),
		cmocka_unit_test(test_reserved_type),
		cmocka_unit_test(test_trees),
		cmocka_unit_test(test_nearly_a_code),
		cmocka_unit_test(test_code_length_code),
		cmocka_unit_test(test_half_codes),
		cmocka_unit_test(test_too_far),
	};
	int failed = 0;

	failed += cmocka_run_group_tests_name("inflate, small decoder", tests, NULL, NULL);
	codec = &qcow2_deflate_fast;
	failed += cmocka_run_group_tests_name("inflate, fast decoder", tests, NULL, NULL);
	return failed;
}
