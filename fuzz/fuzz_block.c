/* SPDX-License-Identifier: MIT */
/*
 * The block adapter: any bytes over devices of any block size and alignment read as they are, with
 * no more calls than block.h says; an image read through it is the image read without it.
 */
#include <stdlib.h>

#include "common.h"

#include "qcow2/block.h"

enum { BUF_LEN = 1 << 15, BOUNCE_MAX = 1 << 16 };

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
	/* What is on the device after the file is nobody's business. */
	memset(buf, 0xa5, (size_t)len);
	d->n_calls++;
	if (d->n_calls == d->fail_at)
		return FUZZ_FAULT;
	memcpy(buf, d->bytes + pos, (size_t)(len < b->size - pos ? len : b->size - pos));
	return 0;
}

/* The most calls for a read, of which none finds its block held. */
static uint64_t cost(const struct qcow2_block *b, uint64_t pos, const uint8_t *buf, size_t len)
{
	uint64_t first = pos / b->block_len;
	uint64_t n_blocks = (pos + len - 1) / b->block_len - first + 1;
	/* Where the first whole block comes to lie. */
	uint64_t head = (b->block_len - pos % b->block_len) % b->block_len;
	uint64_t most = b->max_blocks != 0 ? b->max_blocks : UINT32_MAX;

	if (((uintptr_t)(buf + head) & (b->align - 1)) != 0 || b->align > b->block_len)
		return n_blocks;
	return 2 + (n_blocks + most - 1) / most;
}

static void check_read(struct device *d, const struct qcow2_io *io, struct fuzz_choices *choices)
{
	static _Alignas(4096) uint8_t buf[BUF_LEN + 4096];
	uint8_t *to = buf + fuzz_choose(choices, fuzz_choose(choices, 2) == 0 ? 1 : 4096);
	uint64_t pos = fuzz_choose(choices, io->size);
	size_t len = 1 + (size_t)fuzz_choose(choices, fuzz_choose(choices, 2) == 0 ? 600 : BUF_LEN);
	int code;

	if (fuzz_choose(choices, 2) == 0)
		pos -= pos % d->block->block_len;
	if (len > io->size - pos)
		len = (size_t)(io->size - pos);
	memset(buf, 0xc5, sizeof buf);
	d->n_calls = 0;
	d->fail_at = fuzz_choose(choices, 4) == 0 ? 1 + fuzz_choose(choices, 4) : 0;
	code = io->ops->read(io->ctx, pos, to, len);
	CHECK((code == FUZZ_FAULT) == (d->fail_at != 0 && d->n_calls == d->fail_at));
	CHECK(code == 0 || code == FUZZ_FAULT);
	CHECK(to == buf || to[-1] == 0xc5);
	CHECK(to[len] == 0xc5 && d->n_calls <= cost(d->block, pos, to, len));
	d->fail_at = 0;
	if (code == 0)
		CHECK(memcmp(to, d->bytes + pos, len) == 0);
}

/* The image through the adapter and without it. */
static void check_image(const struct fuzz_file *file, const struct qcow2_io *io,
                        struct fuzz_choices *choices)
{
	static uint8_t want[BUF_LEN], got[BUF_LEN];
	struct qcow2_image direct, through;
	struct fuzz_reader r, r2;
	unsigned flags = QCOW2_OPEN_LAYER | (unsigned)fuzz_choose(choices, 2);
	int rc = qcow2_image_open(&direct, &file->io, flags, NULL);
	int i;

	CHECK(qcow2_image_open(&through, io, flags, NULL) == rc);
	if (rc != QCOW2_OK || fuzz_reader_start(&r, &direct, FUZZ_LARGE) != QCOW2_OK)
		return;
	CHECK(fuzz_reader_start(&r2, &through, FUZZ_LARGE) == QCOW2_OK);
	for (i = 0; i < 4; i++) {
		uint64_t off = fuzz_choose_offset(choices, &direct, file->bytes, file->io.size);
		size_t len = (size_t)fuzz_choose(choices, BUF_LEN);

		if (len > direct.size - off)
			len = (size_t)(direct.size - off);
		rc = qcow2_reader_read(&r.reader, off, want, len);
		CHECK(qcow2_reader_read(&r2.reader, off, got, len) == rc);
		CHECK(rc != QCOW2_OK || memcmp(want, got, len) == 0);
	}
	fuzz_reader_stop(&r);
	fuzz_reader_stop(&r2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct qcow2_block_ops ops = { read_blocks };
	static _Alignas(4096) uint8_t bounce[BOUNCE_MAX];
	struct fuzz_choices choices;
	struct fuzz_file file;
	struct qcow2_block block = { .ops = &ops, .bounce = bounce, .size = len };
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
	for (i = 0; i < 12; i++)
		check_read(&d, &io, &choices);
	check_image(&file, &io, &choices);
	return 0;
}
