/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* The consistency check: each kind of damage, any memory, each limit and each fault. */
#include "support.h"

#include "../../src/walk.h"
#include "../support/check_model.h"
#include "qcow2/check.h"

#include <string.h>

enum { BITS = 9, CLUSTER = 1 << BITS, N_CODES = QCOW2_CHECK_OWNER + 1, MODEL_STEPS = 10000000 };

#define COPIED UINT64_C(0x8000000000000000)
#define PACKED UINT64_C(0x4000000000000000)

/* What a check finds. */
struct found {
	struct qcow2_check check;
	struct qcow2_error err;
	uint64_t n[N_CODES];                           /* findings with this code */
	uint64_t n_owner[QCOW2_OWNER_BITMAP_DATA + 1]; /* QCOW2_CHECK_OWNER with this owner */
	struct qcow2_check_finding last[N_CODES];
	uint64_t n_all, n_steps, l1_done; /* the last is the sum over all steps */
	uint64_t end_at, end_at_step;     /* the number of the call that ends the check; 0: none */
	bool lenient;                     /* check without qcow2_check_strict */
};

static int note(void *ctx, const struct qcow2_check_finding *f)
{
	struct found *found = ctx;

	LE(f->code, N_CODES - 1);
	found->n[f->code]++;
	if (f->code == QCOW2_CHECK_OWNER)
		found->n_owner[f->owner]++;
	found->last[f->code] = *f;
	return ++found->n_all == found->end_at;
}

static int step(void *ctx, const struct qcow2_check *check)
{
	struct found *found = ctx;

	LE(check->first, check->window_end);
	LE(check->window_end, check->n_clusters + 1);
	found->l1_done += check->l1_done;
	return ++found->n_steps == found->end_at_step;
}

static int run_limited(const struct test_image *s, struct found *found, size_t memory,
                       uint64_t max_calls)
{
	struct guarded g;
	int rc;

	memset(&found->check, 0xa5, sizeof found->check);
	memset(found->n, 0, sizeof found->n);
	memset(found->n_owner, 0, sizeof found->n_owner);
	found->n_all = found->n_steps = found->l1_done = 0;
	found->check.report = note;
	found->check.step = step;
	found->check.ctx = found;
	found->check.bitmaps = qcow2_check_bitmaps;
	found->check.strict = found->lenient ? NULL : qcow2_check_strict;
	found->check.flags = QCOW2_CHECK_OWNERS;
	found->check.max_calls = max_calls;
	guard_init(&g, memory, 8);
	rc = qcow2_image_check(&found->check, &s->image, g.p, memory, &found->err);
	guard_free(&g);
	EQ(found->err.status, rc);
	LE(found->check.n_calls, max_calls);
	EQ(found->check.found[QCOW2_CHECK_CORRUPTIONS] + found->check.found[QCOW2_CHECK_LEAKS] +
	           found->check.found[QCOW2_CHECK_ERRORS] + found->check.found[QCOW2_CHECK_NOTES],
	   found->n_all);
	return rc;
}

static int run(const struct test_image *s, struct found *found, size_t memory)
{
	return run_limited(s, found, memory, UINT64_MAX);
}

/* Without qcow2_check_strict, the check finds all else that is in *found. */
static void run_lenient(const struct test_image *s, const struct found *found, size_t memory)
{
	struct found lenient = { .lenient = true };

	EQ(run(s, &lenient, memory), QCOW2_OK);
	for (unsigned code = 0; code < N_CODES; code++) {
		test_case("lenient, memory %zu, finding %u", memory, code);
		EQ(lenient.n[code], check_model_is_strict(code) ? 0 : found->n[code]);
	}
}

/*
 * Checks the image with this much memory. It must find what the model does. Owners are not
 * modelled: a cluster that has too many references has at least one.
 */
static void run_model(const struct test_image *s, struct found *found, size_t memory)
{
	struct check_model m;
	int rc = run(s, found, memory);

	TRUE(check_model_run(&m, &s->image, s->img.file.data, s->img.file.len, MODEL_STEPS));
	EQ(rc, m.failed);
	if (rc != QCOW2_OK)
		return;
	for (unsigned code = 0; code < QCOW2_CHECK_OWNER; code++) {
		test_case("memory %zu, finding %u", memory, code);
		EQ(found->n[code], m.n[code]);
	}
	EQ(found->n[QCOW2_CHECK_OWNER] != 0, m.n[QCOW2_CHECK_REFCOUNT] != 0);
	EQ(found->check.allocated, m.allocated);
	EQ(found->check.fragmented, m.fragmented);
	EQ(found->check.compressed, m.compressed);
	EQ(found->check.snapshot_copied, m.snapshot_copied);
	EQ(found->check.end, m.end);
	run_lenient(s, found, memory);
}

/* With little and with much memory: many windows, and one. */
static void run_all(struct test_image *s, struct found *found)
{
	test_io_init(&s->io, &s->img.file);
	EQ(open_whole(&s->image, &s->io.io, QCOW2_OPEN_INSPECT | QCOW2_OPEN_TRUNCATED, NULL),
	   QCOW2_OK);
	run_model(s, found, QCOW2_CHECK_MEMORY);
	run_model(s, found, 70000);
	run_model(s, found, 2 * 1024 * 1024);
}

/* ---- Images ---- */

/* Clusters of each kind. */
static void add_kinds(struct image *img, struct image_table *t)
{
	image_add_range(img, t, 0, 5, IMAGE_DATA);
	image_add(img, t, 6, IMAGE_ZERO);
	image_add(img, t, 7, IMAGE_ZERO_ALLOC);
	if (img->extended_l2)
		image_add_subclusters(img, t, 8, UINT64_C(0xf00000000f), true);
	if (!img->has_data_file) {
		image_add_range(img, t, 70, 3, IMAGE_COMPRESSED);
		image_add(img, t, 80, IMAGE_STORED);
	}
}

/* Snapshots that share clusters with the disk, or have their own. */
static void add_snapshots(struct image *img)
{
	struct image_snapshot *snapshot = image_add_snapshot(img, "1", "one");

	image_share(img, &snapshot->table, &img->active, 0);
	image_share(img, &snapshot->table, &img->active, 70);
	image_add(img, &snapshot->table, 9, IMAGE_DATA);
	image_add_snapshot(img, "2", "");
}

/*
 * Bitmaps: a directory with two entries, a table, and a cluster of bits. The first bitmap is in
 * use, so that its table may have any number of entries. The other one has all bits equal. Returns
 * the position of the directory.
 */
static uint64_t add_bitmaps(struct image *img)
{
	uint8_t extension[24] = { 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64 };
	uint64_t directory, table;

	directory = image_alloc(img, 1);
	table = image_alloc(img, 3);
	image_ref(img, directory, 4 * image_cluster_size(img));
	for (unsigned i = 0; i < 8; i++)
		extension[16 + i] = (uint8_t)(directory >> (56 - 8 * i));
	image_add_ext(img, IMAGE_EXT_BITMAPS, 24, extension, 24);
	image_set(img, IMAGE_AUTOCLEAR_FEATURES, 1);
	for (unsigned i = 0; i < 2; i++) {
		image_put(&img->file, directory + 32 * i, table + 2 * i * image_cluster_size(img),
		          8);
		image_put(&img->file, directory + 32 * i + 8, i == 0 ? 4 : 1, 4);
		image_put(&img->file, directory + 32 * i + 12, i == 0, 4);
		image_put(&img->file, directory + 32 * i + 16, 0x01100001, 4);
	}
	image_put(&img->file, table, table + image_cluster_size(img), 8);
	image_put(&img->file, table + 8, 1, 8);
	return directory;
}

