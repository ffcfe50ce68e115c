/* SPDX-License-Identifier: MIT */
/* The list of bitmaps: what the directory says, each of its limits, and each way to fail. */
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
	test_case("an extension that is out of date");
	lay_out(&s, usual, COUNT(usual), &d);
	image_put(&s.img.file, image_field_pos(IMAGE_AUTOCLEAR_FEATURES), 0, 8);
	open_with(&s, &d, 0);
	test_io_reset(&s.io);
	EQ(qcow2_bitmap_next(&s.image, NULL, &bitmap, NULL), QCOW2_E_NOT_FOUND);
	EQ(s.io.calls, 0);
	test_image_free(&s);
	test_case("an empty directory");
	lay_out(&s, NULL, 0, &d);
	open_with(&s, &d, 0);
	EQ(qcow2_bitmap_next(&s.image, NULL, &bitmap, NULL), QCOW2_E_NOT_FOUND);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),      cmocka_unit_test(test_none),
		cmocka_unit_test(test_extension), cmocka_unit_test(test_entry),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
