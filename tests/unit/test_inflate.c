/* SPDX-License-Identifier: MIT */
/*
 * The built-in deflate decoders, in the order of RFC 1951: stored, fixed and dynamic blocks, what
 * is no stream, then input in pieces, output in steps, small windows, and at last zlib as the
 * judge (zlib_oracle.h) of generated and of damaged streams. All for the small one, and then for
 * the whole one what it can do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "zlib_oracle.h"
#include "qcow2/codec.h"
#include "qcow2/status.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

enum { MAX_IN = 400000, MAX_OUT = 1 << 17, GUARD = 64, CANARY = 0xc5, WHOLE = 0x7fffffff };

/*
 * ---- a seeded generator: xorshift64 ----
 *
 * Never two calls in one expression: which comes first may differ from compiler to compiler.
 */

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint32_t below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)((random_state >> 20) % n);
}

/* ---- a writer of deflate streams ---- */

struct writer {
	uint8_t bytes[MAX_IN];
	size_t n_bits;
};

static struct writer w;

static void begin_stream(void)
{
	memset(w.bytes, 0, (w.n_bits + 7) / 8 + 1);
	w.n_bits = 0;
}

static size_t stream_len(void)
{
	return (w.n_bits + 7) / 8;
}

/* A number of n bits, lowest first. */
static void put(uint32_t value, unsigned n)
{
	for (; n != 0; n--, value >>= 1, w.n_bits++) {
		assert_true(w.n_bits / 8 < MAX_IN);
		w.bytes[w.n_bits / 8] |= (uint8_t)((value & 1) << w.n_bits % 8);
	}
}

/* A Huffman code of n bits, highest first. */
static void put_code(uint32_t code, unsigned n)
{
	while (n != 0)
		put(code >> --n & 1, 1);
}

static void put_stored(bool final, const uint8_t *bytes, uint32_t len)
{
	uint32_t i;

	put(final, 1);
	put(0, 2);
	put(0, (unsigned)(-w.n_bits & 7));
	put(len, 16);
	put(~len & 0xffff, 16);
	for (i = 0; i < len; i++)
		put(bytes[i], 8);
}

/* Lengths of codes, and the codes that follow from them (RFC 1951 section 3.2.2). */
struct code {
	uint32_t n;
	uint8_t len[288];
	uint16_t code[288];
};

static struct code lit, dist;

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

static void no_codes(uint32_t n_lit, uint32_t n_dist)
{
	memset(&lit, 0, sizeof(lit));
	memset(&dist, 0, sizeof(dist));
	lit.n = n_lit;
	dist.n = n_dist;
}

static void put_fixed(bool final)
{
	fixed_codes();
	put(final, 1);
	put(1, 2);
}

/* The header of a dynamic block; every code length is written with four bits. */
static void put_dynamic(bool final)
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

static void put_lit(uint32_t symbol)
{
	put_code(lit.code[symbol], lit.len[symbol]);
}

static void put_dist(uint32_t symbol)
{
	put_code(dist.code[symbol], dist.len[symbol]);
}

static void put_literals(const uint8_t *bytes, size_t len)
{
	while (len-- != 0)
		put_lit(*bytes++);
}

static const uint16_t len_base[29] = { 3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
	                               15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
	                               67, 83, 99, 115, 131, 163, 195, 227, 258 };
static const uint8_t len_extra[29] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
	                               2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 };
static const uint16_t dist_base[30] = { 1,    2,    3,    4,     5,     7,    9,    13,
	                                17,   25,   33,   49,    65,    97,   129,  193,
	                                257,  385,  513,  769,   1025,  1537, 2049, 3073,
	                                4097, 6145, 8193, 12289, 16385, 24577 };
static const uint8_t dist_extra[30] = { 0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6,
	                                6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13 };

static void put_match_of(uint32_t len_symbol, uint32_t len_bits, uint32_t dist_symbol,
                         uint32_t dist_bits)
{
	put_lit(257 + len_symbol);
	put(len_bits, len_extra[len_symbol]);
	put_dist(dist_symbol);
	put(dist_bits, dist_extra[dist_symbol]);
}

static uint32_t dist_symbol(uint32_t distance)
{
	uint32_t symbol = 29;

	while (dist_base[symbol] > distance)
		symbol--;
	return symbol;
}

static void put_match(uint32_t len, uint32_t distance)
{
	uint32_t l = 28, d = dist_symbol(distance);

	while (len_base[l] > len)
		l--;
	put_match_of(l, len - len_base[l], d, distance - dist_base[d]);
}

/* ---- running the decoder ---- */

struct input {
	struct qcow2_stream stream; /* first, so that fill() finds the rest */
	const uint8_t *bytes;
	size_t left;
	size_t piece;
	uint8_t *copy; /* the piece, alone on the heap: a sanitizer sees a read past its end */
	int fail;      /* what fill() answers at the end instead of QCOW2_OK */
	uint32_t n_fills;
};

static int fill(struct qcow2_stream *stream)
{
	struct input *in = (struct input *)stream;
	size_t n = in->left < in->piece ? in->left : in->piece;

	assert_ptr_equal(stream->next, stream->end);
	in->n_fills++;
	free(in->copy);
	in->copy = malloc(n != 0 ? n : 1);
	assert_non_null(in->copy);
	memcpy(in->copy, in->bytes, n);
	stream->next = in->copy;
	stream->end = in->copy + n;
	in->bytes += n;
	in->left -= n;
	return n == 0 ? in->fail : QCOW2_OK;
}

struct run {
	uint32_t out_len;    /* what is asked for */
	uint32_t window_len; /* 0: a power of two that takes it all */
	uint32_t step;       /* 0: all that fits the window */
	size_t piece;        /* 0: all at once */
	int fail;
	/* Answers. */
	int finish; /* of the call after the last byte, if that was made */
	uint32_t n_fills;
	uint32_t done;
};

