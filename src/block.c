/* SPDX-License-Identifier: MIT */
/*
 * Bytes over a device of blocks: head and tail through the bounce block, the middle straight.
 */
#include "internal.h"
#include "qcow2/block.h"

enum { BLOCK_BITS_MIN = 9, BLOCK_BITS_MAX = 16 };

/* No block has this number: positions have 64 bits, and blocks at least 512 bytes. */
#define BLOCK_NONE UINT64_MAX

static bool block_is_aligned(const struct qcow2_block *block, const void *buf)
{
	return ((uintptr_t)buf & (block->align - 1u)) == 0u;
}

/* As many blocks as fit into *len bytes, in one call. *len: how much that was. */
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
		block->held = BLOCK_NONE;
	*len = count << block->block_bits;
	return code;
}

/* The bytes from `at` on of one block, *len or as many as there are. *len: how many. */
static int block_bounce(struct qcow2_block *block, uint64_t lba, uint32_t at, uint8_t *buf,
                        size_t *len)
{
	const uint8_t *bounce = block->bounce;

	if (*len > block->block_len - at)
		*len = block->block_len - at;
	if (block->held != lba) {
		int code;

		block->held = BLOCK_NONE; /* until all of it is there */
		/*@ calls any_blocks; */
		code = block->ops->read(block->ctx, lba, 1, block->bounce);
		if (code != 0)
			return code;
		block->held = lba;
	}
	memcpy(buf, bounce + at, *len);
	return 0;
}

/* qcow2_io_ops.read: each turn ends where a block ends, or is the last. */
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
