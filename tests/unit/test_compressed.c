/* SPDX-License-Identifier: MIT */
/*
 * Compressed clusters through a reader: where their bytes lie, what the entry says of them, what
 * is wrong with them, windows smaller than a cluster, codecs of other kinds. Where other readers
 * were wrong: success without all the output, bit 62 taken for another one.
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

/* Offsets of any alignment, streams that cross host clusters, and any number of sectors. */
static void test_places(void **state)
{
	static const unsigned aligns[] = { IMAGE_ANYWHERE, 0, 1, 2, 255, 510, 511 };

	(void)state;
	for (size_t a = 0; a < COUNT(aligns); a++) {
		for (unsigned sectors = 0; sectors <= 32; sectors += 16) {
			struct subject s = { 0 };
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
			subject_open(&s);
			image_expect(&s.img, &s.img.active, 0, want, sizeof want);
			for (unsigned m = 0; m < N_MEMORIES; m++) {
				struct rig rig;

				test_case("align %u, sectors %u, memory %u", aligns[a], sectors, m);
				rig_init(&rig, &s.image, memory_of(m, BITS), deflate_only);
				EQ(rig_read(&rig, 0, want, sizeof want), QCOW2_OK);
				EQ(rig_read(&rig, 5000, want + 5000, 20000), QCOW2_OK);
				rig_free(&rig);
			}
			subject_free(&s);
		}
	}
}

