/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Small images cut at every byte, and with every bit of header, L1 and L2 flipped: a clear error or
 * right data, in bounded work. The second reader below decides what is right. It was written from
 * qcow2.txt and the rules in src/README.md, and reads whole clusters in memory.
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>

enum { PACKED = 1 }; /* the answer for a compressed cluster: its content is not known */

static const uint64_t pos_mask = UINT64_C(0x00fffffffffffe00);

/* ---- The second reader ---- */

struct oracle {
	const struct image_buf *file;
	unsigned version, cluster_bits;
	bool extended;
	uint64_t size, cluster, l1_pos, l1_entries;
	uint64_t entry; /* the one that was read last */
};

static void oracle_init(struct oracle *o, const struct image_buf *file)
{
	o->file = file;
	o->version = (unsigned)image_get(file, 4, 4);
	o->cluster_bits = (unsigned)image_get(file, 20, 4);
	o->extended = o->version >= 3 && (image_get(file, 72, 8) & 16) != 0;
	o->size = image_get(file, 24, 8);
	o->cluster = UINT64_C(1) << o->cluster_bits;
	o->l1_pos = image_get(file, 40, 8);
	o->l1_entries = image_get(file, 36, 4);
}

/* Bytes of the file, zeros past its end. */
static void oracle_bytes(const struct oracle *o, uint64_t pos, uint8_t *buf, uint64_t len)
{
	memset(buf, 0, (size_t)len);
	for (uint64_t i = 0; i < len && pos + i < o->file->len; i++)
		buf[i] = o->file->data[(size_t)(pos + i)];
}

static int oracle_subclusters(const struct oracle *o, uint64_t entry, uint64_t bitmap, uint8_t *buf)
{
	uint64_t pos = entry & pos_mask;
	uint64_t sub = o->cluster / 32;
	uint32_t data = (uint32_t)bitmap;
	int rc = QCOW2_OK;

	if (pos % o->cluster != 0 || (data & bitmap >> 32) != 0 || (data != 0 && pos == 0))
		return QCOW2_E_L2_ENTRY;
	for (unsigned i = 0; i < 32; i++) {
		if (!(data >> i & 1))
			continue;
		if (pos >= o->file->len)
			rc = QCOW2_E_TRUNCATED;
		oracle_bytes(o, pos + i * sub, buf + i * sub, sub);
	}
	return rc;
}

static int oracle_entry(struct oracle *o, uint64_t l2_pos, uint64_t index, uint8_t *buf)
{
	uint64_t at = l2_pos + index * (o->extended ? 16 : 8);
	uint64_t entry = image_get(o->file, at, 8);
	uint64_t pos = entry & pos_mask;

	o->entry = entry;
	if (entry >> 62 & 1)
		return PACKED;
	if (o->extended)
		return oracle_subclusters(o, entry, image_get(o->file, at + 8, 8), buf);
	if ((entry & 1) && o->version < 3)
		return QCOW2_E_L2_ENTRY;
	if (pos % o->cluster != 0)
		return QCOW2_E_L2_ENTRY;
	if (pos == 0 || (entry & 1))
		return QCOW2_OK;
	if (pos >= o->file->len)
		return QCOW2_E_TRUNCATED;
	oracle_bytes(o, pos, buf, o->cluster);
	return QCOW2_OK;
}

/* Reads a guest cluster of an image that opens and has neither a backing nor a data file. */
static int oracle_cluster(struct oracle *o, uint64_t index, uint8_t *buf)
{
	uint64_t n = o->cluster / (o->extended ? 16 : 8);
	uint64_t pos = 0;

	memset(buf, 0, (size_t)o->cluster);
	if (index / n < o->l1_entries)
		pos = image_get(o->file, o->l1_pos + index / n * 8, 8) & pos_mask;
	if (pos == 0)
		return QCOW2_OK;
	if (pos % o->cluster != 0)
		return QCOW2_E_L2_ENTRY;
	if (pos > o->file->len || o->cluster > o->file->len - pos)
		return QCOW2_E_TRUNCATED;
	return oracle_entry(o, pos, index % n, buf);
}