/* A LUKS header of three clusters; the last one has one byte of it. */
static void add_crypto(struct image *img)
{
	uint8_t extension[16] = { 0 };
	uint64_t pos = image_alloc(img, 3);

	image_ref(img, pos, 2 * CLUSTER + 1);
	for (unsigned i = 0; i < 8; i++)
		extension[i] = (uint8_t)(pos >> (56 - 8 * i));
	extension[14] = 2 * CLUSTER / 256;
	extension[15] = 1;
	image_add_ext(img, IMAGE_EXT_CRYPTO, 16, extension, 16);
	image_set(img, IMAGE_CRYPT_METHOD, 2);
}

static void start_image(struct test_image *s, unsigned version, unsigned order)
{
	memset(s, 0, sizeof *s);
	image_init(&s->img, version, BITS, 96 * KIB);
	s->img.refcount_order = order;
	add_kinds(&s->img, &s->img.active);
	if (order >= 2)
		add_snapshots(&s->img);
}

/* An image without damage: the usual one, one with bitmaps, one with a LUKS header as well. */
static void usual_image(struct test_image *s)
{
	start_image(s, 3, 4);
	image_finish(&s->img);
}

static uint64_t bitmap_image(struct test_image *s)
{
	uint64_t directory;

	start_image(s, 3, 4);
	directory = add_bitmaps(&s->img);
	image_finish(&s->img);
	return directory;
}

static void full_image(struct test_image *s)
{
	start_image(s, 3, 4);
	add_crypto(&s->img);
	add_bitmaps(&s->img);
	image_finish(&s->img);
}

/* ---- Sound images ---- */

static void test_sound(void **state)
{
	(void)state;
	for (unsigned order = 2; order <= 6; order++) {
		struct test_image s;
		struct found found = { 0 };

		start_image(&s, 3, order);
		s.img.place = IMAGE_GAPS;
		image_finish(&s.img);
		run_all(&s, &found);
		test_case("refcounts of %u bits", 1u << order);
		EQ(found.n_all, 0);
		EQ(found.check.n_guest, 192);
		EQ(found.check.allocated, 10);
		EQ(found.check.compressed, 4);
		EQ((uint64_t)found.check.end << BITS, s.img.file.len);
		test_image_free(&s);
	}
}

/* Clusters of each size, extended L2 entries, a LUKS header, bitmaps, an external data file. */
static void test_shapes(void **state)
{
	(void)state;
	for (unsigned bits = 9; bits <= 21; bits += 2) {
		struct test_image s = { 0 };
		struct found found = { 0 };

		image_init(&s.img, 3, bits, ((uint64_t)90 << bits) + 5);
		s.img.extended_l2 = bits >= 14;
		s.img.has_data_file = bits == 13;
		add_kinds(&s.img, &s.img.active);
		image_set(&s.img, IMAGE_L1_SIZE, 8);
		image_finish(&s.img);
		run_all(&s, &found);
		test_case("clusters of 2^%u", bits);
		EQ(found.n_all, 0);
		EQ(found.check.n_guest, 91);
		test_image_free(&s);
	}
}

static void test_bitmaps(void **state)
{
	struct test_image s;
	struct found found = { 0 };
	uint64_t directory, table;

	(void)state;
	directory = bitmap_image(&s);
	table = directory + CLUSTER;
	run_all(&s, &found);
	EQ(found.n_all, 0);
	test_case("entries");
	image_put(&s.img.file, table + 8, UINT64_C(1) << 60, 8);
	image_put(&s.img.file, table + 16, 0x1000 + CLUSTER / 2, 8);
	image_put(&s.img.file, table + 24, 0x1001, 8);
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_BITMAP_ENTRY], 3);
	image_put(&s.img.file, table + 8, 2, 8);
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_BITMAP_ENTRY], 3);
	test_case("table past the end");
	image_put(&s.img.file, directory + 32, UINT64_C(1) << 40, 8);
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_PAST_END], 1);
	test_case("directory");
	image_put(&s.img.file, directory + 17, 64, 1);
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_BITMAP_DIRECTORY], 1);
	test_case("a program that does not know bitmaps has written to the image");
	image_put(&s.img.file, image_field_pos(IMAGE_AUTOCLEAR_FEATURES), 0, 8);
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_LEAK], 4);
	test_image_free(&s);
}

/* What makes a bitmap directory invalid; the byte positions begin at the entry of a bitmap. */
static const struct directory_damage {
	const char *name;
	unsigned bitmap, at, n;
	uint64_t value;
	uint32_t found;
} directory_damages[] = {
	{ "no table", 0, 0, 8, 0, 1 },
	{ "table between clusters", 1, 0, 8, 0x1100, 1 },
	{ "no entries", 0, 8, 4, 0, 1 },
	{ "in use, too many entries", 0, 8, 4, 0x100001, 1 },
	{ "in use, most entries", 0, 8, 4, 0x100000, 0 },
	{ "entries that do not fit the disk", 1, 8, 4, 2, 1 },
	{ "unknown flag", 1, 12, 4, 4, 1 },
	{ "automatic", 1, 12, 4, 2, 0 },
	{ "unknown type", 0, 16, 1, 2, 1 },
	{ "granularity", 0, 17, 1, 8, 1 },
	{ "granularity", 0, 17, 1, 32, 1 },
	{ "granularity", 0, 17, 1, 31, 0 },
	{ "no name", 1, 18, 2, 0, 1 },
	{ "long name", 1, 18, 2, 1024, 1 },
	{ "extra data", 1, 20, 4, 4, 1 },
};

static void test_bitmap_directory(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(directory_damages); i++) {
		const struct directory_damage *d = &directory_damages[i];
		struct found found = { 0 };
		struct test_image s;
		uint64_t directory = bitmap_image(&s);

		image_put(&s.img.file, directory + 32 * d->bitmap + d->at, d->value, d->n);
		run_all(&s, &found);
		test_case("%s, case %zu", d->name, i);
		EQ(found.n[QCOW2_CHECK_BITMAP_DIRECTORY], d->found);
		if (d->found != 0)
			EQ(found.last[QCOW2_CHECK_BITMAP_DIRECTORY].pos,
			   directory + 32 * d->bitmap);
		test_image_free(&s);
	}
}

