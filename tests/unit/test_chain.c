/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Backing chains: raw and qcow2, shorter and longer, other cluster sizes, depth. Other readers got
 * these wrong: endless recursion, and reads past the end of a shorter backing file.
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>

enum { DEPTH = 4 };

/* A chain under construction: layers[0] is the top. */
struct chain {
	struct test_image s[DEPTH];
	struct image_buf raw;
	struct test_io raw_io;
	struct qcow2_image raw_image;
	struct layer layers[DEPTH + 1];
	size_t n; /* qcow2 images */
	bool has_raw;
	uint8_t *want;
};

struct shape {
	const char *name;
	struct {
		unsigned version, cluster_bits;
		uint64_t size;
		bool extended;
	} image[DEPTH]; /* cluster_bits 0 ends the list */
	uint64_t raw;   /* bytes of the raw file at the bottom; UINT64_MAX: none */
};

#define NO_RAW UINT64_MAX

static const struct shape shapes[] = {
	{ "over raw", { { 3, 12, 300000, false } }, 300000 },
	{ "over raw that is shorter", { { 3, 12, 300000, false } }, 100000 },
	{ "over raw that is longer", { { 2, 12, 100000, false } }, 300000 },
	{ "over an empty raw file", { { 3, 12, 100000, false } }, 0 },
	{ "over raw of 1 byte", { { 3, 9, 30000, false } }, 1 },
	{ "two of a kind", { { 3, 12, 200000, false }, { 3, 12, 200000, false } }, NO_RAW },
	{ "small clusters over large",
	  { { 3, 9, 200000, false }, { 3, 16, 200000, false } },
	  NO_RAW },
	{ "large clusters over small",
	  { { 3, 16, 200000, false }, { 2, 9, 200000, false } },
	  NO_RAW },
	{ "subclusters over clusters",
	  { { 3, 14, 300000, true }, { 3, 12, 300000, false } },
	  NO_RAW },
	{ "clusters over subclusters",
	  { { 3, 9, 300000, false }, { 3, 15, 300000, true } },
	  300000 },
	{ "shorter below", { { 3, 12, 300000, false }, { 3, 12, 123456, false } }, NO_RAW },
	{ "longer below", { { 3, 12, 100000, false }, { 3, 12, 300000, false } }, NO_RAW },
	{ "shorter in the middle",
	  { { 3, 12, 300000, false }, { 3, 12, 100001, false }, { 3, 12, 300000, false } },
	  300000 },
	{ "middle of size 0", { { 3, 12, 100000, false }, { 3, 12, 0, false } }, 100000 },
	{ "four and raw",
	  { { 3, 16, 400001, false },
	    { 2, 9, 390000, false },
	    { 3, 14, 380000, true },
	    { 3, 12, 500000, false } },
	  370007 },
};

static void fill_layer(struct image *img, unsigned seed)
{
	uint64_t n = (img->size >> img->cluster_bits) + (img->size % image_cluster_size(img) != 0);
	uint64_t i = 0;

	img->active.seed = seed;
	while (i < n) {
		uint64_t run = 1 + test_random(n / 8 + 2);
		unsigned pick = (unsigned)test_random(8);
		uint64_t bitmap = test_random(UINT64_MAX);

		for (; run > 0 && i < n; run--, i++) {
			if (img->extended_l2 && pick >= 5)
				image_add_subclusters(img, &img->active, i,
				                      bitmap & ~(bitmap << 32), pick == 5);
			else if (pick == 0)
				image_add(img, &img->active, i, IMAGE_COMPRESSED);
			else if (pick == 1 && img->version >= 3)
				image_add(img, &img->active, i, IMAGE_ZERO);
			else if (pick == 2 && img->version >= 3)
				image_add(img, &img->active, i, IMAGE_ZERO_ALLOC);
			else if (pick <= 3)
				image_add(img, &img->active, i, IMAGE_DATA);
		}
	}
}