static uint8_t out[MAX_OUT];

/* Nobody but the bytes [at, stop) of the window may be touched. */
static void check_canaries(const uint8_t *memory, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		assert_int_equal(memory[i], CANARY);
}

/* The one that is tested. */
static const struct qcow2_codec *codec = &qcow2_deflate_small;

static uint32_t window_for(const struct run *run)
{
	uint32_t len = 512;

	if (run->window_len != 0 && !codec->whole)
		return run->window_len;
	while (len < run->out_len)
		len *= 2;
	return len;
}

/* What `run` asks for, as far as the codec can: if it is a whole one, all at once. */
static int decode(const uint8_t *bytes, size_t len, struct run *run)
{
	uint32_t window_len = window_for(run);
	uint8_t *memory = malloc(window_len + 2 * GUARD);
	uint8_t *work = malloc(codec->work_len);
	struct input in = { .bytes = bytes, .left = len, .fail = run->fail };
	struct qcow2_stream *stream = &in.stream;
	int status = QCOW2_OK;

	assert_true(memory != NULL && work != NULL && run->out_len <= MAX_OUT);
	memset(memory, CANARY, window_len + 2 * GUARD);
	memset(work, 0xa5, codec->work_len);
	in.piece = run->piece != 0 && !codec->whole ? run->piece : WHOLE;
	stream->fill = fill;
	stream->next = stream->end = bytes;
	stream->window = memory + GUARD;
	stream->window_len = window_len;
	codec->begin(codec, work);
	while (status == QCOW2_OK && stream->done < run->out_len) {
		uint32_t done = stream->done, at = done % window_len;
		uint32_t n = window_len - at;

		if (n > run->out_len - done)
			n = run->out_len - done;
		if (run->step != 0 && n > run->step && !codec->whole)
			n = run->step;
		stream->stop = done + n;
		status = codec->decode(codec, work, stream);
		assert_true(stream->done <= stream->stop && stream->done >= done);
		assert_int_equal(stream->window_at, stream->done % window_len);
		if (status == QCOW2_OK)
			assert_int_equal(stream->done, stream->stop);
		memcpy(out + done, stream->window + at, stream->done - done);
		if (stream->stop <= window_len)
			check_canaries(stream->window + stream->stop, window_len - stream->stop);
	}
	run->n_fills = in.n_fills;
	if (status == QCOW2_OK && stream->done == stream->stop)
		run->finish = codec->decode(codec, work, stream);
	check_canaries(memory, GUARD);
	check_canaries(memory + GUARD + window_len, GUARD);
	run->done = stream->done;
	free(in.copy);
	free(memory);
	free(work);
	return status;
}

static int decode_plain(uint32_t out_len)
{
	struct run run = { .out_len = out_len };

	return decode(w.bytes, stream_len(), &run);
}

/* The stream in `w` makes this. */
static void expect_bytes(const uint8_t *bytes, uint32_t len)
{
	assert_int_equal(decode_plain(len), QCOW2_OK);
	assert_memory_equal(out, bytes, len);
}

static uint8_t data[MAX_OUT];

static void random_bytes(uint8_t *p, size_t len, uint32_t alphabet)
{
	while (len-- != 0)
		*p++ = (uint8_t)below(alphabet);
}

/* ---- stored blocks: RFC 1951 section 3.2.4 ---- */

static void test_stored(void **state)
{
	static const uint32_t lens[] = { 1, 2, 7, 8, 9, 255, 4096, 65535 };
	size_t i;

	(void)state;
	random_bytes(data, sizeof(data), 256);
	for (i = 0; i < ELEMENTS(lens); i++) {
		begin_stream();
		put_stored(true, data, lens[i]);
		expect_bytes(data, lens[i]);
		assert_int_equal(decode_plain(lens[i] + 1), QCOW2_E_COMPRESSED);
	}
	begin_stream();
	put_stored(false, data, 0);
	put_stored(false, data, 100);
	put_stored(false, data, 0);
	put_stored(true, data + 100, 65535);
	expect_bytes(data, 65635);
}

static void test_stored_after_bits(void **state)
{
	uint32_t n;

	(void)state;
	random_bytes(data, sizeof(data), 256);
	/* Fixed blocks of growing length put the stored one at every place within a byte. */
	for (n = 0; n < 40; n++) {
		begin_stream();
		put_fixed(false);
		put_literals(data, n);
		put_lit(256);
		put_stored(false, data + n, 50);
		put_fixed(true);
		put_literals(data + n + 50, 20);
		put_lit(256);
		expect_bytes(data, n + 70);
	}
}

static void test_stored_complement(void **state)
{
	unsigned bit;

	(void)state;
	for (bit = 0; bit < 32; bit++) {
		begin_stream();
		put_stored(true, data, 5);
		assert_int_equal(decode_plain(5), QCOW2_OK);
		w.bytes[1 + bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(decode_plain(5), QCOW2_E_COMPRESSED);
	}
}

/* ---- fixed codes: RFC 1951 section 3.2.6 ---- */

static void test_fixed_literals(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < 256; i++)
		data[i] = (uint8_t)i;
	begin_stream();
	put_fixed(false);
	put_literals(data, 256);
	put_lit(256);
	put_fixed(true); /* the codes are there already */
	put_literals(data, 256);
	put_lit(256);
	memcpy(data + 256, data, 256);
	expect_bytes(data, 512);
}

/* Dynamic blocks between fixed ones: none may work with the codes of the one before it. */
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

/*
 * What every stream of this file is made of: `data` holds what a match of `len` bytes at
 * `distance` gives after the first n bytes of it.
 */
static void copy_match(uint32_t n, uint32_t len, uint32_t distance)
{
	for (; len != 0; len--, n++)
		data[n] = data[n - distance];
}

