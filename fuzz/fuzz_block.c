/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The block adapter. Over devices of any block size and alignment, it reads the right bytes with no
 * more calls than block.h allows, also the second time and after a fault. An image read through it,
 * with little memory or much, is the image read without it.
 */
#include <stdlib.h>

#include "common.h"

#include "qcow2/block.h"

enum { BUF_LEN = 1 << 15, BOUNCE_MAX = 1 << 16, PAGE = 4096, CANARY = 0xc5 };

struct device {
	const uint8_t *bytes;
	const struct qcow2_block *block;
	uint64_t n_calls;
	uint64_t fail_at;
};

static int read_blocks(void *ctx, uint64_t lba, uint32_t count, void *buf)
{
	struct device *d = ctx;
	const struct qcow2_block *b = d->block;
	uint64_t pos = lba * b->block_len;
	uint64_t len = (uint64_t)count * b->block_len;

	CHECK(count > 0 && (b->max_blocks == 0 || count <= b->max_blocks));
	CHECK(pos < b->size && len - 1 - (b->block_len - 1) < b->size - pos);
	CHECK(((uintptr_t)buf & (b->align - 1)) == 0);
	/* The device may hold anything after the end of the file. */
	memset(buf, 0xa5, (size_t)len);
	d->n_calls++;
	if (d->n_calls == d->fail_at)
		return FUZZ_FAULT;
	memcpy(buf, d->bytes + pos, (size_t)(len < b->size - pos ? len : b->size - pos));
	return 0;
}

/* The most calls for a read that finds no block in the bounce buffer. */
static uint64_t cost(const struct qcow2_block *b, uint64_t pos, const uint8_t *buf, size_t len)
{
	uint64_t first = pos / b->block_len;
	uint64_t n_blocks = (pos + len - 1) / b->block_len - first + 1;
	/* The bytes before the first whole block. */
	uint64_t head = (b->block_len - pos % b->block_len) % b->block_len;
	uint64_t most = b->max_blocks != 0 ? b->max_blocks : UINT32_MAX;

	if (((uintptr_t)(buf + head) & (b->align - 1)) != 0 || b->align > b->block_len)
		return n_blocks;
	return 2 + (n_blocks + most - 1) / most;
}

/* True if these bytes are still the pattern from before the read. */
static bool is_untouched(const uint8_t *bytes, const uint8_t *end)
{
	while (bytes < end)
		if (*bytes++ != CANARY)
			return false;
	return true;
}

/* Reads, and checks calls and writes. Call number fail_at fails; 0 if none does. */
static int read_guarded(struct device *d, const struct qcow2_io *io, uint64_t pos, uint8_t *to,
                        size_t len, uint64_t fail_at)
{
	int code;

	memset(to - FUZZ_CANARY_LEN, CANARY, len + 2 * FUZZ_CANARY_LEN);
	d->n_calls = 0;
	d->fail_at = fail_at;
	code = io->ops->read(io->ctx, pos, to, len);
	d->fail_at = 0;
	CHECK((code == FUZZ_FAULT) == (fail_at != 0 && d->n_calls == fail_at));
	CHECK(code == 0 || code == FUZZ_FAULT);
	CHECK(is_untouched(to - FUZZ_CANARY_LEN, to));
	CHECK(is_untouched(to + len, to + len + FUZZ_CANARY_LEN));
	CHECK(d->n_calls <= cost(d->block, pos, to, len));
	if (code == 0)
		CHECK(memcmp(to, d->bytes + pos, len) == 0);
	return code;
}

static void check_read(struct device *d, const struct qcow2_io *io, struct fuzz_choices *choices)
{
	static _Alignas(PAGE) uint8_t buf[PAGE + BUF_LEN + 2 * PAGE];
	uint8_t *to = buf + PAGE + fuzz_choose(choices, fuzz_choose(choices, 2) == 0 ? 1 : PAGE);
	uint64_t pos = fuzz_choose(choices, io->size);
	size_t len = 1 + (size_t)fuzz_choose(choices, fuzz_choose(choices, 2) == 0 ? 600 : BUF_LEN);
	uint64_t fail_at = fuzz_choose(choices, 2) == 0 ? 1 + fuzz_choose(choices, 4) : 0;

	if (fuzz_choose(choices, 2) == 0)
		pos -= pos % d->block->block_len;
	if (len > io->size - pos)
		len = (size_t)(io->size - pos);
	/* First with a fault or without, then again without. */
	read_guarded(d, io, pos, to, len, fail_at);
	CHECK(read_guarded(d, io, pos, to, len, 0) == 0);
}