/* ---- The check ---- */

struct patient {
	struct image img;
	const struct image *whole; /* undamaged */
	uint64_t look;             /* number of clusters to check */
};

/* Is the entry that of a compressed cluster of the undamaged image? */
static bool same_entry(const struct patient *p, const struct oracle *o, uint64_t off)
{
	const struct image_table *t = &p->whole->active;

	if (o->cluster_bits != p->whole->cluster_bits || (image_get(o->file, 72, 8) & 8) != 0)
		return false;
	for (size_t i = 0; i < t->n_clusters; i++) {
		if (t->clusters[i].index == off >> o->cluster_bits)
			return t->clusters[i].entry == o->entry;
	}
	return false;
}

/* If the entry is undamaged, the data must be right; otherwise any possible answer is accepted. */
static void check_packed(const struct patient *p, const struct oracle *o, int rc, uint64_t off,
                         const uint8_t *got, size_t len)
{
	uint8_t want[16384];

	TRUE(rc == QCOW2_OK || rc == QCOW2_E_COMPRESSED || rc == QCOW2_E_TRUNCATED ||
	     rc == QCOW2_E_MEMORY || rc == QCOW2_E_CODEC);
	if (!same_entry(p, o, off))
		return;
	if (o->file->len == p->whole->file.len)
		EQ(rc, QCOW2_OK);
	memset(want, 0, sizeof want);
	image_expect(p->whole, &p->whole->active, off, want, len);
	if (rc == QCOW2_OK)
		SAME(got, want, len);
}

static void check_cluster(const struct patient *p, struct oracle *o, struct qcow2_reader *reader,
                          uint64_t index)
{
	static uint8_t got[2 * MIB];
	static uint8_t want[2 * MIB];
	uint64_t off = index * o->cluster;
	size_t len = (size_t)o->cluster;
	int expected = oracle_cluster(o, index, want);
	int rc = 0;

	if (o->size - off < len)
		len = (size_t)(o->size - off);
	rc = qcow2_reader_read(reader, off, got, len);
	if (expected == PACKED) {
		check_packed(p, o, rc, off, got, len);
		return;
	}
	/* The reader need not read all of a cluster that the end of the disk cuts off. */
	if (len == o->cluster || !o->extended)
		EQ(rc, expected);
	if (rc == QCOW2_OK)
		SAME(got, want, len);
}

static bool is_open_status(int rc)
{
	static const int statuses[] = {
		QCOW2_E_NOT_QCOW2,   QCOW2_E_VERSION, QCOW2_E_FEATURE,      QCOW2_E_ENCRYPTED,
		QCOW2_E_COMPRESSION, QCOW2_E_TOO_BIG, QCOW2_E_CLUSTER_BITS, QCOW2_E_HEADER,
		QCOW2_E_EXTENSION,   QCOW2_E_L1,      QCOW2_E_TRUNCATED
	};

	for (size_t i = 0; i < COUNT(statuses); i++) {
		if (statuses[i] == rc)
			return true;
	}
	return false;
}

static void check_image(const struct patient *p)
{
	static uint64_t memory[40000 / 8];
	struct oracle o = { 0 };
	struct test_io io;
	struct qcow2_image image;
	struct qcow2_reader reader;
	struct qcow2_error err = { 0 };
	int rc = 0;

	test_io_init(&io, &p->img.file);
	rc = qcow2_image_open(&image, &io.io, QCOW2_OPEN_LAYER, &err);
	LE(io.calls, (UINT64_C(1) << 21) / 8 + 3);
	if (rc != QCOW2_OK) {
		TRUE(is_open_status(rc));
		EQ(err.status, rc);
		return;
	}
	rc = qcow2_reader_init(&reader, &image, memory, sizeof memory);
	if (image.incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) {
		EQ(rc, QCOW2_E_DATA_FILE);
		return;
	}
	EQ(rc, QCOW2_OK);
	/* Clusters that are too large for this memory only have to be refused. */
	rc = qcow2_reader_codecs(&reader, deflate_only);
	TRUE(rc == QCOW2_OK || rc == QCOW2_E_MEMORY);
	oracle_init(&o, &p->img.file);
	EQ(image.size, o.size);
	test_io_reset(&io);
	for (uint64_t i = 0; i < p->look && i * o.cluster < o.size; i++)
		check_cluster(p, &o, &reader, i);
	LE(io.calls, p->look * (8 + 2 * o.cluster / 512));
}