/* The extent: where, how much at most, and one cluster only. */
static void test_extents(void **state)
{
	(void)state;
	for (unsigned bits = 9; bits <= 21; bits++) {
		/* The largest position and the largest number of sectors that the entry can say. */
		unsigned x = 62 - (bits - 8);
		uint64_t highest = (UINT64_C(1) << x) - 1;
		uint32_t most = UINT32_C(1) << (bits - 8);
		struct subject s = { 0 };
		struct rig rig;
		struct qcow2_extent e;

		test_case("cluster_bits %u", bits);
		image_init(&s.img, 3, bits, UINT64_C(8) << bits);
		image_add_raw(&s.img, &s.img.active, 0, IMAGE_COMPRESSED_FLAG | 12345, 0);
		image_add_raw(&s.img, &s.img.active, 1,
		              IMAGE_COMPRESSED_FLAG | (uint64_t)(most - 1) << x | highest, 0);
		image_add_raw(&s.img, &s.img.active, 2,
		              IMAGE_COMPRESSED_FLAG | UINT64_C(1) << x | 512, 0);
		subject_open(&s);
		rig_init(&rig, &s.image, 0, NULL);
		EQ(qcow2_reader_map(&rig.reader, 5, (UINT64_C(3) << bits) - 5, &e), QCOW2_OK);
		EQ(e.kind, QCOW2_EXTENT_COMPRESSED);
		EQ(e.len, (1u << bits) - 5);
		EQ(e.pos, 12345);
		EQ(e.packed_len, 512 - 12345 % 512);
		EQ(qcow2_reader_map(&rig.reader, 1u << bits, 1u << bits, &e), QCOW2_OK);
		EQ(e.pos, highest);
		EQ(e.packed_len, most * 512 - 511);
		EQ(qcow2_reader_map(&rig.reader, 2u << bits, 3, &e), QCOW2_OK);
		EQ(e.pos, 512);
		EQ(e.packed_len, 1024);
		EQ(e.len, 3);
		rig_free(&rig);
		subject_free(&s);
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
	/* What is cut is of no use to the stream at first, then it is. The last byte of a block may
	 * hold only its end code: the output is complete without it. */
	for (size_t cut = 0; cut <= n; cut += cut < 4 ? 1 : 37) {
		for (unsigned m = 0; m < N_MEMORIES; m++) {
			struct subject s = { 0 };
			struct rig rig;
			int rc = 0;

			test_case("%zu of %zu bytes cut, memory %u", cut, n, m);
			image_init(&s.img, 3, BITS, 8 * CLUSTER);
			image_add(&s.img, &s.img.active, 2, IMAGE_COMPRESSED);
			image_add_last_packed(&s.img, &s.img.active, 3, packed, n - cut, 5, 16);
			subject_open(&s);
			rig_init(&rig, &s.image, memory_of(m, BITS), deflate_only);
			rc = rig_read(&rig, 3 * CLUSTER, plain, CLUSTER);
			if (cut == 0)
				EQ(rc, QCOW2_OK);
			else if (cut > 2)
				EQ(rc, QCOW2_E_TRUNCATED);
			if (rc != QCOW2_OK) {
				EQ(rig.reader.error.status, QCOW2_E_TRUNCATED);
				EQ(rig.reader.error.pos, s.img.file.len);
				TRUE(rig.reader.error.io == &s.image.io);
			}
			/* A part of it is no better. */
			EQ(rig_read(&rig, 3 * CLUSTER, plain, 1), rc);
			EQ(rig_read(&rig, 3 * CLUSTER + 100, plain + 100, 50), rc);
			EQ(rig_read(&rig, 4 * CLUSTER - 1, plain + CLUSTER - 1, 1), rc);
			rig_free(&rig);
			/* No flag makes zeros of it. */
			subject_open_flags(&s, QCOW2_OPEN_TRUNCATED);
			rig_init(&rig, &s.image, memory_of(m, BITS), deflate_only);
			EQ(rig_read(&rig, 3 * CLUSTER, plain, CLUSTER), rc);
			rig_free(&rig);
			subject_free(&s);
		}
	}
}

/* The start of the data past the end of the file. */
static void test_file_end_before(void **state)
{
	static const uint64_t beyond[] = { 0, 1, 511, 4096, UINT64_C(1) << 40 };
	struct subject s = { 0 };
	uint8_t want[CLUSTER] = { 0 };

	(void)state;
	image_init(&s.img, 3, BITS, 8 * CLUSTER);
	image_add_raw(&s.img, &s.img.active, 1, 0, 0);
	image_finish(&s.img);
	for (size_t i = 0; i < COUNT(beyond); i++) {
		struct rig rig;

		test_case("data %llu bytes past the end", (unsigned long long)beyond[i]);
		image_put(&s.img.file, image_l2_entry_pos(&s.img, &s.img.active, 1),
		          IMAGE_COMPRESSED_FLAG | (s.img.file.len + beyond[i]), 8);
		subject_open(&s);
		rig_init(&rig, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		EQ(rig_read(&rig, CLUSTER, want, CLUSTER), QCOW2_E_TRUNCATED);
		EQ(rig_read(&rig, CLUSTER + 7, want, 1), QCOW2_E_TRUNCATED);
		EQ(rig_read(&rig, 0, want, CLUSTER), QCOW2_OK);
		rig_free(&rig);
	}
	subject_free(&s);
}

/* A stream that is cut, in a file that has all that the entry speaks of: that is not the file's. */
static void test_stream_end(void **state)
{
	uint8_t plain[CLUSTER];
	uint8_t packed[2 * CLUSTER];

	(void)state;
	image_fill(plain, CLUSTER, 1, 0);
	pack_stored(packed, plain, CLUSTER);
	for (unsigned sectors = 1; sectors <= 9; sectors++) {
		struct subject s = { 0 };
		struct rig rig;

		test_case("file ends with sector %u", sectors);
		image_init(&s.img, 3, BITS, CLUSTER);
		image_add_last_packed(&s.img, &s.img.active, 0, packed, sectors * 512 - 5, 5,
		                      sectors);
		subject_open(&s);
		rig_init(&rig, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		EQ(rig_read(&rig, 0, plain, CLUSTER), sectors == 9 ? QCOW2_OK : QCOW2_E_COMPRESSED);
		if (sectors < 9)
			EQ(rig.reader.error.pos, s.img.active.clusters[0].pos);
		rig_free(&rig);
		subject_free(&s);
	}
}

/* Storage that fails in the middle of what is packed: the place is that of the call. */
static void test_fault_place(void **state)
{
	uint8_t plain[CLUSTER];
	uint8_t packed[2 * CLUSTER];
	struct subject s = { 0 };
	struct rig rig;
	uint64_t bad;

	(void)state;
	image_fill(plain, CLUSTER, 1, 0);
	pack_stored(packed, plain, CLUSTER);
	image_init(&s.img, 3, BITS, CLUSTER);
	image_add_last_packed(&s.img, &s.img.active, 0, packed, 9 * 512 - 5, 5, 9);
	subject_open(&s);
	rig_init(&rig, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
	for (unsigned sector = 0; sector < 8; sector++) {
		test_case("sector %u", sector);
		bad = s.img.active.clusters[0].pos + sector * 512 + 100;
		s.io.bad_from = bad;
		s.io.bad_to = bad + 1;
		EQ(rig_read(&rig, 0, plain, CLUSTER), QCOW2_E_IO);
		LE(IO_FAULT, rig.reader.error.io_code);
		TRUE(rig.reader.error.io == &s.image.io);
		LE(rig.reader.error.pos, bad);
		LE(bad, rig.reader.error.pos + 511);
	}
	s.io.bad_to = 0;
	EQ(rig_read(&rig, 0, plain, CLUSTER), QCOW2_OK);
	rig_free(&rig);
	subject_free(&s);
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
		struct subject s = { 0 };
		struct rig rig;
		uint8_t packed[2 * CLUSTER];
		uint8_t want[4 * CLUSTER] = { 0 };
		size_t n = make_bad(packed, b);

		test_case("%s, memory %u", b->name, m);
		image_init(&s.img, 3, BITS, sizeof want);
		image_add(&s.img, &s.img.active, 0, IMAGE_COMPRESSED);
		image_add_packed(&s.img, &s.img.active, 1, packed, n, 77, 0, NULL);
		image_add(&s.img, &s.img.active, 2, IMAGE_COMPRESSED);
		image_add(&s.img, &s.img.active, 3, IMAGE_DATA);
		subject_open(&s);
		image_expect(&s.img, &s.img.active, 0, want, sizeof want);
		rig_init(&rig, &s.image, memory_of(m, BITS), deflate_only);
		for (unsigned turn = 0; turn < 2; turn++) {
			EQ(rig_read(&rig, 0, want, CLUSTER), QCOW2_OK);
			EQ(rig_read(&rig, CLUSTER, want, CLUSTER), QCOW2_E_COMPRESSED);
			EQ(rig.reader.error.status, QCOW2_E_COMPRESSED);
			EQ(rig.reader.error.pos, s.img.active.clusters[1].pos);
			TRUE(rig.reader.error.io == &s.image.io);
			/* Seen in the file, though another failure came between. */
			EQ(qcow2_reader_read(&rig.reader, sizeof want, want, 1), QCOW2_E_RANGE);
			EQ(rig_read(&rig, CLUSTER, want, 1), QCOW2_E_COMPRESSED);
			TRUE(rig.reader.error.io == &s.image.io);
			EQ(rig_read(&rig, 2 * CLUSTER - 1, want, 1), QCOW2_E_COMPRESSED);
			EQ(rig_read(&rig, 2 * CLUSTER - 1, want, 2), QCOW2_E_COMPRESSED);
			EQ(rig_read(&rig, CLUSTER - 1, want, 2), QCOW2_E_COMPRESSED);
			EQ(rig_read(&rig, 2 * CLUSTER, want + 2 * CLUSTER, 2 * CLUSTER), QCOW2_OK);
			EQ(rig_read(&rig, CLUSTER - 9, want + CLUSTER - 9, 9), QCOW2_OK);
		}
		rig_free(&rig);
		subject_free(&s);
	}
}

/*
 * Streams that make a whole cluster and go on: QEMU takes them if what follows is more output or
 * the end, whatever comes after that; not if it is no block.
 */
static void test_accepted(void **state)
{
	uint8_t plain[2 * CLUSTER];
	uint8_t packed[4 * CLUSTER];

	(void)state;
	image_fill(plain, sizeof plain, 1, CLUSTER);
	for (unsigned kind = 0; kind < 4; kind++) {
		for (unsigned m = 0; m < N_MEMORIES; m++) {
			struct subject s = { 0 };
			struct rig rig;
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
			subject_open(&s);
			rig_init(&rig, &s.image, memory_of(m, BITS), deflate_only);
			EQ(rig_read(&rig, CLUSTER, plain, CLUSTER), want);
			EQ(rig_read(&rig, CLUSTER + 9, plain + 9, 99), want);
			rig_free(&rig);
			subject_free(&s);
		}
	}
}

/* An entry that says fewer sectors than the stream needs: not a byte more is read. */
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
		struct subject s = { 0 };
		struct rig rig;

		image_init(&s.img, 3, BITS, CLUSTER);
		image_add_packed(&s.img, &s.img.active, 0, packed, n, 0, sectors, NULL);
		subject_open(&s);
		rig_init(&rig, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		EQ(rig_read(&rig, 0, plain, CLUSTER), sectors == 9 ? QCOW2_OK : QCOW2_E_COMPRESSED);
		rig_free(&rig);
		subject_free(&s);
	}
}

/* ---- Windows ---- */

/* A noise of `period` bytes over and over: matches reach back that far. */
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
		struct subject s = { 0 };
		struct rig rig;
		size_t n = 0;
		size_t need = 0;

		test_case("matches %zu back", periods[i]);
		fill_far(plain, len, periods[i]);
		n = pack_fixed(packed, plain, len, periods[i] <= 4096 ? 4096 : 32768);
		image_init(&s.img, 3, 16, 4 * len);
		image_add_packed(&s.img, &s.img.active, 2, packed, n, IMAGE_ANYWHERE, 0, plain);
		subject_open(&s);
		rig_init(&rig, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		if (periods[i] <= 4096) {
			EQ(rig_read(&rig, 2 * len + 5, plain + 5, len - 9), QCOW2_OK);
			EQ(rig_read(&rig, 2 * len + 60000, plain + 60000, 100), QCOW2_OK);
			EQ(rig_read(&rig, 2 * len + 60100, plain + 60100, 100), QCOW2_OK);
		} else {
			EQ(rig_read(&rig, 2 * len + 5, plain + 5, len - 9), QCOW2_E_MEMORY);
			EQ(rig.reader.error.status, QCOW2_E_MEMORY);
			need = (size_t)rig.reader.error.detail;
			TRUE(need > QCOW2_READER_MEMORY_DEFLATE);
			EQ(need, QCOW2_READER_SLICE +
			                 (qcow2_deflate_small.work_len + 7u) / 8u * 8u + 512 +
			                 32768);
		}
		/* The whole cluster into the caller's buffer needs no window at all. */
		EQ(rig_read(&rig, 2 * len, plain, len), QCOW2_OK);
		rig_free(&rig);
		/* The memory that the failure asks for will do. */
		if (need != 0) {
			test_case("matches %zu back, in %zu bytes", periods[i], need);
			rig_init(&rig, &s.image, need, deflate_only);
			EQ(rig_read(&rig, 2 * len + 5, plain + 5, len - 9), QCOW2_OK);
			EQ(rig_read(&rig, 2 * len + 60000, plain + 60000, 100), QCOW2_OK);
			rig_free(&rig);
		}
		subject_free(&s);
	}
	free(plain);
	free(packed);
}

/* Clusters smaller than the farthest match: never more memory is asked for than one takes. */
static void test_far_matches_small(void **state)
{
	(void)state;
	test_random_state = 4;
	for (unsigned bits = 13; bits <= 14; bits++) {
		size_t len = (size_t)1 << bits;
		uint8_t *plain = malloc(len);
		uint8_t *packed = malloc(pack_bound(len));
		struct subject s = { 0 };
		struct rig rig;
		size_t need;

		test_case("clusters of %zu", len);
		fill_far(plain, len, 5000);
		image_init(&s.img, 3, bits, 4 * len);
		image_add_packed(&s.img, &s.img.active, 1, packed,
		                 pack_fixed(packed, plain, len, 32768), IMAGE_ANYWHERE, 0, plain);
		subject_open(&s);
		rig_init(&rig, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		EQ(rig_read(&rig, len + 1, plain + 1, 10), QCOW2_E_MEMORY);
		need = (size_t)rig.reader.error.detail;
		LE(need, QCOW2_READER_MEMORY + qcow2_deflate_small.work_len + 7 + 512 + len);
		rig_free(&rig);
		rig_init(&rig, &s.image, need, deflate_only);
		EQ(rig_read(&rig, len + 1, plain + 1, len - 1), QCOW2_OK);
		rig_free(&rig);
		subject_free(&s);
		free(plain);
		free(packed);
	}
}

/* A cluster of 2 MiB read in small pieces through 4 KiB: right, and each byte decoded but twice. */
static void test_sequential(void **state)
{
	static const size_t pieces[] = { 512, 4096, 10000, 65536 };

	(void)state;
	for (size_t k = 0; k < COUNT(pieces); k++) {
		struct subject s = { 0 };
		struct rig rig;
		size_t len = 2 * (size_t)MIB;
		uint8_t *want = malloc(len);
		uint64_t packed = 0;

		test_case("pieces of %zu", pieces[k]);
		image_init(&s.img, 3, 21, len);
		image_add(&s.img, &s.img.active, 0, IMAGE_COMPRESSED);
		subject_open(&s);
		packed = s.img.packed_pos - s.img.active.clusters[0].pos;
		image_expect(&s.img, &s.img.active, 0, want, len);
		rig_init(&rig, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		test_io_reset(&s.io);
		for (size_t at = 0; at < len; at += pieces[k])
			EQ(rig_read(&rig, at, want + at,
			            len - at < pieces[k] ? len - at : pieces[k]),
			   QCOW2_OK);
		LE(s.io.calls, 2 * (packed / 512 + 2) + 8);
		LE(s.io.longest, 512);
		rig_free(&rig);
		/* With memory for the cluster: once. */
		rig_init(&rig, &s.image, QCOW2_READER_MEMORY_CLUSTER(21, QCOW2_DEFLATE_SMALL_WORK),
		         deflate_only);
		test_io_reset(&s.io);
		for (size_t at = 0; at < len; at += pieces[k])
			EQ(rig_read(&rig, at, want + at,
			            len - at < pieces[k] ? len - at : pieces[k]),
			   QCOW2_OK);
		LE(s.io.calls, packed / len + 1 + 2 + 2);
		rig_free(&rig);
		free(want);
		subject_free(&s);
	}
}

/* With little memory: what the window still has is not decoded again, what it has not is. */
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
	struct subject s = { 0 };
	struct rig rig;
	size_t len = 65536;
	uint8_t *want = malloc(len);

	(void)state;
	image_init(&s.img, 3, 16, len);
	image_add(&s.img, &s.img.active, 0, IMAGE_STORED);
	subject_open(&s);
	image_expect(&s.img, &s.img.active, 0, want, len);
	rig_init(&rig, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
	EQ(rig_read(&rig, len - 1, want + len - 1, 1), QCOW2_OK);
	for (size_t i = 0; i < COUNT(reads); i++) {
		uint64_t upto = (reads[i].at + reads[i].len + 4095) / 4096 * 8 + 1;

		test_case("read %zu", i);
		test_io_reset(&s.io);
		EQ(rig_read(&rig, reads[i].at, want + reads[i].at, reads[i].len), QCOW2_OK);
		LE(s.io.calls, reads[i].again ? upto : 8 + 1);
		if (reads[i].again)
			LE(reads[i].at / 512, s.io.calls);
	}
	rig_free(&rig);
	free(want);
	subject_free(&s);
}

/* Between two pieces of one cluster, reads of others: each answer is right all the same. */
static void test_interleaved(void **state)
{
	struct subject s = { 0 };
	struct rig rig;
	size_t len = 65536;
	uint8_t *want = calloc(6, len);

	(void)state;
	test_random_state = 17;
	image_init(&s.img, 3, 16, 6 * len);
	image_add_range(&s.img, &s.img.active, 0, 3, IMAGE_COMPRESSED);
	image_add(&s.img, &s.img.active, 3, IMAGE_STORED);
	image_add(&s.img, &s.img.active, 4, IMAGE_DATA);
	subject_open(&s);
	image_expect(&s.img, &s.img.active, 0, want, 6 * len);
	for (unsigned m = 0; m < N_MEMORIES; m++) {
		rig_init(&rig, &s.image, memory_of(m, 16), deflate_only);
		for (unsigned i = 0; i < 200; i++) {
			size_t off = (size_t)test_random(i % 4 == 0 ? 6 * len : 2 * len);
			size_t n = 1 + (size_t)test_random(i % 7 == 0 ? 2 * len : 3000);

			test_case("memory %u, read %u", m, i);
			if (n > 6 * len - off)
				n = 6 * len - off;
			EQ(rig_read(&rig, off, want + off, n), QCOW2_OK);
		}
		rig_free(&rig);
	}
	free(want);
	subject_free(&s);
}

/* ---- Codecs ---- */

static void no_begin(const struct qcow2_codec *self, void *work)
{
	memset(work, 0x11, self->work_len);
}

/* "Compressed" is: every byte XORed with 0xa5. All input at once, all output in one call. */
static int xor_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	int rc = QCOW2_OK;

	EQ((uintptr_t)work % 8, 0);
	memset(work, 0x22, self->work_len);
	if (stream->done == stream->stop)
		return rc;
	EQ(stream->done, 0);
	EQ(stream->stop, stream->window_len);
	if (stream->next == stream->end)
		rc = stream->fill(stream);
	if (rc != QCOW2_OK)
		return rc;
	if ((size_t)(stream->end - stream->next) < stream->stop)
		return QCOW2_E_TRUNCATED;
	for (uint32_t i = 0; i < stream->stop; i++)
		stream->window[i] = *stream->next++ ^ 0xa5;
	stream->done = stream->stop;
	stream->window_at = 0;
	return QCOW2_OK;
}

static const struct qcow2_codec xor_codec = { .type = QCOW2_COMPRESSION_ZSTD,
	                                      .whole = true,
	                                      .work_len = 1000,
	                                      .begin = no_begin,
	                                      .decode = xor_decode };
static const struct qcow2_codec *const xor_only[] = { &xor_codec, NULL };
static const struct qcow2_codec *const both[] = { &qcow2_deflate_small, &xor_codec, NULL };
static const struct qcow2_codec *const none[] = { NULL };

static void make_xor(struct subject *s)
{
	uint8_t packed[CLUSTER];

	image_init(&s->img, 3, BITS, 4 * CLUSTER);
	s->img.compression_type = 1;
	for (uint64_t i = 0; i < 3; i++) {
		image_fill(packed, CLUSTER, s->img.active.seed, i * CLUSTER);
		for (size_t k = 0; k < CLUSTER; k++)
			packed[k] ^= 0xa5;
		image_add_packed(&s->img, &s->img.active, i, packed, CLUSTER, 13, 0, NULL);
	}
	subject_open(s);
}

static void test_whole_codec(void **state)
{
	struct subject s = { 0 };
	struct rig rig;
	uint8_t want[4 * CLUSTER] = { 0 };
	uint64_t memory[QCOW2_READER_MEMORY_CLUSTER(BITS, 1000) / 8 + 1];
	size_t min = 0;
	size_t good = 0;

	(void)state;
	test_case("a codec that wants all at once");
	make_xor(&s);
	image_expect(&s.img, &s.img.active, 0, want, sizeof want);
	EQ(qcow2_reader_memory(&s.image, xor_only, &min, &good), QCOW2_OK);
	LE(min, QCOW2_READER_MEMORY_CLUSTER(BITS, 1000));
	LE(min, good);
	for (unsigned i = 0; i < 2; i++) {
		rig_init(&rig, &s.image, i == 0 ? min : good, i == 0 ? xor_only : both);
		EQ(rig_read(&rig, 0, want, sizeof want), QCOW2_OK);
		EQ(rig_read(&rig, 100, want + 100, CLUSTER), QCOW2_OK);
		EQ(rig_read(&rig, CLUSTER + 1, want + CLUSTER + 1, 1), QCOW2_OK);
		rig_free(&rig);
	}
	test_case("and does not get the memory");
	EQ(qcow2_reader_init(&rig.reader, &s.image, memory, min - 8), QCOW2_OK);
	EQ(qcow2_reader_codecs(&rig.reader, xor_only), QCOW2_E_MEMORY);
	EQ(rig.reader.error.detail, min);
	subject_free(&s);
}

/* "Compressed" is: one byte that means nothing, and then the bytes as they are. */
static int copy_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	size_t n_given = 0;

	EQ((uintptr_t)work % 8, 0);
	memset(work, 0x22, self->work_len);
	LE(stream->window_len, CLUSTER);
	if (stream->done == 0)
		EQ(stream->window_at, 0);
	for (bool skip = stream->done == 0; skip || stream->done < stream->stop;) {
		int rc = stream->next < stream->end ? QCOW2_OK : stream->fill(stream);

		if (rc != QCOW2_OK || stream->next == stream->end)
			return rc != QCOW2_OK ? rc : QCOW2_E_TRUNCATED;
		if (skip)
			n_given = (size_t)(stream->end - stream->next);
		else
			stream->window[stream->done++ % stream->window_len] = *stream->next;
		stream->next++;
		skip = false;
	}
	/* The first 2 clusters of the input: here it is not longer. */
	if (self->whole && n_given != 0)
		EQ(n_given, CLUSTER + 1);
	stream->window_at = stream->done % stream->window_len;
	return QCOW2_OK;
}

static void make_copy(struct subject *s)
{
	uint8_t packed[CLUSTER + 1] = { 0x77 };

	image_init(&s->img, 3, BITS, 4 * CLUSTER);
	for (uint64_t i = 0; i < 3; i++) {
		image_fill(packed + 1, CLUSTER, s->img.active.seed, i * CLUSTER);
		/* The last piece of the input is one byte. */
		image_add_packed(&s->img, &s->img.active, i, packed, sizeof packed, 511, 0, NULL);
	}
	subject_open(s);
}

/* All that a codec is promised, at any length of the memory. */
static void test_promises(void **state)
{
	static const struct qcow2_codec codecs[] = {
		{ .work_len = 9, .begin = no_begin, .decode = copy_decode },
		{ .work_len = 16, .begin = no_begin, .decode = copy_decode, .whole = true },
	};
	uint8_t want[4 * CLUSTER] = { 0 };
	struct subject s = { 0 };
	struct subject above = { 0 };
	struct rig rig;

	(void)state;
	make_copy(&s);
	image_expect(&s.img, &s.img.active, 0, want, sizeof want);
	image_init(&above.img, 3, 16, sizeof want);
	subject_open(&above);
	EQ(qcow2_image_attach_backing(&above.image, &s.image), QCOW2_OK);
	for (size_t i = 0; i < COUNT(codecs); i++) {
		const struct qcow2_codec *const list[] = { &codecs[i], NULL };
		size_t min, good, more;

		EQ(qcow2_reader_memory(&s.image, list, &min, &good), QCOW2_OK);
		EQ(min, QCOW2_READER_SLICE + 16 + (i == 0 ? 512 + CLUSTER : 3 * CLUSTER));
		for (more = 0; more < 8; more++) {
			test_case("codec %zu, memory of %zu", i, min + more);
			rig_init(&rig, &s.image, min + more, list);
			EQ(rig_read(&rig, 0, want, sizeof want), QCOW2_OK);
			EQ(rig_read(&rig, 100, want + 100, CLUSTER), QCOW2_OK);
			rig_free(&rig);
		}
		test_case("codec %zu, smaller clusters below", i);
		EQ(qcow2_reader_memory(&above.image, list, &min, &good), QCOW2_OK);
		rig_init(&rig, &above.image, good, list);
		EQ(rig_read(&rig, 100, want + 100, 2 * CLUSTER), QCOW2_OK);
		rig_free(&rig);
	}
	subject_free(&above);
	subject_free(&s);
}

/* Memory for nearly a cluster: the window is then half of it. */
static void test_nearly_a_cluster(void **state)
{
	const size_t bare = QCOW2_READER_SLICE + qcow2_deflate_small.work_len + 512;
	uint8_t want[65536];
	struct subject s = { 0 };
	struct rig rig;

	(void)state;
	image_init(&s.img, 3, 16, sizeof want);
	image_add(&s.img, &s.img.active, 0, IMAGE_COMPRESSED);
	subject_open(&s);
	image_expect(&s.img, &s.img.active, 0, want, sizeof want);
	for (size_t room = 65536 - 1024; room <= 65536 + 512; room += 64) {
		test_case("room for a window of %zu", room);
		rig_init(&rig, &s.image, bare + room, deflate_only);
		EQ(rig.reader.window_len, room < 65536 ? 32768 : 65536);
		EQ(rig_read(&rig, 0, want, 1000), QCOW2_OK);
		EQ(rig_read(&rig, 40000, want + 40000, 1000), QCOW2_OK);
		rig_free(&rig);
	}
	subject_free(&s);
}

/* A cluster that is not the first of the disk is decoded once, too. */
static void test_once(void **state)
{
	uint8_t want[4 * CLUSTER];
	struct subject s = { 0 };
	struct rig rig;

	(void)state;
	test_case("the third cluster");
	image_init(&s.img, 3, BITS, sizeof want);
	image_add_range(&s.img, &s.img.active, 0, 4, IMAGE_COMPRESSED);
	subject_open(&s);
	image_expect(&s.img, &s.img.active, 0, want, sizeof want);
	rig_init(&rig, &s.image, QCOW2_READER_MEMORY_CLUSTER(BITS, QCOW2_DEFLATE_SMALL_WORK),
	         deflate_only);
	EQ(rig_read(&rig, 2 * CLUSTER, want + 2 * CLUSTER, 100), QCOW2_OK);
	test_io_reset(&s.io);
	EQ(rig_read(&rig, 2 * CLUSTER + 100, want + 2 * CLUSTER + 100, 100), QCOW2_OK);
	EQ(s.io.calls, 0);
	rig_free(&rig);
	subject_free(&s);
}

/* What a codec may not answer is told as damage, wherever the file ends. */
static int odd_status;

static int odd_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	(void)self;
	(void)work;
	(void)stream;
	return odd_status;
}

