/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Compressed clusters through a reader with the small deflate decoder: where their bytes are in the
 * file, what the L2 entry states, damaged data, windows smaller than a cluster. Other readers got
 * these wrong: success without all of the output, and bit 62 of the entry.
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>

enum { BITS = 12, CLUSTER = 1 << BITS };

/* Every kind of memory that a reader of clusters of 2^bits may have. */
static size_t memory_of(unsigned i, unsigned bits)
{
	const size_t sizes[] = { 0, QCOW2_READER_MEMORY_DEFLATE,
		                 QCOW2_READER_MEMORY_DEFLATE + 20000,
		                 QCOW2_READER_MEMORY_CLUSTER(bits, QCOW2_DEFLATE_SMALL_WORK) };

	return sizes[i];
}

enum { N_MEMORIES = 4 };

/* ---- Places ---- */

/* Positions of any alignment, streams that cross host clusters, and any number of sectors. */
static void test_places(void **state)
{
	static const unsigned aligns[] = { IMAGE_ANYWHERE, 0, 1, 2, 255, 510, 511 };

	(void)state;
	for (size_t a = 0; a < COUNT(aligns); a++) {
		for (unsigned sectors = 0; sectors <= 32; sectors += 16) {
			struct test_image s = { 0 };
			uint8_t plain[CLUSTER];
			uint8_t packed[2 * CLUSTER];
			uint8_t want[16 * CLUSTER] = { 0 };

			image_init(&s.img, 3, BITS, sizeof want);
			for (uint64_t i = 0; i < 16; i++) {
				size_t n = 0;

				image_fill(plain, CLUSTER, s.img.active.seed, i * CLUSTER);
				n = i % 3 == 0 ? pack_stored(packed, plain, CLUSTER)
				               : pack_fixed(packed, plain, CLUSTER, 4096);
				image_add_packed(&s.img, &s.img.active, i, packed, n, aligns[a],
				                 sectors, NULL);
			}
			test_image_open(&s);
			image_expect(&s.img, &s.img.active, 0, want, sizeof want);
			for (unsigned m = 0; m < N_MEMORIES; m++) {
				struct test_reader reader;

				test_case("align %u, sectors %u, memory %u", aligns[a], sectors, m);
				test_reader_init(&reader, &s.image, memory_of(m, BITS),
				                 deflate_only);
				EQ(test_reader_read(&reader, 0, want, sizeof want), QCOW2_OK);
				EQ(test_reader_read(&reader, 5000, want + 5000, 20000), QCOW2_OK);
				test_reader_free(&reader);
			}
			test_image_free(&s);
		}
	}
}

