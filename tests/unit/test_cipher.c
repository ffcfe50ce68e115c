/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Encrypted data, with a cipher that adds a pattern: what is decrypted, where, and at what cost. */
#include "toy_crypto.h"

#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512, KEY = 1234 };

static const unsigned methods[] = { QCOW2_CRYPT_AES, QCOW2_CRYPT_LUKS };

/* An encrypted image with its cipher. */
struct encrypted {
	struct test_image s;
	struct toy_writer writer;
	struct toy_cipher cipher;
	struct toy_log log;
};

static void encrypted_init(struct encrypted *e, unsigned method, unsigned bits, uint64_t size)
{
	memset(e, 0, sizeof *e);
	image_init(&e->s.img, 3, bits, size);
	image_set(&e->s.img, IMAGE_CRYPT_METHOD, method);
	e->writer.key = KEY + bits;
	e->writer.aes = method == QCOW2_CRYPT_AES;
	e->s.img.encrypt = toy_encrypt;
	e->s.img.encrypt_ctx = &e->writer;
	toy_cipher_init(&e->cipher, &e->log, KEY + bits);
}

static void encrypted_open(struct encrypted *e, unsigned flags)
{
	test_image_open_flags(&e->s, QCOW2_OPEN_INSPECT | flags);
	EQ(qcow2_image_attach_cipher(&e->s.image, &e->cipher.base), QCOW2_OK);
}

/* ---- Content ---- */

struct shape {
	const char *name;
	unsigned bits;
	bool extended, data_file;
	size_t slices;
};

static const struct shape shapes[] = {
	{ "clusters of 512 bytes", 9, false, false, 1 },
	{ "clusters of 64 KiB", 16, false, false, 2 },
	{ "extended L2", 14, true, false, 1 },
	{ "a data file", 12, false, true, 4 },
	{ "extended L2 and a data file", 15, true, true, 8 },
};

enum { CLUSTERS = 90, BASE_BYTES = 10000 };

/* Every kind of cluster, in any order, over a raw image; the disk ends inside a sector. */
static void content_fill(struct image *img, const struct shape *shape)
{
	struct image_table *t = &img->active;

	for (uint64_t i = 0; i < CLUSTERS; i++) {
		switch (test_random(8)) {
		case 0: break;
		case 1: image_add(img, t, i, IMAGE_ZERO); break;
		case 2: image_add(img, t, i, IMAGE_ZERO_ALLOC); break;
		case 3:
			if (!shape->data_file)
				image_add(img, t, i, IMAGE_COMPRESSED);
			break;
		case 4:
			if (shape->extended)
				image_add_subclusters(img, t, i, UINT64_C(0x0ff00ff0000ff00f),
				                      true);
			break;
		default: image_add(img, t, i, IMAGE_DATA); break;
		}
	}
	image_add(img, t, CLUSTERS - 1, IMAGE_DATA);
}

static void content_check(const struct shape *shape, unsigned method)
{
	uint64_t size = ((uint64_t)CLUSTERS << shape->bits) - 300;
	struct encrypted e;
	struct image_buf raw = { 0 };
	struct test_io raw_io;
	struct qcow2_image base;
	struct layer layers[2];
	struct test_reader reader;
	uint8_t *want = malloc((size_t)size);

	encrypted_init(&e, method, shape->bits, size);
	e.s.img.extended_l2 = shape->extended;
	e.s.img.has_data_file = shape->data_file;
	content_fill(&e.s.img, shape);
	image_buf_resize(&raw, BASE_BYTES);
	image_fill(raw.data, raw.len, 3, 0);
	test_io_init(&raw_io, &raw);
	EQ(qcow2_image_raw(&base, &raw_io.io), QCOW2_OK);
	encrypted_open(&e, 0);
	EQ(qcow2_image_attach_backing(&e.s.image, &base), QCOW2_OK);
	layers[0] = (struct layer){ .img = &e.s.img, .size = size };
	layers[1] = (struct layer){ .raw = &raw, .size = raw.len };
	expect_chain(layers, 2, 0, want, (size_t)size);
	test_reader_init(&reader, &e.s.image,
	                 QCOW2_READER_MEMORY_DEFLATE + (shape->slices - 1) * QCOW2_READER_SLICE,
	                 deflate_only);
	EQ(test_reader_read(&reader, 0, want, (size_t)size), QCOW2_OK);
	for (unsigned i = 0; i < 300; i++) {
		uint64_t off = test_random(size);
		uint64_t len = 1 + test_random(i % 2 != 0 ? 1500 : 100000);

		if (len > size - off)
			len = size - off;
		EQ(test_reader_read(&reader, off, want + off, (size_t)len), QCOW2_OK);
	}
	test_reader_free(&reader);
	free(want);
	free(raw.data);
	test_image_free(&e.s);
}