/* Near and far in turn, so that matches overlap themselves, or not. */
static void each_length(bool final)
{
	uint32_t n = 100, symbol;

	put_literals(data, n);
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
	expect_bytes(data, n);
	assert_int_equal(decode_plain(n + 1), final ? QCOW2_E_COMPRESSED : QCOW2_E_TRUNCATED);
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
	expect_bytes(data, n);
}

static void test_fixed_lengths(void **state)
{
	(void)state;
	random_bytes(data, 100, 256);
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
	random_bytes(data, 33000, 256);
	begin_stream();
	put_stored(false, data, 33000);
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
		assert_int_equal(decode_plain(1), QCOW2_OK);
		assert_int_equal(decode_plain(2), QCOW2_E_COMPRESSED);
	}
	for (symbol = 30; symbol < 32; symbol++) {
		begin_stream();
		put_fixed(true);
		put_lit('a');
		put_lit(257);
		put_dist(symbol);
		put(0, 300);
		assert_int_equal(decode_plain(1), QCOW2_OK);
		assert_int_equal(decode_plain(2), QCOW2_E_COMPRESSED);
	}
}

/* The fast loop, too, must see them; there is enough before them for any distance. */
static void test_bad_symbols_amid(void **state)
{
	const uint32_t n = 65000;
	uint32_t symbol;

	(void)state;
	random_bytes(data, n, 256);
	for (symbol = 284; symbol < 292; symbol++) {
		struct run run = { .out_len = n + 300 };

		begin_stream();
		put_stored(false, data, n - 1000);
		put_fixed(true);
		put_literals(data + n - 1000, 1000);
		if (symbol < 288) {
			put_lit(symbol);
			put_dist(0);
		} else {
			put_lit(257);
			put_dist(symbol - 260); /* 28 to 31 */
			put(1, 13);
		}
		put(0, 3000);
		assert_int_equal(decode_plain(n), QCOW2_OK);
		assert_int_equal(decode_plain(n + 1), symbol < 286 || symbol == 288 || symbol == 289
		                                              ? QCOW2_OK
		                                              : QCOW2_E_COMPRESSED);
		if (symbol < 286 || symbol == 288 || symbol == 289)
			continue;
		assert_int_equal(decode(w.bytes, stream_len(), &run), QCOW2_E_COMPRESSED);
		assert_int_equal(run.done, n);
	}
}

static void test_block_type_3(void **state)
{
	(void)state;
	begin_stream();
	put(1, 1);
	put(3, 2);
	put(0, 64);
	assert_int_equal(decode_plain(1), QCOW2_E_COMPRESSED);
}

/* ---- codes of a block's own: RFC 1951 section 3.2.7 ---- */

/* The longest possible codes: symbol k of the order below has k + 1 bits. */
static void staircase(struct code *c, const uint16_t *symbols, uint32_t n)
{
	uint32_t i;

	assert_true(n <= 16);
	for (i = 0; i < n; i++)
		c->len[symbols[i]] = (uint8_t)(i + 1 == n ? i : i + 1);
}

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
			data[n++] = (uint8_t)lits[r];
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
	assert_true(n > 40000);
	expect_bytes(data, n);
	assert_int_equal(decode_plain(n + 1), QCOW2_E_COMPRESSED);
}

/* Two literals and a match, all with codes and extra bits as long as they can be: 70 bits. */
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
	random_bytes(data, n, 256);
	begin_stream();
	put_stored(false, data, n);
	put_dynamic(true);
	for (k = 0; k < 200; k++) {
		uint32_t bits = below(8192), extra = below(32);

		put_lit('b');
		put_lit('b');
		data[n++] = 'b';
		data[n++] = 'b';
		put_match_of(27, extra, 29, bits);
		copy_match(n, 227 + extra, 24577 + bits);
		n += 227 + extra;
	}
	put_lit(256);
	expect_bytes(data, n);
}

/* A match that ends anywhere near the end of what is asked for, with input to follow. */
static void test_near_the_end(void **state)
{
	static const uint32_t lens[] = { 3, 10, 17, 18, 33 }, distances[] = { 1, 2, 7, 8, 20 };
	size_t i;

	(void)state;
	random_bytes(data, 4096, 256);
	for (i = 0; i < ELEMENTS(lens) * ELEMENTS(distances); i++) {
		uint32_t len = lens[i / ELEMENTS(distances)];
		uint32_t distance = distances[i % ELEMENTS(distances)];
		uint32_t left;

		for (left = 0; left < 34; left++) {
			uint32_t n = 4096 - len - left;

			random_bytes(data + n - 40, len + left + 40, 256);
			copy_match(n, len, distance);
			begin_stream();
			put_fixed(true);
			put_literals(data, n);
			put_match(len, distance);
			put_literals(data + n + len, left);
			put_literals(data, 60);
			put_lit(256);
			expect_bytes(data, 4096);
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
	random_bytes(data, 33000, 256);
	begin_stream();
	put_stored(false, data, 33000);
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
	/* 11 + 11 zeros, a literal, zeros to 256 */
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
	assert_int_equal(decode_repeats(long_runs, ELEMENTS(long_runs), 20), QCOW2_OK);
	assert_int_equal(out[19], 0);
	assert_int_equal(decode_repeats(zeros, ELEMENTS(zeros), 20), QCOW2_OK);
	assert_int_equal(out[0], 24);
	assert_int_equal(out[19], 24);
	assert_int_equal(decode_repeats(first, 2, 1), QCOW2_E_COMPRESSED);
	assert_int_equal(decode_repeats(over, 4, 1), QCOW2_E_COMPRESSED);
	assert_int_equal(decode_repeats(over_same, 4, 1), QCOW2_E_COMPRESSED);
	assert_int_equal(decode_repeats(over_by_1, 4, 1), QCOW2_E_COMPRESSED);
	assert_int_equal(decode_repeats(across, 6, 8), QCOW2_OK);
	assert_int_equal(out[7], 0);
	/* The lengths that the last one does not fit behind are not those of the block before. */
	begin_stream();
	no_codes(257, 1);
	lit.len['a'] = lit.len[256] = dist.len[0] = 1;
	put_dynamic(false);
	put_lit('a');
	put_lit(256);
	put_repeats(over_by_1, 4);
	assert_int_equal(decode_plain(2), QCOW2_E_COMPRESSED);
}

/* Each row: pairs of (symbol, bits) for both codes, and whether that may be. */
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

/* Does zlib get so many bytes from the stream in w, or from its first len bytes, and no complaint?
 */
static bool zlib_makes(size_t len, uint32_t out_len)
{
	uint32_t made;
	int answer = zlib_inflate(w.bytes, len, out_len, &made);

	return answer == ZLIB_MADE || answer == ZLIB_CUT_BEHIND;
}

static void test_trees(void **state)
{
	size_t i, k;

	(void)state;
	for (i = 0; i < ELEMENTS(trees); i++) {
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
		if (decode_plain(1) != t->status ||
		    zlib_makes(stream_len(), 1) != (t->status == QCOW2_OK))
			fail_msg("tree \"%s\": status %d", t->name, decode_plain(1));
	}
}

/* One code of 15 bits is missing, or too many. */
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
		assert_int_equal(decode_plain(1), n == 16 ? QCOW2_OK : QCOW2_E_COMPRESSED);
		assert_int_equal(zlib_makes(stream_len(), 1), n == 16);
	}
}

