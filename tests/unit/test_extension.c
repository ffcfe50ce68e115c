/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Header extensions, names, feature names. Other readers got these wrong: lengths that overflow,
 * and repeated extensions.
 */
#include "support.h"

#include <string.h>

/* The payload of a span must be what the image writer put there. */
static void check_span(const struct test_image *s, struct qcow2_span span, const void *bytes,
                       size_t len)
{
	struct guarded got;

	EQ(span.len, len);
	guard_init(&got, len, 1);
	EQ(qcow2_image_bytes(&s->image, span, got.p, NULL), QCOW2_OK);
	SAME(got.p, bytes, len);
	guard_free(&got);
}

static void test_known(void **state)
{
	static const uint8_t bitmaps[24] = { 0, 0, 0, 1 };
	struct test_image s = { 0 };

	(void)state;
	test_case("all kinds, with unknown ones between");
	image_init(&s.img, 3, 12, MIB);
	s.img.has_data_file = true;
	image_add_ext(&s.img, 0x12345678, 5, "junk!", 5);
	image_add_ext(&s.img, IMAGE_EXT_BACKING_FORMAT, 3, "raw", 3);
	image_add_ext(&s.img, 0xffffffff, 0, NULL, 0);
	image_add_ext(&s.img, IMAGE_EXT_DATA_FILE, 9, "data.file", 9);
	image_add_ext(&s.img, 1, 1, "x", 1);
	image_add_ext(&s.img, IMAGE_EXT_BITMAPS, 24, bitmaps, 24);
	image_add_feature_name(&s.img, 0, 0, "dirty", 5);
	image_set_backing(&s.img, "the/backing.raw", 15, 0);
	test_image_open(&s);
	check_span(&s, s.image.backing_format, "raw", 3);
	check_span(&s, s.image.data_file_name, "data.file", 9);
	check_span(&s, s.image.bitmaps, bitmaps, 24);
	check_span(&s, s.image.backing_name, "the/backing.raw", 15);
	EQ(s.image.feature_names.len, 48);
	EQ(s.image.crypto.len, 0);
	LE(s.io.calls, 1 + 8 + 4); /* header, 8 extensions with the end marker, 4 payloads */
	test_image_free(&s);
}

/* Lengths that are not multiples of 8 are padded: the next extension must be found. */
static void test_padding(void **state)
{
	uint8_t junk[40];

	(void)state;
	memset(junk, 0xff, sizeof junk);
	for (uint32_t len = 0; len <= 33; len++) {
		struct test_image s = { 0 };

		test_case("an extension of %u bytes first", (unsigned)len);
		image_init(&s.img, 3, 9, 32768);
		image_add_ext(&s.img, 0x77777777, len, junk, len);
		image_add_ext(&s.img, IMAGE_EXT_BACKING_FORMAT, 5, "qcow2", 5);
		test_image_open(&s);
		check_span(&s, s.image.backing_format, "qcow2", 5);
		test_image_free(&s);
	}
}

/* Many small extensions: none is missed, and each costs one io call of 8 bytes. */
static void test_many(void **state)
{
	(void)state;
	for (unsigned n = 0; n <= 50; n++) {
		struct test_image s = { 0 };
		bool named = n <= 48;

		test_case("%u empty extensions", n);
		image_init(&s.img, 3, 9, 32768);
		for (unsigned i = 0; i < n; i++)
			image_add_ext(&s.img, 0x1000 + i, 0, NULL, 0);
		if (named)
			image_add_ext(&s.img, IMAGE_EXT_BACKING_FORMAT, 3, "raw", 3);
		s.img.no_end = 112 + 8 * n + (named ? 16 : 0) + 8 > 512;
		test_image_open(&s);
		EQ(s.image.backing_format.len, named ? 3 : 0);
		LE(s.io.calls, 1 + n + named + 1);
		LE(s.io.calls, 512 / 8);
		LE(s.io.bytes, 512 + 8 * (n + 2));
		test_image_free(&s);
	}
}

struct area_case {
	const char *name;
	uint32_t says; /* the length field of the only extension */
	uint32_t type;
	uint32_t have;        /* bytes that it really has */
	uint64_t backing_pos; /* the area ends there; 0: none */
	uint32_t backing_len;
	bool no_end;
	int status;
};