/* The same, of what the header extension says; and a disk without bytes. */
static void test_bitmap_extension(void **state)
{
	static const uint64_t fields[][3] = {
		{ 0, 4, 0 }, { 0, 4, 1 }, { 0, 4, 3 }, { 8, 8, 0 }, { 16, 8, 0x1100 }
	};
	struct found found = { 0 };
	struct test_image s;
	uint64_t extension;

	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++) {
		bitmap_image(&s);
		test_image_open(&s);
		EQ(qcow2_image_extensions(&s.image, NULL), QCOW2_OK);
		extension = s.image.bitmaps.pos;
		image_put(&s.img.file, extension + fields[i][0], fields[i][2],
		          (unsigned)fields[i][1]);
		if (i == 0)
			image_put(&s.img.file, extension + 8, 0, 8);
		run_all(&s, &found);
		test_case("case %zu", i);
		EQ(found.n[QCOW2_CHECK_BITMAP_DIRECTORY], 1);
		EQ(found.last[QCOW2_CHECK_BITMAP_DIRECTORY].owner, QCOW2_OWNER_BITMAP_DIRECTORY);
		test_image_free(&s);
	}
}

/* The longest name of a bitmap has 1023 bytes. The directory ends with it. */
static void test_bitmap_name(void **state)
{
	(void)state;
	for (unsigned len = 1023; len <= 1024; len++) {
		struct found found = { 0 };
		struct test_image s;
		uint64_t directory = bitmap_image(&s);

		image_put(&s.img.file, directory + 32 + 18, len, 2);
		test_image_open(&s);
		EQ(qcow2_image_extensions(&s.image, NULL), QCOW2_OK);
		image_put(&s.img.file, s.image.bitmaps.pos + 8, 32 + 24 + 1024, 8);
		run_all(&s, &found);
		test_case("%u bytes", len);
		EQ(found.n[QCOW2_CHECK_BITMAP_DIRECTORY], len > 1023);
		test_image_free(&s);
	}
}

static void test_crypto(void **state)
{
	struct test_image s;
	struct found found = { 0 };

	(void)state;
	start_image(&s, 3, 4);
	add_crypto(&s.img);
	image_finish(&s.img);
	run_all(&s, &found);
	EQ(found.n_all, 0);
	test_image_free(&s);
}

/* ---- Damage ---- */

static uint64_t get(const struct test_image *s, uint64_t pos)
{
	return image_get(&s->img.file, pos, 8);
}

static void put(struct test_image *s, uint64_t pos, uint64_t value)
{
	image_put(&s->img.file, pos, value, 8);
}

static uint64_t l1(const struct test_image *s, uint64_t i)
{
	return image_l1_entry_pos(&s->img, &s->img.active, i);
}

static uint64_t l2(const struct test_image *s, uint64_t i)
{
	return image_l2_entry_pos(&s->img, &s->img.active, i);
}

static uint64_t block_entry(const struct test_image *s, uint64_t i)
{
	return s->img.refcount_table_pos + 8 * i;
}

/* Which entry a case changes. */
enum at { L1, L2, BLOCKS, SNAPSHOT, HEADER };

static const struct damage {
	const char *name;
	enum at at;
	uint64_t index; /* of the entry, or a byte position in it */
	uint64_t clear, set;
	uint32_t code, n; /* n findings with this code, among others */
} damages[] = {
	{ "reserved bit", L1, 0, 0, 1, QCOW2_CHECK_L1_RESERVED, 1 },
	{ "no flag", L1, 1, COPIED, 0, QCOW2_CHECK_L1_COPIED, 1 },
	{ "flag alone", L1, 2, 0, COPIED, QCOW2_CHECK_REFCOUNT, 4 },
	{ "between clusters", L1, 1, 0, 0x100, QCOW2_CHECK_L1_RESERVED, 1 },
	{ "past the end", L1, 1, 0, UINT64_C(1) << 40, QCOW2_CHECK_PAST_END, 1 },
	{ "the same table twice", L1, 2, 0, 0x600, QCOW2_CHECK_REFCOUNT, 1 },
	{ "reserved bit", L2, 10, 0, 2, QCOW2_CHECK_L2_RESERVED, 1 },
	{ "no flag", L2, 1, COPIED, 0, QCOW2_CHECK_L2_COPIED, 1 },
	{ "flag", L2, 0, 0, COPIED, QCOW2_CHECK_L2_COPIED, 1 },
	{ "past the end", L2, 10, 0, UINT64_C(1) << 40, QCOW2_CHECK_PAST_END, 1 },
	{ "past the end, flag", L2, 10, 0, UINT64_C(1) << 40 | COPIED, QCOW2_CHECK_L2_COPIED, 1 },
	{ "the header", L2, 10, 0, COPIED | CLUSTER, QCOW2_CHECK_REFCOUNT, 1 },
	{ "compressed, flag", L2, 70, 0, COPIED, QCOW2_CHECK_COMPRESSED_COPIED, 1 },
	{ "compressed, past the end", L2, 10, 0, PACKED | UINT64_C(1) << 40, QCOW2_CHECK_PAST_END,
	  1 },
	{ "compressed, over a border", L2, 10, 0, PACKED | UINT64_C(1) << 61 | 0x5f0,
	  QCOW2_CHECK_REFCOUNT, 2 },
	{ "reserved bit", BLOCKS, 1, 0, 0x201, QCOW2_CHECK_BLOCK_RESERVED, 1 },
	{ "the same block twice", BLOCKS, 1, 0, 0x200, QCOW2_CHECK_BLOCK_SHARED, 1 },
	{ "past the end", BLOCKS, 0, 0, UINT64_C(1) << 40, QCOW2_CHECK_BLOCK_OUTSIDE, 1 },
	{ "past the end", BLOCKS, 60, 0, UINT64_C(1) << 40, QCOW2_CHECK_BLOCK_OUTSIDE, 1 },
	{ "at 2^63", BLOCKS, 0, 0, COPIED, QCOW2_CHECK_BLOCK_OUTSIDE, 1 },
	{ "between clusters", SNAPSHOT, 0, 0, 0x80, QCOW2_CHECK_SNAPSHOT_UNALIGNED, 1 },
	{ "too many entries", SNAPSHOT, 8, 0, UINT64_C(1) << 62, QCOW2_CHECK_SNAPSHOT_TOO_BIG, 1 },
	{ "past the end", SNAPSHOT, 0, 0, UINT64_C(1) << 40, QCOW2_CHECK_PAST_END, 1 },
	{ "disk too large", SNAPSHOT, 48, 0, UINT64_C(1) << 20, QCOW2_CHECK_SNAPSHOT_SHORT, 1 },
	{ "disk of no size", SNAPSHOT, 48, UINT64_MAX, 0, QCOW2_CHECK_SNAPSHOT_SHORT, 0 },
	{ "no extra data", SNAPSHOT, 36, UINT64_C(0xffffffff) << 32, 0,
	  QCOW2_CHECK_SNAPSHOT_INCOMPLETE, 1 },
	{ "marked", HEADER, IMAGE_INCOMPATIBLE_FEATURES, 0, 3, QCOW2_CHECK_MARKED_CORRUPT, 1 },
	{ "marked", HEADER, IMAGE_INCOMPATIBLE_FEATURES, 0, 1, QCOW2_CHECK_DIRTY, 1 },
	{ "external data file", HEADER, IMAGE_INCOMPATIBLE_FEATURES, 0, 4,
	  QCOW2_CHECK_SNAPSHOT_EXTERNAL, 1 },
};