/* The code length code: it must be complete, even where it has one code only, or none. */
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
	for (i = 0; i < ELEMENTS(rows); i++) {
		begin_stream();
		put(1, 1);
		put(2, 2);
		put(0, 10);
		put(15, 4);
		for (k = 0; k < 19; k++)
			put(rows[i].lens[k], 3);
		/* The good row: 1 -> code 0, 18 -> code 1: one, zeros to 256, one, one distance. */
		put_code(0, 1);
		put_code(1, 1);
		put(127, 7);
		put_code(1, 1);
		put(106, 7);
		put_code(0, 1);
		put_code(0, 1);
		put(0, 100);
		assert_int_equal(decode_plain(1), rows[i].good ? QCOW2_OK : QCOW2_E_COMPRESSED);
		assert_int_equal(zlib_makes(stream_len(), 1), rows[i].good);
	}
}

/* The other half of a code that is one bit long is no symbol. */
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
		memset(data, 'a', n + 3);
		put_literals(data, n);
		put_match(3, 1);
		expect_bytes(data, n + 3);
		put_lit(257);
		put_code(1, 1);
		put(0, 1000);
		assert_int_equal(decode_plain(n + 3), QCOW2_OK);
		assert_int_equal(decode_plain(n + 4), QCOW2_E_COMPRESSED);
	}
	/* One bit tells, at the very end of the input, too. */
	begin_stream();
	put_dynamic(true);
	put_lit('a');
	put_lit(257);
	put_code(1, 1);
	assert_int_equal(decode_plain(2), QCOW2_E_COMPRESSED);
	no_codes(258, 1);
	lit.len['a'] = lit.len[257] = 2;
	lit.len[256] = 1;
	begin_stream();
	put_dynamic(true);
	put_lit('a');
	put_lit(257);
	put(0, 1000);
	assert_int_equal(decode_plain(1), QCOW2_OK);
	assert_int_equal(decode_plain(2), QCOW2_E_COMPRESSED);
}

/* ---- distances ---- */

static void test_too_far(void **state)
{
	uint32_t n;

	(void)state;
	for (n = 0; n < 3000; n = n * 3 / 2 + 1) {
		random_bytes(data, n + 10, 256);
		begin_stream();
		put_fixed(true);
		put_literals(data, n);
		put_match(10, n + 1);
		put(0, 1000);
		assert_int_equal(decode_plain(n + 10), QCOW2_E_COMPRESSED);
		if (n == 0)
			continue;
		begin_stream();
		put_fixed(true);
		put_literals(data, n);
		put_match(10, n);
		put(0, 1000);
		copy_match(n, 10, n);
		expect_bytes(data, n + 10);
	}
}

/* A distance through a window that is just large enough, and through those that are not. */
static void check_ring(uint32_t distance)
{
	uint32_t least = below(65535 - distance), n = distance + least / (1 + below(64));
	struct run run = { .out_len = n + 258 };
	uint32_t ring = 4096;

	while (ring < distance)
		ring *= 2;
	begin_stream();
	put_stored(false, data, n);
	put_fixed(true);
	put_match(258, distance);
	put_lit(256);
	run.window_len = ring;
	assert_int_equal(decode(w.bytes, stream_len(), &run), QCOW2_OK);
	copy_match(n, 258, distance);
	assert_memory_equal(out, data, n + 258);
	for (run.window_len = 4096; run.window_len < ring; run.window_len *= 2)
		assert_int_equal(decode(w.bytes, stream_len(), &run), QCOW2_E_MEMORY);
}

static void test_ring(void **state)
{
	uint32_t distance, power;

	(void)state;
	random_bytes(data, sizeof(data), 256);
	for (distance = 1; distance < 32768; distance += distance < 300 ? 1 : 1 + below(300))
		check_ring(distance);
	for (power = 4096; power <= 32768; power *= 2) {
		for (distance = power - 2; distance <= power + 2 && distance <= 32768; distance++)
			check_ring(distance);
	}
}

/*
 * Once the window has gone round, the bytes right behind a match are the oldest history, and the
 * next match may want them: no copy may run over its end there.
 */
