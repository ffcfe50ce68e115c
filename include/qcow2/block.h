/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * An adapter for devices that read only whole blocks: a disk, flash memory, a firmware's block
 * protocol.
 *
 *	static const struct qcow2_block_ops ops = { read_blocks };
 *	static uint64_t bounce[512 / 8];
 *	struct qcow2_block block = { .ops = &ops, .ctx = disk, .size = size_of_the_file,
 *	                             .block_len = 512, .align = 1, .bounce = bounce };
 *
 *	qcow2_block_init(&block, &io);
 *	qcow2_image_open(&image, &io, 0, &error);
 *
 * A read has a head, a middle and a tail:
 *
 *	blocks     |   n   |  n+1  |  n+2  |  n+3  |  n+4  |
 *	read             [=====================]
 *	              head |    middle     | tail
 *
 * The middle goes straight to the caller's buffer, with as many blocks in a call as the device
 * takes. The blocks of head and tail go through the bounce buffer, which keeps the last of them:
 * small reads in a row cost one call for each block. A block of the middle whose place in the
 * caller's buffer is not aligned as the device needs it also goes through the bounce buffer.
 */
#ifndef QCOW2_BLOCK_H
#define QCOW2_BLOCK_H

#include "qcow2/image.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qcow2_block_ops {
	/*
	 * Reads `count` blocks, the first of which is number `lba`, to buf, and returns 0. If that
	 * fails, it returns a code of its own other than 0, and may leave anything in buf. The call
	 * that needed the blocks then fails with QCOW2_E_IO, and qcow2_error.io_code is the code.
	 *
	 * The adapter asks for 1 to max_blocks blocks, only for blocks that contain bytes below
	 * `size`, and with a buf that is aligned to `align`.
	 */
	int (*read)(void *ctx, uint64_t lba, uint32_t count, void *buf);
};

/*
 * The adapter. The caller fills in the members that are not private, calls qcow2_block_init, and
 * does not change them after that. The adapter must live, at the same address, as long as the io
 * that is made from it.
 *
 * All reads of an adapter share its bounce buffer, so one thread at a time may read through it:
 * images on one adapter, and all their readers, belong to one thread or need a lock around each
 * call. If the device can serve several threads, each of them can have an adapter of its own.
 */
struct qcow2_block {
	const struct qcow2_block_ops *ops; /* may be in ROM */
	void *ctx;                         /* passed to the callback; the adapter does not use it */
	uint64_t size;       /* bytes of the file on the device; it may end inside a block */
	uint32_t block_len;  /* bytes of a block: a power of two, 512 to 65536 */
	uint32_t align;      /* of the buffers that the device takes: a power of two; 1 for none */
	uint32_t max_blocks; /* that the device reads in one call; 0 if any number */
	void *bounce;        /* a buffer of block_len bytes, aligned to `align` */

	/* Private. */
	uint32_t block_bits; /* log2 of block_len */
	uint64_t held;       /* number of the block in the bounce buffer */
};

/*
 * Starts the adapter, and makes *io the file on the device: bytes 0 to size - 1, where byte 0 is
 * the first of block 0. If the file begins at another block, the callback must add its number to
 * lba.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT  block, io or the callback is NULL, or block_len, align or bounce is not as
 *	                  described above
 *
 * Cost: the device is not called. A read later costs at most one call for its head, one for its
 * tail, and one for each max_blocks blocks of its middle, or one for each block of the middle if
 * their places in the caller's buffer are not aligned. A block that is in the bounce buffer already
 * costs no call as a head or a tail. After a failed call the bounce buffer is empty.
 */
int qcow2_block_init(struct qcow2_block *block, struct qcow2_io *io);

#ifdef __cplusplus
}
#endif
#endif
