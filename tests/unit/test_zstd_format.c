/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The zstd format with the built-in decoders, item by item: frames, blocks, literals, tables,
 * sequences; and for each the frames that are not valid. libzstd is asked about all of them.
 */
#include "zstd.h"

#include <string.h>

enum { CLUSTER = 4096 };

static void letters(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		zstd_wanted[i] = (uint8_t)('a' + test_random(3) + i / 512 % 5);
}

/* ---- Frames ---- */

/* A frame with one raw block of n bytes of zstd_wanted, and this header behind the magic. */
static void frame_of(uint8_t head, int window, uint64_t content, unsigned n_content, uint32_t n)
{
	zstd_magic();
	zstd_put(head, 1);
	if (window >= 0)
		zstd_put((uint64_t)window, 1);
	zstd_put(content, n_content);
	zstd_raw(true, zstd_wanted, n);
}

/* Every form of the header that is valid. */
static void test_headers(void **state)
{
	static const struct {
		uint8_t head;
		int window;
		uint64_t content;
		unsigned n_content;
		uint32_t n;
	} good[] = {
		{ 0, 0x10, 0, 0, 4096 },           /* no content size */
		{ 0, 17 << 3, 0, 0, 4096 },        /* the longest window */
		{ ZSTD_UNUSED, 0x10, 0, 0, 4096 }, /* the bit without a meaning */
		{ ZSTD_SINGLE, -1, 255, 1, 255 },
		{ 0x40 | ZSTD_SINGLE, -1, 4096 - 256, 2, 4096 },
		{ 0x80 | ZSTD_SINGLE, -1, 4096, 4, 4096 },
		{ 0xc0 | ZSTD_SINGLE, -1, 4096, 8, 4096 },
		{ 0x40, 0x10, 4096 - 256, 2, 4096 },
		{ 0x80, 0x10, 4096, 4, 4096 },
		{ 0xc0, 0x10, 4096, 8, 4096 },
		{ 1 | 0x80 | ZSTD_SINGLE, -1, UINT64_C(4096) << 8, 5, 4096 }, /* dictionary 0 */
		{ 2 | 0x80 | ZSTD_SINGLE, -1, UINT64_C(4096) << 16, 6, 4096 },
		{ 3 | 0x80 | ZSTD_SINGLE, -1, UINT64_C(4096) << 32, 8, 4096 },
	};
	static const struct {
		uint8_t head;
		int window;
		uint64_t content;
		unsigned n_content;
		uint32_t n;
	} bad[] = {
		{ ZSTD_RESERVED, 0x10, 0, 0, 4096 },
		{ 0, 17 << 3 | 1, 0, 0, 4096 },
		{ 0, 18 << 3, 0, 0, 4096 },
		{ 0x80 | ZSTD_SINGLE, -1, 4095, 4, 4096 },
		{ 0x80 | ZSTD_SINGLE, -1, 4097, 4, 4096 },
		{ 0x80 | ZSTD_SINGLE, -1, 4096, 4, 4095 },
		{ 0x80 | ZSTD_SINGLE, -1, 2 << 20, 4, 4096 },
		{ 0xc0 | ZSTD_SINGLE, -1, (UINT64_C(1) << 32) + 4096, 8, 4096 },
		{ 0x80, 0x10, 4095, 4, 4096 },
		{ 0x80, 0x10, 4097, 4, 4096 },
		{ 0, 0x10, 0, 0, 4095 },
		{ 0, 0x10, 0, 0, 4097 },
		{ 1 | 0x80 | ZSTD_SINGLE, -1, UINT64_C(4096) << 8 | 5, 5, 4096 },
		{ 3 | 0x80 | ZSTD_SINGLE, -1, UINT64_C(4096) << 32 | 1 << 24, 8, 4096 },
	};

	(void)state;
	letters(2 * CLUSTER);
	for (size_t i = 0; i < COUNT(good); i++) {
		test_case("good header %zu", i);
		zstd_begin();
		frame_of(good[i].head, good[i].window, good[i].content, good[i].n_content,
		         good[i].n);
		zstd_put(0x77777777, 4); /* what follows does not matter */
		zstd_good(good[i].n);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		test_case("bad header %zu", i);
		zstd_begin();
		frame_of(bad[i].head, bad[i].window, bad[i].content, bad[i].n_content, bad[i].n);
		zstd_put(0, 8);
		zstd_bad(CLUSTER);
	}
}

static void test_magic(void **state)
{
	(void)state;
	letters(CLUSTER);
	for (unsigned bit = 0; bit < 32; bit++) {
		test_case("bit %u", bit);
		zstd_begin();
		frame_of(0x80 | ZSTD_SINGLE, -1, CLUSTER, 4, CLUSTER);
		zstd.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		zstd_bad(CLUSTER);
	}
}

/* Several frames, empty ones, and such that are skipped. */
static void test_frames(void **state)
{
	(void)state;
	letters(CLUSTER);
	zstd_begin();
	for (uint32_t i = 0; i < 16; i++) {
		zstd_put(0x184D2A50 + i, 4);
		zstd_put(i, 4);
		zstd_put(0, i < 8 ? i : 8);
		zstd_put(0, i < 8 ? 0 : i - 8);
	}
	zstd_sized_frame(0);
	zstd_raw(true, NULL, 0);
	zstd_plain_frame();
	zstd_raw(false, zstd_wanted, 1000);
	zstd_raw(false, NULL, 0);
	zstd_raw(true, NULL, 0);
	zstd_put(0x184D2A50, 4);
	zstd_put(3, 4);
	zstd_put(0, 3);
	zstd_sized_frame(CLUSTER - 1000);
	zstd_raw(false, zstd_wanted + 1000, CLUSTER - 1000);
	zstd_raw(true, NULL, 0); /* after the cluster is full */
	zstd_good(CLUSTER);
	test_case("one byte more in a last block");
	zstd.len -= 3;
	zstd_raw(true, zstd_wanted, 1);
	zstd_bad(CLUSTER);
	test_case("what is skipped is longer than the input");
	for (unsigned i = 0; i < 2; i++) {
		/* In pieces, a position is a number of 32 bits. */
		bool wraps = zstd_codec->pieces && i == 1;

		zstd_begin();
		zstd_put(0x184D2A50, 4);
		zstd_put(i == 0 ? 4000 : UINT32_MAX, 4);
		frame_of(0x80 | ZSTD_SINGLE, -1, CLUSTER, 4, 1000);
		EQ(zstd_decode(zstd.bytes, zstd.len, CLUSTER, &(struct zstd_run){ 0 }),
		   wraps ? QCOW2_E_COMPRESSED : QCOW2_E_TRUNCATED);
	}
}