static void test_odd_statuses(void **state)
{
	static const int statuses[] = { 1, QCOW2_E_ARGUMENT, QCOW2_E_BACKING, QCOW2_E_L2_ENTRY,
		                        -999 };
	static const struct qcow2_codec odd = { .begin = no_begin, .decode = odd_decode };
	static const struct qcow2_codec *const odd_only[] = { &odd, NULL };
	uint8_t packed[1] = { 0 };
	uint8_t buf[CLUSTER];
	struct subject s = { 0 };
	struct rig rig;

	(void)state;
	image_init(&s.img, 3, BITS, CLUSTER);
	image_add_last_packed(&s.img, &s.img.active, 0, packed, 1, 5, 3);
	subject_open(&s);
	rig_init(&rig, &s.image, QCOW2_READER_MEMORY_DEFLATE, odd_only);
	for (size_t i = 0; i < COUNT(statuses); i++) {
		test_case("status %d", statuses[i]);
		odd_status = statuses[i];
		EQ(qcow2_reader_read(&rig.reader, 0, buf, CLUSTER), QCOW2_E_COMPRESSED);
		EQ(qcow2_reader_read(&rig.reader, 9, buf, 1), QCOW2_E_COMPRESSED);
		EQ(rig.reader.error.status, QCOW2_E_COMPRESSED);
		EQ(rig.reader.error.pos, s.img.active.clusters[0].pos);
	}
	odd_status = QCOW2_E_TRUNCATED;
	EQ(qcow2_reader_read(&rig.reader, 9, buf, 1), QCOW2_E_TRUNCATED);
	EQ(rig.reader.error.pos, s.img.file.len);
	rig_free(&rig);
	subject_free(&s);
}

