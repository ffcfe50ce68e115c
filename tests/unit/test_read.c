/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reading: every kind of cluster, every cluster size, every size of memory, any alignment; ends of
 * disks and files; cost.
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>

/* ---- The geometry matrix ---- */

struct geometry {
	struct test_image s;
	uint8_t *want; /* the content of the window that the test reads */
	uint64_t first, len;
};

/* Adds clusters of all kinds from `first` on. */
static void fill_window(struct image *img, uint64_t first, uint64_t n)
{
	static const enum image_kind kinds[] = { IMAGE_DATA,       IMAGE_DATA,   IMAGE_COMPRESSED,
		                                 IMAGE_ABSENT,     IMAGE_ZERO,   IMAGE_DATA,
		                                 IMAGE_ZERO_ALLOC, IMAGE_STORED, IMAGE_DATA };

	for (uint64_t i = 0; i < n; i++) {
		enum image_kind kind = kinds[(i + i / 9) % COUNT(kinds)];

		if (img->version < 3 && (kind == IMAGE_ZERO || kind == IMAGE_ZERO_ALLOC))
			kind = IMAGE_DATA;
		if (img->extended_l2 && i % 4 == 1)
			image_add_subclusters(img, &img->active, first + i,
			                      UINT64_C(0x0f0f00ff3030cc00) | (i & 0x33) << 8,
			                      i & 1);
		else
			image_add(img, &img->active, first + i, kind);
	}
}

/*
 * A disk that ends soon after its second L2 table begins, inside a cluster and not at a multiple of
 * 512. The window is around the border of the two tables.
 */
static void make(struct geometry *g, unsigned version, unsigned cluster_bits, bool extended,
                 enum image_place place)
{
	struct image *img = &g->s.img;
	uint64_t n = cluster_bits >= 18 ? 5 : cluster_bits >= 15 ? 9 : 80;
	uint64_t border = 0;

	memset(g, 0, sizeof *g);
	image_init(img, version, cluster_bits, 0);
	img->extended_l2 = extended;
	img->place = place;
	border = image_l2_entries(img);
	g->first = (border - n / 2) << cluster_bits;
	img->size = g->first + (n << cluster_bits) - image_cluster_size(img) / 3;
	if (img->size % 512 == 0)
		img->size -= 1;
	fill_window(img, border - n / 2, n);
	test_image_open(&g->s);
	g->len = img->size - g->first;
	g->want = calloc((size_t)g->len, 1);
	image_expect(img, &img->active, g->first, g->want, (size_t)g->len);
}

static void unmake(struct geometry *g)
{
	free(g->want);
	test_image_free(&g->s);
}

static void check_read(struct geometry *g, struct test_reader *reader, uint64_t at, uint64_t len)
{
	EQ(test_reader_read(reader, g->first + at, g->want + (size_t)at, (size_t)len), QCOW2_OK);
}

/* `large`: fewer reads, because the clusters are large. `whole`: then also all of it. */
static void check_reads(struct geometry *g, struct test_reader *reader, bool large, bool whole)
{
	uint64_t cluster = image_cluster_size(&g->s.img);

	if (whole || !large)
		check_read(g, reader, 0, g->len);
	check_read(g, reader, g->len - 1, 1);
	check_read(g, reader, 0, 1);
	for (unsigned i = 0; i < (large ? 6 : test_turns(60)); i++) {
		uint64_t at = test_random(g->len);
		uint64_t len = 1 + test_random(i % 2 == 0 ? 700 : large ? cluster : 3 * cluster);

		if (i % 3 == 0)
			at = at / cluster * cluster;
		if (len > g->len - at)
			len = g->len - at;
		check_read(g, reader, at, len);
	}
}

static const size_t memories[] = { 0, QCOW2_READER_MEMORY_DEFLATE,
	                           QCOW2_READER_MEMORY_DEFLATE + 10000, 1 /* CLUSTER */,
	                           2 /* CLUSTER and many slices */ };

