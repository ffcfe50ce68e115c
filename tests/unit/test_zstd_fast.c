/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The fast zstd decoder where it differs from the small one: the main loop, which decodes sequences
 * as long as there is much room, and leaves the others to a slower one; and how it answers input
 * that is cut, and wrong calls. test_zstd_format.c tests the format.
 */
#include "zstd.h"

#include <string.h>

enum { MANY = 40, WINDOW = 7 << 3 /* 128 KiB */ };

static struct zstd_sequence sequences[4096];
static uint8_t literals[1 << 16];

/* Writes `n` raw literals and these sequences as a block. */
static void put_block(bool last, uint32_t n_literals, const struct zstd_sequence *q, uint32_t n)
{
	zstd_block_begin(last);
	zstd_literals(ZSTD_RAW, n_literals, 20);
	for (uint32_t i = 0; i < n_literals; i++)
		zstd_put(literals[i], 1);
	zstd_default_sequences(q, n);
	zstd_block_end();
}

static void begin_frame(uint8_t window)
{
	zstd_begin();
	zstd_magic();
	zstd_put(0, 1);
	zstd_put(window, 1);
}

static void one_block(uint32_t n_literals, const struct zstd_sequence *q, uint32_t n)
{
	begin_frame(WINDOW);
	put_block(true, n_literals, q, n);
}

/* Appends what the sequences make to the `at` bytes in zstd_wanted; returns the new length. */
static uint32_t execute(uint32_t at, uint32_t n_literals, const struct zstd_sequence *q, uint32_t n)
{
	uint32_t repeats[3] = { 1, 4, 8 }, lit = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t value = q[i].offset, distance, which, k;

		memcpy(zstd_wanted + at, literals + lit, q[i].literals);
		at += q[i].literals;
		lit += q[i].literals;
		which = value - (q[i].literals != 0 ? 1 : 0);
		distance = value > 3 ? value - 3 : which < 3 ? repeats[which] : repeats[0] - 1;
		if (value > 3 || which > 1)
			repeats[2] = repeats[1];
		if (value > 3 || which > 0)
			repeats[1] = repeats[0];
		repeats[0] = distance;
		LE(1, distance);
		LE(distance, at);
		for (k = 0; k < q[i].match; k++, at++)
			zstd_wanted[at] = zstd_wanted[at - distance];
	}
	memcpy(zstd_wanted + at, literals + lit, n_literals - lit);
	return at + (n_literals - lit);
}

static void fill_literals(void)
{
	for (size_t i = 0; i < sizeof(literals); i++)
		literals[i] = (uint8_t)test_random(256);
}

/* Sequences that are all good: 4 literals and a match of 8 from 4 bytes before. */
static uint32_t plain_sequences(void)
{
	for (uint32_t i = 0; i < MANY; i++)
		sequences[i] = (struct zstd_sequence){ 4, 8, 4 + 3 };
	return 4 * MANY + 20;
}

static void test_plain(void **state)
{
	uint32_t n = plain_sequences();

	(void)state;
	fill_literals();
	one_block(n, sequences, MANY);
	zstd_good(execute(0, n, sequences, MANY));
}

/* Each fault of a sequence that the main loop meets, with good ones before and after it. */
static void test_faults(void **state)
{
	static const struct zstd_sequence faults[] = {
		{ 1000, 8, 7 },     /* more literals than there are */
		{ 4, 1000, 7 },     /* more than the cluster */
		{ 4, 8, 5000 + 3 }, /* from before the cluster */
		{ 4, 8, 1 << 27 },  /* with more bits than a load has */
	};

	(void)state;
	fill_literals();
	for (size_t i = 0; i < COUNT(faults); i++) {
		for (uint32_t at = 0; at < MANY; at += 13) {
			uint32_t n = plain_sequences();
			uint32_t out_len = execute(0, n, sequences, MANY);

			test_case("fault %zu at %u", i, at);
			sequences[at] = faults[i];
			one_block(n, sequences, MANY);
			zstd_bad(out_len);
		}
	}
}

/* The third last offset less 1 is 0, which libzstd takes for 1. */
static void test_offset_0(void **state)
{
	uint32_t n = plain_sequences();

	(void)state;
	fill_literals();
	sequences[1] = (struct zstd_sequence){ 4, 8, 1 + 3 };
	sequences[2] = (struct zstd_sequence){ 0, 8, 3 };
	one_block(n, sequences, MANY);
	EQ(zstd_decode(zstd.bytes, zstd.len, 12 * MANY + 16, &(struct zstd_run){ 0 }),
	   QCOW2_E_COMPRESSED);
}