/* Images with different codecs and cluster sizes in one chain, either way round. */
static void test_two_codecs(void **state)
{
	(void)state;
	for (unsigned xor_on_top = 0; xor_on_top < 2; xor_on_top++) {
		struct subject x = { 0 };
		struct subject d = { 0 };
		struct subject *top = xor_on_top ? &x : &d;
		struct subject *below = xor_on_top ? &d : &x;
		struct layer layers[2];
		struct rig rig;
		uint8_t want[4 * CLUSTER];

		make_xor(&x);
		image_init(&d.img, 3, 10, 4 * CLUSTER);
		d.img.active.seed = 5;
		image_add_range(&d.img, &d.img.active, 2, 6, IMAGE_COMPRESSED);
		image_add_range(&d.img, &d.img.active, 14, 2, IMAGE_COMPRESSED);
		subject_open(&d);
		EQ(qcow2_image_attach_backing(&top->image, &below->image), QCOW2_OK);
		layers[0] = (struct layer){ .img = &top->img, .size = sizeof want };
		layers[1] = (struct layer){ .img = &below->img, .size = sizeof want };
		expect_chain(layers, 2, 0, want, sizeof want);
		for (unsigned i = 0; i < 3; i++) {
			test_case("xor on top %u, memory %u", xor_on_top, i);
			rig_init(&rig, &top->image, i * 16000, both);
			EQ(rig_read(&rig, 0, want, sizeof want), QCOW2_OK);
			EQ(rig_read(&rig, 1, want + 1, sizeof want - 2), QCOW2_OK);
			EQ(rig_read(&rig, 1500, want + 1500, 100), QCOW2_OK);
			EQ(rig_read(&rig, 5000, want + 5000, 100), QCOW2_OK);
			EQ(rig_read(&rig, 1600, want + 1600, 100), QCOW2_OK);
			rig_free(&rig);
		}
		subject_free(&x);
		subject_free(&d);
	}
}