static void test_content(void **state)
{
	(void)state;
	test_random_state = 77;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		for (size_t m = 0; m < COUNT(methods); m++) {
			test_case("%s, method %u", shapes[i].name, methods[m]);
			content_check(&shapes[i], methods[m]);
		}
	}
}

/* Each image of a chain has its own method and key, and depth does not mix up the caches. */
static void test_chain_of_keys(void **state)
{
	uint64_t size = 40 * 4096;
	struct encrypted top, base;
	struct layer layers[2];
	struct test_reader reader;
	uint8_t *want = malloc((size_t)size);

	(void)state;
	encrypted_init(&top, QCOW2_CRYPT_LUKS, 12, size);
	encrypted_init(&base, QCOW2_CRYPT_AES, 9, size - 700);
	base.s.img.active.seed = 5;
	for (uint64_t i = 0; i < 40; i += 3)
		image_add(&top.s.img, &top.s.img.active, i, IMAGE_DATA);
	image_add_range(&base.s.img, &base.s.img.active, 0, 318, IMAGE_DATA);
	encrypted_open(&base, 0);
	encrypted_open(&top, 0);
	EQ(qcow2_image_attach_backing(&top.s.image, &base.s.image), QCOW2_OK);
	layers[0] = (struct layer){ .img = &top.s.img, .size = size };
	layers[1] = (struct layer){ .img = &base.s.img, .size = size - 700 };
	expect_chain(layers, 2, 0, want, (size_t)size);
	test_reader_init(&reader, &top.s.image, 0, NULL);
	EQ(test_reader_read(&reader, 0, want, (size_t)size), QCOW2_OK);
	for (uint64_t off = 0; off + 1000 < size; off += 999)
		EQ(test_reader_read(&reader, off, want + off, 1000), QCOW2_OK);
	test_reader_free(&reader);
	free(want);
	test_image_free(&top.s);
	test_image_free(&base.s);
}

/* ---- Map ---- */

static void test_map_kinds(void **state)
{
	(void)state;
	for (size_t m = 0; m < COUNT(methods); m++) {
		struct encrypted e;
		struct test_reader reader;
		struct qcow2_extent x;

		test_case("method %u", methods[m]);
		encrypted_init(&e, methods[m], 12, 16 * 4096);
		image_add(&e.s.img, &e.s.img.active, 0, IMAGE_COMPRESSED);
		image_add_range(&e.s.img, &e.s.img.active, 2, 3, IMAGE_DATA);
		image_add(&e.s.img, &e.s.img.active, 5, IMAGE_ZERO_ALLOC);
		encrypted_open(&e, 0);
		test_reader_init(&reader, &e.s.image, QCOW2_READER_MEMORY_DEFLATE, deflate_only);
		EQ(qcow2_reader_map(&reader.q, 100, 16 * 4096 - 100, &x), QCOW2_OK);
		EQ(x.kind, QCOW2_EXTENT_COMPRESSED);
		EQ(qcow2_reader_map(&reader.q, 4096, 15 * 4096, &x), QCOW2_OK);
		EQ(x.kind, QCOW2_EXTENT_ABSENT);
		/* Clusters that follow each other are one extent; it may begin inside a sector. */
		EQ(qcow2_reader_map(&reader.q, 2 * 4096 + 1300, 16 * 4096 - 2 * 4096 - 1300, &x),
		   QCOW2_OK);
		EQ(x.kind, QCOW2_EXTENT_ENCRYPTED);
		EQ(x.len, 3 * 4096 - 1300);
		TRUE(x.io == &e.s.image.io);
		EQ(x.pos, e.s.img.active.clusters[1].pos + 1300);
		EQ(qcow2_extent_sector(&x),
		   methods[m] == QCOW2_CRYPT_AES ? 2 * 8 + 2 : x.pos / SECTOR);
		EQ(qcow2_reader_map(&reader.q, 5 * 4096, 11 * 4096, &x), QCOW2_OK);
		EQ(x.kind, QCOW2_EXTENT_ZERO);
		EQ(x.len, 4096);
		test_reader_free(&reader);
		test_image_free(&e.s);
	}
}