static void test_checksum(void **state)
{
	static const uint32_t lens[] = { 1,  3,  4,  5,  7,  8,  9,  12,  15,   16,  31,
		                         32, 33, 39, 44, 47, 63, 64, 100, 1000, 4096 };

	(void)state;
	for (size_t i = 0; i < COUNT(lens); i++) {
		size_t n;

		test_case("%u bytes", lens[i]);
		for (uint32_t k = 0; k < lens[i]; k++)
			zstd_wanted[k] = (uint8_t)test_random(256);
		zstd_begin();
		zstd.len = zstd_oracle_compress(3, true, zstd_wanted, lens[i], zstd.bytes,
		                                sizeof(zstd.bytes));
		zstd_good(lens[i]);
		/* The second of two frames has a checksum of its own content. */
		n = zstd.len;
		memmove(zstd.bytes + n, zstd.bytes, n);
		zstd.len = 2 * n;
		memcpy(zstd_wanted + lens[i], zstd_wanted, lens[i]);
		zstd_good(2 * lens[i]);
		zstd.len = n;
		for (unsigned byte = 1; byte <= 4; byte++) {
			zstd.bytes[n - byte] ^= 0x10;
			zstd_bad(lens[i]);
			zstd.bytes[n - byte] ^= 0x10;
		}
	}
}

/* ---- Blocks ---- */

static void test_blocks(void **state)
{
	(void)state;
	letters(CLUSTER);
	memset(zstd_wanted + 1000, 'x', 2000);
	zstd_begin();
	zstd_plain_frame();
	zstd_raw(false, zstd_wanted, 1000);
	zstd_block(false, ZSTD_RLE, 2000);
	zstd_put('x', 1);
	zstd_block(false, ZSTD_RLE, 0);
	zstd_put('y', 1);
	zstd_raw(true, zstd_wanted + 3000, CLUSTER - 3000);
	zstd_good(CLUSTER);
	test_case("the reserved type");
	zstd_begin();
	zstd_plain_frame();
	zstd_block(true, ZSTD_BLOCK_3, 0);
	zstd_raw(true, zstd_wanted, CLUSTER);
	zstd_bad(CLUSTER);
	test_case("no last block");
	zstd_begin();
	zstd_plain_frame();
	zstd_raw(false, zstd_wanted, CLUSTER);
	EQ(zstd_decode(zstd.bytes, zstd.len, CLUSTER, &(struct zstd_run){ 0 }), QCOW2_E_TRUNCATED);
	zstd_put(0xffffff, 3);
	zstd_bad(CLUSTER);
	test_case("one byte more than the cluster, or less");
	for (unsigned more = 0; more < 2; more++) {
		zstd_begin();
		zstd_plain_frame();
		zstd_block(true, ZSTD_RLE, CLUSTER - 1 + 2 * more);
		zstd_put('x', 5);
		zstd_bad(CLUSTER);
	}
}

/* A block is not longer than the window of its frame, nor than 128 KiB. */
static void test_block_size(void **state)
{
	enum { WINDOW = 1024, MOST = 1 << 17 };

	(void)state;
	for (uint32_t more = 0; more < 2; more++) {
		for (unsigned sized = 0; sized < 2; sized++) {
			test_case("window of 1024, %u more, sized %u", more, sized);
			memset(zstd_wanted, 'x', 4 * WINDOW);
			zstd_begin();
			zstd_magic();
			zstd_put(sized ? 0x80 : 0, 1);
			zstd_put(0, 1);
			zstd_put(2 * WINDOW, sized ? 4 : 0);
			zstd_block(false, ZSTD_RLE, WINDOW - more);
			zstd_put('x', 1);
			zstd_raw(true, zstd_wanted, WINDOW + more);
			if (more == 0)
				zstd_good(2 * WINDOW);
			else if (sized)
				zstd_forbidden(2 * WINDOW);
			else
				zstd_bad(2 * WINDOW);
		}
		test_case("128 KiB, %u more", more);
		memset(zstd_wanted, 'x', 2 * MOST);
		zstd_begin();
		zstd_magic();
		zstd_put(0, 1);
		zstd_put(10 << 3, 1);
		zstd_block(false, ZSTD_RLE, MOST + more);
		zstd_put('x', 1);
		zstd_block(true, ZSTD_RLE, MOST - more);
		zstd_put('x', 1);
		if (more == 0)
			zstd_good(2 * MOST);
		else
			zstd_bad(2 * MOST);
	}
}

/* ---- Literals ---- */