/* Clusters of 512 bytes, the header takes 112: the area is [112, 512) or [112, backing_pos). */
static const struct area_case areas[] = {
	{ "fills the cluster", 392, 7, 392, 0, 0, true, QCOW2_OK },
	{ "one byte too long", 393, 7, 392, 0, 0, true, QCOW2_E_EXTENSION },
	{ "not padded at the end of the cluster", 391, 7, 391, 0, 0, true, QCOW2_OK },
	{ "length 2^32-1", 0xffffffff, 7, 8, 0, 0, false, QCOW2_E_EXTENSION },
	{ "length 2^32-8", 0xfffffff8, 7, 8, 0, 0, false, QCOW2_E_EXTENSION },
	{ "length 2^31", 0x80000000, 7, 8, 0, 0, false, QCOW2_E_EXTENSION },
	{ "no end marker, zeros follow", 8, 7, 8, 0, 0, true, QCOW2_OK },
	{ "up to the backing name", 32, 7, 32, 152, 10, true, QCOW2_OK },
	{ "into the backing name", 33, 7, 32, 152, 10, true, QCOW2_E_EXTENSION },
	{ "up to the padding before the name", 29, 7, 29, 149, 10, true, QCOW2_OK },
	{ "backing offset without length ends the area too", 33, 7, 32, 152, 0, true,
	  QCOW2_E_EXTENSION },
	{ "backing name in the header: no area", 0xffffffff, 7, 8, 24, 8, true, QCOW2_OK },
	{ "backing name right after the header: no area", 0xffffffff, 7, 8, 112, 8, true,
	  QCOW2_OK },
	{ "half an extension head before the name", 0xffffffff, 7, 8, 116, 3, true,
	  QCOW2_E_EXTENSION },
	{ "half an empty extension before the name", 0, 7, 0, 116, 3, true, QCOW2_E_EXTENSION },
	{ "end marker with a length that fits", 8, 0, 8, 0, 0, false, QCOW2_OK },
	{ "end marker that is too long", 4000, 0, 8, 0, 0, false, QCOW2_E_EXTENSION },
	{ "backing format of 15", 15, IMAGE_EXT_BACKING_FORMAT, 15, 0, 0, false, QCOW2_OK },
	{ "backing format of 16", 16, IMAGE_EXT_BACKING_FORMAT, 16, 0, 0, false,
	  QCOW2_E_EXTENSION },
	{ "backing format of 0", 0, IMAGE_EXT_BACKING_FORMAT, 0, 0, 0, false, QCOW2_OK },
	{ "crypto extension without encryption", 16, IMAGE_EXT_CRYPTO, 16, 0, 0, false,
	  QCOW2_E_EXTENSION },
	{ "bitmaps extension of 0 (P10)", 0, IMAGE_EXT_BITMAPS, 0, 0, 0, false, QCOW2_OK },
	{ "bitmaps extension of 23 (P10)", 23, IMAGE_EXT_BITMAPS, 23, 0, 0, false, QCOW2_OK },
	{ "feature names of 47", 47, IMAGE_EXT_FEATURE_NAMES, 47, 0, 0, false, QCOW2_OK },
	{ "data file name without the bit", 9, IMAGE_EXT_DATA_FILE, 9, 0, 0, false, QCOW2_OK },
};

static void test_area(void **state)
{
	uint8_t bytes[400];

	(void)state;
	memset(bytes, 0xee, sizeof bytes);
	for (size_t i = 0; i < COUNT(areas); i++) {
		const struct area_case *c = &areas[i];
		struct image img;
		struct test_io io;
		struct qcow2_image image;
		struct qcow2_error err = { 0 };

		test_case("%s", c->name);
		image_init(&img, 3, 9, 32768);
		img.no_end = c->no_end;
		image_add_ext(&img, c->type, c->says, bytes, c->have);
		image_finish(&img);
		if (c->backing_pos != 0) {
			image_put(&img.file, 8, c->backing_pos, 8);
			image_put(&img.file, 16, c->backing_len, 4);
		}
		test_io_init(&io, &img.file);
		EQ(open_whole(&image, &io.io, 0, &err), c->status);
		if (c->status != QCOW2_OK) {
			EQ(err.pos, 112);
			TRUE(err.io == &io.io);
		} else {
			EQ(image.data_file_name.len, 0);
		}
		image_free(&img);
	}
}

