/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The block adapter, over a model of a device. The device checks that the adapter asks only for
 * whole blocks of the file, with aligned buffers, and for no more blocks than the device can read
 * at once. The caller's buffer and the bounce block are next to guard pages.
 */
#include "support.h"

#include <string.h>

#include "qcow2/block.h"

enum { PATTERN = 512 * 1024, BLOCK_MAX = 65536, DEVICE_FAULT = 815 };

static uint8_t pattern[PATTERN]; /* the content of the device, which repeats */
static struct guarded bounce, dest;

struct device {
	struct qcow2_block block;
	struct qcow2_io io;
	uint64_t calls, blocks;
	uint64_t first_lba; /* of the last call */
	uint64_t fail_at;   /* the number of the call that fails, from 1; 0: none */
	bool persistent;    /* all calls after it also fail */
};

/* Places a buffer `off` bytes after a multiple of align. All buffers use the same memory. */
static uint8_t *place(struct guarded *g, size_t room, size_t len, size_t align, size_t off)
{
	if (g->map == NULL)
		guard_map(g, room);
	guard_place(g, len, align, off);
	return g->p;
}

static int device_read(void *ctx, uint64_t lba, uint32_t count, void *buf)
{
	struct device *d = ctx;
	uint64_t len = d->block.block_len;
	uint64_t n_blocks = (d->block.size - 1) / len + 1;

	d->calls++;
	d->blocks += count;
	d->first_lba = lba;
	TRUE(count > 0);
	LE(count, d->block.max_blocks != 0 ? d->block.max_blocks : UINT32_MAX);
	LE(lba, n_blocks - 1);
	LE(count, n_blocks - lba);
	EQ((uintptr_t)buf % d->block.align, 0);
	if (d->fail_at != 0 && (d->persistent ? d->calls >= d->fail_at : d->calls == d->fail_at)) {
		memset(buf, 0xfa, (size_t)(count * len));
		return DEVICE_FAULT;
	}
	for (uint32_t i = 0; i < count; i++)
		memcpy((uint8_t *)buf + i * len, pattern + (lba + i) % (PATTERN / len) * len,
		       (size_t)len);
	return 0;
}

static const struct qcow2_block_ops device_ops = { .read = device_read };

static void device_init(struct device *d, uint64_t size, uint32_t block_len, uint32_t align,
                        uint32_t max_blocks)
{
	memset(d, 0, sizeof *d);
	d->block.ops = &device_ops;
	d->block.ctx = d;
	d->block.size = size;
	d->block.block_len = block_len;
	d->block.align = align;
	d->block.max_blocks = max_blocks;
	d->block.bounce = place(&bounce, BLOCK_MAX, block_len, align, 0);
	EQ(qcow2_block_init(&d->block, &d->io), QCOW2_OK);
	EQ(d->io.size, size);
	if (pattern[0] == 0) {
		for (size_t i = 0; i < PATTERN; i++)
			pattern[i] = (uint8_t)(test_random(255) + 1);
	}
}

/* A buffer `off` bytes after an address that the device accepts. */
static uint8_t *buffer(const struct device *d, size_t off, size_t len)
{
	return place(&dest, PATTERN, len, d->block.align, off);
}

/* Reads into the buffer, and checks the canaries around it and the bounce block. */
static int device_bytes(struct device *d, uint64_t pos, uint8_t *buf, size_t len)
{
	int rc = d->io.ops->read(d->io.ctx, pos, buf, len);

	guard_check(&dest);
	guard_check(&bounce);
	return rc;
}

/* Reads, compares, and returns the number of calls. */
static uint64_t cost(struct device *d, uint64_t pos, size_t len, size_t off)
{
	uint8_t *p = buffer(d, off, len);
	uint64_t before = d->calls;

	EQ(device_bytes(d, pos, p, len), 0);
	SAME(p, pattern + pos % PATTERN, len);
	return d->calls - before;
}

/* The calls that a read needs on a fresh adapter, if the block length is a multiple of align. */
static uint64_t expected_cost(const struct device *d, uint64_t pos, uint64_t len, uint64_t off)
{
	uint64_t block = d->block.block_len;
	uint64_t most = d->block.max_blocks != 0 ? d->block.max_blocks : UINT32_MAX;
	uint64_t first = (pos + block - 1) / block; /* whole blocks: [first, last) */
	uint64_t last = (pos + len) / block;
	uint64_t blocks = (pos + len - 1) / block - pos / block + 1;

	if (first >= last || (off + first * block - pos) % d->block.align != 0)
		return blocks;
	return blocks - (last - first) + (last - first + most - 1) / most;
}