static void test_ring_history(void **state)
{
	uint32_t ring;

	(void)state;
	for (ring = 4096; ring <= 32768; ring *= 2) {
		uint32_t n = ring + below(200), back;
		struct run run = { .window_len = ring };

		random_bytes(data, n, 256);
		begin_stream();
		put_stored(false, data, n);
		put_fixed(true);
		for (back = 0; back < 1000; back++) {
			uint32_t len = 3 + below(30), from = 1 + below(back % 3 == 0 ? 9 : 300);

			if (back % 2 == 0)
				from = ring - below(20);
			put_match(len, from);
			copy_match(n, len, from);
			n += len;
		}
		put_literals(data, 300);
		memcpy(data + n, data, 300);
		put_lit(256);
		run.out_len = n + 300;
		assert_int_equal(decode(w.bytes, stream_len(), &run), QCOW2_OK);
		assert_memory_equal(out, data, run.out_len);
		run.step = 777;
		assert_int_equal(decode(w.bytes, stream_len(), &run), QCOW2_OK);
		assert_memory_equal(out, data, run.out_len);
	}
}

/* More than was made is an error of the stream, however small the window. */
static void test_ring_too_far(void **state)
{
	struct run run = { .out_len = 9000, .window_len = 4096 };

	(void)state;
	random_bytes(data, 9000, 256);
	begin_stream();
	put_stored(false, data, 5000);
	put_fixed(true);
	put_match(258, 5001);
	put(0, 100);
	assert_int_equal(decode(w.bytes, stream_len(), &run), QCOW2_E_COMPRESSED);
	begin_stream();
	put_stored(false, data, 5000);
	put_fixed(true);
	put_match(258, 5000);
	put(0, 100);
	assert_int_equal(decode(w.bytes, stream_len(), &run), QCOW2_E_MEMORY);
	run.window_len = 8192;
	run.out_len = 5258;
	assert_int_equal(decode(w.bytes, stream_len(), &run), QCOW2_OK);
}

/* ---- input in pieces, output in steps ---- */

/* All three kinds of blocks, and both kinds of symbols, in a few hundred bytes of input. */
static uint32_t mixed_stream(void)
{
	static const char text[] = "the quick brown fox jumps over the lazy dog; ";
	static const uint16_t lits[] = { 't', 'h', 'e', ' ', 'q', 257, 'u', 'i',
		                         'c', 'k', 264, 256, 'x', 'y', 'z', 285 };
	static const uint16_t dists[] = { 5, 4, 3, 2, 1, 0, 6, 7, 8, 9, 10, 11 };
	uint32_t n = 0, i;

	begin_stream();
	put_stored(false, (const uint8_t *)text, sizeof(text) - 1);
	memcpy(data, text, sizeof(text) - 1);
	n += (uint32_t)sizeof(text) - 1;
	put_fixed(false);
	for (i = 0; i < 12; i++) {
		uint32_t len = 3 + i * 20, distance = 1 + i * 4;

		data[n] = (uint8_t)(i * 21);
		put_lit(data[n++]);
		put_match(len, distance);
		copy_match(n, len, distance);
		n += len;
	}
	put_lit(256);
	no_codes(286, 12);
	staircase(&lit, lits, 16);
	staircase(&dist, dists, 12);
	put_dynamic(false);
	for (i = 0; i < 60; i++) {
		uint32_t symbol = lits[i % 16];

		if (symbol < 256) {
			data[n++] = (uint8_t)symbol;
			put_lit(symbol);
		} else if (symbol > 256) {
			uint32_t d = dists[i % 12], len = len_base[symbol - 257];

			put_match_of(symbol - 257, 0, d, 0);
			copy_match(n, len, dist_base[d]);
			n += len;
		}
	}
	put_lit(256);
	put_stored(true, (const uint8_t *)text, 40);
	memcpy(data + n, text, 40);
	return n + 40;
}

static void test_pieces(void **state)
{
	uint32_t n = mixed_stream();
	struct run run = { .out_len = n };

	(void)state;
	for (run.piece = 1; run.piece <= stream_len(); run.piece++) {
		memset(out, 0, n);
		assert_int_equal(decode(w.bytes, stream_len(), &run), QCOW2_OK);
		assert_memory_equal(out, data, n);
	}
}

static void test_steps(void **state)
{
	uint32_t n = mixed_stream();
	struct run run = { .out_len = n };

	(void)state;
	for (run.step = 1; run.step <= n; run.step++) {
		run.piece = run.step % 3 == 0 ? run.step % 50 : 0;
		memset(out, 0, n);
		assert_int_equal(decode(w.bytes, stream_len(), &run), QCOW2_OK);
		assert_memory_equal(out, data, n);
	}
}

/* One step may end at any byte, and the rest come in one. */
static void test_first_stop(void **state)
{
	uint32_t n = mixed_stream(), stop;

	(void)state;
	for (stop = 0; stop <= n; stop++) {
		struct run run = { .out_len = stop };

		assert_int_equal(decode(w.bytes, stream_len(), &run), QCOW2_OK);
		assert_memory_equal(out, data, stop);
	}
}

/* Cut at each byte: all that the rest can make is made, and nothing that it cannot. */
static void test_truncated(void **state)
{
	uint32_t n = mixed_stream(), made = 0;
	size_t len, full = stream_len();

	(void)state;
	for (len = 0; len < full; len++) {
		struct run run = { .out_len = n };
		/* A whole codec asks for input once only. */
		int status = codec->whole && len != 0 ? QCOW2_E_TRUNCATED : QCOW2_E_IO;

		assert_int_equal(decode(w.bytes, len, &run), QCOW2_E_TRUNCATED);
		run.piece = 3;
		run.fail = QCOW2_E_IO;
		assert_int_equal(decode(w.bytes, len, &run), status);
		while (zlib_makes(len, made + 1))
			made++;
		run.out_len = made + 1;
		assert_int_equal(decode(w.bytes, len, &run), status);
		run.out_len = made;
		assert_int_equal(decode(w.bytes, len, &run), QCOW2_OK);
		assert_memory_equal(out, data, made);
	}
	assert_int_equal(made, n - 1);
}