static void chain_make(struct chain *c, const struct shape *shape)
{
	const struct qcow2_image *below = NULL;

	memset(c, 0, sizeof *c);
	while (c->n < DEPTH && shape->image[c->n].cluster_bits != 0)
		c->n++;
	c->has_raw = shape->raw != NO_RAW;
	if (c->has_raw) {
		image_buf_resize(&c->raw, (size_t)shape->raw);
		image_fill(c->raw.data, (size_t)shape->raw, 77, 0);
		test_io_init(&c->raw_io, &c->raw);
		EQ(qcow2_image_raw(&c->raw_image, &c->raw_io.io), QCOW2_OK);
		EQ(c->raw_image.size, shape->raw);
		below = &c->raw_image;
		c->layers[c->n] = (struct layer){ .raw = &c->raw, .size = shape->raw };
	}
	for (size_t i = c->n; i-- > 0;) {
		struct test_image *s = &c->s[i];

		image_init(&s->img, shape->image[i].version, shape->image[i].cluster_bits,
		           shape->image[i].size);
		s->img.extended_l2 = shape->image[i].extended;
		s->img.place = (enum image_place)(i % 3);
		fill_layer(&s->img, (unsigned)i + 1);
		if (below != NULL)
			image_set_backing(&s->img, "below", 5, 0);
		test_image_open(s);
		if (below != NULL)
			EQ(qcow2_image_attach_backing(&s->image, below), QCOW2_OK);
		below = &s->image;
		c->layers[i] = (struct layer){ .img = &s->img, .size = s->img.size };
	}
	c->want = malloc((size_t)c->s[0].img.size);
	expect_chain(c->layers, c->n + c->has_raw, 0, c->want, (size_t)c->s[0].img.size);
}

static void chain_free(struct chain *c)
{
	for (size_t i = 0; i < c->n; i++)
		test_image_free(&c->s[i]);
	free(c->raw.data);
	free(c->want);
}

static void check_reads(struct chain *c, struct test_reader *reader)
{
	uint64_t size = c->s[0].img.size;

	EQ(test_reader_read(reader, 0, c->want, (size_t)size), QCOW2_OK);
	for (unsigned i = 0; i < test_turns(100); i++) {
		uint64_t off = test_random(size);
		uint64_t len = 1 + test_random(i % 2 ? 70000 : 600);

		if (len > size - off)
			len = size - off;
		EQ(test_reader_read(reader, off, c->want + off, (size_t)len), QCOW2_OK);
	}
}

static void test_content(void **state)
{
	static const size_t memories[] = {
		0, QCOW2_READER_MEMORY_DEFLATE,
		QCOW2_READER_MEMORY_CLUSTER(16, QCOW2_DEFLATE_SMALL_WORK), 400000
	};

	(void)state;
	test_random_state = 11;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		struct chain c;

		test_case("%s", shapes[i].name);
		chain_make(&c, &shapes[i]);
		for (size_t m = 0; m < COUNT(memories); m++) {
			struct test_reader reader;

			test_case("%s, memory %zu", shapes[i].name, m);
			test_reader_init(&reader, &c.s[0].image, memories[m], deflate_only);
			check_reads(&c, &reader);
			test_reader_free(&reader);
		}
		chain_free(&c);
	}
}

/* The image that has the answer, by the models from the top down. */
static struct place chain_place(const struct chain *c, uint64_t off, size_t *depth)
{
	struct place p = { .kind = QCOW2_EXTENT_ABSENT };
	uint64_t unit = UINT64_MAX;

	for (*depth = 0; *depth < c->n; (*depth)++) {
		const struct image *img = &c->s[*depth].img;

		if (off >= img->size)
			return (struct place){ .kind = QCOW2_EXTENT_ABSENT, .unit = 1 };
		p = model_place(img, &img->active, off);
		unit = p.unit < unit ? p.unit : unit;
		p.unit = unit;
		if (p.kind != QCOW2_EXTENT_ABSENT)
			return p;
	}
	p.unit = 1;
	if (c->has_raw && off < c->raw.len)
		return (struct place){ QCOW2_EXTENT_DATA, true, off, 1 };
	return p;
}

/* What map returns for a chain: kind, image, depth, position. */
static void test_map(void **state)
{
	(void)state;
	test_random_state = 12;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		struct chain c;
		struct test_reader reader;

		test_case("%s", shapes[i].name);
		chain_make(&c, &shapes[i]);
		test_reader_init(&reader, &c.s[0].image, 0, NULL);
		for (uint64_t off = 0; off < c.s[0].img.size;) {
			struct qcow2_extent e;

			EQ(qcow2_reader_map(&reader.q, off, c.s[0].img.size - off, &e), QCOW2_OK);
			EQ(e.off, off);
			TRUE(e.len > 0 && e.len <= c.s[0].img.size - off);
			/* Every byte near the ends, and some between. */
			for (uint64_t at = off; at < off + e.len; at += at < off + 600 ? 1 : 509) {
				size_t depth = 0;
				struct place p = chain_place(&c, at, &depth);

				EQ(e.kind, p.kind);
				if (p.kind == QCOW2_EXTENT_ABSENT)
					continue;
				EQ(e.depth, depth);
				TRUE(e.image == (depth < c.n ? &c.s[depth].image : &c.raw_image));
				if (p.has_io)
					EQ(e.kind == QCOW2_EXTENT_COMPRESSED ? e.pos
					                                     : e.pos + (at - off),
					   p.pos);
			}
			off += e.len;
		}
		test_reader_free(&reader);
		chain_free(&c);
	}
}

