/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Bitmaps: what the directory says, what the bits say, each limit of both, and each way to fail.
 */
#include "support.h"

#include "qcow2/bitmap.h"

#include <stdlib.h>
#include <string.h>

enum { BITS = 12, CLUSTER = 1 << BITS };

/* An entry to write: qcow2.txt "Bitmap directory". */
struct entry {
	uint64_t table_pos;
	uint32_t table_entries, flags, extra_len;
	uint8_t type, granularity_bits;
	const char *name;
};

static const struct entry usual[] = {
	{ 0x50000, 1, 2, 0, 1, 16, "backup" },
	{ 0x60000, 7, 1, 0, 1, 9, "a" },
	{ 0x70000, UINT32_MAX, 3, 5, 255, 63, "" },
	{ 0x80000, 0, 4, 8, 1, 0, "12345678" },
};

struct directory {
	uint64_t pos, len, first_pos;
	uint32_t n;
};

static size_t entry_len(const struct entry *e)
{
	return (24 + e->extra_len + strlen(e->name) + 7) / 8 * 8;
}

static void put_entry(struct image_buf *file, uint64_t pos, const struct entry *e)
{
	image_put(file, pos, e->table_pos, 8);
	image_put(file, pos + 8, e->table_entries, 4);
	image_put(file, pos + 12, e->flags, 4);
	image_put(file, pos + 16, e->type, 1);
	image_put(file, pos + 17, e->granularity_bits, 1);
	image_put(file, pos + 18, strlen(e->name), 2);
	image_put(file, pos + 20, e->extra_len, 4);
	image_buf_fill(file, pos + 24, 0xee, e->extra_len);
	image_buf_put(file, pos + 24 + e->extra_len, e->name, strlen(e->name));
}

/* An image with these bitmaps; `d` may be changed before open_with. */
static void lay_out(struct test_image *s, const struct entry *entries, uint32_t n,
                    struct directory *d)
{
	static const uint8_t extension[24];
	uint64_t pos;

	image_init(&s->img, 3, BITS, MIB);
	image_add_ext(&s->img, IMAGE_EXT_BITMAPS, 24, extension, 24);
	image_set(&s->img, IMAGE_AUTOCLEAR_FEATURES, QCOW2_AUTOCLEAR_BITMAPS);
	d->pos = image_alloc(&s->img, 1);
	image_finish(&s->img);
	d->n = n;
	for (pos = d->pos; n > 0; n--, entries++) {
		put_entry(&s->img.file, pos, entries);
		pos += entry_len(entries);
	}
	d->len = pos - d->pos;
	/* Put something after the directory, so that it does not end where the file does. */
	image_put(&s->img.file, d->pos + CLUSTER - 1, 0, 1);
}

static void open_with(struct test_image *s, const struct directory *d, unsigned flags)
{
	uint64_t extension = s->img.ext_pos + 8;

	image_put(&s->img.file, extension, d->n, 4);
	image_put(&s->img.file, extension + 8, d->len, 8);
	image_put(&s->img.file, extension + 16, d->pos, 8);
	test_image_open_flags(s, flags);
}

static void check_bitmap(const struct test_image *s, const struct qcow2_bitmap *bitmap,
                         const struct entry *want, uint32_t index)
{
	struct guarded name;
	size_t len = strlen(want->name);

	EQ(bitmap->table_pos, want->table_pos);
	EQ(bitmap->table_entries, want->table_entries);
	EQ(bitmap->flags, want->flags);
	EQ(bitmap->type, want->type);
	EQ(bitmap->granularity_bits, want->granularity_bits);
	EQ(bitmap->index, index);
	EQ(bitmap->extra_len, want->extra_len);
	EQ(bitmap->pos + 24 + want->extra_len, bitmap->name_pos);
	EQ(bitmap->name_len, len);
	guard_init(&name, len, 1);
	EQ(qcow2_bitmap_name(&s->image, bitmap, name.p, NULL), QCOW2_OK);
	SAME(name.p, want->name, len);
	guard_free(&name);
}