/* No more input is asked for than what the output needs. */
static void test_no_more_than_needed(void **state)
{
	struct run run = { .out_len = 0, .piece = 1 };

	(void)state;
	begin_stream();
	put_fixed(true);
	put_lit('a'); /* bits 3 to 10 */
	put_lit(200); /* bits 11 to 19 */
	assert_int_equal(decode(w.bytes, 0, &run), QCOW2_OK);
	assert_int_equal(run.n_fills, 0);
	run.out_len = 1;
	assert_int_equal(decode(w.bytes, 3, &run), QCOW2_OK);
	assert_int_equal(run.n_fills, 2);
	run.out_len = 2;
	assert_int_equal(decode(w.bytes, 3, &run), QCOW2_OK);
	assert_int_equal(run.n_fills, 3);
}

static void test_too_long_is_cut(void **state)
{
	uint32_t n = mixed_stream(), i;

	(void)state;
	for (i = 1; i < n; i++)
		expect_bytes(data, i);
	assert_int_equal(decode_plain(n), QCOW2_OK);
	assert_int_equal(decode_plain(n + 1), QCOW2_E_COMPRESSED);
	/* Padding after the final block does not help, nor does it harm. */
	put(0, 4096);
	assert_int_equal(decode_plain(n), QCOW2_OK);
	assert_int_equal(decode_plain(n + 1), QCOW2_E_COMPRESSED);
}

/*
 * What follows the last byte is looked at as far as it makes no byte. Blocks without bytes may
 * follow, and the input may end; what is wrong makes all of it wrong.
 */
static void test_behind_the_last_byte(void **state)
{
	static const struct {
		bool empty_stored, empty_fixed;
		/*
		 * 0: a good final block, 1: one of type 3, 2: nothing, 3: a stored byte, 4: a
		 * match, 5: one with distance symbol 30, 6: length symbol 286.
		 */
		unsigned then;
		int finish;
	} cases[] = {
		{ false, false, 0, QCOW2_OK },          { false, false, 1, QCOW2_E_COMPRESSED },
		{ false, false, 2, QCOW2_OK },          { true, false, 0, QCOW2_OK },
		{ true, false, 1, QCOW2_E_COMPRESSED }, { true, false, 2, QCOW2_OK },
		{ false, true, 0, QCOW2_OK },           { false, true, 1, QCOW2_E_COMPRESSED },
		{ true, true, 1, QCOW2_E_COMPRESSED },  { true, true, 3, QCOW2_OK },
		{ true, false, 4, QCOW2_OK },           { false, true, 5, QCOW2_E_COMPRESSED },
		{ false, true, 6, QCOW2_E_COMPRESSED },
	};
	size_t i;

	(void)state;
	memcpy(data, "0123456789", 10);
	for (i = 0; i < ELEMENTS(cases); i++) {
		struct run run = { .out_len = 10 };

		begin_stream();
		put_fixed(false);
		put_literals(data, 10);
		put_lit(256);
		if (cases[i].empty_stored)
			put_stored(false, data, 0);
		if (cases[i].empty_fixed) {
			put_fixed(false);
			put_lit(256);
		}
		if (cases[i].then == 3) /* what is behind one more byte is not seen */
			put_stored(false, data, 1);
		if (cases[i].then == 1 || cases[i].then == 3)
			put(7, 3);
		if (cases[i].then >= 4) {
			put_fixed(true);
			put_lit(cases[i].then == 6 ? 286 : 257);
			put_dist(cases[i].then == 5 ? 30 : 29);
		}
		if (cases[i].then == 0)
			put_stored(true, data, 0);
		assert_int_equal(decode(w.bytes, stream_len(), &run), QCOW2_OK);
		assert_memory_equal(out, data, 10);
		if (run.finish != cases[i].finish)
			fail_msg("case %zu: %d", i, run.finish);
		assert_int_equal(zlib_makes(stream_len(), 10), cases[i].finish == QCOW2_OK);
	}
}

/* A stop before done, or past the window, is refused: the proof of this file rests on it. */
static void test_bad_stop(void **state)
{
	static uint64_t work[QCOW2_DEFLATE_SMALL_WORK / 8];
	uint8_t window[512];
	struct qcow2_stream stream = { .window = window, .window_len = 512, .stop = 513 };

	(void)state;
	assert_true(qcow2_deflate_small.work_len <= sizeof(work));
	assert_false(qcow2_deflate_small.whole);
	assert_int_equal(qcow2_deflate_small.type, QCOW2_COMPRESSION_DEFLATE);
	qcow2_deflate_small.begin(&qcow2_deflate_small, work);
	assert_int_equal(qcow2_deflate_small.decode(&qcow2_deflate_small, work, &stream),
	                 QCOW2_E_ARGUMENT);
	/* Past the end of the window, where that is no more than a window away. */
	stream.done = stream.window_at = 500;
	assert_int_equal(qcow2_deflate_small.decode(&qcow2_deflate_small, work, &stream),
	                 QCOW2_E_ARGUMENT);
	stream.stop = 10;
	stream.done = stream.window_at = 11;
	assert_int_equal(qcow2_deflate_small.decode(&qcow2_deflate_small, work, &stream),
	                 QCOW2_E_ARGUMENT);
}

/* ---- zlib as the judge ---- */

static void check_verdict(const uint8_t *bytes, size_t len, struct run run)
{
	uint32_t n_made;
	int verdict = zlib_inflate(bytes, len, run.out_len, &n_made);
	int status = decode(bytes, len, &run);

	while (status == QCOW2_E_MEMORY) {
		assert_in_range(run.window_len, 4096, 16384);
		run.window_len = 32768;
		status = decode(bytes, len, &run);
	}
	assert_int_equal(run.done, n_made); /* all before a fault, and no more */
	zlib_same(out);
	if (verdict == ZLIB_WRONG) {
		assert_true(status == QCOW2_E_COMPRESSED || status == QCOW2_E_TRUNCATED);
		return;
	}
	assert_int_equal(status, QCOW2_OK);
	/* What is wrong behind the last byte is for the call after it to find. */
	if (run.out_len != 0 && verdict != ZLIB_CUT_BEHIND)
		assert_int_equal(run.finish,
		                 verdict == ZLIB_WRONG_BEHIND ? QCOW2_E_COMPRESSED : QCOW2_OK);
}