static uint64_t damage_pos(const struct test_image *s, const struct damage *d)
{
	switch (d->at) {
	case L1: return l1(s, d->index);
	case L2: return l2(s, d->index);
	case BLOCKS: return block_entry(s, d->index);
	case SNAPSHOT: return s->img.snapshots_pos + d->index;
	case HEADER:
	default: return image_field_pos((enum image_field)d->index);
	}
}

static void test_damages(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(damages); i++) {
		const struct damage *d = &damages[i];
		struct found found = { 0 };
		struct test_image s;
		uint64_t pos;

		usual_image(&s);
		pos = damage_pos(&s, d);
		put(&s, pos, (get(&s, pos) & ~d->clear) | d->set);
		run_all(&s, &found);
		test_case("%s, case %zu", d->name, i);
		EQ(found.n[d->code], d->n);
		test_image_free(&s);
	}
}

/* The format's other shapes, with larger clusters, so that positions can be between clusters. */
static const struct shaped_damage {
	const char *name;
	unsigned version;
	bool extended, external;
	uint64_t entry, bitmap;
	uint32_t code, n;
} shaped[] = {
	{ "data between clusters", 3, false, false, COPIED | 0x4200, 0, QCOW2_CHECK_DATA_UNALIGNED,
	  1 },
	{ "zeros between clusters", 3, false, false, COPIED | 0x4201, 0, QCOW2_CHECK_ZERO_UNALIGNED,
	  1 },
	{ "zeros in version 2", 2, false, false, 1, 0, QCOW2_CHECK_ZERO_VERSION, 1 },
	{ "both data and zeros", 3, true, false, 0x8000, UINT64_C(0x300000001),
	  QCOW2_CHECK_SUBCLUSTERS, 1 },
	{ "subclusters, between clusters", 3, true, false, 0x8200, 1, QCOW2_CHECK_DATA_UNALIGNED,
	  1 },
	{ "no subcluster, between clusters", 3, true, false, 0x8200, 0, QCOW2_CHECK_ZERO_UNALIGNED,
	  1 },
	{ "subclusters without a place", 3, true, false, 0, 1, QCOW2_CHECK_SUBCLUSTERS_NOWHERE, 1 },
	{ "zero subclusters", 3, true, false, 0, UINT64_C(1) << 32, QCOW2_CHECK_SUBCLUSTERS, 0 },
	{ "reserved bit 0", 3, true, false, 1, 0, QCOW2_CHECK_L2_RESERVED, 1 },
	{ "compressed subclusters", 3, true, false, PACKED | 0x8000, 1,
	  QCOW2_CHECK_COMPRESSED_SUBCLUSTERS, 1 },
	{ "external, compressed", 3, false, true, PACKED | 0x8000, 0,
	  QCOW2_CHECK_COMPRESSED_EXTERNAL, 1 },
	{ "external, elsewhere", 3, false, true, COPIED | 0x8000, 0, QCOW2_CHECK_EXTERNAL_OFFSET,
	  1 },
	{ "external, between clusters", 3, false, true, COPIED | 0x9200, 0,
	  QCOW2_CHECK_EXTERNAL_OFFSET, 1 },
	{ "external, without the flag", 3, false, true, 0x9000, 0, QCOW2_CHECK_L2_COPIED, 1 },
	{ "external, zeros at position 0", 3, false, true, COPIED | 1, 0,
	  QCOW2_CHECK_EXTERNAL_OFFSET, 0 },
	{ "external, data at position 0", 3, false, true, COPIED, 0, QCOW2_CHECK_EXTERNAL_OFFSET,
	  1 },
	{ "external, nothing", 3, false, true, 0, 0, QCOW2_CHECK_EXTERNAL_OFFSET, 0 },
};

static void test_shaped_damages(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shaped); i++) {
		const struct shaped_damage *d = &shaped[i];
		unsigned bits = d->extended ? 14 : 12;
		struct found found = { 0 };
		struct test_image s = { 0 };

		image_init(&s.img, d->version, bits, (uint64_t)30 << bits);
		s.img.extended_l2 = d->extended;
		s.img.has_data_file = d->external;
		image_add(&s.img, &s.img.active, 0, IMAGE_DATA);
		image_add_raw(&s.img, &s.img.active, 9, d->entry, d->bitmap);
		image_finish(&s.img);
		run_all(&s, &found);
		test_case("%s", d->name);
		EQ(found.n[d->code], d->n);
		test_image_free(&s);
	}
}

/* An L1 entry that has only a flag makes a table of the header, and entries without flags there. */
static void test_header_as_table(void **state)
{
	struct found found = { 0 };
	struct test_image s = { 0 };

	(void)state;
	for (unsigned external = 0; external < 2; external++) {
		image_init(&s.img, 3, 12, 16 * MIB);
		s.img.has_data_file = external;
		image_add(&s.img, &s.img.active, 0, IMAGE_DATA);
		image_set_l1(&s.img, &s.img.active, 1, COPIED);
		image_finish(&s.img);
		run_all(&s, &found);
		LE(1, found.n[QCOW2_CHECK_L2_RESERVED]);
		test_image_free(&s);
		memset(&s, 0, sizeof s);
	}
}

/* L2 tables and refcount blocks between clusters, and a table that the file ends in. */
static void test_misplaced(void **state)
{
	struct found found = { 0 };
	struct test_image s = { 0 };
	uint64_t directory;

	(void)state;
	image_init(&s.img, 3, 12, 64 * MIB);
	image_add_range(&s.img, &s.img.active, 0, 4, IMAGE_DATA);
	directory = add_bitmaps(&s.img);
	image_finish(&s.img);
	test_case("cluster of a bitmap");
	image_put(&s.img.file, directory + 4096 + 16, 0x1200, 8);
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_BITMAP_ENTRY], 1);
	test_case("L2 table");
	put(&s, l1(&s, 1), COPIED | (get(&s, l1(&s, 0)) + 512));
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_L2_UNALIGNED], 1);
	test_case("L2 table at the end");
	image_buf_resize(&s.img.file, s.img.file.len + 1000);
	put(&s, l1(&s, 1), COPIED | (s.img.file.len - 1000));
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_TABLE_CUT], 1);
	test_case("compressed data behind the end");
	put(&s, l2(&s, 9), PACKED | s.img.file.len);
	put(&s, l2(&s, 10), PACKED | (s.img.file.len + 4096));
	put(&s, l2(&s, 11), PACKED | (s.img.file.len + 4095));
	put(&s, l2(&s, 12), PACKED | (s.img.file.len - 1));
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_COMPRESSED_OUTSIDE], 1);
	EQ(found.last[QCOW2_CHECK_COMPRESSED_OUTSIDE].value, s.img.file.len);
	EQ(found.n[QCOW2_CHECK_PAST_END], 2);
	test_case("refcount block");
	put(&s, s.img.refcount_table_pos, get(&s, s.img.refcount_table_pos) + 512);
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_BLOCK_UNALIGNED], 1);
	LE(4, found.n[QCOW2_CHECK_UNREADABLE]);
	test_image_free(&s);
}