/* LUKS: the extension has exactly 16 bytes. */
/*
 * A header that leaves no room for the end of the extensions is refused, as in QEMU, even if the
 * file ends before its header does.
 */
static void test_area_past_the_end(void **state)
{
	(void)state;
	for (uint32_t header_len = 496; header_len <= 512; header_len++) {
		bool room = header_len <= 504 || header_len == 512;
		struct image img;
		struct test_io io;
		struct qcow2_image image;
		struct qcow2_error err = { 0 };

		test_case("header of %u", (unsigned)header_len);
		image_init(&img, 3, 9, 0);
		image_finish(&img);
		image_put(&img.file, 40, 0, 8); /* no L1 table */
		image_put(&img.file, 36, 0, 4);
		image_put(&img.file, 100, header_len, 4);
		test_io_bytes(&io, img.file.data, 167);
		EQ(open_whole(&image, &io.io, 0, &err), room ? QCOW2_OK : QCOW2_E_EXTENSION);
		if (!room)
			EQ(err.pos, header_len);
		image_free(&img);
	}
}

static void test_crypto(void **state)
{
	(void)state;
	for (uint32_t len = 15; len <= 17; len++) {
		struct image img;
		struct test_io io;
		struct qcow2_image image;

		test_case("crypto extension of %u", (unsigned)len);
		image_init(&img, 3, 12, MIB);
		image_set(&img, IMAGE_CRYPT_METHOD, 2);
		image_add_ext(&img, IMAGE_EXT_CRYPTO, len, "0123456789abcdefg", len);
		image_finish(&img);
		test_io_init(&io, &img.file);
		EQ(open_whole(&image, &io.io, QCOW2_OPEN_INSPECT, NULL),
		   len == 16 ? QCOW2_OK : QCOW2_E_EXTENSION);
		image_free(&img);
	}
}

/* A repeated extension does no harm. */
static void test_repeated(void **state)
{
	static const uint32_t types[] = { IMAGE_EXT_BACKING_FORMAT, IMAGE_EXT_DATA_FILE,
		                          IMAGE_EXT_FEATURE_NAMES, IMAGE_EXT_BITMAPS };

	(void)state;
	for (size_t i = 0; i < COUNT(types); i++) {
		struct test_image s = { 0 };
		const struct qcow2_span *span = NULL;

		test_case("type %08x three times", (unsigned)types[i]);
		image_init(&s.img, 3, 12, MIB);
		s.img.has_data_file = true;
		image_add_ext(&s.img, types[i], 3, "one", 3);
		image_add_ext(&s.img, types[i], 3, "two", 3);
		image_add_ext(&s.img, types[i], 5, "three", 5);
		test_image_open(&s);
		span = i == 0   ? &s.image.backing_format
		       : i == 1 ? &s.image.data_file_name
		       : i == 2 ? &s.image.feature_names
		                : &s.image.bitmaps;
		check_span(&s, *span, "three", 5);
		test_image_free(&s);
	}
}

/* Offset 0 or length 0 means no backing file. The core never interprets the name (P7). */
static void test_backing_name(void **state)
{
	static const char *const names[] = { "a",
		                             "json:{\"file.filename\":\"/etc/passwd\"}",
		                             "nbd://localhost/x",
		                             "/absolute",
		                             "../../up",
		                             "with\nnewline",
		                             "\xff\xfe\x01" };
	char name[1023];

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		struct test_image s = { 0 };

		test_case("name %zu", i);
		image_init(&s.img, 3, 12, MIB);
		image_set_backing(&s.img, names[i], strlen(names[i]), 0);
		test_image_open(&s);
		check_span(&s, s.image.backing_name, names[i], strlen(names[i]));
		TRUE(s.image.backing == NULL);
		test_image_free(&s);
	}
	memset(name, 'n', sizeof name);
	for (unsigned version = 2; version <= 3; version++) {
		struct test_image s = { 0 };

		test_case("1023 bytes up to the end of the cluster, version %u", version);
		image_init(&s.img, version, 12, MIB);
		image_set_backing(&s.img, name, sizeof name, 4096 - 1023);
		test_image_open(&s);
		check_span(&s, s.image.backing_name, name, sizeof name);
		test_image_free(&s);
	}
}