/* ---- An image through the adapter and without it ---- */

/* Reads through the adapter, first with a fault of the device and then without. */
static int read_after_fault(struct device *d, struct fuzz_reader *r, uint64_t off, uint8_t *buf,
                            size_t len, uint64_t fail_at)
{
	int rc;

	d->n_calls = 0;
	d->fail_at = fail_at;
	rc = qcow2_reader_read(&r->reader, off, buf, len);
	d->fail_at = 0;
	if (d->n_calls >= fail_at && fail_at != 0)
		CHECK(rc == QCOW2_E_IO && r->reader.error.io_code == FUZZ_FAULT);
	else
		CHECK(rc != QCOW2_E_IO);
	return qcow2_reader_read(&r->reader, off, buf, len);
}

static void check_readers(struct device *d, const struct fuzz_file *file, struct fuzz_reader *r,
                          struct fuzz_reader *through, struct fuzz_choices *choices)
{
	static uint8_t want[BUF_LEN];
	uint64_t size = r->reader.image->size;
	int i;

	for (i = 0; i < 4; i++) {
		uint64_t off =
			fuzz_choose_offset(choices, r->reader.image, file->bytes, file->io.size);
		size_t len = (size_t)fuzz_choose(choices, BUF_LEN);
		uint8_t *got;
		int rc, rc_want;

		if (len > size - off)
			len = (size_t)(size - off);
		got = fuzz_buf_new(len);
		rc_want = qcow2_reader_read(&r->reader, off, want, len);
		rc = read_after_fault(d, through, off, got, len, fuzz_choose(choices, 6));
		CHECK(rc == rc_want || rc == QCOW2_E_MEMORY);
		CHECK(rc != QCOW2_OK || memcmp(want, got, len) == 0);
		fuzz_buf_check(through->memory, through->memory_len);
		fuzz_buf_free(got, len);
	}
}

static void check_image(struct device *d, const struct fuzz_file *file, const struct qcow2_io *io,
                        struct fuzz_choices *choices)
{
	struct qcow2_image direct, through;
	struct qcow2_error err;
	struct fuzz_reader r, r2;
	unsigned flags = QCOW2_OPEN_LAYER | (unsigned)fuzz_choose(choices, 2);
	int rc = qcow2_image_open(&direct, &file->io, flags, NULL);

	d->n_calls = 0;
	d->fail_at = 1 + fuzz_choose(choices, 2);
	if (qcow2_image_open(&through, io, flags, &err) == QCOW2_E_IO)
		CHECK(d->n_calls == d->fail_at && err.io_code == FUZZ_FAULT);
	else
		CHECK(d->n_calls < d->fail_at);
	d->fail_at = 0;
	CHECK(qcow2_image_open(&through, io, flags, NULL) == rc);
	if (rc != QCOW2_OK || fuzz_reader_start(&r, &direct, FUZZ_LARGE) != QCOW2_OK)
		return;
	CHECK(fuzz_reader_start(&r2, &through, (int)fuzz_choose(choices, 2)) == QCOW2_OK);
	check_readers(d, file, &r, &r2, choices);
	fuzz_reader_stop(&r);
	fuzz_reader_stop(&r2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct qcow2_block_ops ops = { read_blocks };
	static _Alignas(PAGE) uint8_t room[PAGE + BOUNCE_MAX + PAGE];
	struct fuzz_choices choices;
	struct fuzz_file file;
	struct qcow2_block block = { .ops = &ops, .bounce = room + PAGE, .size = len };
	struct device d = { .bytes = data, .block = &block };
	struct qcow2_io io;
	int i;

	if (len == 0)
		return 0;
	fuzz_choices_init(&choices, data, len);
	fuzz_file_init(&file, data, len);
	block.ctx = &d;
	block.block_len = UINT32_C(512) << fuzz_choose(&choices, 8);
	block.align = UINT32_C(1) << fuzz_choose(&choices, 13);
	block.max_blocks = (uint32_t)fuzz_choose(&choices, 5);
	CHECK(qcow2_block_init(&block, &io) == QCOW2_OK && io.size == len);
	memset(room, CANARY, sizeof room);
	for (i = 0; i < 12; i++)
		check_read(&d, &io, &choices);
	check_image(&d, &file, &io, &choices);
	CHECK(is_untouched(room, room + PAGE));
	CHECK(is_untouched(room + PAGE + block.block_len, room + sizeof room));
	return 0;
}