/* Blocks of a frame with a window of 1 KiB: a match reaches as far, and no farther. */
static void test_window(void **state)
{
	(void)state;
	fill_literals();
	for (uint32_t more = 0; more < 2; more++) {
		uint32_t n = plain_sequences(), at = 3000;

		test_case("%u more", more);
		memcpy(zstd_wanted, literals, at);
		begin_frame(0);
		for (uint32_t k = 0; k < at; k += 1000)
			zstd_raw(false, zstd_wanted + k, 1000);
		sequences[3].offset = 1024 + more + 3;
		sequences[4].offset = 2; /* the one before it */
		put_block(true, n, sequences, MANY);
		at = execute(at, n, sequences, MANY);
		if (more == 0)
			zstd_good(at);
		else
			zstd_forbidden(at);
	}
}

/* A sequence with more bits than a load has, which is good. */
static void test_long(void **state)
{
	uint32_t n = plain_sequences() + 32768;

	(void)state;
	fill_literals();
	sequences[1] = (struct zstd_sequence){ 32768, 40000, 4 + 3 };
	one_block(n, sequences, MANY);
	zstd_good(execute(0, n, sequences, MANY));
}

/* A number up to `most`, mostly a small one. */
static uint32_t random_number(uint32_t most)
{
	uint32_t n = (uint32_t)test_random((uint64_t)1 << test_random(14));

	return n < most ? n : most;
}

/* An offset value that is valid after `at` bytes: near ones, far ones, and repeats. */
static uint32_t random_offset(uint32_t at, uint32_t kind)
{
	uint32_t most = at < 20 || kind == 0 ? at : 20;

	if (test_random(3) == 0)
		most = at;
	return 3 + 1 + (uint32_t)test_random(most);
}

/* Random sequences, in blocks with few or many literals, with much or little room at the end. */
static void test_random_sequences(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < (test_brief() ? 30 : 200); i++) {
		uint32_t n = 1 + (uint32_t)test_random(i % 20 == 0 ? 3000 : 60);
		uint32_t kind = (uint32_t)test_random(4), at = 0, lits = 0;

		test_case("%u", i);
		fill_literals();
		for (uint32_t k = 0; k < n; k++) {
			struct zstd_sequence *q = &sequences[k];

			q->literals = k == 0 ? 8 : random_number(kind == 1 ? 2 : 40);
			q->match = 3 + random_number(kind == 2 ? 5 : 60000);
			if (at > 60000)
				q->match = 3;
			at += q->literals;
			q->offset = random_offset(at, kind);
			if (test_random(8) == 0 && q->literals != 0 && k > 2)
				q->offset = 1 + (uint32_t)test_random(2);
			at += q->match;
			lits += q->literals;
		}
		lits += kind == 3 ? 0 : (uint32_t)test_random(40);
		if (at + 40 > 131072 || lits > sizeof(literals))
			continue;
		one_block(lits, sequences, n);
		zstd_good(execute(0, lits, sequences, n));
	}
}

/* ---- Input that is cut, and wrong calls ---- */

/* Compresses letters to a frame with a checksum in `zstd`. */
static void compress(uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		zstd_wanted[i] = (uint8_t)('a' + test_random(3) * (i / 100 % 7));
	zstd_begin();
	zstd_put(0x184D2A50, 4);
	zstd_put(3, 4);
	zstd_put(0, 3);
	zstd.len += zstd_oracle_compress(3, true, zstd_wanted, len, zstd.bytes + zstd.len,
	                                 sizeof(zstd.bytes) - zstd.len);
}

/* Input that ends early is TRUNCATED wherever it ends. */
static void test_cut(void **state)
{
	enum { LEN = 4096 };

	(void)state;
	zstd_codec = &qcow2_zstd_fast;
	compress(LEN);
	zstd_good(LEN);
	for (size_t len = 0; len < zstd.len; len++) {
		test_case("%zu of %zu bytes", len, zstd.len);
		EQ(zstd_decode(zstd.bytes, len, LEN, &(struct zstd_run){ 0 }), QCOW2_E_TRUNCATED);
	}
}