static void test_list(void **state)
{
	struct test_image s = { 0 };
	struct directory d;
	struct qcow2_bitmap bitmap, other;
	struct qcow2_error err;

	(void)state;
	lay_out(&s, usual, COUNT(usual), &d);
	open_with(&s, &d, 0);
	test_case("in place, and with another object");
	for (uint32_t i = 0; i < COUNT(usual); i++) {
		test_io_reset(&s.io);
		EQ(qcow2_bitmap_next(&s.image, i == 0 ? NULL : &bitmap, &other, &err), QCOW2_OK);
		EQ(s.io.calls, i == 0 ? 2 : 1);
		check_bitmap(&s, &other, &usual[i], i);
		EQ(qcow2_bitmap_next(&s.image, i == 0 ? NULL : &bitmap, &bitmap, NULL), QCOW2_OK);
		check_bitmap(&s, &bitmap, &usual[i], i);
	}
	test_case("the end");
	memset(&err, 0x77, sizeof err);
	EQ(qcow2_bitmap_next(&s.image, &bitmap, &other, &err), QCOW2_E_NOT_FOUND);
	EQ(err.status, QCOW2_E_NOT_FOUND);
	TRUE(err.io == NULL);
	test_image_free(&s);
}

/* Images without bitmaps. */
static void test_none(void **state)
{
	struct test_image s = { 0 };
	struct directory d;
	struct qcow2_bitmap bitmap;

	(void)state;
	test_case("no extension");
	image_init(&s.img, 3, BITS, MIB);
	image_set(&s.img, IMAGE_AUTOCLEAR_FEATURES, QCOW2_AUTOCLEAR_BITMAPS);
	test_image_open(&s);
	EQ(qcow2_bitmap_next(&s.image, NULL, &bitmap, NULL), QCOW2_E_NOT_FOUND);
	test_image_free(&s);
	test_case("an empty directory");
	lay_out(&s, NULL, 0, &d);
	open_with(&s, &d, 0);
	EQ(qcow2_bitmap_next(&s.image, NULL, &bitmap, NULL), QCOW2_E_NOT_FOUND);
	test_image_free(&s);
}

/* A writer that does not know bitmaps has changed the image: each of them is in use. */
static void test_out_of_date(void **state)
{
	struct test_image s = { 0 };
	struct directory d;
	struct qcow2_bitmap bitmap = { 0 };

	(void)state;
	lay_out(&s, usual, COUNT(usual), &d);
	image_put(&s.img.file, image_field_pos(IMAGE_AUTOCLEAR_FEATURES), 0, 8);
	open_with(&s, &d, 0);
	for (uint32_t i = 0; i < COUNT(usual); i++) {
		EQ(qcow2_bitmap_next(&s.image, i == 0 ? NULL : &bitmap, &bitmap, NULL), QCOW2_OK);
		EQ(bitmap.flags, usual[i].flags | QCOW2_BITMAP_IN_USE);
	}
	test_image_free(&s);
}

/* The extension: its length, and the limits of its fields. */
static void test_extension(void **state)
{
	static const struct {
		const char *name;
		uint32_t n;
		uint64_t len, pos; /* ANY: as it is */
		int status;
	} cases[] = {
		{ "as many as there can be", 65535, ANY, ANY, QCOW2_OK },
		{ "too many", 65536, ANY, ANY, QCOW2_E_BITMAP },
		{ "as long as it can be", 4, 4096, ANY, QCOW2_OK },
		{ "too long", 4, 4097, ANY, QCOW2_E_BITMAP },
		{ "far too long", 4, UINT64_MAX - 1, ANY, QCOW2_E_BITMAP },
		{ "behind the file", 4, ANY, UINT64_C(1) << 40, QCOW2_E_TRUNCATED },
		{ "at the end of all positions", 4, ANY, UINT64_MAX - 7, QCOW2_E_TRUNCATED },
		{ "shorter than an entry", 4, 23, ANY, QCOW2_E_BITMAP },
	};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(cases); i++) {
		struct test_image s = { 0 };
		struct directory d;
		struct qcow2_bitmap bitmap;
		struct qcow2_error err = { 0 };
		int want = cases[i / 2].status;

		test_case("%s, truncation allowed %u", cases[i / 2].name, (unsigned)(i % 2));
		lay_out(&s, usual, COUNT(usual), &d);
		d.n = cases[i / 2].n;
		d.len = cases[i / 2].len != ANY ? cases[i / 2].len : d.len;
		d.pos = cases[i / 2].pos != ANY ? cases[i / 2].pos : d.pos;
		open_with(&s, &d, i % 2 ? QCOW2_OPEN_TRUNCATED : 0);
		EQ(qcow2_bitmap_next(&s.image, NULL, &bitmap, &err), want);
		EQ(err.status, want);
		if (want == QCOW2_E_BITMAP)
			TRUE(err.io == &s.image.io);
		if (want == QCOW2_E_TRUNCATED)
			EQ(err.pos, s.img.file.len);
		test_image_free(&s);
	}
	for (uint32_t len = 16; len <= 32; len += 8) {
		static const uint8_t bytes[32] = { 0 };
		struct test_image s = { 0 };
		struct qcow2_bitmap bitmap;
		struct qcow2_error err = { 0 };
		int want = len == 24 ? QCOW2_E_NOT_FOUND : QCOW2_E_BITMAP;

		test_case("an extension of %u bytes", len);
		image_init(&s.img, 3, BITS, MIB);
		image_add_ext(&s.img, IMAGE_EXT_BITMAPS, len, bytes, len);
		image_set(&s.img, IMAGE_AUTOCLEAR_FEATURES, QCOW2_AUTOCLEAR_BITMAPS);
		test_image_open(&s);
		EQ(qcow2_bitmap_next(&s.image, NULL, &bitmap, &err), want);
		if (want == QCOW2_E_BITMAP)
			EQ(err.pos, s.image.bitmaps.pos);
		test_image_free(&s);
	}
}