/* The file ends inside the first 8 bytes of an extension. */
static void test_head_cut(void **state)
{
	struct image img;
	struct test_io io;
	struct qcow2_image image;
	struct qcow2_error err;

	(void)state;
	image_init(&img, 3, 12, 0);
	image_finish(&img);
	image_put(&img.file, 40, 0, 8); /* no L1 table */
	image_put(&img.file, 36, 0, 4);
	image_put(&img.file, 100, 104, 4);
	image_put(&img.file, 104, IMAGE_EXT_FEATURE_NAMES, 4);
	image_put(&img.file, 108, 0, 4);
	for (uint64_t len = 104; len <= 112; len++) {
		bool cut = len > 104 && len < 112;

		test_case("file of %u bytes", (unsigned)len);
		test_io_bytes(&io, img.file.data, len);
		EQ(open_whole(&image, &io.io, 0, &err), cut ? QCOW2_E_TRUNCATED : QCOW2_OK);
		if (cut)
			EQ(err.pos, len);
		EQ(open_whole(&image, &io.io, QCOW2_OPEN_TRUNCATED, NULL), QCOW2_OK);
	}
	image_free(&img);
}

/* The file ends before or inside the name. */
static void test_backing_name_cut(void **state)
{
	struct image img;
	struct test_io io;
	struct qcow2_image image;
	struct qcow2_error err = { 0 };
	char name[20];

	(void)state;
	image_init(&img, 3, 12, 0);
	img.refcounts = false;
	image_set_backing(&img, "twenty bytes of name", 20, 0);
	image_finish(&img);
	for (uint64_t len = img.backing_pos; len <= img.backing_pos + 20; len++) {
		bool whole = len == img.backing_pos + 20;

		test_case("file of %u bytes", (unsigned)len);
		test_io_bytes(&io, img.file.data, len);
		EQ(open_whole(&image, &io.io, 0, &err), whole ? QCOW2_OK : QCOW2_E_TRUNCATED);
		if (!whole)
			EQ(err.pos, len);
		EQ(open_whole(&image, &io.io, QCOW2_OPEN_TRUNCATED, NULL), QCOW2_OK);
		EQ(image.backing_name.len, 20);
		EQ(qcow2_image_bytes(&image, image.backing_name, name, NULL), QCOW2_OK);
		for (uint64_t i = 0; i < 20; i++)
			EQ(name[i], img.backing_pos + i < len ? "twenty bytes of name"[i] : 0);
	}
	image_free(&img);
}

/* A name of one byte, right after the end of the file. */
static void test_backing_name_short(void **state)
{
	struct image img;
	struct test_io io;
	struct qcow2_image image;

	(void)state;
	test_case("one byte");
	image_init(&img, 3, 12, 0);
	img.refcounts = false;
	image_set_backing(&img, "b", 1, 0);
	image_finish(&img);
	test_io_bytes(&io, img.file.data, img.backing_pos);
	EQ(open_whole(&image, &io.io, 0, NULL), QCOW2_E_TRUNCATED);
	test_io_bytes(&io, img.file.data, img.backing_pos + 1);
	EQ(open_whole(&image, &io.io, 0, NULL), QCOW2_OK);
	image_free(&img);
}

static void test_no_backing(void **state)
{
	static const struct {
		const char *name;
		uint64_t pos, len;
	} none[] = { { "offset 0, length 100", 0, 100 },
		     { "offset 0, length 2^32-1", 0, 0xffffffff },
		     { "offset 500, length 0", 500, 0 },
		     { "offset 4096, length 0", 4096, 0 } };

	(void)state;
	for (size_t i = 0; i < COUNT(none); i++) {
		struct test_image s = { 0 };
		struct test_reader reader;

		test_case("%s", none[i].name);
		image_init(&s.img, 3, 12, MIB);
		image_set(&s.img, IMAGE_BACKING_FILE_OFFSET, none[i].pos);
		image_set(&s.img, IMAGE_BACKING_FILE_SIZE, none[i].len);
		test_image_open(&s);
		EQ(s.image.backing_name.len, 0);
		test_reader_init(&reader, &s.image, 0, NULL); /* no codec is needed */
		test_reader_free(&reader);
		test_image_free(&s);
	}
}