/* ---- Every shape of device, every kind of range ---- */

/* All ranges that begin and end near the border of a block, or in the middle of one. */
static void try_ranges(uint32_t block_len, uint32_t align, uint32_t max_blocks, size_t off)
{
	static const int steps[] = { -2, -1, 0, 1, 2, 100 };
	uint64_t size = 4 * (uint64_t)block_len + 137;
	uint64_t points[5 * COUNT(steps)];
	size_t n = 0;

	for (uint64_t i = 0; i < 5; i++)
		for (size_t k = 0; k < COUNT(steps); k++)
			if (i != 0 || steps[k] >= 0)
				points[n++] = i * block_len + (uint64_t)steps[k];
	points[n++] = size;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = i + 1; k < n; k += test_brief() ? 3 : 1) {
			size_t len = (size_t)(points[k] - points[i]);
			uint64_t want;
			struct device d;

			device_init(&d, size, block_len, align, max_blocks);
			test_case("block %u align %u max %u buffer +%zu: %zu at %u", block_len,
			          align, max_blocks, off, len, (unsigned)points[i]);
			want = expected_cost(&d, points[i], len, off);
			if (align <= block_len)
				EQ(cost(&d, points[i], len, off), want);
			else
				cost(&d, points[i], len, off);
		}
	}
}

static void test_geometry(void **state)
{
	static const uint32_t aligns[] = { 1, 2, 8, 64, 512, 4096, 8192 };
	static const uint32_t most[] = { 0, 1, 2, 3, 1000 };

	(void)state;
	for (uint32_t len = 512; len <= BLOCK_MAX; len *= test_brief() ? 128 : 2) {
		/* In brief, all alignments and limits are tried with small blocks only. */
		bool few = test_brief() && len == BLOCK_MAX;

		for (size_t a = 0; a < COUNT(aligns); a += few ? 3 : 1) {
			const size_t offs[] = { 0, 1, aligns[a] / 2, aligns[a] - 1, 510 };

			for (size_t m = 0; m < COUNT(most); m += few ? 2 : 1)
				for (size_t o = 0; o < (len < 4096 ? COUNT(offs) : 2);
				     o += test_brief() ? 2 : 1)
					try_ranges(len, aligns[a], most[m], offs[o]);
		}
	}
}

/* A whole block goes straight to an aligned buffer: the bounce block keeps its content. */
static void test_straight(void **state)
{
	struct device d;

	(void)state;
	test_case("one block, straight");
	device_init(&d, 4 * 512, 512, 4, 0);
	EQ(cost(&d, 10, 10, 0), 1);
	EQ(cost(&d, 512, 512, 0), 1);
	EQ(cost(&d, 20, 10, 0), 0);
}

/* A file that ends inside its fourth block: all short ranges, and all that reach its end. */
static void test_short(void **state)
{
	enum { BLOCK = 512, SIZE = 3 * BLOCK + 77 };
	struct device d;
	size_t longest = test_brief() ? 9 : 48;

	(void)state;
	device_init(&d, SIZE, BLOCK, 4, 0);
	for (size_t pos = 0; pos < SIZE; pos += test_step()) {
		for (size_t len = 1; len <= longest && len <= SIZE - pos; len++) {
			test_case("%zu at %zu", len, pos);
			LE(cost(&d, pos, len, len % 4), 2);
		}
		test_case("from %zu to the end", pos);
		cost(&d, pos, SIZE - pos, pos % 4);
	}
}

/* ---- Calls ---- */

static void test_sequential(void **state)
{
	static const size_t lens[] = { 1, 7, 8, 105, 511, 513, 1000 };

	(void)state;
	for (size_t i = 0; i < COUNT(lens); i++) {
		uint64_t size = 20 * 4096 + 1;
		struct device d;

		test_case("%zu bytes at a time", lens[i]);
		device_init(&d, size, 4096, 1, 0);
		for (uint64_t pos = 0; pos < size; pos += lens[i])
			cost(&d, pos, size - pos < lens[i] ? (size_t)(size - pos) : lens[i], 1);
		EQ(d.calls, 21);
		EQ(d.blocks, 21);
	}
}