/* ---- Cost ---- */

struct cost_case {
	uint64_t off, len;
	unsigned calls, sectors, longest; /* of data */
};

static void test_cost(void **state)
{
	static const struct cost_case cases[] = {
		{ 0, 16384, 1, 32, 32 },   /* whole sectors at once, across clusters */
		{ 512, 512, 1, 1, 1 },     /* one sector */
		{ 512, 1, 1, 1, 1 },       /* its first byte */
		{ 1023, 1, 1, 1, 1 },      /* its last byte */
		{ 1023, 2, 2, 2, 1 },      /* the end of one and the beginning of the next */
		{ 100, 412, 1, 1, 1 },     /* up to the end of a sector */
		{ 100, 413, 2, 2, 1 },     /* and one byte more */
		{ 100, 924, 2, 2, 1 },     /* an end and a whole sector */
		{ 1024, 513, 2, 2, 1 },    /* a whole sector and a byte */
		{ 1, 16382, 3, 32, 30 },   /* both ends, and what is between at once */
		{ 4000, 200, 2, 2, 1 },    /* across clusters */
		{ 4000, 8288, 2, 17, 16 }, /* aligned at the end */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct cost_case *c = &cases[i];
		struct encrypted e;
		struct test_reader reader;
		uint8_t *want = malloc(16384);
		struct qcow2_extent x;
		uint64_t bytes;

		test_case("%u bytes at %u", (unsigned)c->len, (unsigned)c->off);
		encrypted_init(&e, QCOW2_CRYPT_LUKS, 12, 16384);
		image_add_range(&e.s.img, &e.s.img.active, 0, 4, IMAGE_DATA);
		encrypted_open(&e, 0);
		image_expect(&e.s.img, &e.s.img.active, 0, want, 16384);
		test_reader_init(&reader, &e.s.image, QCOW2_READER_MEMORY, NULL);
		EQ(qcow2_reader_map(&reader.q, 0, 16384, &x), QCOW2_OK);
		test_io_reset(&e.s.io);
		EQ(test_reader_read(&reader, c->off, want + c->off, (size_t)c->len), QCOW2_OK);
		bytes = (uint64_t)c->sectors * SECTOR;
		EQ(e.s.io.calls, c->calls);
		EQ(e.s.io.bytes, bytes);
		EQ(e.log.calls, c->calls);
		EQ(e.log.sectors, c->sectors);
		EQ(e.log.longest, c->longest);
		test_reader_free(&reader);
		free(want);
		test_image_free(&e.s);
	}
}

/* An extent that the caller reads by itself, as cipher.h says. */
static void test_own_reading(void **state)
{
	struct encrypted e;
	struct test_reader reader;
	struct qcow2_extent x;
	uint8_t want[3 * 4096], got[3 * 4096];

	(void)state;
	encrypted_init(&e, QCOW2_CRYPT_LUKS, 12, 16384);
	image_add_range(&e.s.img, &e.s.img.active, 1, 3, IMAGE_DATA);
	encrypted_open(&e, 0);
	image_expect(&e.s.img, &e.s.img.active, 4096, want, sizeof want);
	test_reader_init(&reader, &e.s.image, 0, NULL);
	EQ(qcow2_reader_map(&reader.q, 4096, sizeof want, &x), QCOW2_OK);
	EQ(x.len, sizeof want);
	EQ(x.io->ops->read(x.io->ctx, x.pos, got, sizeof got), 0);
	TRUE(memcmp(got, want, sizeof want) != 0);
	EQ(e.cipher.base.decrypt(&e.cipher.base, qcow2_extent_sector(&x), got, x.len / SECTOR), 0);
	SAME(got, want, sizeof want);
	test_reader_free(&reader);
	test_image_free(&e.s);
}

/* ---- Files that are cut: P15 ---- */

