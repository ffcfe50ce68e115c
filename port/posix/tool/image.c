/* SPDX-License-Identifier: MIT */
/*
 * Bytes of an image file, for what only this command looks at.
 */
#include "tool.h"

#include "qcow2/image.h"

bool image_bytes(const struct qcow2_image *image, uint64_t pos, void *buf, size_t len)
{
	const struct qcow2_io *io = &image->io;

	if (pos > io->size || len > io->size - pos)
		return false;
	return len == 0u || io->ops->read(io->ctx, pos, buf, len) == 0;
}

uint64_t bytes_be(const unsigned char *bytes, unsigned len)
{
	uint64_t value = 0;

	while (len-- > 0u)
		value = value << 8 | *bytes++;
	return value;
}