/* ---- The images ---- */

enum { V2, V3, TABLES_FIRST, SUBCLUSTERS, N_SHAPES };

static void build(struct image *img, unsigned shape)
{
	unsigned bits = shape == SUBCLUSTERS ? 14 : 9;
	struct image_table *t = &img->active;

	image_init(img, shape == V2 ? 2 : 3, bits,
	           (UINT64_C(shape == SUBCLUSTERS ? 8 : 70) << bits) - 40);
	img->refcounts = shape == V2;
	img->extended_l2 = shape == SUBCLUSTERS;
	if (shape == TABLES_FIRST) {
		image_place_l1(img, t);
		image_place_l2(img, t, 0);
		image_place_l2(img, t, 1);
	}
	image_add(img, t, 0, IMAGE_DATA);
	image_add(img, t, 1, IMAGE_COMPRESSED);
	image_add(img, t, 2, IMAGE_COMPRESSED);
	if (shape != V2) {
		image_add(img, t, 3, IMAGE_ZERO);
		image_add(img, t, 4, IMAGE_ZERO_ALLOC);
	}
	if (shape == SUBCLUSTERS) {
		image_add_subclusters(img, t, 5, UINT64_C(0x00ff0000f0000f0f), true);
		image_add_subclusters(img, t, 6, 0x00010000, true);
		return;
	}
	image_add_ext(img, IMAGE_EXT_BACKING_FORMAT, 5, "qcow2", 5);
	image_add_feature_name(img, 0, 0, "dirty bit", 9);
	image_set_backing(img, "backing", 7, 0);
	image_add_range(img, t, 5, 4, IMAGE_DATA);
	image_add(img, t, 63, IMAGE_STORED);
	image_add_range(img, t, 64, 6, IMAGE_DATA);
}

static void copy_image(struct patient *p, const struct image *whole)
{
	p->img = *whole;
	p->whole = whole;
	p->img.file = (struct image_buf){ 0 };
	image_buf_put(&p->img.file, 0, whole->file.data, whole->file.len);
}

/* ---- Truncation ---- */

static void test_truncation(void **state)
{
	(void)state;
	for (unsigned shape = 0; shape < N_SHAPES; shape++) {
		struct image img;
		struct patient p = { .look = 71 };

		build(&img, shape);
		image_finish(&img);
		copy_image(&p, &img);
		for (size_t len = img.file.len; len-- > 0;) {
			if (shape == SUBCLUSTERS && len % 97 != 0 && len % 512 > 1)
				continue;
			if (len % test_step() != 0 && len % 512 > 1)
				continue;
			test_case("shape %u, %zu bytes of %zu", shape, len, img.file.len);
			p.img.file.len = len;
			if (len >= 112)
				check_image(&p);
		}
		free(p.img.file.data);
		image_free(&img);
	}
}