/* Raw and RLE literals in every form, without sequences. */
static void test_plain_literals(void **state)
{
	static const struct {
		uint32_t n;
		unsigned bits;
	} cases[] = { { 1, 5 },     { 31, 5 },  { 0, 12 },     { 31, 12 },     { 4095, 12 },
		      { 4096, 20 }, { 17, 20 }, { 70000, 20 }, { 131072, 20 }, { 0, 20 } };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (unsigned type = 0; type < 2; type++) {
			uint32_t n = cases[i].n;

			test_case("type %u, %u literals, %u bits", type, n, cases[i].bits);
			letters(n + 1);
			if (type == 1)
				memset(zstd_wanted, 'r', n);
			zstd_wanted[n] = '!';
			zstd_begin();
			zstd_magic();
			zstd_put(0, 1);
			zstd_put(10 << 3, 1);
			zstd_block_begin(false);
			zstd_literals(type, n, cases[i].bits);
			if (type == 1)
				zstd_put('r', 1);
			for (uint32_t k = 0; type == 0 && k < n; k++)
				zstd_put(zstd_wanted[k], 1);
			zstd_put(0, 1);
			zstd_block_end();
			zstd_raw(true, (const uint8_t *)"!", 1);
			/* Raw literals and their header make the block too long. */
			if (type == 0 && n == 131072)
				zstd_bad(n + 1);
			else
				zstd_good(n + 1);
		}
	}
	test_case("more literals than a block may have");
	zstd_begin();
	zstd_magic();
	zstd_put(0, 1);
	zstd_put(17 << 3, 1);
	zstd_block_begin(true);
	zstd_literals(1, 131073, 20);
	zstd_put('r', 1);
	zstd_put(0, 1);
	zstd_block_end();
	zstd_bad(131073);
	test_case("more literals than the cluster");
	zstd_begin();
	zstd_plain_frame();
	zstd_block_begin(true);
	zstd_literals(1, CLUSTER + 1, 20);
	zstd_put('r', 1);
	zstd_put(0, 1);
	zstd_block_end();
	zstd_bad(CLUSTER);
	test_case("raw literals that reach past the end of the block");
	zstd_begin();
	zstd_plain_frame();
	zstd_block_begin(true);
	zstd_literals(0, 20, 5);
	zstd_put(0, 19);
	zstd_block_end();
	zstd_put(0, 20);
	zstd_bad(20);
	test_case("bytes behind no sequences");
	zstd_begin();
	zstd_plain_frame();
	zstd_block_begin(true);
	zstd_literals(1, 20, 5);
	zstd_put('r', 1);
	zstd_put(0, 2);
	zstd_block_end();
	zstd_bad(20);
	test_case("no number of sequences");
	zstd_begin();
	zstd_plain_frame();
	zstd_block_begin(true);
	zstd_literals(1, 20, 12);
	zstd_put('r', 1);
	zstd_block_end();
	zstd_put(0, 20);
	zstd_bad(20);
}

/* A code for the letters a to g; all others have weight 0. */
static void letter_code(void)
{
	static const uint8_t weights[7] = { 6, 5, 4, 3, 2, 1, 1 };

	memset(&zstd_tree, 0, sizeof(zstd_tree));
	zstd_tree.n = 'g' + 1;
	memcpy(&zstd_tree.weights['a'], weights, sizeof(weights));
}

enum form { ONE, FOUR_10, FOUR_14, FOUR_18 };

/*
 * Compressed literals with the code of zstd_tree. described: the description by FSE, else direct.
 * more: literals that are in the last bitstream in addition.
 */
static void packed_literals(enum form form, uint32_t n, bool described, unsigned more)
{
	static const int often[7] = { 20, 2, 2, 2, 2, 2, 2 };
	size_t head = zstd.len, at, jumps;
	uint32_t part = (n + 3) / 4;

	zstd_packed_literals(2, form, n, 0);
	at = zstd.len;
	if (described)
		zstd_described(5, often, COUNT(often));
	else
		zstd_direct();
	if (form == ONE) {
		zstd_coded_all(zstd_wanted, n);
	} else {
		jumps = zstd.len;
		zstd_put(0, 6);
		for (unsigned i = 0; i < 3; i++) {
			uint32_t len = zstd_coded_all(zstd_wanted + i * part, part);

			zstd.bytes[jumps + 2 * i] = (uint8_t)len;
			zstd.bytes[jumps + 2 * i + 1] = (uint8_t)(len >> 8);
		}
		zstd_coded_all(zstd_wanted + 3 * part, n - 3 * part + more);
	}
	jumps = zstd.len;
	zstd.len = head;
	zstd_packed_literals(2, form, n, (uint32_t)(jumps - at));
	zstd.len = jumps;
}

static void test_packed_literals(void **state)
{
	static const struct {
		enum form form;
		uint32_t n;
	} cases[] = {
		{ ONE, 1 },         { ONE, 2 },     { ONE, 1023 },       { FOUR_10, 6 },
		{ FOUR_10, 7 },     { FOUR_10, 9 }, { FOUR_10, 1000 },   { FOUR_14, 6 },
		{ FOUR_14, 16383 }, { FOUR_18, 6 }, { FOUR_18, 131072 },
	};

	(void)state;
	letter_code();
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (unsigned described = 0; described < 2; described++) {
			uint32_t n = cases[i].n;

			test_case("form %u, %u literals, described %u", cases[i].form, n,
			          described);
			for (uint32_t k = 0; k < n; k++)
				zstd_wanted[k] = (uint8_t)('a' + test_random(7));
			zstd_begin();
			zstd_magic();
			zstd_put(0, 1);
			zstd_put(10 << 3, 1);
			zstd_block_begin(true);
			packed_literals(cases[i].form, n, described != 0, 0);
			zstd_put(0, 1);
			zstd_block_end();
			zstd_good(n);
		}
	}
}

/* Begins a frame and a block with compressed literals of one bitstream, up to their code. */
static size_t begin_packed(unsigned form, uint32_t n)
{
	zstd_begin();
	zstd_plain_frame();
	zstd_block_begin(true);
	zstd_packed_literals(2, form, n, 0);
	return zstd.len;
}

/* Ends them, with the right size, and without sequences. */
static void end_packed(unsigned form, uint32_t n, size_t at)
{
	static const uint8_t header[4] = { 3, 3, 4, 5 };
	size_t end = zstd.len;

	zstd.len = at - header[form];
	zstd_packed_literals(2, form, n, (uint32_t)(end - at));
	zstd.len = end;
	zstd_put(0, 1);
	zstd_block_end();
	zstd_put(0, 32);
}