/* Pieces, steps and windows of any size. */
static struct run random_run(uint32_t out_len)
{
	struct run run = { .out_len = out_len };

	if (below(3) == 0)
		run.piece = 1 + below(below(2) ? 40 : 2000);
	if (below(3) == 0)
		run.step = 1 + below(below(2) ? 300 : 20000);
	if (below(3) == 0)
		run.window_len = 4096u << below(4);
	return run;
}

static void random_data(uint8_t *p, uint32_t len)
{
	uint32_t kind = below(7), n = 0, i;

	while (n < len) {
		uint32_t run = 1 + below(kind == 0 ? 300 : 40);

		if (run > len - n)
			run = len - n;
		if (kind == 1) {
			random_bytes(p + n, run, 256);
		} else if (kind == 2) { /* frequencies that halve: codes of 15 bits */
			for (i = 0; i < run; i++)
				p[n + i] = (uint8_t)(below(2)    ? 0
				                     : below(4)  ? 1 + below(4)
				                     : below(16) ? below(20)
				                                 : below(256));
		} else if (kind == 3 || n == 0) {
			memset(p + n, (int)below(256), run);
		} else if (below(2)) {
			random_bytes(p + n, run, kind == 4 ? 20 : 256);
		} else { /* from before, near or far */
			uint32_t back = 1 + below(below(2) && n > 40 ? 40 : n);

			for (i = 0; i < run; i++)
				p[n + i] = p[n + i - back];
		}
		n += run;
	}
}

/* A stream of `data` by zlib, in w. */
static size_t compress_raw(uint32_t len, int window_bits)
{
	struct zlib_deflate how = { .window_bits = window_bits };
	size_t n;

	how.level = (int)below(10);
	how.memory = 1 + (int)below(9);
	how.strategy = (int)below(5);
	begin_stream();
	n = zlib_deflate(&how, data, len, w.bytes, MAX_IN);
	w.n_bits = n * 8;
	return n;
}

static void test_against_deflate(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < 350; i++) {
		uint32_t len = 1 + below(i % 10 == 0 ? 65536 : 6000);
		int window_bits = 9 + (int)below(7);
		struct run run = random_run(len);
		size_t n;

		random_data(data, len);
		n = compress_raw(len, window_bits);
		if (run.window_len != 0 && run.window_len < 1u << window_bits)
			run.window_len = 1u << window_bits;
		assert_int_equal(decode(w.bytes, n, &run), QCOW2_OK);
		assert_memory_equal(out, data, len);
		check_verdict(w.bytes, n, random_run(len));
		check_verdict(w.bytes, n, random_run(len + 1));
		check_verdict(w.bytes, n, random_run(1 + below(len)));
		n = below((uint32_t)n);
		check_verdict(w.bytes, n, random_run(len));
	}
}

static void mutate(uint8_t *bytes, size_t len)
{
	uint32_t n = 1 + below(4);

	while (n-- != 0) {
		/* The headers are at the beginning: that is where most damage is interesting. */
		uint32_t at = below((uint32_t)(below(2) && len > 100 ? 100 : len));

		if (below(2))
			bytes[at] ^= (uint8_t)(1 << below(8));
		else
			bytes[at] = (uint8_t)below(256);
	}
}

static void test_against_damage(void **state)
{
	static uint8_t whole[MAX_IN];
	uint32_t i, k;

	(void)state;
	for (i = 0; i < 160; i++) {
		uint32_t len = 1 + below(3000);
		size_t n;

		random_data(data, len);
		n = compress_raw(len, 9 + (int)below(7));
		memcpy(whole, w.bytes, n);
		for (k = 0; k < 20; k++) {
			mutate(w.bytes, n);
			check_verdict(w.bytes, n, random_run(len));
			memcpy(w.bytes, whole, n);
		}
	}
}

/* A random code over n of the symbols: split leaves until there are enough. */
static void random_code(struct code *c, uint32_t n, uint32_t must)
{
	uint8_t leaves[288] = { 0 };
	uint32_t have = 1, i;
	bool deep = below(2) != 0;

	while (have < n) {
		uint32_t k = deep && below(3) ? have - 1 : below(have);

		if (leaves[k] == 15)
			k = below(have);
		if (leaves[k] == 15)
			continue;
		leaves[have++] = ++leaves[k];
	}
	memset(c->len, 0, sizeof(c->len));
	for (i = 0; i < have; i++) {
		uint32_t symbol = i == 0 && below(2) ? must : below(c->n);

		while (c->len[symbol] != 0)
			symbol = (symbol + 1) % c->n;
		c->len[symbol] = leaves[i] != 0 ? leaves[i] : 1;
	}
	if (c->len[must] == 0) { /* swap it for another */
		for (i = 0; c->len[i] == 0;)
			i++;
		c->len[must] = c->len[i];
		c->len[i] = 0;
	}
}

/* It is none any more. */
static void change_code(struct code *c)
{
	uint32_t symbol = below(c->n);

	c->len[symbol] = (uint8_t)below(16);
}