/* ---- Depth ---- */

static void test_depth(void **state)
{
	enum { MOST = 64 };
	struct test_image *s = calloc(MOST, sizeof *s);
	uint8_t want[MOST * 512] = { 0 };

	(void)state;
	/* Image k, from the bottom, holds only cluster k. */
	for (unsigned k = 0; k < MOST; k++) {
		struct test_reader reader;

		test_case("depth %u", k + 1);
		image_init(&s[k].img, 3, 9, sizeof want);
		s[k].img.active.seed = k + 1;
		image_add(&s[k].img, &s[k].img.active, k, k % 2 ? IMAGE_DATA : IMAGE_COMPRESSED);
		test_image_open(&s[k]);
		if (k != 0)
			EQ(qcow2_image_attach_backing(&s[k].image, &s[k - 1].image), QCOW2_OK);
		image_expect(&s[k].img, &s[k].img.active, 0, want, sizeof want);
		test_reader_init(&reader, &s[k].image, k % 3 ? 0 : 30000, deflate_only);
		EQ(test_reader_read(&reader, 0, want, sizeof want), QCOW2_OK);
		EQ(test_reader_read(&reader, 100, want + 100, 600), QCOW2_OK);
		test_reader_free(&reader);
	}
	for (unsigned k = 0; k < MOST; k++)
		test_image_free(&s[k]);
	free(s);
}

/* A circle of images, or one that is attached to itself, is refused and not followed for ever. */
static void test_loop(void **state)
{
	(void)state;
	for (size_t n = 1; n <= 3; n++) {
		struct test_image s[3] = { 0 };
		struct qcow2_reader reader;
		uint64_t memory[QCOW2_READER_MEMORY / 8 + 1];
		size_t min = 0;
		size_t good = 0;

		test_case("a circle of %zu", n);
		for (size_t i = 0; i < n; i++) {
			image_init(&s[i].img, 3, 12, 10000);
			test_image_open(&s[i]);
		}
		for (size_t i = 0; i < n; i++) {
			/* The attach itself may already refuse it. */
			int rc = qcow2_image_attach_backing(&s[i].image, &s[(i + 1) % n].image);

			TRUE(rc == QCOW2_OK || (n == 1 && rc == QCOW2_E_ARGUMENT));
		}
		if (s[n - 1].image.backing != NULL) {
			EQ(qcow2_reader_init(&reader, &s[0].image, memory, sizeof memory),
			   QCOW2_E_DEPTH);
			EQ(reader.error.status, QCOW2_E_DEPTH);
			EQ(qcow2_reader_memory(&s[0].image, NULL, &min, &good), QCOW2_E_DEPTH);
		}
		for (size_t i = 0; i < n; i++)
			test_image_free(&s[i]);
	}
}

/* The longest chain that is allowed, and one more. */
static void test_chain_max(void **state)
{
	struct qcow2_image *images = calloc(QCOW2_CHAIN_MAX + 1, sizeof *images);
	struct image img;
	struct test_io io;
	struct test_reader reader;
	uint8_t want[512];

	(void)state;
	test_case("QCOW2_CHAIN_MAX");
	image_init(&img, 3, 9, 512);
	image_finish(&img);
	test_io_init(&io, &img.file);
	for (size_t i = 0; i <= QCOW2_CHAIN_MAX; i++) {
		if (i == 0)
			EQ(qcow2_image_raw(&images[0], &io.io), QCOW2_OK);
		else
			EQ(qcow2_image_open(&images[i], &io.io, 0, NULL), QCOW2_OK);
		if (i != 0)
			EQ(qcow2_image_attach_backing(&images[i], &images[i - 1]), QCOW2_OK);
	}
	memcpy(want, img.file.data, sizeof want);
	test_reader_init(&reader, &images[QCOW2_CHAIN_MAX - 1], 0, NULL);
	EQ(test_reader_read(&reader, 0, want, sizeof want), QCOW2_OK);
	EQ(qcow2_reader_init(&reader.q, &images[QCOW2_CHAIN_MAX], reader.memory.p,
	                     reader.memory.len),
	   QCOW2_E_DEPTH);
	test_reader_free(&reader);
	free(images);
	image_free(&img);
}