/* The extent has the position, the greatest packed length, and one cluster at most. */
static void test_extents(void **state)
{
	(void)state;
	for (unsigned bits = 9; bits <= 21; bits++) {
		/* The largest position and the largest number of sectors that an entry can hold. */
		unsigned x = 62 - (bits - 8);
		uint64_t highest = (UINT64_C(1) << x) - 1;
		uint32_t most = UINT32_C(1) << (bits - 8);
		struct test_image s = { 0 };
		struct test_reader reader;
		struct qcow2_extent e;

		test_case("cluster_bits %u", bits);
		image_init(&s.img, 3, bits, UINT64_C(8) << bits);
		image_add_raw(&s.img, &s.img.active, 0, IMAGE_COMPRESSED_FLAG | 12345, 0);
		image_add_raw(&s.img, &s.img.active, 1,
		              IMAGE_COMPRESSED_FLAG | (uint64_t)(most - 1) << x | highest, 0);
		image_add_raw(&s.img, &s.img.active, 2,
		              IMAGE_COMPRESSED_FLAG | UINT64_C(1) << x | 512, 0);
		test_image_open(&s);
		test_reader_init(&reader, &s.image, 0, NULL);
		EQ(qcow2_reader_map(&reader.q, 5, (UINT64_C(3) << bits) - 5, &e), QCOW2_OK);
		EQ(e.kind, QCOW2_EXTENT_COMPRESSED);
		EQ(e.len, (1u << bits) - 5);
		EQ(e.pos, 12345);
		EQ(e.packed_len, 512 - 12345 % 512);
		EQ(qcow2_reader_map(&reader.q, 1u << bits, 1u << bits, &e), QCOW2_OK);
		EQ(e.pos, highest);
		EQ(e.packed_len, most * 512 - 511);
		EQ(qcow2_reader_map(&reader.q, 2u << bits, 3, &e), QCOW2_OK);
		EQ(e.pos, 512);
		EQ(e.packed_len, 1024);
		EQ(e.len, 3);
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* ---- The end of the file (P4) ---- */

static void test_file_end(void **state)
{
	uint8_t plain[CLUSTER];
	uint8_t packed[2 * CLUSTER];
	size_t n = 0;

	(void)state;
	image_fill(plain, CLUSTER, 1, 3 * CLUSTER);
	n = pack_fixed(packed, plain, CLUSTER, 4096);
	/*
	 * The stream does not need what the first cuts take away, but it needs the rest. The last
	 * byte of a block may hold only its end code: the output is complete without it.
	 */
	for (size_t cut = 0; cut <= n; cut += cut < 4 ? 1 : 37) {
		for (unsigned m = 0; m < N_MEMORIES; m++) {
			struct test_image s = { 0 };
			struct test_reader reader;
			int rc = 0;

			test_case("%zu of %zu bytes cut, memory %u", cut, n, m);
			image_init(&s.img, 3, BITS, 8 * CLUSTER);
			image_add(&s.img, &s.img.active, 2, IMAGE_COMPRESSED);
			image_add_last_packed(&s.img, &s.img.active, 3, packed, n - cut, 5, 16);
			test_image_open(&s);
			test_reader_init(&reader, &s.image, memory_of(m, BITS), deflate_only);
			rc = test_reader_read(&reader, 3 * CLUSTER, plain, CLUSTER);
			if (cut == 0)
				EQ(rc, QCOW2_OK);
			else if (cut > 2)
				EQ(rc, QCOW2_E_TRUNCATED);
			if (rc != QCOW2_OK) {
				EQ(reader.q.error.status, QCOW2_E_TRUNCATED);
				EQ(reader.q.error.pos, s.img.file.len);
				TRUE(reader.q.error.io == &s.image.io);
			}
			/* Reading only a part of the cluster gives the same. */
			EQ(test_reader_read(&reader, 3 * CLUSTER, plain, 1), rc);
			EQ(test_reader_read(&reader, 3 * CLUSTER + 100, plain + 100, 50), rc);
			EQ(test_reader_read(&reader, 4 * CLUSTER - 1, plain + CLUSTER - 1, 1), rc);
			test_reader_free(&reader);
			/* QCOW2_OPEN_TRUNCATED does not turn it into zeros. */
			test_image_open_flags(&s, QCOW2_OPEN_TRUNCATED);
			test_reader_init(&reader, &s.image, memory_of(m, BITS), deflate_only);
			EQ(test_reader_read(&reader, 3 * CLUSTER, plain, CLUSTER), rc);
			test_reader_free(&reader);
			test_image_free(&s);
		}
	}
}

/* The data starts past the end of the file. */
static void test_file_end_before(void **state)
{
	static const uint64_t beyond[] = { 0, 1, 511, 4096, UINT64_C(1) << 40 };
	struct test_image s = { 0 };
	uint8_t want[CLUSTER] = { 0 };

	(void)state;
	image_init(&s.img, 3, BITS, 8 * CLUSTER);
	image_add_raw(&s.img, &s.img.active, 1, 0, 0);
	image_finish(&s.img);
	for (size_t i = 0; i < COUNT(beyond); i++) {
		struct test_reader reader;

		test_case("data %llu bytes past the end", (unsigned long long)beyond[i]);
		image_put(&s.img.file, image_l2_entry_pos(&s.img, &s.img.active, 1),
		          IMAGE_COMPRESSED_FLAG | (s.img.file.len + beyond[i]), 8);
		test_image_open(&s);
		test_reader_init(&reader, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		EQ(test_reader_read(&reader, CLUSTER, want, CLUSTER), QCOW2_E_TRUNCATED);
		EQ(test_reader_read(&reader, CLUSTER + 7, want, 1), QCOW2_E_TRUNCATED);
		EQ(test_reader_read(&reader, 0, want, CLUSTER), QCOW2_OK);
		test_reader_free(&reader);
	}
	test_image_free(&s);
}

/* The stream is cut, but the file has all sectors of the entry: corrupt, not truncated. */
static void test_stream_end(void **state)
{
	uint8_t plain[CLUSTER];
	uint8_t packed[2 * CLUSTER];

	(void)state;
	image_fill(plain, CLUSTER, 1, 0);
	pack_stored(packed, plain, CLUSTER);
	for (unsigned sectors = 1; sectors <= 9; sectors++) {
		struct test_image s = { 0 };
		struct test_reader reader;

		test_case("file ends with sector %u", sectors);
		image_init(&s.img, 3, BITS, CLUSTER);
		image_add_last_packed(&s.img, &s.img.active, 0, packed, sectors * 512 - 5, 5,
		                      sectors);
		test_image_open(&s);
		test_reader_init(&reader, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		EQ(test_reader_read(&reader, 0, plain, CLUSTER),
		   sectors == 9 ? QCOW2_OK : QCOW2_E_COMPRESSED);
		if (sectors < 9)
			EQ(reader.q.error.pos, s.img.active.clusters[0].pos);
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* The storage fails in the middle of the packed bytes: the error has the position of the call. */
static void test_fault_place(void **state)
{
	uint8_t plain[CLUSTER];
	uint8_t packed[2 * CLUSTER];
	struct test_image s = { 0 };
	struct test_reader reader;
	uint64_t bad;

	(void)state;
	image_fill(plain, CLUSTER, 1, 0);
	pack_stored(packed, plain, CLUSTER);
	image_init(&s.img, 3, BITS, CLUSTER);
	image_add_last_packed(&s.img, &s.img.active, 0, packed, 9 * 512 - 5, 5, 9);
	test_image_open(&s);
	test_reader_init(&reader, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
	for (unsigned sector = 0; sector < 8; sector++) {
		test_case("sector %u", sector);
		bad = s.img.active.clusters[0].pos + sector * 512 + 100;
		s.io.bad_from = bad;
		s.io.bad_to = bad + 1;
		EQ(test_reader_read(&reader, 0, plain, CLUSTER), QCOW2_E_IO);
		LE(IO_FAULT, reader.q.error.io_code);
		TRUE(reader.q.error.io == &s.image.io);
		LE(reader.q.error.pos, bad);
		LE(bad, reader.q.error.pos + 511);
	}
	s.io.bad_to = 0;
	EQ(test_reader_read(&reader, 0, plain, CLUSTER), QCOW2_OK);
	test_reader_free(&reader);
	test_image_free(&s);
}

/* ---- Bad data (P11) ---- */

struct bad_stream {
	const char *name;
	uint8_t bytes[16];
	size_t n;
	size_t stored; /* bytes of output before it, in stored blocks */
};

static const struct bad_stream bad_streams[] = {
	{ "nothing but zeros", { 0, 0, 0, 0, 0, 0 }, 6, 0 },
	{ "block type 3", { 7 }, 1, 0 },
	{ "block type 3 at the end", { 7 }, 1, CLUSTER - 1 },
	{ "empty final block", { 3, 0 }, 2, 0 },
	{ "empty final block, one byte short", { 3, 0 }, 2, CLUSTER - 1 },
	{ "a zlib header", { 0x78, 0x9c, 0x03, 0x00 }, 4, 0 },
	{ "stored lengths that do not agree", { 1, 5, 0, 5, 0 }, 5, 0 },
	{ "a match before the start", { 0x03, 0x02, 0x00 }, 3, 0 },
};

static size_t make_bad(uint8_t *out, const struct bad_stream *b)
{
	uint8_t plain[CLUSTER];
	size_t n = 0;

	image_fill(plain, sizeof plain, 1, 0);
	if (b->stored != 0) {
		n = pack_stored(out, plain, b->stored);
		out[0] = 0; /* not the final block */
	}
	memcpy(out + n, b->bytes, b->n);
	return n + b->n;
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad_streams) * N_MEMORIES; i++) {
		const struct bad_stream *b = &bad_streams[i / N_MEMORIES];
		unsigned m = (unsigned)(i % N_MEMORIES);
		struct test_image s = { 0 };
		struct test_reader reader;
		uint8_t packed[2 * CLUSTER];
		uint8_t want[4 * CLUSTER] = { 0 };
		size_t n = make_bad(packed, b);

		test_case("%s, memory %u", b->name, m);
		image_init(&s.img, 3, BITS, sizeof want);
		image_add(&s.img, &s.img.active, 0, IMAGE_COMPRESSED);
		image_add_packed(&s.img, &s.img.active, 1, packed, n, 77, 0, NULL);
		image_add(&s.img, &s.img.active, 2, IMAGE_COMPRESSED);
		image_add(&s.img, &s.img.active, 3, IMAGE_DATA);
		test_image_open(&s);
		image_expect(&s.img, &s.img.active, 0, want, sizeof want);
		test_reader_init(&reader, &s.image, memory_of(m, BITS), deflate_only);
		for (unsigned turn = 0; turn < 2; turn++) {
			EQ(test_reader_read(&reader, 0, want, CLUSTER), QCOW2_OK);
			EQ(test_reader_read(&reader, CLUSTER, want, CLUSTER), QCOW2_E_COMPRESSED);
			EQ(reader.q.error.status, QCOW2_E_COMPRESSED);
			EQ(reader.q.error.pos, s.img.active.clusters[1].pos);
			TRUE(reader.q.error.io == &s.image.io);
			/* The error still names the file after another failure in between. */
			EQ(qcow2_reader_read(&reader.q, sizeof want, want, 1), QCOW2_E_RANGE);
			EQ(test_reader_read(&reader, CLUSTER, want, 1), QCOW2_E_COMPRESSED);
			TRUE(reader.q.error.io == &s.image.io);
			EQ(test_reader_read(&reader, 2 * CLUSTER - 1, want, 1), QCOW2_E_COMPRESSED);
			EQ(test_reader_read(&reader, 2 * CLUSTER - 1, want, 2), QCOW2_E_COMPRESSED);
			EQ(test_reader_read(&reader, CLUSTER - 1, want, 2), QCOW2_E_COMPRESSED);
			EQ(test_reader_read(&reader, 2 * CLUSTER, want + 2 * CLUSTER, 2 * CLUSTER),
			   QCOW2_OK);
			EQ(test_reader_read(&reader, CLUSTER - 9, want + CLUSTER - 9, 9), QCOW2_OK);
		}
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/*
 * Streams that go on after a whole cluster. Like QEMU, the reader accepts them if more output or
 * the end of the stream follows, whatever comes after that, but not if it is no valid block.
 */
static void test_accepted(void **state)
{
	uint8_t plain[2 * CLUSTER];
	uint8_t packed[4 * CLUSTER];

	(void)state;
	image_fill(plain, sizeof plain, 1, CLUSTER);
	for (unsigned kind = 0; kind < 4; kind++) {
		for (unsigned m = 0; m < N_MEMORIES; m++) {
			struct test_image s = { 0 };
			struct test_reader reader;
			int want = kind == 2 ? QCOW2_E_COMPRESSED : QCOW2_OK;
			size_t n = 0;

			test_case("kind %u, memory %u", kind, m);
			if (kind == 0)
				n = pack_fixed(packed, plain, CLUSTER + 2, 4096);
			else if (kind == 1)
				n = pack_stored(packed, plain, CLUSTER + 2);
			else
				n = pack_stored(packed, plain, CLUSTER);
			if (kind == 2)
				packed[0] = 0; /* not final; what follows is no block */
			memset(packed + n, 0xff, 64);
			image_init(&s.img, 3, BITS, 4 * CLUSTER);
			image_add_packed(&s.img, &s.img.active, 1, packed, n + 64, 3, 0, NULL);
			test_image_open(&s);
			test_reader_init(&reader, &s.image, memory_of(m, BITS), deflate_only);
			EQ(test_reader_read(&reader, CLUSTER, plain, CLUSTER), want);
			EQ(test_reader_read(&reader, CLUSTER + 9, plain + 9, 99), want);
			test_reader_free(&reader);
			test_image_free(&s);
		}
	}
}

/* If an entry states fewer sectors than the stream needs, the reader does not read past them. */
static void test_too_few_sectors(void **state)
{
	uint8_t plain[CLUSTER];
	uint8_t packed[2 * CLUSTER];
	size_t n = 0;

	(void)state;
	test_case("too few sectors");
	image_fill(plain, CLUSTER, 1, 0);
	n = pack_stored(packed, plain, CLUSTER);
	for (unsigned sectors = 1; sectors <= 9; sectors++) {
		struct test_image s = { 0 };
		struct test_reader reader;

		image_init(&s.img, 3, BITS, CLUSTER);
		image_add_packed(&s.img, &s.img.active, 0, packed, n, 0, sectors, NULL);
		test_image_open(&s);
		test_reader_init(&reader, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		EQ(test_reader_read(&reader, 0, plain, CLUSTER),
		   sectors == 9 ? QCOW2_OK : QCOW2_E_COMPRESSED);
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* ---- Windows ---- */

/* Repeats noise of `period` bytes, so that matches reach back that far. */
static void fill_far(uint8_t *plain, size_t len, size_t period)
{
	for (size_t i = 0; i < len; i++)
		plain[i] =
			i < period ? (uint8_t)(test_random(UINT64_MAX) >> 20) : plain[i - period];
}

static void test_far_matches(void **state)
{
	static const size_t periods[] = { 300,  2048, 4090, 4095,  4096,  4097,
		                          4100, 8192, 8193, 16384, 30000, 32768 };
	size_t len = 65536;
	uint8_t *plain = malloc(len);
	uint8_t *packed = malloc(pack_bound(len));

	(void)state;
	test_random_state = 3;
	for (size_t i = 0; i < COUNT(periods); i++) {
		struct test_image s = { 0 };
		struct test_reader reader;
		size_t n = 0;
		size_t need = 0;

		test_case("matches %zu back", periods[i]);
		fill_far(plain, len, periods[i]);
		n = pack_fixed(packed, plain, len, periods[i] <= 4096 ? 4096 : 32768);
		image_init(&s.img, 3, 16, 4 * len);
		image_add_packed(&s.img, &s.img.active, 2, packed, n, IMAGE_ANYWHERE, 0, plain);
		test_image_open(&s);
		test_reader_init(&reader, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		if (periods[i] <= 4096) {
			EQ(test_reader_read(&reader, 2 * len + 5, plain + 5, len - 9), QCOW2_OK);
			EQ(test_reader_read(&reader, 2 * len + 60000, plain + 60000, 100),
			   QCOW2_OK);
			EQ(test_reader_read(&reader, 2 * len + 60100, plain + 60100, 100),
			   QCOW2_OK);
		} else {
			EQ(test_reader_read(&reader, 2 * len + 5, plain + 5, len - 9),
			   QCOW2_E_MEMORY);
			EQ(reader.q.error.status, QCOW2_E_MEMORY);
			need = (size_t)reader.q.error.detail;
			TRUE(need > QCOW2_READER_MEMORY_DEFLATE);
			EQ(need, QCOW2_READER_SLICE +
			                 (qcow2_deflate_small.work_len + 7u) / 8u * 8u + 512 +
			                 32768);
		}
		/* Reading the whole cluster into the caller's buffer needs no window. */
		EQ(test_reader_read(&reader, 2 * len, plain, len), QCOW2_OK);
		test_reader_free(&reader);
		/* The memory that the failure asks for is enough. */
		if (need != 0) {
			test_case("matches %zu back, in %zu bytes", periods[i], need);
			test_reader_init(&reader, &s.image, need, deflate_only);
			EQ(test_reader_read(&reader, 2 * len + 5, plain + 5, len - 9), QCOW2_OK);
			EQ(test_reader_read(&reader, 2 * len + 60000, plain + 60000, 100),
			   QCOW2_OK);
			test_reader_free(&reader);
		}
		test_image_free(&s);
	}
	free(plain);
	free(packed);
}

/* For clusters smaller than the farthest match, the failure asks for a cluster's memory at most. */
static void test_far_matches_small(void **state)
{
	(void)state;
	test_random_state = 4;
	for (unsigned bits = 13; bits <= 14; bits++) {
		size_t len = (size_t)1 << bits;
		uint8_t *plain = malloc(len);
		uint8_t *packed = malloc(pack_bound(len));
		struct test_image s = { 0 };
		struct test_reader reader;
		size_t need;

		test_case("clusters of %zu", len);
		fill_far(plain, len, 5000);
		image_init(&s.img, 3, bits, 4 * len);
		image_add_packed(&s.img, &s.img.active, 1, packed,
		                 pack_fixed(packed, plain, len, 32768), IMAGE_ANYWHERE, 0, plain);
		test_image_open(&s);
		test_reader_init(&reader, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		EQ(test_reader_read(&reader, len + 1, plain + 1, 10), QCOW2_E_MEMORY);
		need = (size_t)reader.q.error.detail;
		LE(need, QCOW2_READER_MEMORY + qcow2_deflate_small.work_len + 7 + 512 + len);
		test_reader_free(&reader);
		test_reader_init(&reader, &s.image, need, deflate_only);
		EQ(test_reader_read(&reader, len + 1, plain + 1, len - 1), QCOW2_OK);
		test_reader_free(&reader);
		test_image_free(&s);
		free(plain);
		free(packed);
	}
}

/* A cluster of 2 MiB, read in pieces through a window of 4 KiB, decodes each byte only twice. */
static void test_sequential(void **state)
{
	static const size_t pieces[] = { 512, 4096, 10000, 65536 };

	(void)state;
	for (size_t k = 0; k < COUNT(pieces); k++) {
		struct test_image s = { 0 };
		struct test_reader reader;
		size_t len = 2 * (size_t)MIB;
		uint8_t *want = malloc(len);
		uint64_t packed = 0;

		test_case("pieces of %zu", pieces[k]);
		image_init(&s.img, 3, 21, len);
		image_add(&s.img, &s.img.active, 0, IMAGE_COMPRESSED);
		test_image_open(&s);
		packed = s.img.packed_pos - s.img.active.clusters[0].pos;
		image_expect(&s.img, &s.img.active, 0, want, len);
		test_reader_init(&reader, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		test_io_reset(&s.io);
		for (size_t at = 0; at < len; at += pieces[k])
			EQ(test_reader_read(&reader, at, want + at,
			                    len - at < pieces[k] ? len - at : pieces[k]),
			   QCOW2_OK);
		LE(s.io.calls, 2 * (packed / 512 + 2) + 8);
		LE(s.io.longest, 512);
		test_reader_free(&reader);
		/* With memory for the cluster, each byte is decoded once. */
		test_reader_init(&reader, &s.image,
		                 QCOW2_READER_MEMORY_CLUSTER(21, QCOW2_DEFLATE_SMALL_WORK),
		                 deflate_only);
		test_io_reset(&s.io);
		for (size_t at = 0; at < len; at += pieces[k])
			EQ(test_reader_read(&reader, at, want + at,
			                    len - at < pieces[k] ? len - at : pieces[k]),
			   QCOW2_OK);
		LE(s.io.calls, packed / len + 1 + 2 + 2);
		test_reader_free(&reader);
		free(want);
		test_image_free(&s);
	}
}

/* With little memory, only what the window no longer has is decoded again. */
static void test_same_part(void **state)
{
	static const struct {
		size_t at, len;
		bool again; /* decoded from the beginning of the cluster */
	} reads[] = {
		{ 8192, 100, true },   { 8300, 100, false }, { 8192, 4096, false },
		{ 12287, 1, false },   { 8192, 1, false },   { 12287, 2, false },
		{ 12288, 100, false }, { 8192, 1, true },    { 0, 1, true },
		{ 4095, 1, false },    { 0, 4096, false },   { 0, 4097, false },
		{ 4095, 1, true },
	};
	struct test_image s = { 0 };
	struct test_reader reader;
	size_t len = 65536;
	uint8_t *want = malloc(len);

	(void)state;
	image_init(&s.img, 3, 16, len);
	image_add(&s.img, &s.img.active, 0, IMAGE_STORED);
	test_image_open(&s);
	image_expect(&s.img, &s.img.active, 0, want, len);
	test_reader_init(&reader, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
	EQ(test_reader_read(&reader, len - 1, want + len - 1, 1), QCOW2_OK);
	for (size_t i = 0; i < COUNT(reads); i++) {
		uint64_t upto = (reads[i].at + reads[i].len + 4095) / 4096 * 8 + 1;

		test_case("read %zu", i);
		test_io_reset(&s.io);
		EQ(test_reader_read(&reader, reads[i].at, want + reads[i].at, reads[i].len),
		   QCOW2_OK);
		LE(s.io.calls, reads[i].again ? upto : 8 + 1);
		if (reads[i].again)
			LE(reads[i].at / 512, s.io.calls);
	}
	test_reader_free(&reader);
	free(want);
	test_image_free(&s);
}

/* Reads of other clusters between two pieces of one cluster do not disturb the answers. */
static void test_interleaved(void **state)
{
	struct test_image s = { 0 };
	struct test_reader reader;
	size_t len = 65536;
	uint8_t *want = calloc(6, len);

	(void)state;
	test_random_state = 17;
	image_init(&s.img, 3, 16, 6 * len);
	image_add_range(&s.img, &s.img.active, 0, 3, IMAGE_COMPRESSED);
	image_add(&s.img, &s.img.active, 3, IMAGE_STORED);
	image_add(&s.img, &s.img.active, 4, IMAGE_DATA);
	test_image_open(&s);
	image_expect(&s.img, &s.img.active, 0, want, 6 * len);
	for (unsigned m = 0; m < N_MEMORIES; m++) {
		test_reader_init(&reader, &s.image, memory_of(m, 16), deflate_only);
		for (unsigned i = 0; i < test_turns(200); i++) {
			size_t off = (size_t)test_random(i % 4 == 0 ? 6 * len : 2 * len);
			size_t n = 1 + (size_t)test_random(i % 7 == 0 ? 2 * len : 3000);

			test_case("memory %u, read %u", m, i);
			if (n > 6 * len - off)
				n = 6 * len - off;
			EQ(test_reader_read(&reader, off, want + off, n), QCOW2_OK);
		}
		test_reader_free(&reader);
	}
	free(want);
	test_image_free(&s);
}

/* With memory for nearly a cluster, the window is half a cluster. */
static void test_nearly_a_cluster(void **state)
{
	const size_t bare = QCOW2_READER_SLICE + qcow2_deflate_small.work_len + 512;
	uint8_t want[65536];
	struct test_image s = { 0 };
	struct test_reader reader;

	(void)state;
	image_init(&s.img, 3, 16, sizeof want);
	image_add(&s.img, &s.img.active, 0, IMAGE_COMPRESSED);
	test_image_open(&s);
	image_expect(&s.img, &s.img.active, 0, want, sizeof want);
	for (size_t room = 65536 - 1024; room <= 65536 + 512; room += 64) {
		test_case("room for a window of %zu", room);
		test_reader_init(&reader, &s.image, bare + room, deflate_only);
		EQ(reader.q.window_len, room < 65536 ? 32768 : 65536);
		EQ(test_reader_read(&reader, 0, want, 1000), QCOW2_OK);
		EQ(test_reader_read(&reader, 40000, want + 40000, 1000), QCOW2_OK);
		test_reader_free(&reader);
	}
	test_image_free(&s);
}

/* A cluster that is not the first of the disk is also decoded once. */
static void test_once(void **state)
{
	uint8_t want[4 * CLUSTER];
	struct test_image s = { 0 };
	struct test_reader reader;

	(void)state;
	test_case("the third cluster");
	image_init(&s.img, 3, BITS, sizeof want);
	image_add_range(&s.img, &s.img.active, 0, 4, IMAGE_COMPRESSED);
	test_image_open(&s);
	image_expect(&s.img, &s.img.active, 0, want, sizeof want);
	test_reader_init(&reader, &s.image,
	                 QCOW2_READER_MEMORY_CLUSTER(BITS, QCOW2_DEFLATE_SMALL_WORK), deflate_only);
	EQ(test_reader_read(&reader, 2 * CLUSTER, want + 2 * CLUSTER, 100), QCOW2_OK);
	test_io_reset(&s.io);
	EQ(test_reader_read(&reader, 2 * CLUSTER + 100, want + 2 * CLUSTER + 100, 100), QCOW2_OK);
	EQ(s.io.calls, 0);
	test_reader_free(&reader);
	test_image_free(&s);
}

/* For the cache, two entries with the same position but other sectors are two clusters. */
static void test_same_place(void **state)
{
	struct test_image s = { 0 };
	struct test_reader reader;
	uint64_t first, second;
	uint8_t buf[512];

	(void)state;
	test_case("the sectors of the other entry");
	image_init(&s.img, 3, 12, 65536);
	image_add(&s.img, &s.img.active, 0, IMAGE_STORED);
	image_add_raw(&s.img, &s.img.active, 1, 0, 0);
	test_image_open(&s);
	first = image_l2_entry_pos(&s.img, &s.img.active, 0);
	second = image_l2_entry_pos(&s.img, &s.img.active, 1);
	memcpy(s.img.file.data + second, s.img.file.data + first, 8);
	s.img.file.data[second] = (uint8_t)(s.img.file.data[second] - 4); /* bit 58: a sector */
	test_reader_init(&reader, &s.image,
	                 QCOW2_READER_MEMORY_CLUSTER(12, QCOW2_DEFLATE_SMALL_WORK), deflate_only);
	for (unsigned i = 0; i < 2; i++) {
		EQ(qcow2_reader_read(&reader.q, 4096, buf, sizeof buf), QCOW2_E_COMPRESSED);
		EQ(qcow2_reader_read(&reader.q, 0, buf, sizeof buf), QCOW2_OK);
	}
	test_reader_free(&reader);
	test_image_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_extents),
		cmocka_unit_test(test_file_end),
		cmocka_unit_test(test_file_end_before),
		cmocka_unit_test(test_stream_end),
		cmocka_unit_test(test_fault_place),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_too_few_sectors),
		cmocka_unit_test(test_far_matches),
		cmocka_unit_test(test_far_matches_small),
		cmocka_unit_test(test_sequential),
		cmocka_unit_test(test_same_part),
		cmocka_unit_test(test_interleaved),
		cmocka_unit_test(test_nearly_a_cluster),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_same_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
