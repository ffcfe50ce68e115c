/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* The caller's mistakes: NULL, misaligned or too small memory, headers of another version. */
#include "support.h"

#include <string.h>

static int any_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	(void)ctx, (void)pos, (void)buf, (void)len;
	return 1;
}

static const struct qcow2_io_ops any_ops = { .read = any_read };
static const struct qcow2_io_ops no_read = { .read = NULL };

static void test_open(void **state)
{
	const struct qcow2_io no_ops = { NULL, NULL, 1000 };
	const struct qcow2_io no_function = { &no_read, NULL, 1000 };
	const struct qcow2_io *const bad[] = { NULL, &no_ops, &no_function };
	struct qcow2_image image;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct qcow2_error err;

		test_case("io %zu", i);
		memset(&err, 0x77, sizeof err);
		EQ(qcow2_image_open(&image, bad[i], 0, &err), QCOW2_E_ARGUMENT);
		EQ(err.status, QCOW2_E_ARGUMENT);
		TRUE(err.io == NULL);
		EQ(qcow2_image_open(&image, bad[i], 0, NULL), QCOW2_E_ARGUMENT);
		EQ(qcow2_image_raw(&image, bad[i]), QCOW2_E_ARGUMENT);
	}
	test_case("no image");
	EQ(qcow2_image_open(NULL, &no_ops, 0, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_raw(NULL, &no_ops), QCOW2_E_ARGUMENT);
}

static void test_reader(void **state)
{
	struct test_image s = { 0 };
	struct qcow2_reader reader;
	struct qcow2_reader closed;
	struct qcow2_image zero;
	struct qcow2_extent e;
	uint64_t memory[2 * QCOW2_READER_MEMORY / 8];
	uint8_t *bytes = (uint8_t *)memory;
	uint8_t buf[8];
	size_t min = 0;
	size_t good = 0;

	(void)state;
	image_init(&s.img, 3, 12, MIB);
	test_image_open(&s);

	test_case("memory");
	for (size_t i = 1; i < 8; i++)
		EQ(qcow2_reader_init(&reader, &s.image, bytes + i, QCOW2_READER_MEMORY),
		   QCOW2_E_ARGUMENT);
	EQ(qcow2_reader_init(&reader, &s.image, NULL, sizeof memory), QCOW2_E_ARGUMENT);
	for (size_t len = 0; len < QCOW2_READER_MEMORY; len += 1 + len / 2) {
		EQ(qcow2_reader_init(&reader, &s.image, memory, len), QCOW2_E_MEMORY);
		EQ(reader.error.detail, QCOW2_READER_MEMORY);
	}
	EQ(qcow2_reader_init(&reader, &s.image, memory, QCOW2_READER_MEMORY - 1), QCOW2_E_MEMORY);
	EQ(qcow2_reader_init(&reader, &s.image, memory, QCOW2_READER_MEMORY), QCOW2_OK);
	EQ(qcow2_reader_start(NULL, &s.image, deflate_only, memory, sizeof memory),
	   QCOW2_E_ARGUMENT);
	/* Enough for the reader, not for the decoder. */
	EQ(qcow2_reader_start(&reader, &s.image, deflate_only, memory, QCOW2_READER_MEMORY),
	   QCOW2_E_MEMORY);

	test_case("NULL");
	EQ(qcow2_reader_init(NULL, &s.image, memory, sizeof memory), QCOW2_E_ARGUMENT);
	EQ(qcow2_reader_init(&closed, NULL, memory, sizeof memory), QCOW2_E_ARGUMENT);
	EQ(qcow2_reader_codecs(NULL, deflate_only), QCOW2_E_ARGUMENT);
	EQ(qcow2_reader_codecs(&reader, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_reader_memory(NULL, NULL, &min, &good), QCOW2_E_ARGUMENT);
	EQ(qcow2_reader_memory(&s.image, NULL, NULL, &good), QCOW2_E_ARGUMENT);
	EQ(qcow2_reader_memory(&s.image, NULL, &min, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_reader_map(NULL, 0, 1, &e), QCOW2_E_ARGUMENT);
	EQ(qcow2_reader_map(&reader, 0, 1, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_reader_read(NULL, 0, buf, 1), QCOW2_E_ARGUMENT);
	EQ(qcow2_reader_read(&reader, 0, NULL, 1), QCOW2_E_ARGUMENT);

	test_case("a closed image, a reader that was not started");
	memset(&zero, 0, sizeof zero);
	EQ(qcow2_reader_init(&closed, &zero, memory, sizeof memory), QCOW2_E_ARGUMENT);
	EQ(qcow2_reader_read(&closed, 0, buf, 1), QCOW2_E_ARGUMENT);
	EQ(qcow2_reader_map(&closed, 0, 1, &e), QCOW2_E_ARGUMENT);
	EQ(qcow2_reader_codecs(&closed, deflate_only), QCOW2_E_ARGUMENT);
	test_image_free(&s);
}

static void test_other(void **state)
{
	struct test_image s = { 0 };
	struct qcow2_span span = { 0, 4 };
	struct qcow2_io no_ops = { NULL, NULL, 1000 };
	struct qcow2_io io = { &any_ops, NULL, 1000 };
	struct qcow2_image zero;
	char name[47];

	(void)state;
	image_init(&s.img, 3, 12, MIB);
	test_image_open(&s);
	memset(&zero, 0, sizeof zero);
	test_case("bytes");
	EQ(qcow2_image_bytes(NULL, span, name, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_bytes(&zero, span, name, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_bytes(&s.image, span, NULL, NULL), QCOW2_E_ARGUMENT);
	test_case("extensions");
	EQ(qcow2_image_extensions(NULL, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_extensions(&zero, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_raw(&zero, &io), QCOW2_OK);
	EQ(qcow2_image_extensions(&zero, NULL), QCOW2_E_ARGUMENT);
	memset(&zero, 0, sizeof zero);
	test_case("feature name");
	EQ(qcow2_feature_name(NULL, 0, 0, name), QCOW2_E_ARGUMENT);
	EQ(qcow2_feature_name(&no_ops, 0, 0, name), QCOW2_E_ARGUMENT);
	EQ(qcow2_feature_name(&s.io.io, 0, 0, NULL), QCOW2_E_ARGUMENT);
	EQ(qcow2_feature_name(&io, 0, 0, name), QCOW2_E_IO);
	test_case("attach");
	EQ(qcow2_image_attach_backing(&zero, &s.image), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_attach_backing(&s.image, &zero), QCOW2_E_ARGUMENT);
	EQ(qcow2_image_attach_data(&zero, &s.io.io), QCOW2_E_ARGUMENT);
	test_image_free(&s);
}

/* The sizes that the headers promise. */
static void test_sizes(void **state)
{
	(void)state;
	test_case("the smallest reader");
	LE(sizeof(struct qcow2_image) + sizeof(struct qcow2_reader) + QCOW2_READER_MEMORY, 1024);
	test_case("deflate");
	LE(QCOW2_READER_MEMORY_DEFLATE - QCOW2_READER_MEMORY, 8192);
	LE(qcow2_deflate_small.work_len, QCOW2_DEFLATE_SMALL_WORK);
	EQ(qcow2_deflate_small.type, QCOW2_COMPRESSION_DEFLATE);
	EQ(qcow2_deflate_small.whole, false);
	LE(qcow2_deflate_fast.work_len, QCOW2_DEFLATE_FAST_WORK);
	EQ(qcow2_deflate_fast.whole, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_reader),
		cmocka_unit_test(test_other),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