/* What the bounce block holds after each read. */
static void test_held(void **state)
{
	struct device d;

	(void)state;
	test_case("held");
	device_init(&d, MIB, 4096, 1, 0);
	EQ(cost(&d, 4096 + 10, 20, 0), 1);
	EQ(cost(&d, 4096 + 4000, 96, 3), 0);
	EQ(cost(&d, 4096 + 4000, 97, 3), 1);
	EQ(cost(&d, 8192 + 1, 4095, 0), 0);
	EQ(cost(&d, 4096, 1, 0), 1);
	/*
	 * Straight reads leave it alone. A read that starts inside the block that it holds uses it.
	 */
	EQ(cost(&d, 8192, 3 * 4096, 0), 1);
	EQ(cost(&d, 4096 + 1, 3 * 4096, 0), 2);
	EQ(cost(&d, 4 * 4096, 1, 0), 0);
	EQ(cost(&d, 5 * 4096 + 1, 18 * 4096, 1), 3);
	EQ(cost(&d, 5 * 4096 + 1, 18 * 4096 - 1, 1), 2);
	test_case("block 0 is not held from the beginning");
	device_init(&d, MIB, 512, 1, 0);
	EQ(cost(&d, 0, 1, 0), 1);
	EQ(cost(&d, 511, 1, 0), 0);
}

/* Positions of 64 bits, and the last block that there can be. */
static void test_far(void **state)
{
	static const uint32_t lens[] = { 512, 4096, 65536 };
	static const uint64_t far[] = { UINT64_C(1) << 31, UINT64_C(1) << 32, UINT64_C(1) << 41,
		                        UINT64_C(1) << 56, UINT64_C(1) << 63, UINT64_MAX - 65535 };

	(void)state;
	for (size_t i = 0; i < COUNT(lens); i++) {
		for (size_t k = 0; k < COUNT(far); k++) {
			struct device d;

			test_case("block %u at %llx", lens[i], (unsigned long long)far[k]);
			device_init(&d, UINT64_MAX, lens[i], 1, 0);
			EQ(cost(&d, far[k] - 1, 1, 0), 1);
			EQ(d.first_lba, (far[k] - 1) / lens[i]);
			EQ(cost(&d, far[k] + 1, 10, 0), 1);
			EQ(d.first_lba, far[k] / lens[i]);
			EQ(cost(&d, UINT64_MAX - 5, 5, 0), lens[i] < BLOCK_MAX || k != 5 ? 1 : 0);
			EQ(d.first_lba, UINT64_MAX / lens[i]);
		}
	}
}

/* ---- Faults ---- */

enum { FAULT_LEN = 6 * 512 + 100, FAULT_POS = 100 };

/* The n-th call fails. Returns false if no n-th call was made. */
static bool one_fault(size_t off, uint64_t n, bool persistent)
{
	struct device d;
	int rc;

	device_init(&d, MIB, 512, 64, 2);
	d.fail_at = n;
	d.persistent = persistent;
	rc = device_bytes(&d, FAULT_POS, buffer(&d, off, FAULT_LEN), FAULT_LEN);
	if (rc == 0) {
		EQ(d.calls, n - 1);
		EQ(d.calls, expected_cost(&d, FAULT_POS, FAULT_LEN, off));
		return false;
	}
	EQ(rc, DEVICE_FAULT);
	EQ(d.calls, n); /* the adapter does not try again */
	/* If the device stays broken, the first call fails, because nothing is held. */
	for (unsigned i = 1; persistent && i <= 3; i++) {
		EQ(device_bytes(&d, FAULT_POS, buffer(&d, off, FAULT_LEN), FAULT_LEN),
		   DEVICE_FAULT);
		EQ(d.calls, n + i);
	}
	d.fail_at = 0;
	EQ(cost(&d, FAULT_POS, FAULT_LEN, off), expected_cost(&d, FAULT_POS, FAULT_LEN, off));
	return true;
}

/* Each call fails, once or persistently. After that, the same read must succeed. */
static void test_faults(void **state)
{
	static const size_t offs[] = { 0, 412 % 64 + 36, 1 }; /* with an aligned middle as well */

	(void)state;
	for (size_t o = 0; o < COUNT(offs); o++) {
		for (unsigned persistent = 0; persistent < 2; persistent++) {
			bool more = true;
			uint64_t n = 0;

			while (more) {
				n++;
				test_case("buffer +%zu, call %u fails%s", offs[o], (unsigned)n,
				          persistent ? " and all after it" : "");
				more = one_fault(offs[o], n, persistent);
			}
			LE(4, n); /* the loop did find calls that can fail */
		}
	}
}

