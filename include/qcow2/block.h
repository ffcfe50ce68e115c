/* SPDX-License-Identifier: MIT */
/*
 * Bytes over a device that reads only whole blocks: a disk, a flash, a firmware's block protocol.
 *
 *	static const struct qcow2_block_ops ops = { read_blocks };
 *	static uint64_t bounce[512 / 8];
 *	struct qcow2_block block = { .ops = &ops, .ctx = disk, .size = size_of_the_file,
 *	                             .block_len = 512, .align = 1, .bounce = bounce };
 *
 *	qcow2_block_init(&block, &io);
 *	qcow2_image_open(&image, &io, 0, &error);
 *
 * A read is a head, a middle and a tail:
 *
 *	block      |   n   |  n+1  |  n+2  |  n+3  |  n+4  |
 *	asked for        [=====================]
 *	              head |    middle     | tail
 *
 * The middle goes straight to the caller's buffer, in runs of as many blocks as a call may have.
 * The blocks of head and tail go through the bounce block, which keeps the last of them: small
 * reads one after the other cost one call for each block. Where the place of a whole block in the
 * caller's buffer is not aligned as the device wants it, that goes through the bounce block, too.
 */
#ifndef QCOW2_BLOCK_H
#define QCOW2_BLOCK_H

#include "qcow2/image.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qcow2_block_ops {
	/*
	 * Read `count` blocks from number `lba` on to buf: all of them and return 0, or return a
	 * code of your own other than 0, which ends up in qcow2_error.io_code. On failure buf may
	 * hold anything.
	 *
	 * It is only called with 0 < count <= max_blocks, for blocks that hold bytes below `size`,
	 * and with a buf that is aligned to `align`.
	 */
	int (*read)(void *ctx, uint64_t lba, uint32_t count, void *buf);
};

/*
 * The adapter. Fill in the fields that are not private, call qcow2_block_init, and change none
 * after that. It must live, and stay where it is, as long as the io that was made of it.
 *
 * Its bounce block is shared by all that read through it, so one thread at a time may do so: images
 * on one adapter, and all their readers, belong to one thread or need a lock around each call. An
 * adapter for each thread, over one device that can take it, does as well.
 */
struct qcow2_block {
	const struct qcow2_block_ops *ops; /* may be in ROM */
	void *ctx;                         /* passed to the callback, never looked at */
	uint64_t size;       /* of the file on the device; the last block may be used in part */
	uint32_t block_len;  /* bytes: 512 to 65536, a power of two */
	uint32_t align;      /* of buffers given to read: a power of two; 1: any will do */
	uint32_t max_blocks; /* for one call at most; 0: any number */
	void *bounce;        /* block_len bytes, aligned to `align` */

	/* Private. */
	uint32_t block_bits;
	uint64_t held; /* number of the block in the bounce block */
};

/*
 * Starts the adapter, and makes *io the file on the device: bytes 0 to size - 1, block 0 first. A
 * file that starts elsewhere on it is a matter of the callback. On failure *io is as it was.
 *
 * Statuses: ARGUMENT (NULL; block_len, align or bounce not as above). No call of the device.
 *
 * Cost of a read: at most one call for the head, one for the tail and one for each max_blocks
 * blocks in between if those have aligned places in the buffer; if not, one for each block. A block
 * that the bounce block holds already costs none there. After a failed call it holds nothing.
 */
int qcow2_block_init(struct qcow2_block *block, struct qcow2_io *io);

#ifdef __cplusplus
}
#endif
#endif