/* No codec for the type: said so, for these clusters only. */
static void test_no_codec(void **state)
{
	const struct qcow2_codec *const *const sets[] = { NULL, none, deflate_only };
	struct subject s = { 0 };
	uint8_t want[CLUSTER] = { 0 };

	(void)state;
	make_xor(&s);
	for (unsigned i = 0; i < COUNT(sets); i++) {
		struct rig rig;
		struct qcow2_extent e;

		test_case("set %u", i);
		rig_init(&rig, &s.image, QCOW2_READER_MEMORY_DEFLATE, sets[i]);
		EQ(rig_read(&rig, 10, want, 20), QCOW2_E_CODEC);
		EQ(rig.reader.error.status, QCOW2_E_CODEC);
		EQ(rig.reader.error.detail, QCOW2_COMPRESSION_ZSTD);
		EQ(rig_read(&rig, 0, want, CLUSTER), QCOW2_E_CODEC);
		EQ(rig_read(&rig, 3 * CLUSTER, want, CLUSTER), QCOW2_OK);
		EQ(qcow2_reader_map(&rig.reader, 0, CLUSTER, &e), QCOW2_OK);
		EQ(e.kind, QCOW2_EXTENT_COMPRESSED);
		rig_free(&rig);
	}
	subject_free(&s);
}