/* Counters of one byte count to 127. Refcounts of one bit count to 1. */
static void test_many_references(void **state)
{
	(void)state;
	for (unsigned order = 0; order <= 4; order += 2) {
		for (unsigned n = 1; n <= 600; n += n < 125 || n > 128 ? 124 : 1) {
			struct found found = { 0 };
			struct test_image s = { 0 };

			image_init(&s.img, 3, BITS, 1 * MIB);
			s.img.refcount_order = order;
			image_add(&s.img, &s.img.active, 0, IMAGE_DATA);
			image_add(&s.img, &s.img.active, 1, IMAGE_DATA);
			for (unsigned i = 0; i < n; i++)
				image_add_raw(&s.img, &s.img.active, 10 + i, 0, 0);
			image_finish(&s.img);
			for (unsigned i = 0; i < n; i++)
				put(&s, l2(&s, 10 + i), get(&s, l2(&s, 0)));
			put(&s, block_entry(&s, 2), get(&s, block_entry(&s, 0)));
			run_all(&s, &found);
			test_case("%u references of %u bits", n, 1u << order);
			EQ(found.n[QCOW2_CHECK_REFCOUNT], order == 0 ? 0 : 2);
			if (order == 0)
				EQ(found.n[QCOW2_CHECK_OVERFLOW], n + 1);
			test_case("%u references, and the table is past the end", n);
			put(&s, image_field_pos(IMAGE_REFCOUNT_TABLE_OFFSET), UINT64_C(1) << 30);
			run_all(&s, &found);
			EQ(found.n[QCOW2_CHECK_PAST_END], 1);
			test_image_free(&s);
		}
	}
}

/* The same refcount block again and again. */
static void test_many_blocks(void **state)
{
	struct found found = { 0 };
	struct test_image s;

	(void)state;
	usual_image(&s);
	image_put(&s.img.file, image_field_pos(IMAGE_REFCOUNT_TABLE_CLUSTERS), 4, 4);
	image_buf_fill(&s.img.file, s.img.file.len, 0, 4 * CLUSTER);
	put(&s, image_field_pos(IMAGE_REFCOUNT_TABLE_OFFSET), s.img.file.len - 4 * CLUSTER);
	for (unsigned i = 0; i < 200; i++)
		put(&s, s.img.file.len - 4 * CLUSTER + 8 * i, get(&s, block_entry(&s, 0)));
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_BLOCK_SHARED], 199);
	test_case("the file ends inside the table");
	put(&s, s.img.file.len - 4 * CLUSTER + 8 * 150, UINT64_C(1) << 40);
	image_buf_resize(&s.img.file, s.img.file.len - 600);
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_BLOCK_OUTSIDE], 1);
	LE(1, found.n[QCOW2_CHECK_OWNER]);
	test_image_free(&s);
}

/*
 * The same, where the block is outside the first window of wide counters, but not of short ones.
 * No reference is reported twice, and the last one has the right number.
 */
static void test_many_blocks_far(void **state)
{
	struct found found = { 0 };
	struct test_image s;
	uint64_t block = 600 * CLUSTER, table = 650 * CLUSTER;

	(void)state;
	usual_image(&s);
	LE(s.img.file.len, block);
	image_buf_resize(&s.img.file, 700 * CLUSTER);
	image_put(&s.img.file, image_field_pos(IMAGE_REFCOUNT_TABLE_CLUSTERS), 4, 4);
	put(&s, image_field_pos(IMAGE_REFCOUNT_TABLE_OFFSET), table);
	for (unsigned i = 0; i < 200; i++)
		put(&s, table + 8 * i, block);
	run_all(&s, &found);
	run_model(&s, &found, 2048);
	EQ(found.n[QCOW2_CHECK_BLOCK_SHARED], 199);
	EQ(found.last[QCOW2_CHECK_BLOCK_SHARED].references, 200);
	test_image_free(&s);
}

/* Clusters that are far from each other: one window for each, and none for what is between. */
static void test_gaps(void **state)
{
	struct found found = { 0 };
	struct test_image s;

	(void)state;
	usual_image(&s);
	image_buf_resize(&s.img.file, 13000 * CLUSTER);
	put(&s, l2(&s, 13), COPIED | UINT64_C(1) << 40);
	put(&s, l2(&s, 10), COPIED | 1500 * CLUSTER);
	put(&s, l2(&s, 11), COPIED | 7000 * CLUSTER);
	put(&s, l2(&s, 12), PACKED | UINT64_C(1) << 61 | (7000 * CLUSTER - 20));
	put(&s, l2(&s, 14), PACKED | UINT64_C(1) << 61 | (1024 * CLUSTER - 20));
	put(&s, block_entry(&s, 50), COPIED >> 20);
	put(&s, block_entry(&s, 49), 12000 * CLUSTER);
	put(&s, block_entry(&s, 62), 12000 * CLUSTER);
	image_put(&s.img.file, 12000 * CLUSTER + 2, 5, 2);
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_REFCOUNT] >= 3, 1);
	EQ(found.n[QCOW2_CHECK_LEAK], 1);
	EQ(run(&s, &found, QCOW2_CHECK_MEMORY), QCOW2_OK);
	LE(found.n_steps, 12 * 3);
	test_image_free(&s);
}

/* A refcount block or data in the first cluster after a window, or in the last one of it. */
static void test_window_border(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct found found = { 0 };
		struct test_image s;
		uint64_t pos = (1024 - i % 2) * CLUSTER;

		usual_image(&s);
		image_buf_resize(&s.img.file, 2000 * CLUSTER);
		put(&s, i < 2 ? block_entry(&s, 60) : l2(&s, 10), i < 2 ? pos : COPIED | pos);
		run_all(&s, &found);
		EQ(found.n[QCOW2_CHECK_REFCOUNT], 1);
		EQ(found.n[QCOW2_CHECK_BLOCK_SHARED], 0);
		test_image_free(&s);
	}
}

/* A window ends with the file, and a reference in the cluster behind it. */
static void test_window_ends_with_file(void **state)
{
	struct found found = { 0 };
	struct test_image s;
	uint64_t pos;

	(void)state;
	start_image(&s, 3, 4);
	add_crypto(&s.img);
	image_finish(&s.img);
	run_all(&s, &found);
	image_buf_resize(&s.img.file, 1024 * CLUSTER);
	pos = get(&s, s.image.crypto.pos);
	put(&s, s.image.crypto.pos + 8, 1024 * CLUSTER + 1 - pos);
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_PAST_END], 0);
	EQ(found.check.end, 1025);
	test_image_free(&s);
}

/* Only the refcounts show that something may be in use far behind the first window. */
static void test_far_leak(void **state)
{
	(void)state;
	for (unsigned block = 16; block <= 5000 / 256; block += 3) {
		struct found found = { 0 };
		struct test_image s;

		usual_image(&s);
		image_buf_resize(&s.img.file, 5000 * CLUSTER);
		put(&s, block_entry(&s, block), 200 * CLUSTER);
		image_put(&s.img.file, 200 * CLUSTER + 2 * 4, 1, 2);
		run_all(&s, &found);
		EQ(found.n[QCOW2_CHECK_LEAK], 1);
		EQ(found.last[QCOW2_CHECK_LEAK].cluster, block * 256 + 4);
		test_image_free(&s);
	}
}

