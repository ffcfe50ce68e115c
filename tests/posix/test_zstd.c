/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Clusters compressed with zstd: frames written by hand (RFC 8878), valid or not. Each
 * decoder of the library answers them in the same way.
 */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "qcow2/status.h"

enum { CLUSTER = 65536, BLOCK_RAW = 0, BLOCK_RLE = 1, BLOCK_RESERVED = 3 };

/* Bits of the frame header descriptor. */
enum { DICTIONARY = 1, CHECKSUM = 4, SINGLE_SEGMENT = 0x20, SIZE_OF_4 = 0x80 };

/* The stream that a test writes, and its plain bytes. */
static uint8_t packed[CLUSTER + 1024], plain[2 * CLUSTER];
static size_t n_packed, n_plain;

static void put(uint32_t value, unsigned n_bytes)
{
	for (; n_bytes != 0u; n_bytes--, value >>= 8)
		packed[n_packed++] = (uint8_t)value;
}

static void put_magic(unsigned descriptor)
{
	put(0xfd2fb528, 4);
	put(descriptor, 1);
}

static void put_block(bool last, unsigned type, uint32_t len, uint8_t byte)
{
	uint32_t i;

	put((last ? 1u : 0u) | type << 1 | len << 3, 3);
	for (i = 0; i < (type == BLOCK_RAW ? len : 1u); i++)
		put(byte, 1);
	memset(plain + n_plain, byte, len);
	n_plain += len;
}

/* Writes a frame that states its size and has one block. */
static void put_frame(unsigned type, uint32_t len, uint8_t byte)
{
	put_magic(SINGLE_SEGMENT | SIZE_OF_4);
	put(len, 4);
	put_block(true, type, len, byte);
}

static void put_skippable(uint32_t says_len, uint32_t len)
{
	put(0x184d2a5e, 4);
	put(says_len, 4);
	for (; len != 0u; len--)
		put(0xee, 1);
}

/* ---- What decodes ---- */

static void one_frame(void)
{
	put_frame(BLOCK_RLE, CLUSTER, 'z');
}

static void stored(void)
{
	put_magic(0);
	put(8 << 3, 1); /* a window of 256 KiB, and no size */
	put_block(false, BLOCK_RAW, 30000, 'r');
	put_block(true, BLOCK_RAW, CLUSTER - 30000, 's');
}

static void greatest_window(void)
{
	put_magic(0);
	put(17 << 3, 1); /* 128 MiB */
	put_block(true, BLOCK_RLE, CLUSTER, 'w');
}

static void two_frames(void)
{
	put_frame(BLOCK_RLE, 1000, '1');
	put_frame(BLOCK_RLE, CLUSTER - 1000, '2');
}

static void skippable_frames(void)
{
	put_skippable(0, 0);
	put_frame(BLOCK_RLE, 1, '1');
	put_skippable(300, 300);
	put_skippable(1, 1);
	put_frame(BLOCK_RLE, CLUSTER - 1, '2');
}

static void empty_frame(void)
{
	put_frame(BLOCK_RAW, 0, 0);
	put_frame(BLOCK_RLE, CLUSTER, 'e');
}

/* The library ignores what follows the frame that ends the cluster. */
static void garbage_behind(void)
{
	put_frame(BLOCK_RLE, CLUSTER, 'g');
	put(0x12345678, 4);
}

/* ---- What does not ---- */

static void too_little(void)
{
	put_frame(BLOCK_RLE, CLUSTER - 1, 'l');
}

static void too_much(void)
{
	put_frame(BLOCK_RLE, CLUSTER + 1, 'm');
}

static void too_much_in_second(void)
{
	put_frame(BLOCK_RLE, CLUSTER - 1, '1');
	put_frame(BLOCK_RLE, 2, '2');
}

static void other_size(void)
{
	put_magic(SINGLE_SEGMENT | SIZE_OF_4);
	put(CLUSTER - 1, 4);
	put_block(true, BLOCK_RLE, CLUSTER, 's');
}

static void no_magic(void)
{
	put_frame(BLOCK_RLE, CLUSTER, 'z');
	packed[0] ^= 1u;
}

static void no_block_type(void)
{
	put_frame(BLOCK_RESERVED, CLUSTER, 'z');
}

static void dictionary(void)
{
	put_magic(SINGLE_SEGMENT | SIZE_OF_4 | DICTIONARY);
	put(5, 1);
	put(CLUSTER, 4);
	put_block(true, BLOCK_RLE, CLUSTER, 'd');
}

static void wide_window(void)
{
	put_magic(0);
	put((17 << 3) + 1, 1); /* 144 MiB */
	put_block(true, BLOCK_RLE, CLUSTER, 'w');
}

static void wrong_checksum(void)
{
	put_magic(SINGLE_SEGMENT | SIZE_OF_4 | CHECKSUM);
	put(CLUSTER, 4);
	put_block(true, BLOCK_RLE, CLUSTER, 'c');
	put(0, 4);
}

static void skippable_too_long(void)
{
	put_skippable(UINT32_MAX, 0);
	put_frame(BLOCK_RLE, CLUSTER, 'z');
}