/* The macros promise memory that is enough; one unit less than the least is refused. */
static void test_memory(void **state)
{
	(void)state;
	for (unsigned bits = 9; bits <= 21; bits++) {
		struct subject s = { 0 };
		struct qcow2_reader reader;
		size_t min = 0;
		size_t good = 0;
		void *memory = NULL;

		test_case("cluster_bits %u", bits);
		image_init(&s.img, 3, bits, UINT64_C(4) << bits);
		subject_open(&s);
		EQ(qcow2_reader_memory(&s.image, NULL, &min, &good), QCOW2_OK);
		EQ(min, QCOW2_READER_MEMORY);
		LE(min, good);
		EQ(qcow2_reader_memory(&s.image, deflate_only, &min, &good), QCOW2_OK);
		LE(min, QCOW2_READER_MEMORY_DEFLATE);
		LE(min, good);
		LE(min, 1024 + 8192);
		memory = malloc(min);
		EQ(qcow2_reader_init(&reader, &s.image, memory, min), QCOW2_OK);
		EQ(qcow2_reader_codecs(&reader, deflate_only), QCOW2_OK);
		EQ(qcow2_reader_codecs(&reader, deflate_only), QCOW2_E_ARGUMENT); /* once */
		EQ(qcow2_reader_init(&reader, &s.image, memory, min - 1), QCOW2_OK);
		EQ(qcow2_reader_codecs(&reader, deflate_only), QCOW2_E_MEMORY);
		EQ(reader.error.status, QCOW2_E_MEMORY);
		EQ(reader.error.detail, min);
		TRUE(reader.error.io == NULL);
		free(memory);
		subject_free(&s);
	}
}