/* The header is the L1 table as well, of a file that is shorter than a cluster. */
static void test_short_file(void **state)
{
	struct found found = { 0 };
	struct test_image s = { 0 };

	(void)state;
	image_init(&s.img, 3, 12, 16 * MIB);
	image_finish(&s.img);
	image_buf_resize(&s.img.file, 600);
	put(&s, image_field_pos(IMAGE_L1_TABLE_OFFSET), 0);
	run_all(&s, &found);
	LE(1, found.n[QCOW2_CHECK_L1_RESERVED]);
	test_image_free(&s);
}

/* The largest L1 table that a snapshot can have is too short for this disk. */
static void test_largest_snapshot(void **state)
{
	struct found found = { 0 };
	struct test_image s;

	(void)state;
	usual_image(&s);
	image_put(&s.img.file, s.img.snapshots_pos + 8, 4194304, 4);
	put(&s, s.img.snapshots_pos + 48, UINT64_C(1) << 40);
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_SNAPSHOT_TOO_BIG], 0);
	EQ(found.n[QCOW2_CHECK_SNAPSHOT_SHORT], 1);
	test_image_free(&s);
}

/* In the tables of a snapshot, the progress stays at the end of the active L1 table. */
static void test_progress(void **state)
{
	struct found found = { 0 };
	struct test_image s;

	(void)state;
	usual_image(&s);
	run_all(&s, &found);
	EQ(found.n_steps, 1 + 2);
	LE(2, s.image.l1_entries);
	EQ(found.l1_done, 0 + 2 * (s.image.l1_entries - 1));
	test_image_free(&s);
	memset(&s, 0, sizeof s);
	image_init(&s.img, 3, BITS, 65 * 32 * KIB);
	image_finish(&s.img);
	put(&s, 8, 1); /* a part of the header that looks like a length */
	run_all(&s, &found);
	EQ(s.image.l1_entries, 65);
	EQ(found.n_steps, 2);
	EQ(found.l1_done, 64);
	EQ(found.n_all, 0);
	test_image_free(&s);
}

/* A reference may end behind the end of the file, by less than a cluster. */
static void test_end_of_references(void **state)
{
	struct found found = { 0 };
	struct test_image s;
	uint64_t pos, len;

	(void)state;
	start_image(&s, 3, 4);
	add_crypto(&s.img);
	image_finish(&s.img);
	run_all(&s, &found);
	pos = get(&s, s.image.crypto.pos);
	len = s.img.file.len + CLUSTER - pos;
	for (unsigned i = 0; i < 2; i++) {
		put(&s, s.image.crypto.pos + 8, len - 1 + i);
		run_all(&s, &found);
		EQ(found.n[QCOW2_CHECK_PAST_END], i);
	}
	test_image_free(&s);
}

/* Clusters of an external data file that the second L2 table has. */
static void test_external_second_table(void **state)
{
	struct found found = { 0 };
	struct test_image s = { 0 };

	(void)state;
	image_init(&s.img, 3, 12, 1000 * 4096);
	s.img.has_data_file = true;
	image_add(&s.img, &s.img.active, 600, IMAGE_DATA);
	image_add_raw(&s.img, &s.img.active, 601, COPIED | (601 - 512) * 4096, 0);
	image_finish(&s.img);
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_EXTERNAL_OFFSET], 1);
	EQ(found.last[QCOW2_CHECK_EXTERNAL_OFFSET].index, 601 - 512);
	test_image_free(&s);
}

/* Findings do not depend on the number of windows. */
static void test_windows(void **state)
{
	struct found found = { 0 };
	struct test_image s;

	(void)state;
	usual_image(&s);
	image_buf_resize(&s.img.file, 5000 * CLUSTER);
	test_case("the file ends inside the refcount table");
	memcpy(s.img.file.data + 4999 * CLUSTER, s.img.file.data + s.img.refcount_table_pos,
	       CLUSTER);
	put(&s, 4999 * CLUSTER, get(&s, 4999 * CLUSTER) | 1);
	put(&s, image_field_pos(IMAGE_REFCOUNT_TABLE_OFFSET), 4999 * CLUSTER);
	image_put(&s.img.file, image_field_pos(IMAGE_REFCOUNT_TABLE_CLUSTERS), 2, 4);
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_BLOCK_RESERVED], 1);
	test_image_free(&s);
	usual_image(&s);
	image_buf_resize(&s.img.file, 5000 * CLUSTER);
	for (unsigned i = 0; i < 2; i++) {
		test_case("data that begins where the file ends, or ends a byte before, %u", i);
		image_buf_resize(&s.img.file, 5000 * CLUSTER - i);
		put(&s, l2(&s, 10), COPIED | 5000 * CLUSTER);
		run_all(&s, &found);
		EQ(found.n[QCOW2_CHECK_PAST_END], 1);
		EQ(found.n[QCOW2_CHECK_L2_COPIED], 1);
	}
	test_image_free(&s);
}

/* A counter of four bytes stays at 2^31 - 1: more references than a test can make. */
static void test_most_references(void **state)
{
	uint32_t counters[2] = { UINT32_MAX - Q2_COUNT_ONE, UINT32_MAX - Q2_COUNT_ONE };
	struct found found = { 0 };
	struct test_image s = { 0 };
	struct qcow2_check *c = &found.check;
	uint8_t slice[Q2_SLICE_LEN], buffer[Q2_SLICE_LEN];

	(void)state;
	image_init(&s.img, 3, BITS, 1 * MIB);
	image_finish(&s.img);
	run_all(&s, &found);
	c->first = 0;
	c->window_end = 1;
	c->counters = (uint8_t *)counters;
	c->wide = 1;
	c->table.piece = slice;
	c->l2.piece = buffer;
	c->l2.piece_len = sizeof buffer;
	for (unsigned i = 0; i < 3; i++) {
		q2_check_walk(c);
		EQ(counters[0], UINT32_MAX);
		EQ(counters[1], UINT32_MAX - Q2_COUNT_ONE);
	}
	test_image_free(&s);
}