/* Streams that no compressor makes, mostly valid: any code, any symbols, any number of blocks. */
static void random_stream(uint32_t *made)
{
	uint32_t n_blocks = 1 + below(4), n_symbols, symbol, n = 0;

	begin_stream();
	for (; n_blocks != 0; n_blocks--) {
		symbol = 257 + below(30);
		no_codes(symbol, 1 + below(30));
		random_code(&lit, 2 + below(lit.n - 1), 256);
		random_code(&dist, 1 + below(dist.n), 0);
		if (below(8) == 0)
			change_code(&lit);
		if (below(8) == 0)
			change_code(&dist);
		put_dynamic(n_blocks == 1);
		for (n_symbols = 1 + below(600); n_symbols != 0; n_symbols--) {
			symbol = below(lit.n);
			while (lit.len[symbol] == 0)
				symbol = (symbol + 1) % lit.n;
			if (symbol == 256 && below(40) != 0)
				continue;
			if (symbol == 256)
				break;
			if (symbol < 256) {
				put_lit(symbol);
				n++;
				continue;
			}
			if (n > 60000)
				continue;
			put_lit(symbol);
			symbol -= 257;
			put(below(1u << len_extra[symbol]), len_extra[symbol]);
			n += len_base[symbol];
			symbol = below(dist.n);
			while (dist.len[symbol] == 0 && below(50) != 0)
				symbol = (symbol + 1) % dist.n;
			while (dist_base[symbol] > n && symbol > 0)
				symbol--;
			while (symbol > 0 && dist.len[symbol] == 0)
				symbol--;
			put_dist(symbol);
			put(below(1u << dist_extra[symbol]), dist_extra[symbol]);
		}
		if (lit.len[256] != 0)
			put_lit(256);
	}
	*made = n;
}

static void test_against_random_streams(void **state)
{
	uint32_t i, made, k;

	(void)state;
	for (i = 0; i < 900; i++) {
		random_stream(&made);
		for (k = 0; k < 3; k++)
			check_verdict(w.bytes, stream_len(), random_run(1 + below(made + 2)));
	}
}

/* Plain noise after a header that says "dynamic". */
static void test_against_noise(void **state)
{
	uint8_t noise[80];
	uint32_t i, len;

	(void)state;
	for (i = 0; i < 8000; i++) {
		random_bytes(noise, sizeof(noise), 256);
		if (i % 2 == 0)
			noise[0] = (uint8_t)((noise[0] & 0xf8u) | 4u | (i & 2u) >> 1);
		len = 1 + below(80);
		check_verdict(noise, len, random_run(1 + below(600)));
	}
}

/* ---- what only the whole one does ---- */

static void test_whole_contract(void **state)
{
	static uint64_t work[QCOW2_DEFLATE_FAST_WORK / 8];
	struct run run = { .out_len = 4, .fail = QCOW2_E_IO };
	uint8_t window[512];
	struct qcow2_stream stream = { .window = window, .window_len = 512, .stop = 513 };

	(void)state;
	assert_true(codec->work_len <= sizeof(work));
	assert_true(codec->whole);
	assert_int_equal(codec->type, QCOW2_COMPRESSION_DEFLATE);
	codec->begin(codec, work);
	assert_int_equal(codec->decode(codec, work, &stream), QCOW2_E_ARGUMENT);
	stream.done = stream.window_at = 4;
	stream.stop = 8;
	assert_int_equal(codec->decode(codec, work, &stream), QCOW2_E_ARGUMENT);
	begin_stream();
	assert_int_equal(decode(w.bytes, 0, &run), QCOW2_E_IO);
	assert_int_equal(run.n_fills, 1);
}

/* The input is there before the first call: nobody is asked for it. */
static void test_whole_at_hand(void **state)
{
	static uint64_t work[QCOW2_DEFLATE_FAST_WORK / 8];
	uint8_t window[512];
	struct qcow2_stream stream = { .window = window, .window_len = 512, .stop = 512 };

	(void)state;
	random_bytes(data, 512, 256);
	begin_stream();
	put_stored(true, data, 512);
	stream.next = w.bytes;
	stream.end = w.bytes + stream_len();
	codec->begin(codec, work);
	assert_int_equal(codec->decode(codec, work, &stream), QCOW2_OK);
	assert_int_equal(stream.done, 512);
	assert_int_equal(stream.window_at, 0);
	assert_memory_equal(window, data, 512);
	assert_int_equal(codec->decode(codec, work, &stream), QCOW2_OK);
}

int main(void)
{
	static const struct CMUnitTest small_tests[] = {
		cmocka_unit_test(test_ring),         cmocka_unit_test(test_ring_history),
		cmocka_unit_test(test_ring_too_far), cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_steps),        cmocka_unit_test(test_no_more_than_needed),
		cmocka_unit_test(test_bad_stop),
	};
	static const struct CMUnitTest whole_tests[] = {
		cmocka_unit_test(test_whole_contract),
		cmocka_unit_test(test_whole_at_hand),
	};
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
		cmocka_unit_test(test_dynamic_all_symbols),
		cmocka_unit_test(test_long_turns),
		cmocka_unit_test(test_near_the_end),
		cmocka_unit_test(test_dynamic_repeats),
		cmocka_unit_test(test_trees),
		cmocka_unit_test(test_nearly_a_code),
		cmocka_unit_test(test_code_length_code),
		cmocka_unit_test(test_half_codes),
		cmocka_unit_test(test_too_far),
		cmocka_unit_test(test_first_stop),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_too_long_is_cut),
		cmocka_unit_test(test_behind_the_last_byte),
		cmocka_unit_test(test_against_deflate),
		cmocka_unit_test(test_against_damage),
		cmocka_unit_test(test_against_random_streams),
		cmocka_unit_test(test_against_noise),
	};

	int failed = cmocka_run_group_tests_name("inflate", tests, NULL, NULL);

	failed += cmocka_run_group_tests_name("inflate, in parts", small_tests, NULL, NULL);
	codec = &qcow2_deflate_fast;
	failed += cmocka_run_group_tests_name("inflate whole", tests, NULL, NULL);
	failed += cmocka_run_group_tests_name("inflate, only whole", whole_tests, NULL, NULL);
	return failed;
}