static void skippable_alone(void)
{
	put_skippable(10, 10);
}

static void cut_skippable(void)
{
	put(0x184d2a50, 4);
	put(0, 3);
}

static void cut_magic(void)
{
	put_frame(BLOCK_RLE, CLUSTER, 'z');
	n_packed = 3;
}

static void cut_header(void)
{
	put_frame(BLOCK_RLE, CLUSTER, 'z');
	n_packed = 7;
}

static void cut_block(void)
{
	put_frame(BLOCK_RLE, CLUSTER, 'z');
	n_packed--;
}

static const struct {
	const char *name;
	void (*write)(void);
	int status;
} cases[] = {
	{ "one frame", one_frame, QCOW2_OK },
	{ "stored", stored, QCOW2_OK },
	{ "greatest window", greatest_window, QCOW2_OK },
	{ "two frames", two_frames, QCOW2_OK },
	{ "skippable frames", skippable_frames, QCOW2_OK },
	{ "empty frame", empty_frame, QCOW2_OK },
	{ "garbage behind", garbage_behind, QCOW2_OK },
	{ "too little", too_little, QCOW2_E_TRUNCATED },
	{ "too much", too_much, QCOW2_E_COMPRESSED },
	{ "too much in the second frame", too_much_in_second, QCOW2_E_COMPRESSED },
	{ "other size", other_size, QCOW2_E_COMPRESSED },
	{ "no magic", no_magic, QCOW2_E_COMPRESSED },
	{ "no block type", no_block_type, QCOW2_E_COMPRESSED },
	{ "dictionary", dictionary, QCOW2_E_COMPRESSED },
	{ "wide window", wide_window, QCOW2_E_COMPRESSED },
	{ "wrong checksum", wrong_checksum, QCOW2_E_COMPRESSED },
	{ "skippable too long", skippable_too_long, QCOW2_E_TRUNCATED },
	{ "skippable alone", skippable_alone, QCOW2_E_TRUNCATED },
	{ "cut skippable", cut_skippable, QCOW2_E_TRUNCATED },
	{ "cut magic", cut_magic, QCOW2_E_TRUNCATED },
	{ "cut header", cut_header, QCOW2_E_TRUNCATED },
	{ "cut block", cut_block, QCOW2_E_TRUNCATED },
};

/* Opens an image whose cluster 1 is the bytes in `packed`, at the end of the file. */
static struct qcow2 *open_packed(void)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct image img;
	struct qcow2 *q;

	image_init(&img, 3, 16, 4 * CLUSTER);
	img.compression_type = 1;
	image_set(&img, IMAGE_COMPRESSION_TYPE, 1);
	image_set(&img, IMAGE_INCOMPATIBLE_FEATURES, 8);
	image_add_last_packed(&img, &img.active, 1, packed, n_packed, 0, 0);
	options.max_readers = 1;
	q = qcow2_open_options(image_to_fd(&img), &options, NULL);
	image_free(&img);
	TRUE(q != NULL);
	return q;
}

static void check(const char *name, int want)
{
	static uint8_t buf[CLUSTER];
	struct qcow2 *q = open_packed();
	int n = read_guarded(q, buf, 1000, CLUSTER + 500);
	int status = n < 0 ? qcow2_last_failure()->status : QCOW2_OK;

	test_case("%s: %s", name, qcow2_last_failure()->message);
	EQ(status, want);
	if (want == QCOW2_OK) {
		SAME(buf, plain + 500, 1000);
		EQ(read_guarded(q, buf, CLUSTER, CLUSTER), CLUSTER);
		SAME(buf, plain, CLUSTER);
	} else {
		EQ(errno, EIO);
	}
	EQ(read_guarded(q, buf, 1, 0), 1); /* the rest of the disk */
	EQ(buf[0], 0);
	qcow2_close(q);
}

static void test_frames(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		n_packed = 0;
		n_plain = 0;
		cases[i].write();
		check(cases[i].name, cases[i].status);
	}
}

/* A stream of several frames, cut at any byte, fails, and nothing is read past its end. */
static void test_cut(void **state)
{
	size_t len;

	(void)state;
	n_packed = 0;
	n_plain = 0;
	skippable_frames();
	len = n_packed;
	for (n_packed = 1; n_packed < len; n_packed++)
		check("cut", QCOW2_E_TRUNCATED);
}

static void test_read_fails(void **state)
{
	struct qcow2 *q;
	char byte = 0;

	(void)state;
	hooks_reset();
	n_packed = 0;
	n_plain = 0;
	one_frame();
	q = open_packed();
	EQ(read_guarded(q, &byte, 1, 0), 1); /* the tables */
	hooks_reset();
	hooks.fail_at[CALL_PREAD] = 1;
	EQ(read_guarded(q, &byte, 1, CLUSTER), -1);
	EQ(errno, ENODATA);
	hooks_reset();
	EQ(read_guarded(q, &byte, 1, CLUSTER), 1);
	EQ(byte, 'z');
	qcow2_close(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_read_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