/* After a failed call, the bounce block holds nothing. */
static void test_fault_drops(void **state)
{
	struct device d;

	(void)state;
	test_case("of another block");
	device_init(&d, MIB, 512, 1, 0);
	EQ(cost(&d, 10, 10, 0), 1);
	d.fail_at = 2;
	EQ(device_bytes(&d, 600, buffer(&d, 0, 10), 10), DEVICE_FAULT);
	EQ(cost(&d, 10, 10, 0), 1);
	EQ(cost(&d, 20, 10, 0), 0);
	test_case("of the same block");
	device_init(&d, MIB, 512, 1, 0);
	d.fail_at = 1;
	EQ(device_bytes(&d, 10, buffer(&d, 0, 10), 10), DEVICE_FAULT);
	EQ(cost(&d, 10, 10, 0), 1);
	test_case("straight");
	d.fail_at = 3;
	EQ(device_bytes(&d, 512, buffer(&d, 0, 1024), 1024), DEVICE_FAULT);
	EQ(cost(&d, 10, 10, 0), 1);
}

/* ---- An image on a device ---- */

struct disk {
	const struct image_buf *file;
	uint32_t block_len;
	uint64_t fail_at, calls;
	bool persistent;
};

static int disk_read(void *ctx, uint64_t lba, uint32_t count, void *buf)
{
	struct disk *d = ctx;
	uint64_t pos = lba * d->block_len;
	uint64_t len = (uint64_t)count * d->block_len;

	d->calls++;
	if (d->fail_at != 0 && (d->persistent ? d->calls >= d->fail_at : d->calls == d->fail_at))
		return DEVICE_FAULT;
	memset(buf, 0xee, (size_t)len); /* the device may have anything after the file */
	LE(pos, d->file->len - 1);
	if (len > d->file->len - pos)
		len = d->file->len - pos;
	memcpy(buf, d->file->data + pos, (size_t)len);
	return 0;
}

static const struct qcow2_block_ops disk_ops = { .read = disk_read };

/* An image on a disk, with the adapter and the reader over it. */
struct stack {
	struct disk disk;
	struct qcow2_block block;
	struct qcow2_io io;
	struct qcow2_image image;
	struct qcow2_reader reader;
	uint64_t memory[QCOW2_READER_MEMORY / 8 + 1];
};

static void stack_init(struct stack *s, const struct image *img, uint32_t block_len)
{
	memset(s, 0, sizeof *s);
	s->disk.file = &img->file;
	s->disk.block_len = block_len;
	s->block.ops = &disk_ops;
	s->block.ctx = &s->disk;
	s->block.size = img->file.len;
	s->block.block_len = block_len;
	s->block.align = 4;
	s->block.max_blocks = 5;
	s->block.bounce = place(&bounce, BLOCK_MAX, block_len, 4, 0);
	EQ(qcow2_block_init(&s->block, &s->io), QCOW2_OK);
}

/* Opens the image and reads the whole disk to p. */
static int stack_read(struct stack *s, uint8_t *p)
{
	struct qcow2_error err;
	int rc = qcow2_image_open(&s->image, &s->io, 0, &err);

	if (rc == QCOW2_OK) {
		EQ(qcow2_reader_init(&s->reader, &s->image, s->memory, sizeof s->memory), QCOW2_OK);
		rc = qcow2_reader_read(&s->reader, 0, p, (size_t)s->image.size);
		memcpy(&err, &s->reader.error, sizeof err);
	}
	if (rc != QCOW2_OK) {
		EQ(rc, QCOW2_E_IO);
		EQ(err.io_code, DEVICE_FAULT);
	}
	guard_check(&dest);
	guard_check(&bounce);
	return rc;
}

static void image_on_disk(const struct image *img, uint32_t block_len, const uint8_t *want)
{
	struct stack s;
	uint8_t *p = place(&dest, PATTERN, (size_t)img->size, 1, 0);

	test_case("an image on blocks of %u", block_len);
	stack_init(&s, img, block_len);
	EQ(stack_read(&s, p), QCOW2_OK);
	SAME(p, want, (size_t)img->size);
	for (uint64_t off = 0; off < img->size; off += 997) {
		size_t len = (size_t)(img->size - off < 997 ? img->size - off : 997);

		p = place(&dest, PATTERN, len, 8, off % 5);
		EQ(qcow2_reader_read(&s.reader, off, p, len), QCOW2_OK);
		SAME(p, want + off, len);
		guard_check(&dest);
	}
	guard_check(&bounce);
}

