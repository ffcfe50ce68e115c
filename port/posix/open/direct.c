/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
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

/* A read. */
struct direct {
	int fd;
	uint64_t end; /* of the file, if a block met it; else UINT64_MAX */
};

/* Reads blocks. Behind the end of the file, they have zeros. */
static int read_blocks(void *ctx, uint64_t lba, uint32_t count, void *buf)
{
	struct direct *direct = ctx;
	uint64_t pos = lba * DIRECT_BLOCK;
	size_t len = (size_t)count * DIRECT_BLOCK, done = 0;

	while (done < len) {
		ssize_t n = pread(direct->fd, (char *)buf + done, len - done, (off_t)(pos + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		done += (size_t)n;
		/* A read that ends inside a block, or is empty, has met the end of the file. */
		if (n == 0 || done % DIRECT_BLOCK != 0u) {
			direct->end = pos + done;
			break;
		}
	}
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
	struct direct direct = { file->fd, UINT64_MAX };
	struct qcow2_block block = { .ops = &ops, .ctx = &direct, .align = DIRECT_BLOCK };
	struct qcow2_io io;
	char *room;
	int code;

	if (!is_direct(file->fd))
		return EINVAL;
	room = malloc((size_t)2 * DIRECT_BLOCK - 1u);
	if (room == NULL)
		return ENOMEM;
	block.size = INT64_MAX; /* the core asks only for what is in the file */
	block.block_len = DIRECT_BLOCK;
	block.max_blocks = (1u << 30) / DIRECT_BLOCK;
	block.bounce = room + (-(uintptr_t)room % DIRECT_BLOCK);
	(void)qcow2_block_init(&block, &io); /* it is as block.h wants it */
	pos += file->start;
	code = io.ops->read(io.ctx, pos, buf, len);
	free(room);
	if (code == 0 && (direct.end <= pos || direct.end - pos < len))
		return QP_IO_SHRANK;
	return code;
}