/* With QCOW2_OPEN_TRUNCATED, what was cut off reads as zeros. */
static void check_allowed(const struct image *img, size_t len)
{
	static uint64_t memory[40000 / 8];
	struct test_io io;
	struct qcow2_image image;
	struct qcow2_reader reader;
	uint8_t got[512];
	uint8_t want[512];

	test_io_bytes(&io, img->file.data, len);
	EQ(qcow2_image_open(&image, &io.io, QCOW2_OPEN_LAYER | QCOW2_OPEN_TRUNCATED, NULL), 0);
	EQ(qcow2_reader_init(&reader, &image, memory, sizeof memory), QCOW2_OK);
	EQ(qcow2_reader_codecs(&reader, deflate_only), QCOW2_OK);
	for (uint64_t off = 0; off < img->size; off += 512) {
		size_t n = img->size - off < 512 ? (size_t)(img->size - off) : 512;
		int rc = qcow2_reader_read(&reader, off, got, n);

		memset(want, 0, sizeof want);
		image_expect(img, &img->active, off, want, n);
		if (rc == QCOW2_OK) {
			for (size_t i = 0; i < n; i++)
				TRUE(got[i] == want[i] || got[i] == 0);
		} else {
			EQ(rc, QCOW2_E_TRUNCATED);
			EQ(model_place(img, &img->active, off).kind, QCOW2_EXTENT_COMPRESSED);
		}
	}
}

static void test_truncation_allowed(void **state)
{
	(void)state;
	for (unsigned shape = V2; shape <= TABLES_FIRST; shape++) {
		struct image img;

		build(&img, shape);
		image_finish(&img);
		/* By 8 bytes: half a table entry could mean anything. */
		for (size_t len = img.file.len; len >= 512; len -= 8 * test_step()) {
			test_case("shape %u, %zu bytes of %zu", shape, len, img.file.len);
			check_allowed(&img, len);
		}
		image_free(&img);
	}
}

/* ---- Flips ---- */

static void flip_range(struct patient *p, uint64_t from, uint64_t len, const char *what)
{
	for (uint64_t bit = 0; bit < len * 8; bit += test_step()) {
		uint8_t *byte = &p->img.file.data[(size_t)(from + bit / 8)];

		test_case("%s, byte %u bit %u", what, (unsigned)(from + bit / 8),
		          (unsigned)(bit % 8));
		*byte = (uint8_t)(*byte ^ 1u << bit % 8);
		check_image(p);
		*byte = (uint8_t)(*byte ^ 1u << bit % 8);
	}
}

static void test_flips(void **state)
{
	(void)state;
	for (unsigned shape = 0; shape < N_SHAPES; shape++) {
		struct image img;
		struct patient p = { .look = 71 };
		uint64_t l2_len = shape == SUBCLUSTERS ? 8 * 16 : 512;

		build(&img, shape);
		image_finish(&img);
		copy_image(&p, &img);
		check_image(&p);
		flip_range(&p, 0, shape == V2 ? 180 : 220, "header");
		flip_range(&p, img.active.l1_pos, 8 * img.active.l1_entries, "L1");
		flip_range(&p, image_l2_entry_pos(&img, &img.active, 0), l2_len, "L2");
		if (shape != SUBCLUSTERS)
			flip_range(&p, image_l2_entry_pos(&img, &img.active, 64), 8 * 7, "L2");
		free(p.img.file.data);
		image_free(&img);
	}
}

/* Many bits at once, anywhere. */
static void test_noise(void **state)
{
	(void)state;
	test_random_state = 31;
	for (unsigned i = 0; i < test_turns(4000); i++) {
		struct image img;
		struct patient p = { .look = 71 };

		test_case("noise %u", i);
		build(&img, i % 3);
		image_finish(&img);
		copy_image(&p, &img);
		for (uint64_t k = test_random(6) + 1; k > 0; k--) {
			uint64_t pos = test_random(3) == 0 ? 20 + test_random(100)
			               : test_random(2) == 0
			                       ? img.active.l1_pos + test_random(16)
			                       : image_l2_entry_pos(&img, &img.active, 0) +
			                                 test_random(512);

			p.img.file.data[(size_t)pos] = (uint8_t)test_random(256);
		}
		check_image(&p);
		free(p.img.file.data);
		image_free(&img);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_truncation_allowed),
		cmocka_unit_test(test_flips),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
