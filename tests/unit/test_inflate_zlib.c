/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Both decoders against zlib (zlib_oracle.h): streams that zlib makes, the same with damage,
 * streams that no compressor makes, and noise. They must give the same bytes and find the same
 * errors.
 */
#include "inflate.h"

#include <string.h>

static void check_verdict(const uint8_t *bytes, size_t len, struct run run)
{
	uint32_t n_made;
	int verdict = zlib_inflate(bytes, len, run.out_len, &n_made);
	int status = decode(bytes, len, &run);

	while (status == QCOW2_E_MEMORY) {
		LE(4096, run.window_len);
		LE(run.window_len, 16384);
		run.window_len = 32768;
		status = decode(bytes, len, &run);
	}
	EQ(run.done, n_made); /* all output before the error, and no more */
	zlib_same(output);
	if (verdict == ZLIB_WRONG) {
		TRUE(status == QCOW2_E_COMPRESSED || status == QCOW2_E_TRUNCATED);
		return;
	}
	EQ(status, QCOW2_OK);
	/* An error after the last byte is found by the next call. */
	if (run.out_len != 0 && verdict != ZLIB_CUT_BEHIND)
		EQ(run.finish, verdict == ZLIB_WRONG_BEHIND ? QCOW2_E_COMPRESSED : QCOW2_OK);
}

/* Chooses pieces, steps and a window of any size. */
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
		} else { /* copies from before, near or far */
			uint32_t back = 1 + below(below(2) && n > 40 ? 40 : n);

			for (i = 0; i < run; i++)
				p[n + i] = p[n + i - back];
		}
		n += run;
	}
}

/* Compresses `wanted` into `writer` with zlib. */
static size_t compress_raw(uint32_t len, int window_bits)
{
	struct zlib_deflate how = { .window_bits = window_bits };
	size_t n;

	how.level = (int)below(10);
	how.memory = 1 + (int)below(9);
	how.strategy = (int)below(5);
	begin_stream();
	n = zlib_deflate(&how, wanted, len, writer.bytes, MAX_IN);
	writer.n_bits = n * 8;
	return n;
}

static void test_against_deflate(void **state)
{
	uint32_t i;

	(void)state;
	for (i = 0; i < test_turns(350); i++) {
		uint32_t len = 1 + below(i % 10 == 0 ? 65536 : 6000);
		int window_bits = 9 + (int)below(7);
		struct run run = random_run(len);
		size_t n;

		random_data(wanted, len);
		n = compress_raw(len, window_bits);
		if (run.window_len != 0 && run.window_len < 1u << window_bits)
			run.window_len = 1u << window_bits;
		EQ(decode(writer.bytes, n, &run), QCOW2_OK);
		SAME(output, wanted, len);
		check_verdict(writer.bytes, n, random_run(len));
		check_verdict(writer.bytes, n, random_run(len + 1));
		check_verdict(writer.bytes, n, random_run(1 + below(len)));
		n = below((uint32_t)n);
		check_verdict(writer.bytes, n, random_run(len));
	}
}

static void mutate(uint8_t *bytes, size_t len)
{
	uint32_t n = 1 + below(4);

	while (n-- != 0) {
		/* Half of the damage goes to the beginning, where the headers are. */
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
	for (i = 0; i < test_turns(160); i++) {
		uint32_t len = 1 + below(3000);
		size_t n;

		random_data(wanted, len);
		n = compress_raw(len, 9 + (int)below(7));
		memcpy(whole, writer.bytes, n);
		for (k = 0; k < 20; k++) {
			mutate(writer.bytes, n);
			check_verdict(writer.bytes, n, random_run(len));
			memcpy(writer.bytes, whole, n);
		}
	}
}

/* A random code for n of the symbols: splits leaves until there are enough. */
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

/* Changes a code, so that it is most likely not valid. */
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
	for (i = 0; i < test_turns(900); i++) {
		random_stream(&made);
		for (k = 0; k < 3; k++)
			check_verdict(writer.bytes, stream_len(), random_run(1 + below(made + 2)));
	}
}

/* Noise after the header of a dynamic block. */
static void test_against_noise(void **state)
{
	uint8_t noise[80];
	uint32_t i, len;

	(void)state;
	for (i = 0; i < test_turns(8000); i++) {
		random_bytes(noise, sizeof(noise), 256);
		if (i % 2 == 0)
			noise[0] = (uint8_t)((noise[0] & 0xf8u) | 4u | (i & 2u) >> 1);
		len = 1 + below(80);
		check_verdict(noise, len, random_run(1 + below(600)));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_deflate),
		cmocka_unit_test(test_against_damage),
		cmocka_unit_test(test_against_random_streams),
		cmocka_unit_test(test_against_noise),
	};
	int failed = 0;

	failed += cmocka_run_group_tests_name("inflate, small decoder", tests, NULL, NULL);
	codec = &qcow2_deflate_fast;
	failed += cmocka_run_group_tests_name("inflate, fast decoder", tests, NULL, NULL);
	return failed;
}