/* The weights of a code: what is valid, and what is not. */
static void test_weights(void **state)
{
	static const struct {
		uint8_t n;
		uint8_t weights[16];
		enum { GOOD, BAD, FORBIDDEN } what;
	} cases[] = {
		{ 2, { 1, 1 }, GOOD },
		{ 3, { 2, 1, 1 }, GOOD },
		{ 3, { 1, 1, 2 }, GOOD },
		{ 12, { 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 11 }, GOOD },
		{ 13, { 11, 0, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1 }, GOOD },       /* depth 11 */
		{ 13, { 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1 }, FORBIDDEN }, /* depth 12 */
		{ 14, { 11, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 11 }, FORBIDDEN },
		{ 14, { 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1 }, BAD },
		{ 2, { 15, 15 }, BAD },
		{ 2, { 0, 1 }, BAD },       /* weights of 0 only */
		{ 3, { 2, 2, 3 }, BAD },    /* none of 1 */
		{ 3, { 3, 1, 1 }, BAD },    /* the rest is no power of two */
		{ 4, { 1, 1, 3, 1 }, BAD }, /* the same */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t at = begin_packed(0, 20);

		test_case("weights %zu", i);
		memset(zstd_wanted, 0, 20);
		memset(&zstd_tree, 0, sizeof(zstd_tree));
		zstd_tree.n = cases[i].n;
		memcpy(zstd_tree.weights, cases[i].weights, sizeof(cases[i].weights));
		zstd_direct();
		if (cases[i].what == BAD)
			zstd_put(0xffffff, 3);
		else
			zstd_coded_all(zstd_wanted, 20);
		end_packed(0, 20, at);
		if (cases[i].what == GOOD)
			zstd_good(20);
		else if (cases[i].what == BAD)
			zstd_bad(20);
		else
			zstd_forbidden(20);
	}
	test_case("129 symbols");
	letters(20);
	memset(&zstd_tree, 0, sizeof(zstd_tree));
	zstd_tree.n = 129;
	for (unsigned i = 0; i < 129; i++)
		zstd_tree.weights[i] = i < 2 ? 1 : 0;
	memset(&zstd_tree.weights['a'], 4, 7);
	zstd_tree.weights[128] = 2;
	zstd_tree.weights[2] = 3;
	{
		size_t at = begin_packed(0, 20);

		zstd_direct();
		zstd_coded_all(zstd_wanted, 20);
		end_packed(0, 20, at);
	}
	zstd_good(20);
}

/* Descriptions of weights by FSE. */
static void test_described_weights(void **state)
{
	static const int often[6] = { 20, 3, 2, 2, 2, 3 };
	static const int rare[64] = { 27, 3, [13] = 1, [63] = 1 };
	static const int high[64] = { 28, [62] = 2, [63] = 2 };
	static struct zstd_table t;
	size_t at;

	(void)state;
	letters(40);
	for (unsigned i = 0; i < 40; i++)
		zstd_wanted[i] = (uint8_t)('a' + i % 7);
	test_case("from 2 to 255 weights");
	for (unsigned n = 2; n <= 255; n++) {
		memset(&zstd_tree, 0, sizeof(zstd_tree));
		zstd_tree.n = n + 1;
		zstd_tree.weights[0] = zstd_tree.weights[1] = 1;
		zstd_tree.weights[n] = 2;
		memset(zstd_wanted, 1, 10);
		zstd_wanted[3] = (uint8_t)n;
		if (n > 127)
			continue;
		at = begin_packed(0, 10);
		zstd_described(5, often, COUNT(often));
		zstd_coded_all(zstd_wanted, 10);
		end_packed(0, 10, at);
		zstd_good(10);
	}
	test_case("a symbol that no weight has, and that does not occur");
	memset(&zstd_tree, 0, sizeof(zstd_tree));
	zstd_tree.n = 21;
	zstd_tree.weights[0] = zstd_tree.weights[1] = 1;
	zstd_tree.weights[20] = 2;
	memset(zstd_wanted, 1, 10);
	at = begin_packed(0, 10);
	zstd_described(5, rare, COUNT(rare));
	zstd_coded_all(zstd_wanted, 10);
	end_packed(0, 10, at);
	zstd_good(10);
	test_case("a table whose states never need a bit: endless weights");
	at = begin_packed(0, 10);
	t = (struct zstd_table){ .log = 5, .n = 2, .often = { 0, 32 } };
	zstd_put(0, 1);
	zstd_describe(&t);
	zstd_put(0x4000, 2);
	zstd.bytes[at] = (uint8_t)(zstd.len - at - 1);
	zstd_put(0xff, 1);
	end_packed(0, 10, at);
	zstd_bad(10);
	test_case("weights that no code has");
	at = begin_packed(0, 10);
	t = (struct zstd_table){ .log = 5, .n = 64 };
	memcpy(t.often, high, sizeof(high));
	zstd_put(0, 1);
	zstd_describe(&t);
	zstd_put(0x40ff, 2);
	zstd.bytes[at] = (uint8_t)(zstd.len - at - 1);
	zstd_put(0xff, 1);
	end_packed(0, 10, at);
	zstd_bad(10);
	test_case("no bitstream, and one without a mark");
	for (unsigned i = 0; i < 2; i++) {
		at = begin_packed(0, 10);
		t = (struct zstd_table){ .log = 5, .n = 6 };
		memcpy(t.often, often, sizeof(often));
		zstd_put(0, 1);
		zstd_describe(&t);
		zstd_put(0, i);
		zstd.bytes[at] = (uint8_t)(zstd.len - at - 1);
		zstd_put(0xff, 1);
		end_packed(0, 10, at);
		zstd_bad(10);
	}
	test_case("too few bits for the states");
	at = begin_packed(0, 10);
	zstd_put(0, 1);
	zstd_describe(&t);
	zstd_put(0x1f, 1);
	zstd.bytes[at] = (uint8_t)(zstd.len - at - 1);
	zstd_put(0xff, 1);
	end_packed(0, 10, at);
	zstd_bad(10);
	test_case("a table that is too large");
	at = begin_packed(0, 10);
	zstd_put(4, 1);
	zstd_put(2, 4);
	zstd_put(0xff, 1);
	end_packed(0, 10, at);
	zstd_bad(10);
	test_case("a description that is longer than the literals");
	at = begin_packed(0, 10);
	zstd_put(100, 1);
	zstd_put(0, 10);
	end_packed(0, 10, at);
	zstd_bad(10);
	test_case("no description");
	at = begin_packed(0, 10);
	end_packed(0, 10, at);
	zstd_bad(10);
}