/* Where a finding is, and what is referred to there. */
static void test_places(void **state)
{
	static const struct {
		unsigned at;
		uint64_t value;
		uint32_t code, owner;
	} cases[] = {
		{ 0, 0x1080, QCOW2_CHECK_SNAPSHOT_UNALIGNED, QCOW2_OWNER_SNAPSHOT_L1 },
		{ 0, UINT64_C(1) << 40, QCOW2_CHECK_PAST_END, QCOW2_OWNER_SNAPSHOT_L1 },
		{ 48, UINT64_C(1) << 30, QCOW2_CHECK_SNAPSHOT_SHORT, QCOW2_OWNER_SNAPSHOT_L1 },
	};
	struct found found = { 0 };
	struct test_image s;
	uint64_t directory;

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		usual_image(&s);
		put(&s, s.img.snapshots_pos + cases[i].at, cases[i].value);
		run_all(&s, &found);
		test_case("snapshot, case %zu", i);
		EQ(found.n[cases[i].code], 1);
		EQ(found.last[cases[i].code].owner, cases[i].owner);
		EQ(found.last[cases[i].code].pos, s.img.snapshots_pos);
		EQ(found.last[cases[i].code].index, 0);
		if (cases[i].code != QCOW2_CHECK_SNAPSHOT_SHORT)
			EQ(found.last[cases[i].code].value, cases[i].value);
		test_image_free(&s);
	}
	directory = bitmap_image(&s);
	put(&s, directory + 32, UINT64_C(1) << 40);
	run_all(&s, &found);
	EQ(found.last[QCOW2_CHECK_PAST_END].owner, QCOW2_OWNER_BITMAP_TABLE);
	EQ(found.last[QCOW2_CHECK_PAST_END].pos, directory + 32);
	EQ(found.last[QCOW2_CHECK_PAST_END].index, 1);
	put(&s, image_field_pos(IMAGE_REFCOUNT_TABLE_OFFSET), UINT64_C(1) << 40);
	run_all(&s, &found);
	EQ(found.last[QCOW2_CHECK_PAST_END].owner, QCOW2_OWNER_REFCOUNT_TABLE);
	EQ(found.last[QCOW2_CHECK_PAST_END].pos, image_field_pos(IMAGE_REFCOUNT_TABLE_OFFSET));
	test_image_free(&s);
	usual_image(&s);
	put(&s, image_field_pos(IMAGE_L1_TABLE_OFFSET), UINT64_C(1) << 40);
	run_all(&s, &found);
	EQ(found.last[QCOW2_CHECK_PAST_END].owner, QCOW2_OWNER_L1);
	EQ(found.last[QCOW2_CHECK_PAST_END].pos, image_field_pos(IMAGE_L1_TABLE_OFFSET));
	test_image_free(&s);
	usual_image(&s);
	put(&s, l2(&s, 10), PACKED | UINT64_C(0x101) << 32);
	put(&s, l2(&s, 1), get(&s, l2(&s, 1)) ^ COPIED);
	run_all(&s, &found);
	EQ(found.last[QCOW2_CHECK_PAST_END].owner, QCOW2_OWNER_COMPRESSED);
	EQ(found.last[QCOW2_CHECK_PAST_END].value, UINT64_C(0x101) << 32);
	EQ(found.last[QCOW2_CHECK_L2_COPIED].owner, QCOW2_OWNER_DATA);
	EQ(found.last[QCOW2_CHECK_L2_COPIED].pos, l2(&s, 1));
	EQ(found.last[QCOW2_CHECK_L2_COPIED].index, 1);
	EQ(found.last[QCOW2_CHECK_L2_COPIED].refcount, 1);
	test_case("compressed data that begins where the file ends");
	put(&s, l2(&s, 10), PACKED | s.img.file.len);
	run_all(&s, &found);
	EQ(found.last[QCOW2_CHECK_PAST_END].value, s.img.file.len);
	EQ(found.n[QCOW2_CHECK_COMPRESSED_OUTSIDE], 0);
	put(&s, image_field_pos(IMAGE_INCOMPATIBLE_FEATURES), QCOW2_INCOMPATIBLE_DATA_FILE);
	run_all(&s, &found);
	EQ(found.last[QCOW2_CHECK_SNAPSHOT_EXTERNAL].owner, QCOW2_OWNER_SNAPSHOT_TABLE);
	EQ(found.last[QCOW2_CHECK_SNAPSHOT_EXTERNAL].value, 2);
	EQ(found.last[QCOW2_CHECK_SNAPSHOT_EXTERNAL].pos, image_field_pos(IMAGE_SNAPSHOTS_OFFSET));
	test_image_free(&s);
}

/* Random changes of tables, in images of all shapes. */
static void test_random_damage(void **state)
{
	unsigned n = test_brief() ? 50 : 1000;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		struct found found = { 0 };
		struct test_image s;

		start_image(&s, 2 + i % 2, i % 2 ? i / 2 % 7 : 4);
		if (i % 2 != 0)
			add_bitmaps(&s.img);
		image_finish(&s.img);
		for (unsigned k = 0; k < 1 + i % 4; k++) {
			uint64_t pos = s.img.file.len / 8;
			uint64_t bits = UINT64_C(1) << test_random(64);

			pos = CLUSTER + 8 * test_random(pos - CLUSTER / 8);
			put(&s, pos,
			    test_random(3) == 0 ? get(&s, pos) ^ bits
			                        : COPIED | CLUSTER * test_random(90));
		}
		if (i % 5 == 0)
			image_buf_resize(&s.img.file, s.img.file.len - test_random(3000));
		run_all(&s, &found);
		test_image_free(&s);
	}
}

/* ---- What the caller gives ---- */

static void test_owners(void **state)
{
	struct found found = { 0 };
	struct test_image s;

	(void)state;
	usual_image(&s);
	put(&s, l2(&s, 10), COPIED | (s.img.refcount_table_pos));
	run_all(&s, &found);
	EQ(found.n[QCOW2_CHECK_REFCOUNT], 1);
	EQ(found.n[QCOW2_CHECK_OWNER], 2);
	EQ(found.last[QCOW2_CHECK_REFCOUNT].refcount, 1);
	EQ(found.last[QCOW2_CHECK_REFCOUNT].references, 2);
	EQ(found.last[QCOW2_CHECK_REFCOUNT].cluster, s.img.refcount_table_pos >> BITS);
	EQ(found.last[QCOW2_CHECK_OWNER].owner, QCOW2_OWNER_REFCOUNT_TABLE);
	EQ(found.last[QCOW2_CHECK_OWNER].cluster, s.img.refcount_table_pos >> BITS);
	EQ(found.last[QCOW2_CHECK_OWNER].pos, image_field_pos(IMAGE_REFCOUNT_TABLE_OFFSET));
	test_case("the header");
	put(&s, l2(&s, 10), PACKED);
	run_all(&s, &found);
	EQ(found.n_owner[QCOW2_OWNER_HEADER], 1);
	EQ(found.n_owner[QCOW2_OWNER_COMPRESSED], 1);
	test_case("without");
	{
		struct qcow2_check check = { .max_calls = UINT64_MAX };
		uint64_t memory[QCOW2_CHECK_MEMORY / 8];

		EQ(qcow2_image_check(&check, &s.image, memory, sizeof memory, NULL), QCOW2_OK);
		EQ(check.found[QCOW2_CHECK_CORRUPTIONS], 1);
		EQ(check.found[QCOW2_CHECK_NOTES], 0);
	}
	test_image_free(&s);
}

