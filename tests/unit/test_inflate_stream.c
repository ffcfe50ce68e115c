/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The interface of the decoders: input in pieces, output in steps, small windows, ends of input and
 * output, wrong arguments. Only the small decoder can stop and go on.
 */
#include "inflate.h"

#include <string.h>

/* A distance, in a window that is just large enough for it, and in smaller ones. */
static void check_ring(uint32_t distance)
{
	uint32_t least = below(65535 - distance), n = distance + least / (1 + below(64));
	struct run run = { .out_len = n + 258 };
	uint32_t ring = 4096;

	while (ring < distance)
		ring *= 2;
	begin_stream();
	put_stored(false, wanted, n);
	put_fixed(true);
	put_match(258, distance);
	put_lit(256);
	run.window_len = ring;
	EQ(decode(writer.bytes, stream_len(), &run), QCOW2_OK);
	copy_match(n, 258, distance);
	SAME(output, wanted, n + 258);
	for (run.window_len = 4096; run.window_len < ring; run.window_len *= 2)
		EQ(decode(writer.bytes, stream_len(), &run), QCOW2_E_MEMORY);
}

static void test_ring(void **state)
{
	uint32_t distance, power;

	(void)state;
	random_bytes(wanted, sizeof(wanted), 256);
	for (distance = 1; distance < 32768; distance += distance < 300 ? 1 : 1 + below(300))
		check_ring(distance);
	for (power = 4096; power <= 32768; power *= 2) {
		for (distance = power - 2; distance <= power + 2 && distance <= 32768; distance++)
			check_ring(distance);
	}
}

/*
 * Once the window has wrapped, the bytes right after a match are the oldest history, and the next
 * match may need them. So no copy may write past the end of its match.
 */
static void test_ring_history(void **state)
{
	uint32_t ring;

	(void)state;
	for (ring = 4096; ring <= 32768; ring *= 2) {
		uint32_t n = ring + below(200), back;
		struct run run = { .window_len = ring };

		random_bytes(wanted, n, 256);
		begin_stream();
		put_stored(false, wanted, n);
		put_fixed(true);
		for (back = 0; back < 1000; back++) {
			uint32_t len = 3 + below(30), from = 1 + below(back % 3 == 0 ? 9 : 300);

			if (back % 2 == 0)
				from = ring - below(20);
			put_match(len, from);
			copy_match(n, len, from);
			n += len;
		}
		put_literals(wanted, 300);
		memcpy(wanted + n, wanted, 300);
		put_lit(256);
		run.out_len = n + 300;
		EQ(decode(writer.bytes, stream_len(), &run), QCOW2_OK);
		SAME(output, wanted, run.out_len);
		run.step = 777;
		EQ(decode(writer.bytes, stream_len(), &run), QCOW2_OK);
		SAME(output, wanted, run.out_len);
	}
}