/* Bitstreams of literals that do not end where they should. Of four, libzstd does not look. */
static void test_packed_ends(void **state)
{
	size_t at;

	(void)state;
	letter_code();
	memset(zstd_wanted, 'a', CLUSTER);
	for (uint32_t n = 19; n <= 28; n++) {
		test_case("%u codes for 20 literals", n);
		at = begin_packed(0, 20);
		zstd_direct();
		zstd_coded_all(zstd_wanted, n);
		end_packed(0, 20, at);
		if (n == 20)
			zstd_good(20);
		else
			zstd_bad(20);
	}
	for (unsigned more = 0; more < 20; more++) {
		test_case("four bitstreams, %u more literals in the last one", more);
		zstd_begin();
		zstd_plain_frame();
		zstd_block_begin(true);
		packed_literals(FOUR_14, 2000, false, more);
		zstd_put(0, 1);
		zstd_block_end();
		if (more == 0)
			zstd_good(2000);
		else
			zstd_forbidden(2000);
	}
	test_case("an empty bitstream, and one without a mark");
	for (unsigned i = 0; i < 2; i++) {
		at = begin_packed(0, 20);
		zstd_direct();
		zstd_put(0, i);
		end_packed(0, 20, at);
		zstd_bad(20);
	}
	test_case("four bitstreams for five literals");
	at = begin_packed(1, 5);
	packed_literals(FOUR_10, 6, false, 0);
	memmove(zstd.bytes + at, zstd.bytes + at + 3, zstd.len - at - 3);
	zstd.len -= 3;
	end_packed(1, 5, at);
	zstd_bad(5);
	test_case("the first, the second, the third is longer than there is");
	for (unsigned i = 0; i < 3; i++) {
		size_t jumps;

		at = begin_packed(1, 100);
		packed_literals(FOUR_10, 100, false, 0);
		memmove(zstd.bytes + at, zstd.bytes + at + 3, zstd.len - at - 3);
		zstd.len -= 3;
		jumps = at + 1 + ('g' - 0 + 1) / 2;
		zstd.bytes[jumps + 2 * i + 1] = 1;
		end_packed(1, 100, at);
		zstd_bad(100);
	}
	test_case("nothing where the four bitstreams begin");
	at = begin_packed(1, 100);
	zstd_direct();
	zstd_put(0, 5);
	end_packed(1, 100, at);
	zstd_bad(100);
	test_case("literals that are longer than the block");
	at = begin_packed(0, 20);
	zstd_direct();
	zstd_coded_all(zstd_wanted, 20);
	end_packed(0, 20, at);
	zstd.bytes[at - 1] = 0x80;
	zstd_bad(20);
}

/* "Treeless" literals use the code of an earlier block of their frame. */
static void test_treeless(void **state)
{
	size_t at;

	(void)state;
	letter_code();
	for (uint32_t i = 0; i < CLUSTER; i++)
		zstd_wanted[i] = (uint8_t)('a' + test_random(7));
	zstd_begin();
	zstd_plain_frame();
	zstd_block_begin(false);
	packed_literals(ONE, 1000, true, 0);
	zstd_put(0, 1);
	zstd_block_end();
	zstd_raw(false, zstd_wanted + 1000, 96);
	for (unsigned i = 0; i < 3; i++) {
		zstd_block_begin(i == 2);
		at = zstd.len;
		zstd_packed_literals(3, 0, 1000, 0);
		zstd_packed_literals(3, 0, 1000,
		                     zstd_coded_all(zstd_wanted + 1096 + i * 1000, 1000));
		zstd.len -= 3;
		memcpy(zstd.bytes + at, zstd.bytes + zstd.len, 3);
		zstd_put(0, 1);
		zstd_block_end();
	}
	zstd_good(CLUSTER);
	test_case("without a code, or with one of an earlier frame");
	for (unsigned i = 0; i < 2; i++) {
		zstd_begin();
		zstd_plain_frame();
		zstd_block_begin(true);
		packed_literals(ONE, 100, true, 0);
		zstd_put(0, 1);
		zstd_block_end();
		if (i == 0)
			zstd_begin();
		zstd_plain_frame();
		zstd_block_begin(true);
		zstd_packed_literals(3, 0, 1, 1);
		zstd_put(0x10, 1);
		zstd_put(0, 1);
		zstd_block_end();
		zstd_bad(i == 0 ? 1 : 101);
	}
}

/* ---- Sequences ---- */

/* Applies sequences of zstd_wanted itself, with plain offsets; returns the length. */
static uint32_t apply(const struct zstd_sequence *q, uint32_t n, uint32_t at, uint32_t *offsets)
{
	for (uint32_t i = 0; i < n; i++) {
		at += q[i].literals;
		for (uint32_t k = 0; k < q[i].match; k++, at++)
			zstd_wanted[at] = zstd_wanted[at - offsets[i]];
	}
	return at;
}

/* Begins a frame and a block, and writes the literals of sequences that are in zstd_wanted. */
static void begin_sequences(const struct zstd_sequence *q, uint32_t n, uint32_t at, uint32_t rest)
{
	uint32_t total = rest;

	for (uint32_t i = 0; i < n; i++)
		total += q[i].literals;
	zstd_literals(0, total, total < 32 ? 5 : total < 4096 ? 12 : 20);
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < q[i].literals; k++)
			zstd_put(zstd_wanted[at++], 1);
		at += q[i].match;
	}
	for (; rest != 0; rest--)
		zstd_put(zstd_wanted[at++], 1);
}

/* Every length code and every offset code that a cluster of 2 MiB can have. */
static void test_all_codes(void **state)
{
	static const uint32_t lls[] = { 0,    1,     15,    16,    17,    18,    20,    23,
		                        24,   27,    28,    31,    32,    39,    40,    47,
		                        48,   63,    64,    127,   128,   255,   256,   511,
		                        512,  1023,  1024,  2047,  2048,  4095,  4096,  8191,
		                        8192, 16383, 16384, 32767, 32768, 65535, 65536, 70000 };
	static const uint32_t mls[] = { 3,     4,     34,    35,    36,   37,   42,   43,    46,
		                        47,    50,    51,    58,    59,   66,   67,   82,    83,
		                        98,    99,    130,   131,   258,  259,  514,  515,   1026,
		                        1027,  2050,  2051,  4098,  4099, 8194, 8195, 16386, 16387,
		                        32770, 32771, 65538, 65539, 70000 };
	uint32_t at = 5, n = 0;

	(void)state;
	letters(1 << 21);
	zstd_begin();
	zstd_magic();
	zstd_put(0, 1);
	zstd_put(11 << 3, 1);
	zstd_raw(false, zstd_wanted, 5);
	while (n < COUNT(lls) + COUNT(mls)) {
		struct zstd_sequence q = { .literals = 3, .match = 3 };
		uint32_t offset;

		if (n < COUNT(lls))
			q.literals = lls[n];
		else
			q.match = mls[n - COUNT(lls)];
		n++;
		/* Offsets grow with the output, and reach back to its first byte. */
		offset = at + q.literals - (n % 3);
		q.offset = offset + 3;
		zstd_block_begin(false);
		begin_sequences(&q, 1, at, 0);
		zstd_default_sequences(&q, 1);
		zstd_block_end();
		at = apply(&q, 1, at, &offset);
	}
	zstd_raw(true, NULL, 0);
	zstd_good(at);
}

