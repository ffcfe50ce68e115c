/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The built-in zstd decoders with what libzstd compresses: clusters of all sizes, pieces of any
 * length, input that fails or ends anywhere, damaged frames; and through a reader.
 */
#include "zstd.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of several kinds, which make libzstd use all that it has. */
static void mixed(uint8_t *p, uint32_t len)
{
	static const char words[] = "the struct return uint32_t 0x while (i < n) { }\n";
	uint32_t at = 0;

	while (at < len) {
		uint32_t kind = (uint32_t)test_random(6);
		uint32_t n = (uint32_t)test_random(kind == 5 ? 2000 : 60);
		uint32_t from = (uint32_t)test_random(sizeof(words) - 1);

		for (; n != 0 && at < len; n--, at++) {
			if (kind == 0)
				p[at] = (uint8_t)test_random(256);
			else if (kind == 1)
				p[at] = (uint8_t)words[from++ % (sizeof(words) - 1)];
			else if (kind < 5)
				p[at] = at > from * 8 ? p[at - from * 8 - 1]
				                      : (uint8_t)test_random(12);
			else
				p[at] = 0;
		}
	}
}

/* Makes `zstd` what libzstd compresses the first len bytes of zstd_wanted to. */
static void compress(int level, bool checksum, uint32_t len)
{
	zstd_begin();
	zstd.len = zstd_oracle_compress(level, checksum, zstd_wanted, len, zstd.bytes,
	                                sizeof(zstd.bytes));
}

static void test_cluster_sizes(void **state)
{
	static const int levels[] = { 3, 1, -5, 7, 19 };

	(void)state;
	for (unsigned bits = 9; bits <= 21; bits++) {
		for (size_t i = 0; i < COUNT(levels); i++) {
			uint32_t len = UINT32_C(1) << bits;

			if (bits > 16 && i > 0)
				break;
			test_case("cluster_bits %u, level %d", bits, levels[i]);
			mixed(zstd_wanted, len);
			if (bits > 18) /* `zstd` has room for half a MiB */
				memset(zstd_wanted + (1 << 18), 'm', len - (1 << 18));
			compress(levels[i], bits % 2 != 0, len);
			zstd_good(len);
		}
	}
}

/* Pieces cost as many fills as the input needs, and a few more for going back. */
static void test_cost(void **state)
{
	struct zstd_run run = { .piece = 512 };
	uint32_t len = 1 << 16;

	(void)state;
	mixed(zstd_wanted, len);
	compress(3, false, len);
	EQ(zstd_decode(zstd.bytes, zstd.len, len, &run), QCOW2_OK);
	LE(zstd.len / 512, run.n_fills);
	LE(run.n_fills, zstd.len / 512 + 12);
}

static void test_faults(void **state)
{
	uint32_t len = 1 << 13;

	(void)state;
	mixed(zstd_wanted, len);
	compress(3, true, len);
	for (unsigned n = 1;; n++) {
		struct zstd_run run = { .piece = 64, .fail_at = n };
		int status = zstd_decode(zstd.bytes, zstd.len, len, &run);

		test_case("fill %u fails", n);
		if (run.n_fills < n) {
			EQ(status, QCOW2_OK);
			LE(zstd.len / 64, n);
			break;
		}
		EQ(status, QCOW2_E_IO);
		EQ(run.n_fills, n);
	}
	for (size_t cut = 0; cut < zstd.len; cut++) {
		struct zstd_run run = { .piece = 256 };

		test_case("the input ends after %zu bytes", cut);
		EQ(zstd_decode(zstd.bytes, cut, len, &run), QCOW2_E_TRUNCATED);
	}
}

