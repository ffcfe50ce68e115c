/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads files through the caller's callback, and notes failures in the caller's error. The whole
 * core reads through here, so that one place checks what it may ask of the callback.
 */
#include "internal.h"

int q2_note(q2_cursor *at, int status)
{
	/* With QCOW2_E_ARGUMENT and QCOW2_E_RANGE the caller is at fault, not a file. */
	if (status >= QCOW2_E_RANGE && status != QCOW2_OK)
		at->io = NULL;
	if (status == QCOW2_E_IO)
		at->detail = 0;
	else
		at->io_code = 0;
	if (status == QCOW2_E_TRUNCATED)
		at->pos = at->io->size;
	at->status = status;
	return status;
}

int q2_io_read(q2_cursor *at, void *buf, size_t len)
{
	const struct qcow2_io *io = at->io;
	uint64_t inside = q2_left(io->size, at->pos);

	if (inside < len) {
		memset(buf, 0, len);
		len = (size_t)inside;
		if (len == 0u)
			return QCOW2_OK;
	}
	/*@ calls any_read; */
	at->io_code = io->ops->read(io->ctx, at->pos, buf, len);
	return at->io_code == 0 ? QCOW2_OK : QCOW2_E_IO;
}

bool q2_is_inside(const struct qcow2_image *image, uint32_t len, uint64_t pos)
{
	return (image->flags & QCOW2_OPEN_TRUNCATED) != 0u || len <= q2_left(image->io.size, pos);
}

int q2_image_read(const struct qcow2_image *image, uint64_t pos, void *buf, uint32_t len,
                  q2_cursor *at)
{
	at->io = &image->io;
	at->pos = pos;
	return q2_is_inside(image, len, pos) ? q2_io_read(at, buf, len) : QCOW2_E_TRUNCATED;
}

int q2_table_check(const struct qcow2_image *image, uint32_t len, uint64_t pos)
{
	if (((uint32_t)pos & (image->cluster_len - 1u)) != 0u)
		return QCOW2_E_L1;
	/*
	 * QEMU has no positions of 2^63 and above, so a table must end before. Checking only the
	 * high half is less code, and also refuses tables in the last 4 GiB before 2^63.
	 */
	if (pos >> 32 >= INT32_MAX)
		return QCOW2_E_L1;
	return q2_is_inside(image, len, pos) ? QCOW2_OK : QCOW2_E_TRUNCATED;
}

int q2_bytes(const struct qcow2_image *image, uint64_t pos, uint32_t len, void *buf,
             struct qcow2_error *err)
{
	struct qcow2_error unseen;

	err = q2_err(err, &unseen);
	if (image == NULL || !q2_is_open(image) || buf == NULL)
		return q2_note(err, QCOW2_E_ARGUMENT);
	if (len == 0u)
		return QCOW2_OK;
	/* As q2_image_read, which programs that only list bitmaps or read spans do not link. */
	err->io = &image->io;
	err->pos = pos;
	return q2_note(err, q2_is_inside(image, len, pos) ? q2_io_read(err, buf, len)
	                                                  : QCOW2_E_TRUNCATED);
}