/* The file ends within the extension, or with it. */
static void test_extension_cut(void **state)
{
	struct test_image s = { 0 };
	struct directory d;
	struct qcow2_bitmap bitmap;
	struct qcow2_error err;

	(void)state;
	lay_out(&s, usual, COUNT(usual), &d);
	open_with(&s, &d, QCOW2_OPEN_TRUNCATED);
	s.image.io.size = s.image.bitmaps.pos + 23;
	EQ(qcow2_bitmap_next(&s.image, NULL, &bitmap, &err), QCOW2_E_TRUNCATED);
	EQ(err.pos, s.image.io.size);
	s.image.io.size++;
	image_buf_fill(&s.img.file, s.image.bitmaps.pos, 0, 24); /* no bitmaps */
	EQ(qcow2_bitmap_next(&s.image, NULL, &bitmap, &err), QCOW2_E_NOT_FOUND);
	test_image_free(&s);
}

/* A walk within one object goes on after a failure as if it had not happened. */
static void test_repeated(void **state)
{
	struct test_image s = { 0 };
	struct directory d;
	struct qcow2_bitmap bitmap;

	(void)state;
	lay_out(&s, usual, COUNT(usual), &d);
	open_with(&s, &d, 0);
	EQ(qcow2_bitmap_next(&s.image, NULL, &bitmap, NULL), QCOW2_OK);
	for (uint32_t i = 1; i < COUNT(usual); i++) {
		test_io_reset(&s.io);
		s.io.fail_at = 1;
		EQ(qcow2_bitmap_next(&s.image, &bitmap, &bitmap, NULL), QCOW2_E_IO);
		EQ(qcow2_bitmap_next(&s.image, &bitmap, &bitmap, NULL), QCOW2_OK);
		EQ(bitmap.index, i);
	}
	EQ(qcow2_bitmap_next(&s.image, &bitmap, &bitmap, NULL), QCOW2_E_NOT_FOUND);
	EQ(qcow2_bitmap_next(&s.image, &bitmap, &bitmap, NULL), QCOW2_E_NOT_FOUND);
	test_image_free(&s);
}