static void cut_check(size_t there, unsigned method, unsigned flags)
{
	size_t whole = there / SECTOR * SECTOR;
	struct encrypted e;
	struct test_reader reader;
	struct qcow2_extent x;
	uint8_t want[4096];

	test_case("%u bytes of a cluster, flags %u, method %u", (unsigned)there, flags, method);
	encrypted_init(&e, method, 12, 3 * 4096);
	image_add_last(&e.s.img, &e.s.img.active, 1, there);
	encrypted_open(&e, flags);
	image_expect(&e.s.img, &e.s.img.active, 4096, want, sizeof want);
	ALL(want + whole, 0, sizeof want - whole);
	test_reader_init(&reader, &e.s.image, 0, NULL);
	if (flags != 0) {
		EQ(test_reader_read(&reader, 4096, want, sizeof want), QCOW2_OK);
		EQ(test_reader_read(&reader, 4096 + 700, want + 700, sizeof want - 701), QCOW2_OK);
		EQ(qcow2_reader_map(&reader.q, 4096, 4096, &x), QCOW2_OK);
		EQ(x.len, 4096);
	} else {
		EQ(test_reader_read(&reader, 4096, want, sizeof want),
		   whole == sizeof want ? QCOW2_OK : QCOW2_E_TRUNCATED);
		if (whole != sizeof want) {
			EQ(reader.q.error.pos, e.s.io.io.size);
			TRUE(reader.q.error.io == &e.s.image.io);
			EQ(test_reader_read(&reader, 4096 + whole, want, 1), QCOW2_E_TRUNCATED);
			EQ(test_reader_read(&reader, 4096 + whole + 100, want, 1),
			   QCOW2_E_TRUNCATED);
		}
		if (whole != 0) {
			EQ(test_reader_read(&reader, 4096, want, whole), QCOW2_OK);
			EQ(test_reader_read(&reader, 4096 + 5, want + 5, whole - 5), QCOW2_OK);
			EQ(qcow2_reader_map(&reader.q, 4096 + 5, 4000, &x), QCOW2_OK);
			EQ(x.kind, QCOW2_EXTENT_ENCRYPTED);
			EQ(x.len, whole - 5 < 4000 ? whole - 5 : 4000);
		}
	}
	test_reader_free(&reader);
	test_image_free(&e.s);
}

static void test_cut(void **state)
{
	static const size_t lengths[] = { 0, 1, 511, 512, 513, 1024, 1500, 4095, 4096 };

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		for (size_t m = 0; m < COUNT(methods); m++) {
			cut_check(lengths[i], methods[m], 0);
			cut_check(lengths[i], methods[m], QCOW2_OPEN_TRUNCATED);
		}
	}
}

/* ---- Attaching ---- */