/* ---- What must be attached ---- */

static void test_missing(void **state)
{
	struct test_image top = { 0 };
	struct test_image middle = { 0 };
	struct qcow2_reader bare;
	struct test_reader reader;
	uint64_t memory[QCOW2_READER_MEMORY / 8 + 1];
	uint8_t want[10000] = { 0 };
	size_t min = 0;
	size_t good = 0;

	(void)state;
	image_init(&top.img, 3, 12, 10000);
	image_set_backing(&top.img, "base", 4, 0);
	image_add(&top.img, &top.img.active, 1, IMAGE_DATA);
	image_init(&middle.img, 3, 12, 10000);
	image_set_backing(&middle.img, "base", 4, 0);

	test_case("named, not attached");
	test_image_open(&top);
	EQ(qcow2_reader_init(&bare, &top.image, memory, sizeof memory), QCOW2_E_BACKING);
	EQ(bare.error.status, QCOW2_E_BACKING);
	TRUE(bare.error.io == &top.image.io);
	EQ(qcow2_reader_memory(&top.image, NULL, &min, &good), QCOW2_E_BACKING);

	test_case("named in the middle, not attached");
	test_image_open(&middle);
	EQ(qcow2_image_attach_backing(&top.image, &middle.image), QCOW2_OK);
	EQ(qcow2_reader_init(&bare, &top.image, memory, sizeof memory), QCOW2_E_BACKING);
	TRUE(bare.error.io == &middle.image.io);

	test_case("QCOW2_OPEN_LAYER");
	test_image_open_flags(&top, QCOW2_OPEN_LAYER);
	image_expect(&top.img, &top.img.active, 0, want, sizeof want);
	test_reader_init(&reader, &top.image, 0, NULL);
	EQ(test_reader_read(&reader, 0, want, sizeof want), QCOW2_OK);
	test_reader_free(&reader);

	test_case("attach twice, to nothing, to a raw image");
	EQ(qcow2_image_attach_backing(&top.image, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_attach_backing(NULL, &top.image), QCOW2_E_ARGUMENT);
	test_image_open_flags(&middle, QCOW2_OPEN_LAYER);
	EQ(qcow2_image_attach_backing(&top.image, &middle.image), QCOW2_OK);
	EQ(qcow2_image_attach_backing(&top.image, &middle.image), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_raw(&middle.image, &middle.io.io), QCOW2_OK);
	EQ(qcow2_image_attach_backing(&middle.image, &top.image), QCOW2_E_ARGUMENT);
	test_image_free(&top);
	test_image_free(&middle);
}

/* A raw image alone. */
static void test_raw(void **state)
{
	struct image_buf raw = { 0 };
	struct test_io io;
	struct qcow2_image image;
	struct qcow2_extent e;
	struct test_reader reader;

	(void)state;
	test_case("raw");
	image_buf_resize(&raw, 10001);
	image_fill(raw.data, raw.len, 9, 0);
	memcpy(raw.data, "QFI\xfb\0\0\0\3", 8); /* P8: its content does not matter */
	test_io_init(&io, &raw);
	EQ(qcow2_image_raw(&image, &io.io), QCOW2_OK);
	EQ(image.version, 0);
	EQ(image.size, raw.len);
	EQ(io.calls, 0);
	test_reader_init(&reader, &image, 0, NULL);
	EQ(test_reader_read(&reader, 0, raw.data, raw.len), QCOW2_OK);
	EQ(io.calls, 1);
	EQ(test_reader_read(&reader, 10000, raw.data + 10000, 1), QCOW2_OK);
	EQ(test_reader_read(&reader, 10000, raw.data, 2), QCOW2_E_RANGE);
	EQ(qcow2_reader_map(&reader.q, 7, 9000, &e), QCOW2_OK);
	EQ(e.kind, QCOW2_EXTENT_DATA);
	EQ(e.pos, 7);
	EQ(e.len, 9000);
	TRUE(e.io == &image.io && e.image == &image);
	test_reader_free(&reader);
	free(raw.data);
}

/* Cost: at most 2 io calls for the tables of each image, and as many again for what follows. */
static void test_cost(void **state)
{
	struct test_image s[3] = { 0 };
	struct test_reader reader;
	struct qcow2_extent e;
	uint64_t calls = 0;

	(void)state;
	for (unsigned k = 0; k < 3; k++) {
		image_init(&s[k].img, 3, 12, MIB);
		image_place_l2(&s[k].img, &s[k].img.active, 0);
		if (k == 0)
			image_add_range(&s[k].img, &s[k].img.active, 0, 64, IMAGE_DATA);
		test_image_open(&s[k]);
		if (k != 0)
			EQ(qcow2_image_attach_backing(&s[k].image, &s[k - 1].image), QCOW2_OK);
	}
	for (unsigned slots = 1; slots <= 64; slots *= 4) {
		test_case("%u slots", slots);
		test_reader_init(&reader, &s[2].image, slots * QCOW2_READER_SLICE, NULL);
		for (unsigned k = 0; k < 3; k++)
			test_io_reset(&s[k].io);
		EQ(qcow2_reader_map(&reader.q, 4096, 63 * 4096, &e), QCOW2_OK);
		EQ(e.kind, QCOW2_EXTENT_DATA);
		EQ(e.len, 63 * 4096);
		EQ(e.depth, 2);
		calls = s[0].io.calls + s[1].io.calls + s[2].io.calls;
		LE(calls, 3 * 2 * 2);
		if (slots >= 16)
			EQ(calls, 6);
		test_reader_free(&reader);
	}
	for (unsigned k = 0; k < 3; k++)
		test_image_free(&s[k]);
}

/* The io calls for mapping an absent cluster of each of the 16 L2 tables of each image. */
static uint64_t tables_cost(struct test_reader *reader, struct test_image *s, unsigned depth)
{
	struct qcow2_extent e;
	uint64_t calls = 0;

	for (unsigned k = 0; k < depth; k++)
		test_io_reset(&s[k].io);
	for (uint64_t off = 0; off < 16 * 32 * KIB; off += 32 * KIB) {
		EQ(qcow2_reader_map(&reader->q, off + 512, 512, &e), QCOW2_OK);
		EQ(e.kind, QCOW2_EXTENT_ABSENT);
	}
	for (unsigned k = 0; k < depth; k++)
		calls += s[k].io.calls;
	return calls;
}

/*
 * All images of a chain have tables for the same parts of the disk. A cache of the recommended size
 * must hold all of them: they must not crowd into some of its sets while others stay empty. At most
 * a fifth of the tables may be read again.
 */
static void test_crowd(void **state)
{
	enum { DEPTH_MAX = 33, TABLES = 16 };
	static struct test_image s[DEPTH_MAX];
	struct test_reader reader;
	size_t min, good;

	(void)state;
	for (unsigned k = 0; k < DEPTH_MAX; k++) {
		image_init(&s[k].img, 3, 9, TABLES * 32 * KIB);
		for (unsigned i = 0; i < TABLES; i++)
			image_place_l2(&s[k].img, &s[k].img.active, i);
		test_image_open(&s[k]);
		if (k != 0)
			EQ(qcow2_image_attach_backing(&s[k].image, &s[k - 1].image), QCOW2_OK);
	}
	for (unsigned depth = 1; depth <= DEPTH_MAX; depth++) {
		test_case("%u images", depth);
		EQ(qcow2_reader_memory(&s[depth - 1].image, NULL, &min, &good), QCOW2_OK);
		test_reader_init(&reader, &s[depth - 1].image, good, NULL);
		for (unsigned i = 0; i < 64; i++) /* the cache grows by misses */
			tables_cost(&reader, s, depth);
		LE(tables_cost(&reader, s, depth), depth * TABLES / 5);
		test_reader_free(&reader);
	}
	for (unsigned k = 0; k < DEPTH_MAX; k++)
		test_image_free(&s[k]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content),   cmocka_unit_test(test_map),
		cmocka_unit_test(test_depth),     cmocka_unit_test(test_loop),
		cmocka_unit_test(test_chain_max), cmocka_unit_test(test_missing),
		cmocka_unit_test(test_raw),       cmocka_unit_test(test_cost),
		cmocka_unit_test(test_crowd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