/* Random sequences in one block, with matches that overlap themselves and literals at the end. */
static void random_sequences(struct zstd_sequence *q, uint32_t *offsets, uint32_t n, uint32_t at)
{
	for (uint32_t i = 0; i < n; i++) {
		q[i].literals = (uint32_t)test_random(i % 5 == 0 ? 50 : 4);
		q[i].match = 3 + (uint32_t)test_random(i % 7 == 0 ? 90 : 5);
		at += q[i].literals;
		if (at == 0) {
			q[i].literals++;
			at++;
		}
		offsets[i] = 1 + (uint32_t)test_random(at < 1000 ? at : 1000);
		q[i].offset = offsets[i] + 3;
		at += q[i].match;
	}
}

enum { N_SEQUENCES = 600 };
static struct zstd_sequence sequences[N_SEQUENCES];
static uint32_t offsets[N_SEQUENCES];

static void test_sequences(void **state)
{
	static const uint32_t numbers[] = { 1, 2, 127, 128, 255, 256, 600 };

	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		uint32_t n = numbers[i], len;

		test_case("%u sequences", n);
		letters(1 << 17);
		random_sequences(sequences, offsets, n, 0);
		len = apply(sequences, n, 0, offsets);
		zstd_begin();
		zstd_plain_frame();
		zstd_block_begin(true);
		begin_sequences(sequences, n, 0, 7);
		zstd_default_sequences(sequences, n);
		zstd_block_end();
		zstd_good(len + 7);
		test_case("%u sequences, without room for the last byte", n);
		zstd_bad(len + 6);
		test_case("%u sequences, without room for all matches", n);
		zstd_bad(len - 1);
	}
}

/* The number of sequences in its longest form, and zero in two bytes. */
static void test_number_of_sequences(void **state)
{
	enum { N = 0x7f00 + 5 };
	static struct zstd_sequence q[N];

	(void)state;
	for (uint32_t i = 0; i < N; i++)
		q[i] = (struct zstd_sequence){ 0, 3, 1 + 3 };
	q[0].literals = 1;
	memset(zstd_wanted, 'z', 3 * N + 1);
	zstd_begin();
	zstd_magic();
	zstd_put(0, 1);
	zstd_put(17 << 3, 1);
	zstd_block_begin(true);
	begin_sequences(q, 1, 0, 0);
	zstd_default_sequences(q, N);
	zstd_block_end();
	zstd_good(3 * N + 1);
	test_case("zero in two bytes: valid, but libzstd refuses it");
	letters(20);
	zstd_begin();
	zstd_plain_frame();
	zstd_block_begin(true);
	begin_sequences(q, 0, 0, 20);
	zstd_put(0x80, 2);
	zstd_block_end();
	EQ(zstd_decode(zstd.bytes, zstd.len, 20, &(struct zstd_run){ 0 }), QCOW2_OK);
}

/* Tables that are described, and those of one symbol; and that they can be repeated. */
static void test_table_modes(void **state)
{
	static struct zstd_table t[3];
	struct zstd_sequence q[40];
	uint32_t at = 40, starts[40];

	(void)state;
	letters(CLUSTER);
	t[ZSTD_LL] = (struct zstd_table){ .log = 5, .n = 4, .often = { 20, 5, -1, 6 } };
	t[ZSTD_OF] = (struct zstd_table){ .log = 8, .n = 6, .often = { 0, 0, 250, 3, 2, -1 } };
	t[ZSTD_ML] =
		(struct zstd_table){ .log = 9, .n = 40, .often = { 400, 0, 0, 0, 0, 100, -1 } };
	t[ZSTD_ML].often[39] = 11;
	for (unsigned k = 0; k < 3; k++)
		zstd_table_make(&t[k]);
	for (uint32_t i = 0; i < 40; i++) {
		q[i] = (struct zstd_sequence){ i % 4,
			                       i % 3 == 0   ? 8
			                       : i % 7 == 0 ? 9
			                                    : 3,
			                       4 + i % 4 };
		starts[i] = q[i].offset - 3;
	}
	zstd_begin();
	zstd_plain_frame();
	zstd_raw(false, zstd_wanted, 40);
	for (unsigned block = 0; block < 3; block++) {
		uint32_t from = at;

		at = apply(q, 40, at, starts);
		if (block == 1) /* which changes no table */
			zstd_raw(false, NULL, 0);
		zstd_block_begin(block == 2);
		begin_sequences(q, 40, from, 0);
		zstd_n_sequences(40);
		zstd_put(block == 0 ? 0xa8 : 0xfc, 1);
		for (unsigned k = 0; block == 0 && k < 3; k++)
			zstd_describe(&t[k]);
		zstd_sequences(q, 40, t);
		zstd_block_end();
	}
	zstd_good(at);

	test_case("tables of one symbol, and their repetition");
	at = 40;
	zstd_rle(&t[ZSTD_LL], 2);
	zstd_rle(&t[ZSTD_OF], 3);
	zstd_rle(&t[ZSTD_ML], 7);
	for (uint32_t i = 0; i < 20; i++) {
		q[i] = (struct zstd_sequence){ 2, 10, 8 + i % 8 };
		starts[i] = q[i].offset - 3;
	}
	zstd_begin();
	zstd_plain_frame();
	zstd_raw(false, zstd_wanted, 40);
	for (unsigned block = 0; block < 2; block++) {
		uint32_t from = at;

		at = apply(q, 20, at, starts);
		zstd_block_begin(block == 1);
		begin_sequences(q, 20, from, 0);
		zstd_n_sequences(20);
		zstd_put(block == 0 ? 0x54 : 0xfc, 1);
		zstd_put(0x070302, block == 0 ? 3 : 0);
		zstd_sequences(q, 20, t);
		zstd_block_end();
	}
	zstd_good(at);
}