/* A distance beyond all output is an error of the stream, however small the window is. */
static void test_ring_too_far(void **state)
{
	struct run run = { .out_len = 9000, .window_len = 4096 };

	(void)state;
	random_bytes(wanted, 9000, 256);
	begin_stream();
	put_stored(false, wanted, 5000);
	put_fixed(true);
	put_match(258, 5001);
	put(0, 100);
	EQ(decode(writer.bytes, stream_len(), &run), QCOW2_E_COMPRESSED);
	begin_stream();
	put_stored(false, wanted, 5000);
	put_fixed(true);
	put_match(258, 5000);
	put(0, 100);
	EQ(decode(writer.bytes, stream_len(), &run), QCOW2_E_MEMORY);
	run.window_len = 8192;
	run.out_len = 5258;
	EQ(decode(writer.bytes, stream_len(), &run), QCOW2_OK);
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
	memcpy(wanted, text, sizeof(text) - 1);
	n += (uint32_t)sizeof(text) - 1;
	put_fixed(false);
	for (i = 0; i < 12; i++) {
		uint32_t len = 3 + i * 20, distance = 1 + i * 4;

		wanted[n] = (uint8_t)(i * 21);
		put_lit(wanted[n++]);
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
			wanted[n++] = (uint8_t)symbol;
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
	memcpy(wanted + n, text, 40);
	return n + 40;
}

static void test_pieces(void **state)
{
	uint32_t n = mixed_stream();
	struct run run = { .out_len = n };

	(void)state;
	for (run.piece = 1; run.piece <= stream_len(); run.piece++) {
		memset(output, 0, n);
		EQ(decode(writer.bytes, stream_len(), &run), QCOW2_OK);
		SAME(output, wanted, n);
	}
}

static void test_steps(void **state)
{
	uint32_t n = mixed_stream();
	struct run run = { .out_len = n };

	(void)state;
	for (run.step = 1; run.step <= n; run.step++) {
		run.piece = run.step % 3 == 0 ? run.step % 50 : 0;
		memset(output, 0, n);
		EQ(decode(writer.bytes, stream_len(), &run), QCOW2_OK);
		SAME(output, wanted, n);
	}
}

/* The first step may end at any byte, and the second makes the rest. */
static void test_first_stop(void **state)
{
	uint32_t n = mixed_stream(), stop;

	(void)state;
	for (stop = 0; stop <= n; stop++) {
		struct run run = { .out_len = stop };

		EQ(decode(writer.bytes, stream_len(), &run), QCOW2_OK);
		SAME(output, wanted, stop);
	}
}

/* A stream that is cut at any byte gives exactly the output that its rest determines. */
static void test_truncated(void **state)
{
	uint32_t n = mixed_stream(), made = 0;
	size_t len, full = stream_len();

	(void)state;
	for (len = 0; len < full; len++) {
		struct run run = { .out_len = n };
		/* A whole codec asks for input only once. */
		int status = codec->whole && len != 0 ? QCOW2_E_TRUNCATED : QCOW2_E_IO;

		EQ(decode(writer.bytes, len, &run), QCOW2_E_TRUNCATED);
		run.piece = 3;
		run.fail = QCOW2_E_IO;
		EQ(decode(writer.bytes, len, &run), status);
		while (zlib_makes(len, made + 1))
			made++;
		run.out_len = made + 1;
		EQ(decode(writer.bytes, len, &run), status);
		run.out_len = made;
		EQ(decode(writer.bytes, len, &run), QCOW2_OK);
		SAME(output, wanted, made);
	}
	EQ(made, n - 1);
}

/* The decoder asks for no more input than the output needs. */
static void test_no_more_than_needed(void **state)
{
	struct run run = { .out_len = 0, .piece = 1 };

	(void)state;
	begin_stream();
	put_fixed(true);
	put_lit('a'); /* bits 3 to 10 */
	put_lit(200); /* bits 11 to 19 */
	EQ(decode(writer.bytes, 0, &run), QCOW2_OK);
	EQ(run.n_fills, 0);
	run.out_len = 1;
	EQ(decode(writer.bytes, 3, &run), QCOW2_OK);
	EQ(run.n_fills, 2);
	run.out_len = 2;
	EQ(decode(writer.bytes, 3, &run), QCOW2_OK);
	EQ(run.n_fills, 3);
}

static void test_too_long_is_cut(void **state)
{
	uint32_t n = mixed_stream(), i;

	(void)state;
	for (i = 1; i < n; i++)
		expect_bytes(wanted, i);
	EQ(decode_plain(n), QCOW2_OK);
	EQ(decode_plain(n + 1), QCOW2_E_COMPRESSED);
	/* Padding after the final block makes no difference. */
	put(0, 4096);
	EQ(decode_plain(n), QCOW2_OK);
	EQ(decode_plain(n + 1), QCOW2_E_COMPRESSED);
}

/*
 * A decoder checks what follows the last byte up to the next one. Blocks without bytes may follow,
 * and the input may end; a fault there makes the whole stream invalid.
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
	memcpy(wanted, "0123456789", 10);
	for (i = 0; i < COUNT(cases); i++) {
		struct run run = { .out_len = 10 };

		test_case("case %zu", i);
		begin_stream();
		put_fixed(false);
		put_literals(wanted, 10);
		put_lit(256);
		if (cases[i].empty_stored)
			put_stored(false, wanted, 0);
		if (cases[i].empty_fixed) {
			put_fixed(false);
			put_lit(256);
		}
		if (cases[i].then == 3) /* it stops at the stored byte and sees nothing after it */
			put_stored(false, wanted, 1);
		if (cases[i].then == 1 || cases[i].then == 3)
			put(7, 3);
		if (cases[i].then >= 4) {
			put_fixed(true);
			put_lit(cases[i].then == 6 ? 286 : 257);
			put_dist(cases[i].then == 5 ? 30 : 29);
		}
		if (cases[i].then == 0)
			put_stored(true, wanted, 0);
		EQ(decode(writer.bytes, stream_len(), &run), QCOW2_OK);
		SAME(output, wanted, 10);
		EQ(run.finish, cases[i].finish);
		EQ(zlib_makes(stream_len(), 10), cases[i].finish == QCOW2_OK);
	}
}

