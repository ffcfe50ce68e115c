/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The block adapter: an io for a device that reads only whole blocks. block.h explains it. Nothing
 * else in the core knows about blocks or alignment.
 */
#include "internal.h"
#include "qcow2/block.h"

/* Blocks of 512 bytes to 64 KiB: disks have 512 or 4096, optical disks 2048, flash up to 64 KiB. */
enum { BLOCK_BITS_MIN = 9, BLOCK_BITS_MAX = 16 };

/*
 * `held` if the bounce buffer is empty. No block has this number: positions have 64 bits, and
 * blocks at least 512 bytes.
 */
#define BLOCK_NONE UINT64_MAX

static bool block_is_aligned(const struct qcow2_block *block, const void *buf)
{
	return ((uintptr_t)buf & (block->align - 1u)) == 0u;
}

/*
 * Reads blocks to buf: as many as fit in *len bytes, but no more than the device reads in one call.
 * Sets *len to their length in bytes.
 */
static int block_straight(struct qcow2_block *block, uint64_t lba, uint8_t *buf, size_t *len)
{
	uint32_t most = block->max_blocks != 0u ? block->max_blocks : UINT32_MAX;
	size_t count = *len >> block->block_bits;
	int code;

	if (count > most)
		count = most;
	/*@ assert 0 < count && (count << block->block_bits) <= *len; */
	/*@ calls any_blocks; */
	code = block->ops->read(block->ctx, lba, (uint32_t)count, buf);
	if (code != 0)
		block->held = BLOCK_NONE; /* the medium may have changed */
	*len = count << block->block_bits;
	return code;
}

/*
 * Copies bytes of one block, from byte `at` on, to buf: *len of them, or fewer if the block ends
 * before. Sets *len to the number that were copied.
 */
static int block_bounce(struct qcow2_block *block, uint64_t lba, uint32_t at, uint8_t *buf,
                        size_t *len)
{
	const uint8_t *bounce = block->bounce;

	if (*len > block->block_len - at)
		*len = block->block_len - at;
	if (block->held != lba) {
		int code;

		block->held = BLOCK_NONE; /* a call that fails may leave anything in the buffer */
		/*@ calls any_blocks; */
		code = block->ops->read(block->ctx, lba, 1, block->bounce);
		if (code != 0)
			return code;
		block->held = lba;
	}
	memcpy(buf, bounce + at, *len);
	return 0;
}

/*
 * qcow2_io_ops.read. Each turn of the loop ends at the end of a block, so only the first one can
 * begin inside a block.
 */
static int block_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	struct qcow2_block *block = ctx;
	uint64_t lba = q2_shr64(pos, block->block_bits);
	uint32_t at = (uint32_t)pos & (block->block_len - 1u);
	uint8_t *to = buf;
	size_t done;
	int code = 0;

	/*@ loop invariant len <= \at(len, Pre) && at < block->block_len;
	    loop invariant to == (uint8_t *)buf + (\at(len, Pre) - len);
	    loop assigns lba, at, to, len, done, code, block->held,
	                 ((uint8_t *)buf)[0 .. \at(len, Pre) - 1],
	                 ((uint8_t *)block->bounce)[0 .. block->block_len - 1];
	    loop variant len; */
	while (code == 0 && len > 0u) {
		done = len;
		if (at == 0u && len >= block->block_len && block_is_aligned(block, to))
			code = block_straight(block, lba, to, &done);
		else
			code = block_bounce(block, lba, at, to, &done);
		lba += (at + done) >> block->block_bits;
		at = 0;
		to += done;
		len -= done;
	}
	return code;
}

static const struct qcow2_io_ops block_io_ops = { block_read };

int qcow2_block_init(struct qcow2_block *block, struct qcow2_io *io)
{
	uint32_t bits = BLOCK_BITS_MIN;

	if (block == NULL || io == NULL)
		return QCOW2_E_ARGUMENT;
	while (bits < BLOCK_BITS_MAX && block->block_len >> bits != 1u)
		bits++;
	if (block->ops == NULL || block->ops->read == NULL || block->bounce == NULL ||
	    block->block_len != UINT32_C(1) << bits || block->align == 0u ||
	    (block->align & (block->align - 1u)) != 0u || !block_is_aligned(block, block->bounce))
		return QCOW2_E_ARGUMENT;
	block->block_bits = bits;
	block->held = BLOCK_NONE;
	io->ops = &block_io_ops;
	io->ctx = block;
	io->size = block->size;
	return QCOW2_OK;
}