static void test_geometry(void **state)
{
	(void)state;
	test_random_state = 99;
	for (unsigned bits = 9; bits <= (test_brief() ? 15 : 21); bits++) {
		for (unsigned variant = 0; variant < 3; variant++) {
			struct geometry g;

			if (variant == 2 && bits < 14)
				continue;
			make(&g, variant == 0 ? 2 : 3, bits, variant == 2,
			     (enum image_place)((bits + variant) % 3));
			for (size_t m = 0; m < COUNT(memories); m++) {
				size_t memory = memories[m];
				struct test_reader reader;

				test_case("cluster_bits %u, variant %u, memory %zu", bits, variant,
				          m);
				if (memory == 1)
					memory = QCOW2_READER_MEMORY_CLUSTER(
						bits, QCOW2_DEFLATE_SMALL_WORK);
				else if (memory == 2)
					memory = QCOW2_READER_MEMORY_CLUSTER(
							 bits, QCOW2_DEFLATE_SMALL_WORK) +
					         200 * QCOW2_READER_SLICE;
				test_reader_init(&reader, &g.s.image, memory, deflate_only);
				check_reads(&g, &reader, bits >= 16, m == 0 || m == 3);
				test_reader_free(&reader);
			}
			unmake(&g);
		}
	}
}

/* Without codecs and with the least memory: everything but compressed clusters. */
static void test_smallest(void **state)
{
	(void)state;
	test_random_state = 7;
	for (unsigned bits = 9; bits <= (test_brief() ? 16 : 21); bits++) {
		struct test_image s = { 0 };
		struct test_reader reader;
		uint64_t cluster = UINT64_C(1) << bits;
		uint64_t n = bits > 16 ? 5 : 40;
		uint8_t *want = NULL;

		test_case("cluster_bits %u", bits);
		image_init(&s.img, 3, bits, n * cluster + 1);
		for (uint64_t i = 0; i <= n; i += 1 + i % 2)
			image_add(&s.img, &s.img.active, i, i % 5 == 3 ? IMAGE_ZERO : IMAGE_DATA);
		test_image_open(&s);
		want = calloc((size_t)s.img.size, 1);
		image_expect(&s.img, &s.img.active, 0, want, (size_t)s.img.size);
		guard_init(&reader.memory, QCOW2_READER_MEMORY, 8);
		LE(sizeof(struct qcow2_image) + sizeof reader.q + QCOW2_READER_MEMORY, 1024);
		EQ(qcow2_reader_init(&reader.q, &s.image, reader.memory.p, QCOW2_READER_MEMORY), 0);
		for (unsigned i = 0; i < test_turns(100); i++) {
			uint64_t off = test_random(s.img.size);
			uint64_t len =
				test_random(s.img.size - off < 3 * cluster ? s.img.size - off + 1
			                                                   : 3 * cluster);

			EQ(test_reader_read(&reader, off, want + (size_t)off, (size_t)len),
			   QCOW2_OK);
		}
		free(want);
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* In pieces of any size, the disk is the same. */
static void test_pieces(void **state)
{
	static const size_t sizes[] = { 1, 7, 64, 511, 512, 513, 4096, 5000, 65536 };

	(void)state;
	for (size_t k = 0; k < COUNT(sizes); k++) {
		struct geometry g;
		struct test_reader reader;

		make(&g, 3, sizes[k] < 64 ? 9 : 12, false, IMAGE_SHUFFLED);
		test_case("pieces of %zu", sizes[k]);
		test_reader_init(&reader, &g.s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		for (uint64_t at = 0; at < g.len; at += sizes[k])
			check_read(&g, &reader, at, g.len - at < sizes[k] ? g.len - at : sizes[k]);
		/* And backwards from the end. */
		for (uint64_t at = g.len; sizes[k] > 500 && at > 0;) {
			uint64_t n = at < sizes[k] ? at : sizes[k];

			at -= n;
			check_read(&g, &reader, at, n);
		}
		test_reader_free(&reader);
		unmake(&g);
	}
}

/* ---- Ends ---- */

/* P1: sizes to the byte. */
static void test_sizes(void **state)
{
	static const uint64_t sizes[] = { 1, 511, 512, 513, 4095, 4096, 4097, 40000, 40961 };

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct test_image s = { 0 };
		struct test_reader reader;
		uint8_t want[40961] = { 0 };
		size_t size = (size_t)sizes[i];

		test_case("size %zu", size);
		image_init(&s.img, 3, 12, size);
		image_add_range(&s.img, &s.img.active, 0, (size + 4095) / 4096, IMAGE_DATA);
		image_add(&s.img, &s.img.active, (size - 1) / 4096, IMAGE_COMPRESSED);
		test_image_open(&s);
		EQ(s.image.size, size);
		image_expect(&s.img, &s.img.active, 0, want, size);
		test_reader_init(&reader, &s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		EQ(test_reader_read(&reader, 0, want, size), QCOW2_OK);
		EQ(test_reader_read(&reader, size - 1, want + size - 1, 1), QCOW2_OK);
		EQ(test_reader_read(&reader, size, NULL, 0), QCOW2_OK);
		EQ(test_reader_read(&reader, size - 1, want, 2), QCOW2_E_RANGE);
		EQ(test_reader_read(&reader, size, want, 1), QCOW2_E_RANGE);
		EQ(test_reader_read(&reader, size + 1, want, 0), QCOW2_OK);
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* Bad ranges cost nothing and touch nothing; length 0 is fine, buffer NULL or not. */
static void test_range(void **state)
{
	static const struct {
		uint64_t off;
		size_t len;
		int status;
	} cases[] = {
		{ 0, 0, QCOW2_OK },
		{ 100000, 0, QCOW2_OK },
		{ 100001, 0, QCOW2_OK },
		{ UINT64_MAX, 0, QCOW2_OK },
		{ 100000, 1, QCOW2_E_RANGE },
		{ 99999, 2, QCOW2_E_RANGE },
		{ UINT64_MAX, 1, QCOW2_E_RANGE },
		{ UINT64_MAX - 7, 16, QCOW2_E_RANGE },
		{ 0, SIZE_MAX, QCOW2_E_RANGE },
		{ 1, SIZE_MAX, QCOW2_E_RANGE },
		{ 100000, SIZE_MAX, QCOW2_E_RANGE },
	};
	struct test_image s = { 0 };
	struct test_reader reader;
	uint8_t buf[16];

	(void)state;
	image_init(&s.img, 3, 12, 100000);
	image_add(&s.img, &s.img.active, 24, IMAGE_DATA);
	test_image_open(&s);
	test_reader_init(&reader, &s.image, 0, NULL);
	test_io_reset(&s.io);
	for (size_t i = 0; i < COUNT(cases); i++) {
		test_case("range %zu", i);
		memset(buf, 0x99, sizeof buf);
		EQ(qcow2_reader_read(&reader.q, cases[i].off, buf, cases[i].len), cases[i].status);
		ALL(buf, 0x99, sizeof buf);
		if (cases[i].status != QCOW2_OK)
			EQ(reader.q.error.status, QCOW2_E_RANGE);
		if (cases[i].len == 0)
			EQ(qcow2_reader_read(&reader.q, cases[i].off, NULL, 0), cases[i].status);
	}
	EQ(s.io.calls, 0);
	test_case("after a look at the file, which the error is not about");
	EQ(qcow2_reader_read(&reader.q, 24 * 4096, buf, 1), QCOW2_OK);
	EQ(qcow2_reader_read(&reader.q, 100000, buf, 1), QCOW2_E_RANGE);
	TRUE(reader.q.error.io == NULL);
	test_case("size 0");
	test_image_free(&s);
	image_init(&s.img, 3, 12, 0);
	test_image_open(&s);
	EQ(qcow2_reader_init(&reader.q, &s.image, reader.memory.p, reader.memory.len), QCOW2_OK);
	EQ(qcow2_reader_read(&reader.q, 0, buf, 0), QCOW2_OK);
	EQ(qcow2_reader_read(&reader.q, 0, buf, 1), QCOW2_E_RANGE);
	test_reader_free(&reader);
	test_image_free(&s);
}

/* P3: the file ends inside a data cluster: zeros from there on. */
static void test_partial_last(void **state)
{
	static const size_t tails[] = { 1, 2, 511, 512, 513, 4095 };

	(void)state;
	for (size_t i = 0; i < COUNT(tails); i++) {
		struct test_image s = { 0 };
		struct test_reader reader;
		struct qcow2_extent e;
		uint8_t want[3 * 4096] = { 0 };

		test_case("%zu bytes of the last cluster", tails[i]);
		image_init(&s.img, 3, 12, sizeof want);
		image_add(&s.img, &s.img.active, 0, IMAGE_DATA);
		image_add_last(&s.img, &s.img.active, 1, tails[i]);
		test_image_open(&s);
		EQ(s.io.io.size % 4096, tails[i]);
		image_expect(&s.img, &s.img.active, 0, want, sizeof want);
		test_reader_init(&reader, &s.image, 0, NULL);
		EQ(test_reader_read(&reader, 0, want, sizeof want), QCOW2_OK);
		EQ(test_reader_read(&reader, 4096 + tails[i] - 1, want + 4096 + tails[i] - 1, 2),
		   QCOW2_OK);
		EQ(test_reader_read(&reader, 2 * 4096 - 1, want + 2 * 4096 - 1, 1), QCOW2_OK);
		test_io_reset(&s.io);
		EQ(test_reader_read(&reader, 2 * 4096 - 1, want + 2 * 4096 - 1, 1), QCOW2_OK);
		EQ(s.io.calls, 0); /* there is nothing to read */
		EQ(qcow2_reader_map(&reader.q, 4096, 4096, &e), QCOW2_OK);
		EQ(e.kind, QCOW2_EXTENT_DATA);
		EQ(e.len, 4096);
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* P2: data that starts at or past the end of the file, and tables that are not wholly inside. */
struct past_case {
	const char *name;
	bool extended;
	int64_t data;   /* bytes from the end of the file to the data cluster */
	int64_t l2_cut; /* bytes of the L2 table past the end of the file */
};

static const struct past_case past_cases[] = {
	{ "data at the end", false, 0, 0 },
	{ "data far past the end", false, 1 << 30, 0 },
	{ "data at the end, extended", true, 0, 0 },
	{ "L2 table lacks a byte", false, 0, 1 },
	{ "L2 table lacks half", false, 0, 8192 },
	{ "L2 table lacks all", false, 0, 16384 },
	{ "L2 table lacks all, extended", true, 0, 16384 },
};

static void make_past(struct image *img, const struct past_case *c)
{
	uint64_t cluster = 16384;
	uint64_t end = 0;

	image_init(img, 3, 14, 4 * cluster);
	img->extended_l2 = c->extended;
	img->refcounts = false;
	image_place_l1(img, &img->active);
	image_add(img, &img->active, 0, IMAGE_DATA);
	image_add(img, &img->active, 1, IMAGE_DATA);
	image_finish(img); /* the L2 table is the last cluster */
	end = img->file.len;
	if (c->l2_cut != 0)
		image_buf_resize(&img->file, (size_t)(end - (uint64_t)c->l2_cut));
	else
		image_put(&img->file, image_l2_entry_pos(img, &img->active, 1),
		          (end + (uint64_t)c->data) | IMAGE_COPIED, 8);
}

static void test_past_end(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(past_cases); i++) {
		const struct past_case *c = &past_cases[i];
		struct test_image s = { 0 };
		struct test_reader reader;
		struct qcow2_extent e;
		uint8_t want[16384] = { 0 };
		uint8_t first[16384] = { 0 };
		uint64_t cluster = 16384;
		int other = c->l2_cut != 0 ? QCOW2_E_TRUNCATED : QCOW2_OK;

		test_case("%s", c->name);
		make_past(&s.img, c);
		image_expect(&s.img, &s.img.active, 0, first, sizeof first);
		test_image_open(&s);
		test_reader_init(&reader, &s.image, 0, NULL);
		EQ(test_reader_read(&reader, cluster, want, 512), QCOW2_E_TRUNCATED);
		EQ(reader.q.error.status, QCOW2_E_TRUNCATED);
		EQ(reader.q.error.pos, s.img.file.len);
		TRUE(reader.q.error.io == &s.image.io);
		EQ(qcow2_reader_map(&reader.q, cluster, cluster, &e), QCOW2_E_TRUNCATED);
		EQ(test_reader_read(&reader, 0, first, sizeof first), other);
		EQ(test_reader_read(&reader, 0, want, 2 * cluster), QCOW2_E_TRUNCATED);
		test_reader_free(&reader);

		test_case("%s, allowed", c->name);
		test_image_open_flags(&s, QCOW2_OPEN_TRUNCATED);
		test_reader_init(&reader, &s.image, 0, NULL);
		if (c->l2_cut == 0 || c->l2_cut == 16384)
			EQ(test_reader_read(&reader, cluster, want, sizeof want), QCOW2_OK);
		if (c->l2_cut != 16384)
			EQ(test_reader_read(&reader, 0, first, sizeof first), QCOW2_OK);
		else
			EQ(test_reader_read(&reader, 0, want, sizeof want), QCOW2_OK);
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* The file has only the first of two contiguous clusters, so the run ends with the file. */
static void test_run_past_end(void **state)
{
	enum { CLUSTER = 512, HERE = 3 };
	static const size_t ends[] = { 1, 511, 512 }; /* bytes of the last cluster in the file */

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(ends); i++) {
		struct test_image s = { 0 };
		struct test_reader reader;
		struct qcow2_extent e;
		uint8_t want[8 * CLUSTER] = { 0 };
		bool allowed = i % 2;
		uint64_t end = 0;

		test_case("%zu bytes of the last cluster, allowed %d", ends[i / 2], allowed);
		image_init(&s.img, 3, 9, sizeof want);
		s.img.refcounts = false;
		image_place_l1(&s.img, &s.img.active);
		image_place_l2(&s.img, &s.img.active, 0);
		image_add_range(&s.img, &s.img.active, 0, 8, IMAGE_DATA);
		image_finish(&s.img);
		end = model_place(&s.img, &s.img.active, (HERE - 1) * CLUSTER).pos + ends[i / 2];
		image_expect(&s.img, &s.img.active, 0, want, (HERE - 1) * CLUSTER + ends[i / 2]);
		image_buf_resize(&s.img.file, (size_t)end);
		test_image_open_flags(&s, allowed ? QCOW2_OPEN_TRUNCATED : 0);
		test_reader_init(&reader, &s.image, 0, NULL);
		EQ(qcow2_reader_map(&reader.q, 0, sizeof want, &e), QCOW2_OK);
		EQ(e.len, allowed ? 8 * CLUSTER : HERE * CLUSTER);
		EQ(test_reader_read(&reader, 0, want, HERE * CLUSTER), QCOW2_OK);
		EQ(test_reader_read(&reader, 0, want, sizeof want),
		   allowed ? QCOW2_OK : QCOW2_E_TRUNCATED);
		EQ(test_reader_read(&reader, HERE * CLUSTER, want + HERE * CLUSTER, 1),
		   allowed ? QCOW2_OK : QCOW2_E_TRUNCATED);
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* A new reader in the memory of an old one must not use what is still in it. */
static void test_memory_again(void **state)
{
	static uint64_t memory[20000 / 8];
	static const size_t lens[] = { QCOW2_READER_MEMORY, 2 * QCOW2_READER_MEMORY, 10000,
		                       sizeof memory };
	struct qcow2_image image; /* one after the other, at one address */
	struct qcow2_reader reader;
	uint8_t want[8192];
	uint8_t got[8192];

	(void)state;
	memset(memory, 0xa5, sizeof memory);
	for (unsigned i = 0; i < 16; i++) {
		struct image img;
		struct test_io io;

		test_case("memory given for the time %u", i + 1);
		image_init(&img, 3, 12, sizeof want);
		img.active.seed = i;
		image_place_l1(&img, &img.active); /* tables at the same places each time */
		image_place_l2(&img, &img.active, 0);
		image_alloc(&img, i);
		image_add(&img, &img.active, i % 2, IMAGE_DATA);
		image_add(&img, &img.active, (i + 1) % 2, i % 3 ? IMAGE_COMPRESSED : IMAGE_ZERO);
		image_finish(&img);
		memset(want, 0, sizeof want);
		image_expect(&img, &img.active, 0, want, sizeof want);
		test_io_init(&io, &img.file);
		EQ(qcow2_image_open(&image, &io.io, 0, NULL), QCOW2_OK);
		EQ(qcow2_reader_init(&reader, &image, memory, lens[i % 4]), QCOW2_OK);
		if (i % 3 != 0 && i % 4 < 2) {
			EQ(qcow2_reader_read(&reader, 0, got, sizeof got), QCOW2_E_CODEC);
		} else {
			if (i % 4 >= 2)
				EQ(qcow2_reader_codecs(&reader, deflate_only), QCOW2_OK);
			EQ(qcow2_reader_read(&reader, 0, got, sizeof got), QCOW2_OK);
			SAME(got, want, sizeof want);
			EQ(qcow2_reader_read(&reader, 100, got, 6000), QCOW2_OK);
			SAME(got, want + 100, 6000);
		}
		image_free(&img);
	}
}

/* Data at the highest position that an entry can hold, in a file of that size. */
static void test_far(void **state)
{
	static const uint64_t positions[] = { UINT64_C(0x00ffffffffff0000), UINT64_C(1) << 40,
		                              UINT64_C(0xffff0000), UINT64_C(0x100000000) };
	uint8_t data[65536];

	(void)state;
	image_fill(data, sizeof data, 42, 0);
	for (size_t i = 0; i < COUNT(positions); i++) {
		struct test_image s = { 0 };
		struct test_reader reader;

		test_case("data at %llx", (unsigned long long)positions[i]);
		image_init(&s.img, 3, 16, 10 * 65536);
		image_add_raw(&s.img, &s.img.active, 3, positions[i], 0);
		test_image_open(&s);
		s.image.io.size = positions[i] + 65536;
		s.io.io.size = s.image.io.size;
		s.io.far = data;
		s.io.far_pos = positions[i];
		s.io.far_len = sizeof data;
		test_reader_init(&reader, &s.image, 0, NULL);
		EQ(test_reader_read(&reader, 3 * 65536, data, sizeof data), QCOW2_OK);
		EQ(test_reader_read(&reader, 4 * 65536 - 5, data + 65536 - 5, 5), QCOW2_OK);
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* ---- Cost ---- */

struct cost_case {
	const char *name;
	enum image_kind kind;
	uint64_t n;
	enum image_place place;
	uint64_t data_calls;
};

static const struct cost_case costs[] = {
	{ "contiguous data: one call", IMAGE_DATA, 64, IMAGE_IN_ORDER, 1 },
	{ "zeros: none", IMAGE_ZERO, 64, IMAGE_IN_ORDER, 0 },
	{ "zeros over host clusters: none", IMAGE_ZERO_ALLOC, 64, IMAGE_IN_ORDER, 0 },
	{ "nothing: none", IMAGE_ABSENT, 64, IMAGE_IN_ORDER, 0 },
	{ "shuffled data: one for each cluster at most", IMAGE_DATA, 64, IMAGE_SHUFFLED, 64 },
	{ "contiguous data over slices", IMAGE_DATA, 640, IMAGE_IN_ORDER, 1 },
};

static void test_cost(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(costs); i++) {
		const struct cost_case *c = &costs[i];
		struct test_image s = { 0 };
		struct test_reader reader;
		size_t len = (size_t)c->n * 4096;
		uint8_t *want = calloc(len, 1);
		/*
		 * At most 2 calls of 512 bytes for each 64 clusters, and as many to see what
		 * follows.
		 */
		uint64_t tables = 2 * ((c->n + 63) / 64 + 1) + 2;

		test_case("%s", c->name);
		image_init(&s.img, 3, 12, len);
		s.img.place = c->place;
		image_add_range(&s.img, &s.img.active, 0, c->n, c->kind);
		test_image_open(&s);
		image_expect(&s.img, &s.img.active, 0, want, len);
		test_reader_init(&reader, &s.image, 4 * QCOW2_READER_SLICE, NULL);
		test_io_reset(&s.io);
		EQ(test_reader_read(&reader, 0, want, len), QCOW2_OK);
		LE(s.io.calls, c->data_calls + tables);
		LE(s.io.bytes, (c->data_calls != 0 ? len : 0) + 512 * tables);
		if (c->data_calls == 1)
			EQ(s.io.longest, len);
		test_reader_free(&reader);
		/* With one slot, L1 and L2 push each other out for each run. */
		test_reader_init(&reader, &s.image, 0, NULL);
		test_io_reset(&s.io);
		EQ(test_reader_read(&reader, 0, want, len), QCOW2_OK);
		LE(s.io.calls, c->data_calls * 5 + tables);
		if (c->data_calls == 1)
			EQ(s.io.longest, len);
		test_reader_free(&reader);
		/* With enough slots, the tables are in memory the second time. */
		test_reader_init(&reader, &s.image, 64 * QCOW2_READER_SLICE, NULL);
		EQ(test_reader_read(&reader, 0, want, len), QCOW2_OK);
		test_io_reset(&s.io);
		EQ(test_reader_read(&reader, 1, want + 1, len - 1), QCOW2_OK);
		LE(s.io.calls, c->data_calls);
		test_reader_free(&reader);
		free(want);
		test_image_free(&s);
	}
}

/* Small reads in order do not read the tables again. */
static void test_cost_sequential(void **state)
{
	struct test_image s = { 0 };
	struct test_reader reader;
	uint8_t want[64 * 4096] = { 0 };
	uint64_t off = 0;

	(void)state;
	test_case("sequential reads of 512 bytes");
	image_init(&s.img, 3, 12, sizeof want);
	image_add_range(&s.img, &s.img.active, 0, 64, IMAGE_DATA);
	test_image_open(&s);
	image_expect(&s.img, &s.img.active, 0, want, sizeof want);
	test_reader_init(&reader, &s.image, 0, NULL);
	test_io_reset(&s.io);
	for (off = 0; off < sizeof want; off += 512)
		EQ(test_reader_read(&reader, off, want + off, 512), QCOW2_OK);
	/* The smallest reader has one slot: at worst, each read loads an L1 and an L2 slice. */
	LE(s.io.calls, sizeof want / 512 * 3);
	test_reader_free(&reader);
	test_reader_init(&reader, &s.image, 4 * QCOW2_READER_SLICE, NULL);
	test_io_reset(&s.io);
	for (off = 0; off < sizeof want; off += 512)
		EQ(test_reader_read(&reader, off, want + off, 512), QCOW2_OK);
	LE(s.io.calls, sizeof want / 512 + 4);
	test_reader_free(&reader);
	test_image_free(&s);
}

/* Many readers of one image do not disturb each other, and do not write to the image. */
static void test_shared(void **state)
{
	struct geometry g;
	struct test_reader rigs[4];
	struct qcow2_image copy;

	(void)state;
	test_case("four readers by turns");
	test_random_state = 5;
	make(&g, 3, 12, false, IMAGE_GAPS);
	memcpy(&copy, &g.s.image, sizeof copy);
	for (unsigned i = 0; i < 4; i++)
		test_reader_init(&rigs[i], &g.s.image, QCOW2_READER_MEMORY_DEFLATE + i * 7000,
		                 deflate_only);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t at = test_random(g.len);

		check_read(&g, &rigs[i % 4], at, 1 + test_random(g.len - at));
	}
	for (unsigned i = 0; i < 4; i++)
		test_reader_free(&rigs[i]);
	SAME(&g.s.image, &copy, sizeof copy);
	unmake(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_geometry),     cmocka_unit_test(test_smallest),
		cmocka_unit_test(test_pieces),       cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_range),        cmocka_unit_test(test_partial_last),
		cmocka_unit_test(test_past_end),     cmocka_unit_test(test_far),
		cmocka_unit_test(test_cost),         cmocka_unit_test(test_cost_sequential),
		cmocka_unit_test(test_shared),       cmocka_unit_test(test_run_past_end),
		cmocka_unit_test(test_memory_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