/* ---- Feature names ---- */

struct name_case {
	unsigned kind, bit;
	const char *want; /* NULL: not found */
};

static void check_name(const struct test_io *io, const struct name_case *c)
{
	struct guarded name;
	int rc = 0;

	guard_init(&name, QCOW2_FEATURE_NAME_ROOM, 1);
	memset(name.p, 0x55, QCOW2_FEATURE_NAME_ROOM);
	rc = qcow2_feature_name(&io->io, c->kind, c->bit, (char *)name.p);
	EQ(rc, c->want != NULL ? QCOW2_OK : QCOW2_E_NOT_FOUND);
	if (c->want != NULL)
		SAME(name.p, c->want, strlen(c->want) + 1);
	else
		ALL(name.p, 0x55, QCOW2_FEATURE_NAME_ROOM);
	guard_free(&name);
}

#define LONG_NAME "0123456789012345678901234567890123456789012345" /* 46 bytes: no NUL */

static const struct name_case name_cases[] = {
	{ 0, 0, "dirty bit" },    { 0, 40, "bit forty" }, { 0, 63, LONG_NAME },
	{ 1, 0, "compatible" },   { 1, 63, NULL },        { 2, 63, "auto" },
	{ 2, 0, NULL },           { 0, 1, NULL },         { 0, 64, NULL },
	{ 3, 0, NULL },           { 256, 0, NULL },       { 0, 256, NULL },
	{ 0, 5, "first of two" }, { 0, 7, NULL }, /* after the empty name */
};

static void add_names(struct image *img)
{
	image_add_feature_name(img, 0, 0, "dirty bit", 9);
	image_add_feature_name(img, 0, 40, "bit forty", 9);
	image_add_feature_name(img, 0, 63, LONG_NAME, 46);
	image_add_feature_name(img, 1, 0, "compatible", 10);
	image_add_feature_name(img, 0, 5, "first of two", 12);
	image_add_feature_name(img, 0, 5, "second of two", 13);
	image_add_feature_name(img, 2, 63, "auto", 4);
	image_add_feature_name(img, 0, 6, "", 0);
	image_add_feature_name(img, 0, 7, "after the end", 13);
}

/* On an image that is refused for its features, which names are for, and on one that opens. */
static void test_feature_names(void **state)
{
	(void)state;
	for (unsigned refused = 0; refused < 2; refused++) {
		struct image img;
		struct test_io io;
		struct qcow2_image image;
		struct qcow2_error err = { 0 };

		image_init(&img, 3, 12, MIB);
		add_names(&img);
		if (refused)
			image_set(&img, IMAGE_INCOMPATIBLE_FEATURES,
			          UINT64_C(1) << 63 | UINT64_C(1) << 40 | 2);
		image_finish(&img);
		test_io_init(&io, &img.file);
		EQ(open_whole(&image, &io.io, 0, &err), refused ? QCOW2_E_FEATURE : QCOW2_OK);
		if (refused)
			EQ(err.detail, UINT64_C(1) << 63 | UINT64_C(1) << 40);
		for (size_t i = 0; i < COUNT(name_cases); i++) {
			test_case("feature %u bit %u, refused %u", name_cases[i].kind,
			          name_cases[i].bit, refused);
			test_io_reset(&io);
			check_name(&io, &name_cases[i]);
			LE(io.calls, 1 + 2 + 9); /* header, extensions, names */
		}
		image_free(&img);
	}
}

