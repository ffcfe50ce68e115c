/* SPDX-License-Identifier: MIT */
/*
 * Reads from descriptors with O_DIRECT, through the core's block adapter.
 *
 * Each call has an adapter of its own, so that threads share nothing. It costs an allocation, which
 * is little next to a read that goes to the device.
 */
#include "direct.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../failure.h"
#include "file.h"
#include "qcow2/block.h"

/* The length and alignment of a block. It suits devices with sectors of 512 and of 4096 bytes. */
enum { DIRECT_BLOCK = 4096 };

/* Reads blocks. Behind the end of the file, the last one has zeros. */
static int read_blocks(void *ctx, uint64_t lba, uint32_t count, void *buf)
{
	const struct qp_file *file = ctx;
	size_t len = (size_t)count * DIRECT_BLOCK, done = 0;

	/* After a read that ends inside a block, the file has ended. */
	while (done < len && done % DIRECT_BLOCK == 0u) {
		ssize_t n = pread(file->fd, (char *)buf + done, len - done,
		                  (off_t)(lba * DIRECT_BLOCK + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	if (done <= len - DIRECT_BLOCK)
		return QP_IO_SHRANK;
	memset((char *)buf + done, 0, len - done);
	return 0;
}

static bool is_direct(int fd)
{
#ifdef O_DIRECT
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_DIRECT) != 0;
#else
	(void)fd;
	return false;
#endif
}

int qp_direct_read(const struct qp_file *file, uint64_t pos, void *buf, size_t len)
{
	static const struct qcow2_block_ops ops = { read_blocks };
	struct qcow2_block block = { .ops = &ops, .size = INT64_MAX, .align = DIRECT_BLOCK };
	struct qcow2_io io;
	char *room;
	int code;

	if (!is_direct(file->fd))
		return EINVAL;
	room = malloc((size_t)2 * DIRECT_BLOCK - 1u);
	if (room == NULL)
		return ENOMEM;
	block.ctx = (void *)(uintptr_t)file; /* the callback does not change it */
	block.block_len = DIRECT_BLOCK;
	block.max_blocks = (1u << 30) / DIRECT_BLOCK;
	block.bounce = room + (-(uintptr_t)room % DIRECT_BLOCK);
	(void)qcow2_block_init(&block, &io); /* it is as block.h wants it */
	code = io.ops->read(io.ctx, file->start + pos, buf, len);
	free(room);
	return code;
}