static void test_attach(void **state)
{
	static struct qcow2_cipher no_callback;
	struct encrypted e;
	struct test_image plain = { 0 };
	struct qcow2_image image, closed = { 0 };
	struct qcow2_error err;
	struct qcow2_reader reader;
	uint64_t memory[QCOW2_READER_MEMORY / 8];
	size_t min, good;

	(void)state;
	encrypted_init(&e, QCOW2_CRYPT_AES, 12, 16384);
	image_add_range(&e.s.img, &e.s.img.active, 0, 4, IMAGE_DATA);
	image_finish(&e.s.img);
	test_io_init(&e.s.io, &e.s.img.file);
	EQ(qcow2_image_open(&image, &e.s.io.io, 0, &err), QCOW2_E_ENCRYPTED);
	EQ(err.detail, QCOW2_CRYPT_AES);
	test_image_open_flags(&e.s, QCOW2_OPEN_INSPECT);
	EQ(qcow2_reader_init(&reader, &e.s.image, memory, sizeof memory), QCOW2_E_ENCRYPTED);
	EQ(reader.error.detail, QCOW2_CRYPT_AES);
	EQ(qcow2_image_attach_cipher(NULL, &e.cipher.base), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_attach_cipher(&closed, &e.cipher.base), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_attach_cipher(&e.s.image, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_attach_cipher(&e.s.image, &no_callback), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_ready(&e.s.image, &err), QCOW2_E_ENCRYPTED);
	EQ(qcow2_image_attach_cipher(&e.s.image, &e.cipher.base), QCOW2_OK);
	EQ(qcow2_image_ready(&e.s.image, &err), QCOW2_OK);
	EQ(qcow2_image_attach_cipher(&e.s.image, &e.cipher.base), QCOW2_E_ARGUMENT);
	/* A cipher takes no memory of the reader. */
	EQ(qcow2_reader_memory(&e.s.image, NULL, &min, &good), QCOW2_OK);
	EQ(min, QCOW2_READER_MEMORY);
	EQ(qcow2_reader_init(&reader, &e.s.image, memory, sizeof memory), QCOW2_OK);
	test_image_free(&e.s);

	image_init(&plain.img, 3, 12, 16384);
	test_image_open(&plain);
	EQ(qcow2_image_attach_cipher(&plain.image, &e.cipher.base), QCOW2_E_ARGUMENT);
	test_image_free(&plain);
}

static void test_snapshot_inherits(void **state)
{
	struct encrypted e;
	struct image_snapshot *snap;
	struct qcow2_snapshot s;
	struct qcow2_image image;
	struct test_reader reader;
	uint8_t want[16384] = { 0 };

	(void)state;
	encrypted_init(&e, QCOW2_CRYPT_LUKS, 12, sizeof want);
	image_add(&e.s.img, &e.s.img.active, 0, IMAGE_DATA);
	snap = image_add_snapshot(&e.s.img, "1", "one");
	snap->table.seed = 8;
	image_add_range(&e.s.img, &snap->table, 1, 2, IMAGE_DATA);
	encrypted_open(&e, 0);
	EQ(qcow2_snapshot_next(&e.s.image, NULL, &s, NULL), QCOW2_OK);
	EQ(qcow2_snapshot_image(&image, &e.s.image, &s, NULL), QCOW2_OK);
	image_expect(&e.s.img, &e.s.img.snapshots[0].table, 0, want, sizeof want);
	test_reader_init(&reader, &image, 0, NULL);
	EQ(test_reader_read(&reader, 0, want, sizeof want), QCOW2_OK);
	EQ(test_reader_read(&reader, 5001, want + 5001, 3), QCOW2_OK);
	test_reader_free(&reader);
	test_image_free(&e.s);
}

/* ---- Failures ---- */

/*
 * Each io call and each call of the cipher fails once. The read reports which; the same read after
 * it gives the right bytes.
 */
static void test_failures(void **state)
{
	struct encrypted e;
	uint8_t want[16384];

	(void)state;
	encrypted_init(&e, QCOW2_CRYPT_LUKS, 12, sizeof want);
	image_add_range(&e.s.img, &e.s.img.active, 0, 4, IMAGE_DATA);
	encrypted_open(&e, 0);
	image_expect(&e.s.img, &e.s.img.active, 0, want, sizeof want);
	for (unsigned i = 0; i < 2 * 5; i++) {
		struct test_reader reader;
		int rc;

		test_case("call %u of the %s", i / 2 + 1, i % 2 != 0 ? "cipher" : "file");
		test_reader_init(&reader, &e.s.image, 0, NULL);
		test_io_reset(&e.s.io);
		memset(&e.log, 0, sizeof e.log);
		if (i % 2 != 0)
			e.log.fail_at = i / 2 + 1;
		else
			e.s.io.fail_at = i / 2 + 1;
		rc = test_reader_read(&reader, 100, want + 100, sizeof want - 200);
		if (i % 2 == 0) {
			EQ(rc, QCOW2_E_IO);
			EQ(reader.q.error.io_code, IO_FAULT);
		} else {
			EQ(rc, i / 2 < 3 ? QCOW2_E_CRYPTO : QCOW2_OK);
			EQ(reader.q.error.io_code, 0);
		}
		if (rc != QCOW2_OK)
			TRUE(reader.q.error.io == &e.s.image.io);
		e.log.fail_at = 0;
		EQ(test_reader_read(&reader, 100, want + 100, sizeof want - 200), QCOW2_OK);
		test_reader_free(&reader);
	}
	test_image_free(&e.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content),     cmocka_unit_test(test_chain_of_keys),
		cmocka_unit_test(test_map_kinds),   cmocka_unit_test(test_cost),
		cmocka_unit_test(test_own_reading), cmocka_unit_test(test_cut),
		cmocka_unit_test(test_attach),      cmocka_unit_test(test_snapshot_inherits),
		cmocka_unit_test(test_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