static void test_arguments(void **state)
{
	struct qcow2_image raw, closed = { 0 };
	struct qcow2_check check = { 0 };
	uint64_t memory[QCOW2_CHECK_MEMORY / 8];
	struct found found = { 0 };
	struct qcow2_error err;
	struct test_image s;

	(void)state;
	start_image(&s, 3, 4);
	test_image_open(&s);
	EQ(qcow2_image_raw(&raw, &s.io.io), QCOW2_OK);
	EQ(qcow2_image_check(NULL, &s.image, memory, sizeof memory, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_check(&check, NULL, memory, sizeof memory, &err), QCOW2_E_ARGUMENT);
	check.found[QCOW2_CHECK_CORRUPTIONS] = 9;
	EQ(qcow2_image_check(&check, &raw, memory, sizeof memory, &err), QCOW2_E_ARGUMENT);
	EQ(check.found[QCOW2_CHECK_CORRUPTIONS], 0);
	EQ(qcow2_image_check(&check, &closed, memory, sizeof memory, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_check(&check, &s.image, NULL, sizeof memory, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_check(&check, &s.image, (char *)memory + 4, 2044, &err), QCOW2_E_ARGUMENT);
	err.io = &s.io.io;
	EQ(qcow2_image_check(&check, &s.image, memory, QCOW2_CHECK_MEMORY - 1, &err),
	   QCOW2_E_MEMORY);
	EQ(err.detail, QCOW2_CHECK_MEMORY);
	TRUE(err.io == NULL);
	test_case("bitmaps");
	s.image.bitmaps = (struct qcow2_span){ .pos = 112, .len = 24 };
	check.bitmaps = NULL;
	EQ(qcow2_image_check(&check, &s.image, memory, sizeof memory, &err), QCOW2_E_BITMAP);
	EQ(err.pos, 112);
	TRUE(err.io == &s.image.io);
	s.image.bitmaps.len = 0;
	test_case("refcount table");
	s.image.refcount_table_clusters = 16385;
	EQ(run(&s, &found, 4096), QCOW2_E_TOO_BIG);
	EQ(found.err.detail, 16385);
	s.image.refcount_table_clusters = 16384;
	EQ(run(&s, &found, 4096), QCOW2_OK);
	s.image.refcount_table_pos = 100;
	EQ(run(&s, &found, 4096), QCOW2_E_REFCOUNT);
	EQ(found.err.pos, 100);
	s.image.refcount_table_pos = UINT64_C(1) << 40;
	EQ(run(&s, &found, 4096), QCOW2_OK);
	test_case("size of the file");
	s.image.io.size = (UINT64_C(1) << 40) - CLUSTER;
	EQ(run(&s, &found, 4096), QCOW2_E_TOO_BIG);
	EQ(found.err.detail, s.image.io.size);
	test_image_free(&s);
}

/* Each number of calls that is too small, and each callback that ends the check. */
static void test_limits(void **state)
{
	struct found found = { 0 };
	struct test_image s;
	uint64_t calls, steps, findings, allocated;

	(void)state;
	full_image(&s);
	put(&s, l2(&s, 11), get(&s, l2(&s, 1)));
	put(&s, l1(&s, 1), get(&s, l1(&s, 1)) ^ COPIED);
	put(&s, block_entry(&s, 1), 0x201);
	run_all(&s, &found);
	EQ(run(&s, &found, 4096), QCOW2_OK);
	calls = found.check.n_calls;
	allocated = found.check.allocated;
	steps = found.n_steps;
	findings = found.n_all;
	LE(5, findings);
	for (uint64_t i = 0; i < calls; i++) {
		test_case("%u calls", (unsigned)i);
		EQ(run_limited(&s, &found, 4096, i), QCOW2_E_LIMIT);
		LE(found.check.allocated, allocated);
	}
	EQ(run_limited(&s, &found, 4096, calls), QCOW2_OK);
	test_io_reset(&s.io);
	EQ(run(&s, &found, 4096), QCOW2_OK);
	LE(s.io.calls, found.check.n_calls);
	for (found.end_at = 1; found.end_at <= findings; found.end_at++) {
		EQ(run(&s, &found, 4096), QCOW2_E_LIMIT);
		EQ(found.n_all, found.end_at);
	}
	found.end_at = 0;
	for (found.end_at_step = 1; found.end_at_step <= steps; found.end_at_step++)
		EQ(run(&s, &found, 4096), QCOW2_E_LIMIT);
	test_image_free(&s);
}

/* Findings of one cluster, of which there are many. */
static void test_limit_in_overflow(void **state)
{
	struct found found = { .end_at = 3 };
	struct test_image s = { 0 };

	(void)state;
	image_init(&s.img, 3, BITS, 64 * KIB);
	s.img.refcount_order = 0;
	image_add_range(&s.img, &s.img.active, 0, 9, IMAGE_DATA);
	image_finish(&s.img);
	for (unsigned i = 1; i < 9; i++)
		put(&s, l2(&s, i), get(&s, l2(&s, 0)));
	test_image_open(&s);
	EQ(run(&s, &found, 4096), QCOW2_E_LIMIT);
	EQ(found.n[QCOW2_CHECK_OVERFLOW], 3);
	test_image_free(&s);
}

static void test_faults(void **state)
{
	struct found found = { 0 };
	struct test_image s;
	uint64_t n;

	(void)state;
	full_image(&s);
	put(&s, l2(&s, 11), get(&s, l2(&s, 1)));
	run_all(&s, &found);
	test_io_reset(&s.io);
	EQ(run(&s, &found, 4096), QCOW2_OK);
	n = s.io.calls;
	for (uint64_t i = 1; i <= n; i++) {
		test_case("call %u", (unsigned)i);
		test_io_reset(&s.io);
		s.io.fail_at = i;
		EQ(run(&s, &found, 4096), QCOW2_E_IO);
		EQ(found.err.io_code, IO_FAULT);
		TRUE(found.err.io == &s.image.io);
		EQ(s.io.calls, i);
	}
	test_image_free(&s);
}

/* A snapshot table that cannot be read ends the check. */
static void test_snapshot_table(void **state)
{
	struct found found = { 0 };
	struct test_image s;

	(void)state;
	usual_image(&s);
	image_put(&s.img.file, s.img.snapshots_pos + 36, 1025, 4);
	run_all(&s, &found);
	EQ(run(&s, &found, 4096), QCOW2_E_SNAPSHOT);
	EQ(found.err.pos, s.img.snapshots_pos);
	test_image_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_bitmaps),
		cmocka_unit_test(test_bitmap_directory),
		cmocka_unit_test(test_bitmap_extension),
		cmocka_unit_test(test_crypto),
		cmocka_unit_test(test_damages),
		cmocka_unit_test(test_shaped_damages),
		cmocka_unit_test(test_header_as_table),
		cmocka_unit_test(test_misplaced),
		cmocka_unit_test(test_many_references),
		cmocka_unit_test(test_many_blocks),
		cmocka_unit_test(test_many_blocks_far),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_window_border),
		cmocka_unit_test(test_window_ends_with_file),
		cmocka_unit_test(test_far_leak),
		cmocka_unit_test(test_short_file),
		cmocka_unit_test(test_largest_snapshot),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_end_of_references),
		cmocka_unit_test(test_external_second_table),
		cmocka_unit_test(test_bitmap_name),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_most_references),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_random_damage),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_limit_in_overflow),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_snapshot_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