/* What is good for a disk without tables: four slices; the first table that needs more has them. */
static void test_good(void **state)
{
	struct subject s = { 0 };
	struct qcow2_image raw;
	struct qcow2_io io;
	size_t min = 0;
	size_t good = 0;

	(void)state;
	test_case("no disk");
	image_init(&s.img, 3, 16, 0);
	subject_open(&s);
	EQ(qcow2_reader_memory(&s.image, NULL, &min, &good), QCOW2_OK);
	EQ(good, 4 * QCOW2_READER_SLICE);
	test_case("a raw one");
	memcpy(&io, &s.io.io, sizeof io);
	io.size = UINT64_C(1) << 62;
	EQ(qcow2_image_raw(&raw, &io), QCOW2_OK);
	EQ(qcow2_reader_memory(&raw, NULL, &min, &good), QCOW2_OK);
	EQ(good, 4 * QCOW2_READER_SLICE);
	subject_free(&s);
}

/* Two entries with the same place, of which one says too few sectors: two clusters. */
static void test_same_place(void **state)
{
	struct subject s = { 0 };
	struct rig rig;
	uint64_t first, second;
	uint8_t buf[512];

	(void)state;
	test_case("the sectors of the other entry");
	image_init(&s.img, 3, 12, 65536);
	image_add(&s.img, &s.img.active, 0, IMAGE_STORED);
	image_add_raw(&s.img, &s.img.active, 1, 0, 0);
	subject_open(&s);
	first = image_l2_entry_pos(&s.img, &s.img.active, 0);
	second = image_l2_entry_pos(&s.img, &s.img.active, 1);
	memcpy(s.img.file.data + second, s.img.file.data + first, 8);
	s.img.file.data[second] = (uint8_t)(s.img.file.data[second] - 4); /* bit 58: a sector */
	rig_init(&rig, &s.image, QCOW2_READER_MEMORY_CLUSTER(12, QCOW2_DEFLATE_SMALL_WORK),
	         deflate_only);
	for (unsigned i = 0; i < 2; i++) {
		EQ(qcow2_reader_read(&rig.reader, 4096, buf, sizeof buf), QCOW2_E_COMPRESSED);
		EQ(qcow2_reader_read(&rig.reader, 0, buf, sizeof buf), QCOW2_OK);
	}
	rig_free(&rig);
	subject_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_place),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_extents),
		cmocka_unit_test(test_file_end),
		cmocka_unit_test(test_file_end_before),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_stream_end),
		cmocka_unit_test(test_fault_place),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_too_few_sectors),
		cmocka_unit_test(test_far_matches),
		cmocka_unit_test(test_sequential),
		cmocka_unit_test(test_same_part),
		cmocka_unit_test(test_interleaved),
		cmocka_unit_test(test_whole_codec),
		cmocka_unit_test(test_odd_statuses),
		cmocka_unit_test(test_no_codec),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_two_codecs),
		cmocka_unit_test(test_promises),
		cmocka_unit_test(test_nearly_a_cluster),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_far_matches_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