/* Tables of names that are cut. */
static void test_feature_names_damaged(void **state)
{
	static const struct name_case first = { 0, 40, "bit forty" };
	static const struct name_case none = { 0, 40, NULL };
	static const struct name_case second = { 0, 41, NULL };
	static const uint8_t crypto[16] = { 0 };
	struct image img;
	struct test_io io;
	uint8_t junk[64] = { 0 };

	(void)state;
	test_case("length not a multiple of 48");
	image_init(&img, 3, 12, MIB);
	image_add_feature_name(&img, 0, 40, "bit forty", 9);
	image_add_feature_name(&img, 0, 41, "bit fortyone", 12);
	img.ext[0].len = 95;
	image_finish(&img);
	test_io_init(&io, &img.file);
	check_name(&io, &first);
	check_name(&io, &second);
	test_case("a bad extension after it");
	image_put(&img.file, 112 + 8 + 96, 0x1234567880000000, 8);
	check_name(&io, &first);
	image_free(&img);

	test_case("the file ends in the second record");
	image_init(&img, 2, 12, 0);
	img.refcounts = false;
	image_add_feature_name(&img, 0, 40, "bit forty", 9);
	image_add_feature_name(&img, 0, 41, "bit fortyone", 12);
	image_finish(&img);
	image_buf_resize(&img.file, 72 + 8 + 48 + 40);
	test_io_init(&io, &img.file);
	check_name(&io, &first);
	check_name(&io, &second);
	image_free(&img);

	test_case("an encrypted image");
	image_init(&img, 3, 12, MIB);
	image_add_feature_name(&img, 0, 40, "bit forty", 9);
	image_set(&img, IMAGE_CRYPT_METHOD, 1);
	image_finish(&img);
	test_io_init(&io, &img.file);
	check_name(&io, &first);
	image_free(&img);

	test_case("an encrypted image from the future, with its crypto header before the table");
	image_init(&img, 3, 12, MIB);
	image_add_ext(&img, IMAGE_EXT_CRYPTO, 16, crypto, sizeof crypto);
	image_add_feature_name(&img, 0, 40, "bit forty", 9);
	image_set(&img, IMAGE_CRYPT_METHOD, 2);
	image_set(&img, IMAGE_INCOMPATIBLE_FEATURES, UINT64_C(1) << 40);
	image_finish(&img);
	test_io_init(&io, &img.file);
	check_name(&io, &first);
	image_free(&img);

	test_case("no table");
	image_init(&img, 3, 12, MIB);
	image_finish(&img);
	test_io_init(&io, &img.file);
	check_name(&io, &none);
	image_free(&img);

	test_case("no image");
	test_io_bytes(&io, junk, sizeof junk);
	check_name(&io, &none);
	test_io_bytes(&io, junk, 0);
	check_name(&io, &none);
}

/* qcow2_image_bytes with all kinds of spans. */
static void test_bytes(void **state)
{
	struct test_image s = { 0 };
	struct qcow2_error err = { 0 };
	struct qcow2_span span = { 0, 0 };
	struct guarded buf;
	uint32_t len = 0;

	(void)state;
	image_init(&s.img, 3, 9, 32768);
	guard_init(&buf, 16, 1);
	test_image_open(&s);
	len = (uint32_t)s.img.file.len;
	test_io_reset(&s.io);

	test_case("length 0 costs no io");
	EQ(qcow2_image_bytes(&s.image, span, buf.p, &err), QCOW2_OK);
	EQ(s.io.calls, 0);
	test_case("to the end");
	span = (struct qcow2_span){ len - 16, 16 };
	EQ(qcow2_image_bytes(&s.image, span, buf.p, &err), QCOW2_OK);
	SAME(buf.p, s.img.file.data + len - 16, 16);
	EQ(s.io.calls, 1);
	EQ(err.status, 0);
	test_case("past the end");
	span = (struct qcow2_span){ len - 15, 16 };
	EQ(qcow2_image_bytes(&s.image, span, buf.p, &err), QCOW2_E_TRUNCATED);
	EQ(err.pos, len);
	span = (struct qcow2_span){ 0xffffffff, 16 };
	EQ(qcow2_image_bytes(&s.image, span, buf.p, NULL), QCOW2_E_TRUNCATED);
	guard_free(&buf);
	test_image_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_area),
		cmocka_unit_test(test_area_past_the_end),
		cmocka_unit_test(test_crypto),
		cmocka_unit_test(test_repeated),
		cmocka_unit_test(test_backing_name),
		cmocka_unit_test(test_no_backing),
		cmocka_unit_test(test_feature_names),
		cmocka_unit_test(test_feature_names_damaged),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_backing_name_cut),
		cmocka_unit_test(test_head_cut),
		cmocka_unit_test(test_backing_name_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