/* What the decoder accepts of damaged frames, libzstd accepts as well, with the same bytes. */
static void test_damage(void **state)
{
	unsigned n_good = 0;

	(void)state;
	for (unsigned i = 0; i < 1500; i++) {
		struct zstd_run run = { .piece = 512 };
		uint32_t len = 512u << test_random(5);

		if (i % 15 == 0 || len != run.done) {
			mixed(zstd_wanted, len);
			compress(i % 45 == 0 ? 19 : 3, i % 30 == 0, len);
		}
		test_case("mutant %u", i);
		for (unsigned k = 0; k <= i % 2; k++) {
			size_t at = test_random(i % 3 == 0 || zstd.len < 40 ? zstd.len : 40);

			zstd.bytes[at] ^= (uint8_t)(1 << test_random(8));
		}
		if (zstd_decode(zstd.bytes, zstd.len, len, &run) != QCOW2_OK)
			continue;
		n_good++;
		TRUE(zstd_oracle(zstd.bytes, zstd.len, len));
		zstd_oracle_same(zstd_output);
	}
	LE(10, n_good);
}

static void test_arguments(void **state)
{
	static uint64_t work[QCOW2_ZSTD_SMALL_WORK / 8];
	uint8_t window[512];
	struct qcow2_stream stream = { .window = window, .window_len = 512, .stop = 513 };

	(void)state;
	EQ(qcow2_zstd_small.type, QCOW2_COMPRESSION_ZSTD);
	TRUE(qcow2_zstd_small.whole);
	TRUE(qcow2_zstd_small.pieces);
	LE(qcow2_zstd_small.work_len, QCOW2_ZSTD_SMALL_WORK);
	LE(QCOW2_ZSTD_SMALL_WORK, 3788);
	qcow2_zstd_small.begin(&qcow2_zstd_small, work);
	EQ(qcow2_zstd_small.decode(&qcow2_zstd_small, work, &stream), QCOW2_E_ARGUMENT);
	stream.done = 100;
	stream.stop = 200;
	EQ(qcow2_zstd_small.decode(&qcow2_zstd_small, work, &stream), QCOW2_E_ARGUMENT);
	stream.stop = 100;
	EQ(qcow2_zstd_small.decode(&qcow2_zstd_small, work, &stream), QCOW2_OK);
}

/* An image of three clusters that libzstd compressed, with the least memory. */
static void test_reader(void **state)
{
	static const struct qcow2_codec *const codecs[] = { &qcow2_zstd_small, NULL };

	(void)state;
	for (unsigned bits = 9; bits <= 21; bits += 3) {
		size_t cluster = (size_t)1 << bits, min, good;
		struct test_image s = { 0 };

		image_init(&s.img, 3, bits, 3 * cluster);
		s.img.compression_type = QCOW2_COMPRESSION_ZSTD;
		for (uint64_t i = 0; i < 3; i++) {
			image_fill(zstd_wanted, cluster, s.img.active.seed, i * cluster);
			memset(zstd_wanted + 300, 'p', cluster - 300);
			compress(3, i == 1, (uint32_t)cluster);
			image_add_packed(&s.img, &s.img.active, i, zstd.bytes, zstd.len, 13, 0,
			                 zstd_wanted);
		}
		test_image_open(&s);
		EQ(qcow2_reader_memory(&s.image, codecs, &min, &good), QCOW2_OK);
		LE(min, QCOW2_READER_MEMORY_ZSTD(bits));
		for (unsigned i = 0; i < 2; i++) {
			struct test_reader reader;
			uint8_t *want = malloc(3 * cluster);

			test_case("cluster_bits %u, memory %u", bits, i);
			TRUE(want != NULL);
			image_expect(&s.img, &s.img.active, 0, want, 3 * cluster);
			test_reader_init(&reader, &s.image, i == 0 ? min : good, codecs);
			EQ(test_reader_read(&reader, 0, want, 3 * cluster), QCOW2_OK);
			EQ(test_reader_read(&reader, 7, want + 7, cluster), QCOW2_OK);
			EQ(test_reader_read(&reader, 2 * cluster + 9, want + 2 * cluster + 9, 400),
			   QCOW2_OK);
			test_reader_free(&reader);
			free(want);
		}
		test_image_free(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cluster_sizes), cmocka_unit_test(test_cost),
		cmocka_unit_test(test_faults),        cmocka_unit_test(test_damage),
		cmocka_unit_test(test_arguments),     cmocka_unit_test(test_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