/* Begins a frame with 20 bytes and a block with 20 literals; what follows is their sequences. */
static void begin_tables(void)
{
	letters(40);
	zstd_begin();
	zstd_plain_frame();
	zstd_raw(false, zstd_wanted, 20);
	zstd_block_begin(true);
	begin_sequences(NULL, 0, 20, 20);
}

static void end_tables(void)
{
	zstd_block_end();
	zstd_put(0, 40);
}

static void test_bad_tables(void **state)
{
	static const struct zstd_sequence q = { 1, 3, 4 };
	static struct zstd_table t[3];

	(void)state;
	for (unsigned mode = 0; mode < 3; mode++) {
		test_case("table %u is that of an earlier block, which has none", mode);
		begin_tables();
		zstd_put(1, 1);
		zstd_put(0xc0u >> 2 * mode, 1);
		zstd_put(0xffff, 2);
		end_tables();
		zstd_bad(43);
	}
	for (unsigned bits = 1; bits < 4; bits++) {
		test_case("reserved bits %u", bits);
		for (unsigned k = 0; k < 3; k++)
			zstd_default(&t[k], k);
		begin_tables();
		zstd_put(1, 1);
		zstd_put(bits, 1);
		zstd_sequences(&q, 1, t);
		end_tables();
		zstd_forbidden(43);
	}
	for (unsigned k = 0; k < 3; k++) {
		static const uint8_t last[3] = { 35, 31, 52 };

		test_case("table %u has one symbol, which does not exist", k);
		begin_tables();
		zstd_put(1, 1);
		zstd_put(0x40u >> 2 * k, 1);
		zstd_put(last[k] + 1u, 1);
		zstd_put(0xffff, 2);
		end_tables();
		zstd_bad(43);
		test_case("table %u is too large", k);
		begin_tables();
		zstd_put(1, 1);
		zstd_put(0x80u >> 2 * k, 1);
		zstd_put(k == ZSTD_OF ? 4 : 5, 1);
		zstd_put(UINT64_MAX, 8);
		end_tables();
		zstd_bad(43);
		test_case("table %u has a symbol too many", k);
		t[k] = (struct zstd_table){ .log = 5, .n = last[k] + 2u, .often = { 20, 5 } };
		t[k].often[last[k] + 1] = 7;
		begin_tables();
		zstd_put(1, 1);
		zstd_put(0x80u >> 2 * k, 1);
		zstd_describe(&t[k]);
		zstd_put(UINT64_MAX, 8);
		end_tables();
		zstd_bad(43);
		test_case("table %u has more zeros than symbols", k);
		begin_tables();
		zstd_put(1, 1);
		zstd_put(0x80u >> 2 * k, 1);
		/* Log 5, probability 0 for the first symbol, and as many zeros as can be. */
		zstd_put(UINT64_C(0xfffffffffffffe10), 8);
		zstd_put(UINT64_MAX, 8);
		end_tables();
		zstd_bad(43);
		test_case("table %u has only rare symbols", k);
		t[k] = (struct zstd_table){ .log = 5, .n = 32 };
		for (unsigned i = 0; i < 32; i++)
			t[k].often[i] = -1;
		for (unsigned i = 0; i < 3; i++)
			if (i != k)
				zstd_default(&t[i], i);
		zstd_table_make(&t[k]);
		begin_tables();
		zstd_put(1, 1);
		zstd_put(0x80u >> 2 * k, 1);
		zstd_describe(&t[k]);
		zstd_sequences(&q, 1, t);
		end_tables();
		TRUE(zstd_oracle(zstd.bytes, zstd.len, 43));
		EQ(zstd_decode(zstd.bytes, zstd.len, 43, &(struct zstd_run){ 0 }), QCOW2_OK);
		zstd_oracle_same(zstd_output);
	}
}

/* Tables of an earlier frame, or of a block without sequences in between. */
static void test_tables_in_time(void **state)
{
	static const struct zstd_sequence q = { 1, 3, 4 };
	static struct zstd_table t[3];

	(void)state;
	for (unsigned k = 0; k < 3; k++)
		zstd_default(&t[k], k);
	for (unsigned frames = 1; frames <= 2; frames++) {
		test_case("%u frames", frames);
		memset(zstd_wanted, 'q', 12);
		zstd_begin();
		zstd_plain_frame();
		zstd_block_begin(frames == 2);
		begin_sequences(&q, 1, 0, 0);
		zstd_default_sequences(&q, 1);
		zstd_block_end();
		if (frames == 2)
			zstd_plain_frame();
		else
			zstd_raw(false, NULL, 0);
		zstd_block_begin(false);
		zstd_literals(0, 4, 5);
		zstd_put(0x71717171, 4);
		zstd_put(0, 1);
		zstd_block_end();
		zstd_block_begin(true);
		begin_sequences(&q, 1, 0, 0);
		zstd_n_sequences(1);
		zstd_put(0xfc, 1);
		zstd_sequences(&q, 1, t);
		zstd_block_end();
		if (frames == 1)
			zstd_good(12);
		else
			zstd_bad(12);
	}
}

/* ---- Offsets ---- */

