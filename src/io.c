/* SPDX-License-Identifier: MIT */
/*
 * Reading a file through the caller's callback, only ever inside of it; noting failures.
 */
#include "internal.h"

int q2_note(struct qcow2_error *at, int status)
{
	/* ARGUMENT, RANGE: what the caller does wrong is about no file. */
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

int q2_io_read(struct qcow2_error *at, void *buf, size_t len)
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