/* Entries that end with the directory, and one byte after it. */
static void test_entry(void **state)
{
	static const struct {
		const char *name;
		uint32_t extra_len, name_len;
		uint8_t granularity_bits;
		uint64_t len; /* of the directory */
		int status;
	} cases[] = {
		{ "name to the end", 0, 8, 16, 32, QCOW2_OK },
		{ "name to the end, without padding", 0, 7, 16, 31, QCOW2_OK },
		{ "name past the end", 0, 9, 16, 32, QCOW2_E_BITMAP },
		{ "name far past the end", 0, 65535, 16, 32, QCOW2_E_BITMAP },
		{ "extra data to the end", 8, 0, 16, 32, QCOW2_OK },
		{ "extra data past the end", 9, 0, 16, 32, QCOW2_E_BITMAP },
		{ "both to the end", 3, 5, 16, 32, QCOW2_OK },
		{ "both past the end", 4, 5, 16, 32, QCOW2_E_BITMAP },
		{ "extra data of 4 GiB", UINT32_MAX, 8, 16, 32, QCOW2_E_BITMAP },
		{ "a sum that wraps", UINT32_MAX - 23, 0, 16, 32, QCOW2_E_BITMAP },
		{ "granularity 2^63", 0, 8, 63, 32, QCOW2_OK },
		{ "granularity 2^64", 0, 8, 64, 32, QCOW2_E_BITMAP },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct test_image s = { 0 };
		struct directory d;
		struct qcow2_bitmap bitmap;
		struct qcow2_error err = { 0 };

		test_case("%s", cases[i].name);
		lay_out(&s, usual, 1, &d);
		image_put(&s.img.file, d.pos + 17, cases[i].granularity_bits, 1);
		image_put(&s.img.file, d.pos + 18, cases[i].name_len, 2);
		image_put(&s.img.file, d.pos + 20, cases[i].extra_len, 4);
		d.len = cases[i].len;
		d.n = 2;
		open_with(&s, &d, 0);
		EQ(qcow2_bitmap_next(&s.image, NULL, &bitmap, &err), cases[i].status);
		EQ(err.status, cases[i].status);
		if (cases[i].status != QCOW2_OK)
			EQ(err.pos, d.pos);
		if (cases[i].status == QCOW2_OK) {
			EQ(bitmap.name_pos, d.pos + 24 + cases[i].extra_len);
			EQ(bitmap.name_len, cases[i].name_len);
			/* There is no room for the second entry. */
			EQ(qcow2_bitmap_next(&s.image, &bitmap, &bitmap, &err), QCOW2_E_BITMAP);
			EQ(err.pos, d.pos + d.len);
		}
		test_image_free(&s);
	}
}