/* Lets each call of the device fail, while the image is opened and read. */
static void image_on_bad_disk(const struct image *img, uint32_t block_len, const uint8_t *want,
                              bool persistent)
{
	uint64_t n = 0;
	bool failed = true;

	while (failed) {
		uint8_t *p = place(&dest, PATTERN, (size_t)img->size, 1, 0);
		struct stack s;

		test_case("an image on blocks of %u, call %u fails%s", block_len, (unsigned)++n,
		          persistent ? " and all after it" : "");
		stack_init(&s, img, block_len);
		s.disk.fail_at = n;
		s.disk.persistent = persistent;
		failed = stack_read(&s, p) != QCOW2_OK;
		EQ(failed, s.disk.calls >= n);
		if (failed && persistent)
			EQ(stack_read(&s, p), QCOW2_E_IO);
		s.disk.fail_at = 0;
		EQ(stack_read(&s, p), QCOW2_OK);
		SAME(p, want, (size_t)img->size);
	}
	LE(10, n);
}

static void test_image(void **state)
{
	struct image img = { 0 };
	uint8_t *want = pattern; /* the pattern is not needed any more */
	uint32_t len;

	(void)state;
	image_init(&img, 3, 9, 100 * KIB + 300);
	img.place = IMAGE_SHUFFLED;
	for (uint64_t i = 0; i < 200; i++)
		if (i % 7 != 3)
			image_add(&img, &img.active, i, i % 11 == 5 ? IMAGE_ZERO : IMAGE_DATA);
	image_finish(&img);
	memset(want, 0, (size_t)img.size);
	image_expect(&img, &img.active, 0, want, (size_t)img.size);
	for (len = 512; len <= BLOCK_MAX; len *= 2)
		image_on_disk(&img, len, want);
	for (len = 512; len <= 4096; len *= 8) {
		image_on_bad_disk(&img, len, want, false);
		image_on_bad_disk(&img, len, want, true);
	}
	pattern[0] = 0;
	image_free(&img);
}

/* ---- The caller's mistakes ---- */

static void refuse(struct qcow2_block block, const char *what)
{
	struct qcow2_io io, same;

	memset(&io, 0x55, sizeof io);
	memcpy(&same, &io, sizeof io);
	test_case("%s", what);
	EQ(qcow2_block_init(&block, &io), QCOW2_E_ARGUMENT);
	SAME(&io, &same, sizeof io);
}

#define REFUSE(field, bad)                                                                         \
	do {                                                                                       \
		struct qcow2_block wrong = good;                                                   \
                                                                                                   \
		wrong.field = (bad);                                                               \
		refuse(wrong, #field " = " #bad);                                                  \
	} while (0)

static void test_arguments(void **state)
{
	static const struct qcow2_block_ops no_read = { NULL };
	struct qcow2_block good;
	struct qcow2_io io;
	struct device d;

	(void)state;
	device_init(&d, MIB, 4096, 8, 0);
	good = d.block;
	REFUSE(ops, NULL);
	REFUSE(ops, &no_read);
	REFUSE(bounce, NULL);
	REFUSE(bounce, (uint8_t *)good.bounce + 4);
	REFUSE(align, 0);
	REFUSE(align, 3);
	REFUSE(align, 24);
	REFUSE(align, UINT32_MAX);
	REFUSE(block_len, 0);
	REFUSE(block_len, 256);
	REFUSE(block_len, 513);
	REFUSE(block_len, 768);
	REFUSE(block_len, 4095);
	REFUSE(block_len, 131072);
	REFUSE(block_len, UINT32_C(0x80000000));
	REFUSE(block_len, UINT32_MAX);
	test_case("NULL");
	EQ(qcow2_block_init(NULL, &io), QCOW2_E_ARGUMENT);
	EQ(qcow2_block_init(&good, NULL), QCOW2_E_ARGUMENT);
	test_case("an empty file");
	good.size = 0;
	EQ(qcow2_block_init(&good, &io), QCOW2_OK);
	EQ(io.size, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_straight), cmocka_unit_test(test_geometry),
		cmocka_unit_test(test_short),    cmocka_unit_test(test_sequential),
		cmocka_unit_test(test_held),     cmocka_unit_test(test_far),
		cmocka_unit_test(test_faults),   cmocka_unit_test(test_fault_drops),
		cmocka_unit_test(test_image),    cmocka_unit_test(test_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
