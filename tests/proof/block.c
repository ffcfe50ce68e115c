/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The block adapter: any device, any piece of any block or run of blocks, any failure; a bounce
 * buffer of exactly BLOCK bytes. The loop around the pieces runs only for single bytes, because Eva
 * does not relate the place in the buffer to the length that is left.
 */
#include "proof.h"
#include "../../src/block.c"

#define BLOCK 512

static uint8_t bounce[BLOCK], out[4 * BLOCK];
static struct qcow2_block block;

/* Writes all bytes that the adapter asks for, which is an alarm if the buffer is too short. */
static int any_blocks(void *ctx, uint64_t lba, uint32_t count, void *buf)
{
	(void)ctx;
	(void)lba;
	Frama_C_make_unknown((char *)buf, (size_t)count * BLOCK);
	return Frama_C_interval(-1, 0);
}

static const struct qcow2_block_ops any_device = { any_blocks };

static const struct qcow2_block_ops no_device = { NULL };

/* Arguments that init must refuse: any numbers, no callback, no memory. */
static void refused(void)
{
	struct qcow2_block any;
	struct qcow2_io io;

	any.ops = Frama_C_interval(0, 1) ? &any_device : Frama_C_interval(0, 1) ? &no_device : NULL;
	any.bounce = Frama_C_interval(0, 1) ? bounce : NULL;
	any.block_len = Frama_C_unsigned_int_interval(0, UINT32_MAX);
	any.align = Frama_C_unsigned_int_interval(0, UINT32_MAX);
	any.max_blocks = Frama_C_unsigned_int_interval(0, UINT32_MAX);
	any.size = any64();
	any.ctx = NULL;
	(void)qcow2_block_init(&any, &io);
	(void)qcow2_block_init(&any, NULL);
	(void)qcow2_block_init(NULL, &io);
	(void)qcow2_block_init(&any, &io);
}

static int start(struct qcow2_io *io)
{
	block.ops = &any_device;
	block.ctx = NULL;
	block.size = any64();
	block.block_len = BLOCK;
	block.align = Frama_C_unsigned_int_interval(0, UINT32_MAX);
	block.max_blocks = Frama_C_unsigned_int_interval(0, UINT32_MAX);
	block.bounce = bounce;
	Frama_C_make_unknown((char *)bounce, sizeof bounce);
	return qcow2_block_init(&block, io);
}

int main(void)
{
	struct qcow2_io io;
	uint32_t at;
	size_t len;

	refused();
	if (start(&io) != QCOW2_OK)
		return 0;
	while (Frama_C_interval(0, 1)) {
		(void)io.ops->read(io.ctx, any64(), out, 1);
		len = Frama_C_unsigned_int_interval(BLOCK, sizeof out);
		if (block_is_aligned(&block, out))
			(void)block_straight(&block, any64(), out, &len);
		/*@ loop unroll BLOCK; */
		for (at = 0; at < BLOCK; at++) {
			len = Frama_C_unsigned_int_interval(1, sizeof out);
			(void)block_bounce(&block, any64(), at, out, &len);
		}
	}
	return 0;
}