/* A block that ends early is damaged wherever it ends. */
static void test_cut_block(void **state)
{
	enum { LEN = 4096, FRAME = 11, HEAD = FRAME + 4 + 1 + 2 };
	uint32_t size;

	(void)state;
	compress(LEN);
	TRUE((zstd.bytes[FRAME + 4] & 0xf0) == 0x60); /* a single segment, its size in 2 bytes */
	size = zstd.bytes[HEAD] >> 3 | (uint32_t)zstd.bytes[HEAD + 1] << 5;
	EQ(HEAD + 3 + size + 4, zstd.len); /* it is the only block */
	while (size-- != 0) {
		test_case("%u bytes", size);
		zstd.bytes[HEAD] = (uint8_t)(size << 3 | 5);
		zstd.bytes[HEAD + 1] = (uint8_t)(size >> 5);
		zstd_bad(LEN);
	}
}

/* Blocks that end within their first bytes, or state more than they have. */
static void test_short_parts(void **state)
{
	static const struct {
		uint8_t len, bytes[16];
	} cases[] = {
		{ 1, { 0x04 } },                               /* raw literals, size of 12 bits */
		{ 2, { 0x02, 0x00 } },                         /* compressed: 2 sizes of 10 bits */
		{ 3, { 0x12, 0x40, 0x00 } },                   /* with a tree, and nothing more */
		{ 5, { 0x12, 0x80, 0x00, 0x83, 0x11 } },       /* 4 weights, but only 2 are there */
		{ 7, { 0x12, 0xc0, 0x00, 0x80, 0x10, 1, 0 } }, /* no number of sequences */
		{ 7, { 0xf2, 0xff, 0x00, 0x80, 0x10, 4, 0 } }, /* more literals than the cluster */
		{ 3, { 0x00, 0x01, 0x40 } },                   /* no symbol of literal lengths */
		/* The first of four streams of two literals has no last bit. */
		{ 16, { 0x86, 0, 3, 0x80, 0x10, 1, 0, 1, 0, 1, 0, 0, 4, 4, 4, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		test_case("%zu", i);
		zstd_begin();
		zstd_plain_frame();
		zstd_block_begin(true);
		for (uint8_t k = 0; k < cases[i].len; k++)
			zstd_put(cases[i].bytes[k], 1);
		zstd_block_end();
		zstd_bad(1000);
	}
}

/* Weights whose sum needs more bits than a code may have. */
static void test_weights(void **state)
{
	(void)state;
	zstd_begin();
	zstd_plain_frame();
	zstd_block_begin(true);
	zstd_packed_literals(2, 0, 10, 1 + 64 + 1);
	zstd_put(255, 1);
	for (unsigned i = 0; i < 64; i++)
		zstd_put(0xbb, 1);
	zstd_put(1, 1);
	zstd_put(0, 1);
	zstd_block_end();
	zstd_bad(10);
}

static int no_input(struct qcow2_stream *stream)
{
	(void)stream;
	return QCOW2_E_IO;
}

static void test_calls(void **state)
{
	static uint64_t work[QCOW2_ZSTD_FAST_WORK / 8];
	static uint8_t window[512];
	struct qcow2_stream stream = { .fill = no_input, .window = window, .window_len = 512 };
	const struct qcow2_codec *fast = &qcow2_zstd_fast;

	(void)state;
	zstd_begin();
	zstd_plain_frame();
	zstd_block(true, ZSTD_RLE, 512);
	zstd_put('x', 1);
	LE(fast->work_len, sizeof(work));
	fast->begin(fast, work);
	stream.next = stream.end = zstd.bytes;
	stream.stop = 513;
	EQ(fast->decode(fast, work, &stream), QCOW2_E_ARGUMENT);
	stream.stop = 512;
	EQ(fast->decode(fast, work, &stream), QCOW2_E_IO);
	stream.end = zstd.bytes + zstd.len;
	EQ(fast->decode(fast, work, &stream), QCOW2_OK); /* the input is already there */
	EQ(stream.done, 512);
	ALL(window, 'x', 512);
	EQ(fast->decode(fast, work, &stream), QCOW2_OK);
	stream.done = 1;
	EQ(fast->decode(fast, work, &stream), QCOW2_E_ARGUMENT);
}

static int choose_fast(void **state)
{
	(void)state;
	zstd_codec = &qcow2_zstd_fast;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),       cmocka_unit_test(test_faults),
		cmocka_unit_test(test_offset_0),    cmocka_unit_test(test_window),
		cmocka_unit_test(test_long),        cmocka_unit_test(test_random_sequences),
		cmocka_unit_test(test_cut),         cmocka_unit_test(test_cut_block),
		cmocka_unit_test(test_short_parts), cmocka_unit_test(test_weights),
		cmocka_unit_test(test_calls),
	};

	return cmocka_run_group_tests(tests, choose_fast, NULL);
}