static void test_refused(void **state)
{
	struct test_image s = { 0 };
	struct directory d;
	struct qcow2_image closed = { 0 };
	struct qcow2_bitmap bitmap;
	struct qcow2_error err;
	char name[8];

	(void)state;
	lay_out(&s, usual, COUNT(usual), &d);
	open_with(&s, &d, 0);
	test_case("failing storage");
	for (unsigned call = 1; call <= 2; call++) {
		test_io_reset(&s.io);
		s.io.fail_at = call;
		EQ(qcow2_bitmap_next(&s.image, NULL, &bitmap, &err), QCOW2_E_IO);
		EQ(err.io_code, IO_FAULT);
	}
	test_io_reset(&s.io);
	s.io.fail_at = 0;
	EQ(qcow2_bitmap_next(&s.image, NULL, &bitmap, &err), QCOW2_OK);
	test_case("arguments");
	EQ(qcow2_bitmap_next(NULL, NULL, &bitmap, &err), QCOW2_E_ARGUMENT);
	EQ(err.status, QCOW2_E_ARGUMENT);
	TRUE(err.io == NULL);
	EQ(qcow2_bitmap_next(&closed, NULL, &bitmap, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_bitmap_next(&s.image, NULL, NULL, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_bitmap_name(NULL, &bitmap, name, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_bitmap_name(&closed, &bitmap, name, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_bitmap_name(&s.image, NULL, name, &err), QCOW2_E_ARGUMENT);
	EQ(err.status, QCOW2_E_ARGUMENT);
	EQ(qcow2_bitmap_name(&s.image, NULL, name, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_bitmap_name(&s.image, &bitmap, NULL, NULL), QCOW2_E_ARGUMENT);
	test_case("a name that cannot be read");
	test_io_reset(&s.io);
	s.io.fail_at = 1;
	EQ(qcow2_bitmap_name(&s.image, &bitmap, name, &err), QCOW2_E_IO);
	test_image_free(&s);
}

/* ---- Bits ---- */

/* An image with one bitmap, whose table and bits are at the end of the file. */
struct bits {
	struct test_image s;
	struct qcow2_bitmap bitmap;
	uint64_t table, entries, end;    /* positions, and the number of entries of the table */
	unsigned granularity, per_entry; /* both as bits */
};

static void bits_open(struct bits *b, unsigned flags)
{
	test_image_open_flags(&b->s, flags);
	EQ(qcow2_bitmap_next(&b->s.image, NULL, &b->bitmap, NULL), QCOW2_OK);
}

/* All entries are 0. The file ends with the table; bits_add puts clusters behind it. */
static void bits_init(struct bits *b, unsigned cluster_bits, unsigned granularity, uint64_t size)
{
	static const uint8_t extension[24];
	struct image *img = &b->s.img;
	uint64_t cluster = UINT64_C(1) << cluster_bits, directory, field;
	struct entry entry = { 0, 0, 2, 0, 1, (uint8_t)granularity, "bits" };

	memset(b, 0, sizeof *b);
	image_init(img, 3, cluster_bits, size);
	image_add_ext(img, IMAGE_EXT_BITMAPS, 24, extension, 24);
	image_set(img, IMAGE_AUTOCLEAR_FEATURES, QCOW2_AUTOCLEAR_BITMAPS);
	image_finish(img);
	b->granularity = granularity;
	b->per_entry = granularity + cluster_bits + 3;
	b->entries = ((size - 1) >> b->per_entry) + 1;
	directory = (img->file.len + cluster - 1) / cluster * cluster;
	b->table = directory + cluster;
	b->end = b->table + (b->entries * 8 + cluster - 1) / cluster * cluster;
	entry.table_pos = b->table;
	entry.table_entries = (uint32_t)b->entries;
	put_entry(&img->file, directory, &entry);
	field = img->ext_pos + 8;
	image_put(&img->file, field, 1, 4);
	image_put(&img->file, field + 8, entry_len(&entry), 8);
	image_put(&img->file, field + 16, directory, 8);
	image_put(&img->file, b->table + b->entries * 8 - 8, 0, 8);
}

/* Gives a table entry a cluster in which all bytes are `byte`. Returns its position. */
static uint64_t bits_add(struct bits *b, uint64_t index, uint8_t byte)
{
	uint64_t pos = b->end, len = image_cluster_size(&b->s.img);

	image_buf_fill(&b->s.img.file, pos, byte, len);
	image_put(&b->s.img.file, b->table + index * 8, pos, 8);
	b->end += len;
	return pos;
}

/* The table entry for an offset. */
static uint64_t entry_at(const struct bits *b, uint64_t off)
{
	return image_get(&b->s.img.file, b->table + (off >> b->per_entry) * 8, 8);
}

/* The model: the bit for an offset, straight from the file. */
static unsigned bit_at(const struct bits *b, uint64_t entry, uint64_t off)
{
	uint64_t mask = (UINT64_C(1) << (b->per_entry - b->granularity)) - 1;
	uint64_t bit = off >> b->granularity & mask;

	if (entry < 2)
		return (unsigned)entry;
	return b->s.img.file.data[entry + bit / 8] >> bit % 8 & 1;
}

/*
 * Checks an extent: no bit in it differs, and it is as long as it can be in a slice of bits or
 * where an entry says that all are equal.
 */
static void check_extent(const struct bits *b, const struct qcow2_extent *e)
{
	uint64_t size = b->s.img.size, granule = UINT64_C(1) << b->granularity, off = e->off;
	uint64_t entry = entry_at(b, off), end = e->off + e->len;
	uint64_t unit = entry < 2 ? UINT64_C(1) << b->per_entry : 4096 * granule;

	LE(1, e->len);
	LE(e->len, size - e->off);
	LE((end - 1) / unit, e->off / unit);
	while (off < end && bit_at(b, entry, off) == e->kind)
		off = (off / granule + 1) * granule;
	LE(end, off);
	if (end < size && end % unit != 0)
		TRUE(end % granule == 0 && bit_at(b, entry, end) != e->kind);
}

/* Goes over the whole disk, and checks some offsets inside each extent. Returns the extents. */
static unsigned check_disk(const struct bits *b, size_t memory)
{
	struct qcow2_extent e = { 0 };
	struct test_reader reader;
	uint64_t size = b->s.img.size;
	unsigned n = 0;

	test_reader_init(&reader, &b->s.image, memory, NULL);
	for (uint64_t off = 0; off < size; off += e.len, n++) {
		uint64_t len;

		e.off = off;
		EQ(qcow2_bitmap_extent(&reader.q, &b->bitmap, 0, &e), QCOW2_OK);
		check_extent(b, &e);
		len = e.len;
		for (unsigned i = 0; i < 3; i++) {
			uint64_t inside = i == 0 ? len - 1 : i == 1 ? len / 2 : len > 1;

			e.off = off + inside;
			EQ(qcow2_bitmap_extent(&reader.q, &b->bitmap, 0, &e), QCOW2_OK);
			EQ(e.len, len - inside);
			EQ(e.kind, bit_at(b, entry_at(b, off), off));
		}
		e.len = len;
	}
	test_reader_free(&reader);
	return n;
}

/* Patterns of bits at all places in bytes, slices, clusters and tables. */
static void test_bits(void **state)
{
	static const struct {
		unsigned cluster_bits, granularity;
		uint64_t size;
	} cases[] = {
		{ 9, 9, 21 * MIB + 513 },
		{ 12, 9, 50 * MIB + 1 },
		{ 12, 16, 5 * GIB - 1 },
		{ 16, 9, 300 * MIB },
		{ 9, 31, 100 * GIB + 7 },
		{ 12, 31, 7 * TIB },
		{ 16, 31, 1 },
		{ 9, 10, 511 },
		{ 9, 31, UINT64_C(1) << 31 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct bits b;
		uint64_t len = UINT64_C(1) << cases[i].cluster_bits;

		bits_init(&b, cases[i].cluster_bits, cases[i].granularity, cases[i].size);
		for (uint64_t at = 0; at < b.entries; at++) {
			uint64_t pos;

			if (at % 8 < 2) /* all clean, all dirty */
				image_put(&b.s.img.file, b.table + at * 8, at % 8, 8);
			if (at % 8 < 2 && b.entries > 1)
				continue;
			pos = bits_add(&b, at, at % 8 < 4 ? 0 : 0xff);
			for (uint64_t k = 0; k < len; k += 1 + k * 3 / 8)
				image_put(&b.s.img.file, pos + k, (k + at) * 0x9e >> 2 & 0xff, 1);
			if (at % 2 == 1) /* and at the ends of a slice */
				image_put(&b.s.img.file, pos + 511, 0x81, 1);
			image_put(&b.s.img.file, pos + len - 1, at % 3 == 0 ? 0x7f : 0xff, 1);
		}
		bits_open(&b, 0);
		test_case("clusters 2^%u, granularity 2^%u", cases[i].cluster_bits,
		          cases[i].granularity);
		EQ(check_disk(&b, 0), check_disk(&b, 16 * QCOW2_READER_SLICE));
		test_image_free(&b.s);
	}
}

/* The table has more than fits a slice, and the position of an entry more than 32 bits. */
static void test_far(void **state)
{
	struct bits b;
	struct qcow2_extent e = { 0 };
	struct test_reader reader;
	uint64_t far = 3 * (UINT64_C(1) << 40);
	uint8_t bits[4096];

	(void)state;
	bits_init(&b, 12, 9, 40 * GIB);
	EQ(b.entries, 2560);
	image_put(&b.s.img.file, b.table + 2559 * 8, far, 8);
	memset(bits, 0, sizeof bits);
	bits[4095] = 0xf0;
	bits_open(&b, 0);
	b.s.io.far = bits;
	b.s.io.far_pos = far;
	b.s.io.far_len = sizeof bits;
	b.s.io.io.size = b.s.image.io.size = far + sizeof bits;
	test_reader_init(&reader, &b.s.image, 0, NULL);
	e.off = 40 * GIB - 1;
	EQ(qcow2_bitmap_extent(&reader.q, &b.bitmap, 0, &e), QCOW2_OK);
	EQ(e.kind, QCOW2_BITMAP_DIRTY);
	e.off = 40 * GIB - 5 * 512;
	EQ(qcow2_bitmap_extent(&reader.q, &b.bitmap, 0, &e), QCOW2_OK);
	EQ(e.kind, QCOW2_BITMAP_CLEAN);
	EQ(e.len, 512);
	test_reader_free(&reader);
	test_image_free(&b.s);
}

/* bitmap.h: two calls for an offset; one for each slice of bits if the calls are in order. */
static void test_cost(void **state)
{
	struct bits b;
	struct qcow2_extent e = { 0 };
	struct test_reader reader;

	(void)state;
	bits_init(&b, 12, 9, 64 * MIB); /* four table entries of 16 MiB, eight slices each */
	image_put(&b.s.img.file, b.table, 1, 8);
	bits_add(&b, 1, 0xff);
	bits_add(&b, 3, 0x55);
	bits_open(&b, 0);
	test_reader_init(&reader, &b.s.image, 0, NULL);
	for (unsigned i = 0; i < 4; i++) {
		test_case("entry %u", i);
		test_io_reset(&b.s.io);
		e.off = i * 16 * MIB;
		EQ(qcow2_bitmap_extent(&reader.q, &b.bitmap, 0, &e), QCOW2_OK);
		LE(b.s.io.calls, i % 2 == 0 ? 1 : 2);
		EQ(b.s.io.bytes, 512 * b.s.io.calls);
	}
	test_reader_free(&reader);
	test_reader_init(&reader, &b.s.image, 16 * QCOW2_READER_SLICE, NULL);
	test_io_reset(&b.s.io);
	for (e.off = 0; e.off < 64 * MIB; e.off += e.len)
		EQ(qcow2_bitmap_extent(&reader.q, &b.bitmap, 0, &e), QCOW2_OK);
	LE(b.s.io.calls, 16 + 4); /* the table, while the reader takes its slots into use */
	test_reader_free(&reader);
	test_image_free(&b.s);
}

/* What the directory and the table say; ANY leaves it as it is. */
static void test_damaged_bits(void **state)
{
	static const struct {
		const char *name;
		unsigned at, len; /* in the entry of the directory; 0, 0: the table's first entry */
		uint64_t value;
		int status;
	} cases[] = {
		{ "type", 16, 1, 2, QCOW2_E_BITMAP },
		{ "granularity 2^8", 17, 1, 8, QCOW2_E_BITMAP },
		{ "granularity 2^32", 17, 1, 32, QCOW2_E_BITMAP },
		{ "granularity 2^63", 17, 1, 63, QCOW2_E_BITMAP },
		{ "another granularity", 17, 1, 10, QCOW2_E_BITMAP },
		{ "extra data", 20, 4, 2, QCOW2_E_BITMAP },
		{ "compatible extra data", 12, 4, 4, QCOW2_E_BITMAP },
		{ "unknown flag", 12, 4, 8, QCOW2_E_BITMAP },
		{ "in use", 12, 4, 1, QCOW2_E_INCONSISTENT },
		{ "one entry less", 8, 4, 2, QCOW2_E_BITMAP },
		{ "one entry more", 8, 4, 4, QCOW2_E_BITMAP },
		{ "no entry", 8, 4, 0, QCOW2_E_BITMAP },
		{ "no table", 0, 8, 0, QCOW2_E_BITMAP },
		{ "table not aligned", 0, 8, 512, QCOW2_E_BITMAP },
		{ "table behind the file", 0, 8, UINT64_C(1) << 40, QCOW2_E_TRUNCATED },
		{ "table behind all files", 0, 8, UINT64_C(1) << 56, QCOW2_E_BITMAP },
		{ "bit 0 and an offset", 0, 0, 4097, QCOW2_E_BITMAP },
		{ "bit 1", 0, 0, 2, QCOW2_E_BITMAP },
		{ "bit 8", 0, 0, 4096 + 256, QCOW2_E_BITMAP },
		{ "bit 56", 0, 0, (UINT64_C(1) << 56) + 4096, QCOW2_E_BITMAP },
		{ "bit 63", 0, 0, UINT64_C(1) << 63, QCOW2_E_BITMAP },
		{ "bits not aligned", 0, 0, 4096 + 2048, QCOW2_E_BITMAP },
		{ "bits behind the file", 0, 0, UINT64_C(1) << 40, QCOW2_E_TRUNCATED },
	};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(cases); i++) {
		struct bits b;
		struct qcow2_extent e = { 0 };
		struct test_reader reader;
		int want = cases[i / 2].status;
		uint64_t entry;

		test_case("%s, truncation allowed %u", cases[i / 2].name, (unsigned)(i % 2));
		bits_init(&b, 12, 9, 40 * MIB);
		entry = b.table - 4096;
		if (cases[i / 2].len != 0)
			image_put(&b.s.img.file, entry + cases[i / 2].at, cases[i / 2].value,
			          cases[i / 2].len);
		else
			image_put(&b.s.img.file, b.table, cases[i / 2].value, 8);
		bits_open(&b, i % 2 ? QCOW2_OPEN_TRUNCATED : 0);
		test_reader_init(&reader, &b.s.image, 0, NULL);
		EQ(qcow2_bitmap_extent(&reader.q, &b.bitmap, 0, &e), want);
		EQ(reader.q.error.status, want);
		TRUE(reader.q.error.io == &b.s.image.io);
		if (want == QCOW2_E_TRUNCATED)
			EQ(reader.q.error.pos, b.s.img.file.len);
		else if (cases[i / 2].len != 0)
			EQ(reader.q.error.pos, entry);
		else
			EQ(reader.q.error.pos, b.table);
		EQ(qcow2_bitmap_extent(&reader.q, &b.bitmap, QCOW2_BITMAP_IN_USE, &e),
		   want == QCOW2_E_INCONSISTENT ? QCOW2_OK : want);
		test_reader_free(&reader);
		test_image_free(&b.s);
	}
}

/* A file that ends in the table or in the bits, and a disk that needs too long a table. */
static void test_bits_at_the_end(void **state)
{
	struct bits b;
	struct qcow2_extent e = { 0 };
	struct test_reader reader;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		uint64_t cut = i % 2;
		uint64_t end;

		test_case("%s, %u byte missing", i < 2 ? "table" : "bits", (unsigned)cut);
		bits_init(&b, 12, 9, 40 * MIB);
		end = b.table + 3 * 8;
		if (i >= 2)
			end = bits_add(&b, 2, 0xff) + 4096;
		image_buf_resize(&b.s.img.file, (size_t)(end - cut));
		bits_open(&b, i % 2 ? QCOW2_OPEN_TRUNCATED : 0);
		test_reader_init(&reader, &b.s.image, 0, NULL);
		e.off = 32 * MIB;
		EQ(qcow2_bitmap_extent(&reader.q, &b.bitmap, 0, &e),
		   cut ? QCOW2_E_TRUNCATED : QCOW2_OK);
		test_reader_free(&reader);
		test_image_free(&b.s);
	}
	test_case("more table entries than there can be");
	bits_init(&b, 9, 9, MIB);
	bits_open(&b, 0);
	b.s.image.size = UINT64_MAX;
	test_reader_init(&reader, &b.s.image, 0, NULL);
	EQ(qcow2_bitmap_extent(&reader.q, &b.bitmap, 0, &e), QCOW2_E_BITMAP);
	test_reader_free(&reader);
	test_image_free(&b.s);
}

static void test_bits_refused(void **state)
{
	struct bits b;
	struct qcow2_extent e = { 0 };
	struct qcow2_reader stopped;
	struct test_reader reader;

	(void)state;
	bits_init(&b, 12, 9, 40 * MIB);
	bits_add(&b, 0, 0xff);
	bits_open(&b, 0);
	test_reader_init(&reader, &b.s.image, 0, NULL);
	memset(&stopped, 0, sizeof stopped);
	test_case("arguments");
	EQ(qcow2_bitmap_extent(NULL, &b.bitmap, 0, &e), QCOW2_E_ARGUMENT);
	EQ(qcow2_bitmap_extent(&stopped, &b.bitmap, 0, &e), QCOW2_E_ARGUMENT);
	EQ(qcow2_bitmap_extent(&reader.q, NULL, 0, &e), QCOW2_E_ARGUMENT);
	EQ(qcow2_bitmap_extent(&reader.q, &b.bitmap, 0, NULL), QCOW2_E_ARGUMENT);
	EQ(reader.q.error.status, QCOW2_E_ARGUMENT);
	TRUE(reader.q.error.io == NULL);
	e.off = 40 * MIB;
	EQ(qcow2_bitmap_extent(&reader.q, &b.bitmap, 0, &e), QCOW2_E_RANGE);
	e.off = UINT64_MAX;
	EQ(qcow2_bitmap_extent(&reader.q, &b.bitmap, 0, &e), QCOW2_E_RANGE);
	TRUE(reader.q.error.io == NULL);
	test_case("failing storage");
	e.off = 0;
	for (unsigned call = 1; call <= 2; call++) {
		test_io_reset(&b.s.io);
		b.s.io.fail_at = call;
		EQ(qcow2_bitmap_extent(&reader.q, &b.bitmap, 0, &e), QCOW2_E_IO);
		EQ(reader.q.error.io_code, IO_FAULT);
		test_reader_free(&reader);
		test_reader_init(&reader, &b.s.image, 0, NULL);
	}
	test_io_reset(&b.s.io);
	EQ(qcow2_bitmap_extent(&reader.q, &b.bitmap, 0, &e), QCOW2_OK);
	EQ(e.kind, QCOW2_BITMAP_DIRTY);
	test_reader_free(&reader);
	test_image_free(&b.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_extension),
		cmocka_unit_test(test_extension_cut),
		cmocka_unit_test(test_repeated),
		cmocka_unit_test(test_entry),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_out_of_date),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_far),
		cmocka_unit_test(test_cost),
		cmocka_unit_test(test_damaged_bits),
		cmocka_unit_test(test_bits_at_the_end),
		cmocka_unit_test(test_bits_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