/* A stop before done, or past the window, is refused. The proof relies on that. */
static void test_bad_stop(void **state)
{
	static uint64_t work[QCOW2_DEFLATE_SMALL_WORK / 8];
	uint8_t window[512];
	struct qcow2_stream stream = { .window = window, .window_len = 512, .stop = 513 };

	(void)state;
	TRUE(qcow2_deflate_small.work_len <= sizeof(work));
	TRUE(!qcow2_deflate_small.whole);
	EQ(qcow2_deflate_small.type, QCOW2_COMPRESSION_DEFLATE);
	qcow2_deflate_small.begin(&qcow2_deflate_small, work);
	EQ(qcow2_deflate_small.decode(&qcow2_deflate_small, work, &stream), QCOW2_E_ARGUMENT);
	/* Past the end of the window, but less than a window after done. */
	stream.done = stream.window_at = 500;
	EQ(qcow2_deflate_small.decode(&qcow2_deflate_small, work, &stream), QCOW2_E_ARGUMENT);
	stream.stop = 10;
	stream.done = stream.window_at = 11;
	EQ(qcow2_deflate_small.decode(&qcow2_deflate_small, work, &stream), QCOW2_E_ARGUMENT);
}

/* ---- The fast decoder only ---- */

static void test_whole_contract(void **state)
{
	static uint64_t work[QCOW2_DEFLATE_FAST_WORK / 8];
	struct run run = { .out_len = 4, .fail = QCOW2_E_IO };
	uint8_t window[512];
	struct qcow2_stream stream = { .window = window, .window_len = 512, .stop = 513 };

	(void)state;
	TRUE(codec->work_len <= sizeof(work));
	TRUE(codec->whole);
	EQ(codec->type, QCOW2_COMPRESSION_DEFLATE);
	codec->begin(codec, work);
	EQ(codec->decode(codec, work, &stream), QCOW2_E_ARGUMENT);
	stream.done = stream.window_at = 4;
	stream.stop = 8;
	EQ(codec->decode(codec, work, &stream), QCOW2_E_ARGUMENT);
	begin_stream();
	EQ(decode(writer.bytes, 0, &run), QCOW2_E_IO);
	EQ(run.n_fills, 1);
}

/* The input is complete before the first call: the decoder does not call fill. */
static void test_whole_at_hand(void **state)
{
	static uint64_t work[QCOW2_DEFLATE_FAST_WORK / 8];
	uint8_t window[512];
	struct qcow2_stream stream = { .window = window, .window_len = 512, .stop = 512 };

	(void)state;
	random_bytes(wanted, 512, 256);
	begin_stream();
	put_stored(true, wanted, 512);
	stream.next = writer.bytes;
	stream.end = writer.bytes + stream_len();
	codec->begin(codec, work);
	EQ(codec->decode(codec, work, &stream), QCOW2_OK);
	EQ(stream.done, 512);
	EQ(stream.window_at, 0);
	SAME(window, wanted, 512);
	EQ(codec->decode(codec, work, &stream), QCOW2_OK);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_stop),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_too_long_is_cut),
		cmocka_unit_test(test_behind_the_last_byte),
	};
	static const struct CMUnitTest small_tests[] = {
		cmocka_unit_test(test_ring),         cmocka_unit_test(test_ring_history),
		cmocka_unit_test(test_ring_too_far), cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_steps),        cmocka_unit_test(test_no_more_than_needed),
		cmocka_unit_test(test_bad_stop),
	};
	static const struct CMUnitTest fast_tests[] = {
		cmocka_unit_test(test_whole_contract),
		cmocka_unit_test(test_whole_at_hand),
	};
	int failed = 0;

	failed += cmocka_run_group_tests_name("inflate, small decoder", tests, NULL, NULL);
	failed += cmocka_run_group_tests_name("inflate, small decoder", small_tests, NULL, NULL);
	codec = &qcow2_deflate_fast;
	failed += cmocka_run_group_tests_name("inflate, fast decoder", tests, NULL, NULL);
	failed += cmocka_run_group_tests_name("inflate, fast decoder", fast_tests, NULL, NULL);
	return failed;
}