/* Repeat offsets, with and without literals, against a model. */
static void test_repeat_offsets(void **state)
{
	uint32_t repeat[3] = { 1, 4, 8 };
	uint32_t at = 20, n;

	(void)state;
	letters(1 << 17);
	for (n = 0; n < N_SEQUENCES; n++) {
		struct zstd_sequence *q = &sequences[n];
		uint32_t value = (uint32_t)test_random(4), offset, index;

		q->literals = (uint32_t)test_random(2);
		q->match = 3;
		if (q->literals == 0 && value == 3 && repeat[0] == 1)
			value = 0;
		q->offset = value != 0 ? value : 4 + (uint32_t)test_random(15);
		index = q->offset - (q->literals != 0);
		if (q->offset > 3)
			offset = q->offset - 3;
		else
			offset = index == 3 ? repeat[0] - 1 : repeat[index];
		if (q->offset > 3 || index >= 2)
			repeat[2] = repeat[1];
		if (q->offset > 3 || index >= 1)
			repeat[1] = repeat[0];
		repeat[0] = offset;
		offsets[n] = offset;
	}
	zstd_begin();
	zstd_plain_frame();
	zstd_raw(false, zstd_wanted, 20);
	zstd_block_begin(true);
	begin_sequences(sequences, n, 20, 0);
	at = apply(sequences, n, 20, offsets);
	/* Now that zstd_wanted is complete, write the literals once more. */
	zstd_begin();
	zstd_plain_frame();
	zstd_raw(false, zstd_wanted, 20);
	zstd_block_begin(true);
	begin_sequences(sequences, n, 20, 0);
	zstd_default_sequences(sequences, n);
	zstd_block_end();
	zstd_good(at);
}

/* One sequence after 20 bytes of this frame, and 20 of the one before. */
static void one_sequence(uint32_t literals, uint32_t match, uint32_t offset)
{
	struct zstd_sequence q = { literals, match, offset };

	letters(100);
	zstd_begin();
	zstd_plain_frame();
	zstd_raw(true, zstd_wanted, 20);
	zstd_plain_frame();
	zstd_raw(false, zstd_wanted + 20, 20);
	zstd_block_begin(true);
	zstd_literals(0, 5, 5);
	zstd_put(0x6565656565, 5);
	zstd_default_sequences(&q, 1);
	zstd_block_end();
}

static void test_bad_offsets(void **state)
{
	(void)state;
	test_case("to the first byte of the frame");
	one_sequence(2, 5, 22 + 3);
	TRUE(zstd_oracle(zstd.bytes, zstd.len, 50));
	EQ(zstd_decode(zstd.bytes, zstd.len, 50, &(struct zstd_run){ 0 }), QCOW2_OK);
	zstd_oracle_same(zstd_output);
	test_case("to the last byte of the frame before");
	one_sequence(2, 5, 23 + 3);
	zstd_bad(50);
	test_case("far");
	one_sequence(2, 5, (1 << 22) + 7);
	zstd_bad(50);
	one_sequence(2, 5, 1 << 28);
	zstd_bad(50);
	test_case("the first offset less 1, which is 0");
	one_sequence(0, 5, 3);
	zstd_forbidden(50);
	test_case("more literals than there are");
	one_sequence(6, 5, 4);
	zstd_bad(51);
	test_case("a match that is too long");
	one_sequence(0, 6, 4);
	zstd_bad(50);
	test_case("beyond the window of the frame, but inside its output");
	{
		struct zstd_sequence q = { 0, 3, 1024 + 3 };

		for (unsigned more = 0; more < 2; more++) {
			letters(2048 + 3);
			zstd_begin();
			zstd_magic();
			zstd_put(0, 1);
			zstd_put(0, 1);
			zstd_raw(false, zstd_wanted, 1024);
			zstd_raw(false, zstd_wanted + 1024, 1024);
			zstd_block_begin(true);
			zstd_literals(0, 0, 5);
			q.offset += more;
			zstd_default_sequences(&q, 1);
			zstd_block_end();
			apply(&q, 1, 2048, &(uint32_t){ 1024 + more });
			if (more == 0)
				zstd_good(2048 + 3);
			else
				zstd_forbidden(2048 + 3);
		}
	}
}

/* Sequences whose bitstream is not used up, is too short, or is not there. */
static void test_sequence_ends(void **state)
{
	static struct zstd_table t[3];
	static const struct zstd_sequence q[3] = { { 1, 3, 4 }, { 2, 3, 4 }, { 2, 3, 4 } };

	(void)state;
	for (unsigned k = 0; k < 3; k++)
		zstd_default(&t[k], k);
	for (unsigned n = 1; n <= 3; n++) {
		test_case("%u sequences, where it says 2", n);
		begin_tables();
		zstd_n_sequences(2);
		zstd_put(0, 1);
		zstd_sequences(q, n, t);
		end_tables();
		if (n == 2) {
			TRUE(zstd_oracle(zstd.bytes, zstd.len, 46));
		} else {
			EQ(zstd_decode(zstd.bytes, zstd.len, 46, &(struct zstd_run){ 0 }),
			   QCOW2_E_COMPRESSED);
		}
	}
	for (unsigned i = 0; i < 3; i++) {
		test_case("bitstream %u", i);
		begin_tables();
		zstd_n_sequences(1);
		zstd_put(0, 1);
		zstd_put(0, i); /* none, or without a mark */
		end_tables();
		zstd_bad(43);
	}
	test_case("a symbol is taken beyond the beginning");
	begin_tables();
	zstd_n_sequences(1);
	zstd_put(0, 1);
	zstd_put(0x10, 1);
	end_tables();
	EQ(zstd_decode(zstd.bytes, zstd.len, 43, &(struct zstd_run){ 0 }), QCOW2_E_COMPRESSED);
}

static int choose_fast(void **state)
{
	(void)state;
	zstd_codec = &qcow2_zstd_fast;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_magic),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_block_size),
		cmocka_unit_test(test_plain_literals),
		cmocka_unit_test(test_packed_literals),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_described_weights),
		cmocka_unit_test(test_packed_ends),
		cmocka_unit_test(test_treeless),
		cmocka_unit_test(test_all_codes),
		cmocka_unit_test(test_sequences),
		cmocka_unit_test(test_number_of_sequences),
		cmocka_unit_test(test_table_modes),
		cmocka_unit_test(test_bad_tables),
		cmocka_unit_test(test_tables_in_time),
		cmocka_unit_test(test_repeat_offsets),
		cmocka_unit_test(test_bad_offsets),
		cmocka_unit_test(test_sequence_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) +
	       cmocka_run_group_tests(tests, choose_fast, NULL);
}
