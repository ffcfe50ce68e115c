/* SPDX-License-Identifier: MIT */
/*
 * Reading a file through the caller's callback, only ever inside of it; noting failures.
 */
#include "q2.h"

#if UINTPTR_MAX <= UINT32_MAX
uint64_t q2_shr64(uint64_t value, unsigned bits)
{
	uint32_t high = (uint32_t)(value >> 32);
	uint32_t low = (uint32_t)value;

	if (bits >= 32u)
		return high >> (bits - 32u);
	if (bits == 0u)
		return value;
	return (uint64_t)(high >> bits) << 32 | (low >> bits | high << (32u - bits));
}
#endif

int q2_fail(struct qcow2_error *err, int status, const struct qcow2_io *io, uint64_t pos,
            uint64_t detail)
{
	err->status = status;
	err->io_code = 0;
	err->pos = pos;
	err->detail = detail;
	err->io = io;
	return status;
}

int q2_refuse(struct qcow2_error *err, int status)
{
	return q2_fail(err, status, NULL, 0, 0);
}

int q2_note(struct qcow2_error *err, int status)
{
	if (status == QCOW2_E_IO)
		return status;
	if (status == QCOW2_E_TRUNCATED)
		err->pos = err->io->size;
	err->io_code = 0;
	err->status = status;
	return status;
}

int q2_io_read(const struct qcow2_io *io, uint64_t pos, void *buf, size_t len,
               struct qcow2_error *err)
{
	uint64_t inside = pos < io->size ? io->size - pos : 0u;
	int code = 0;

	if (inside < len) {
		memset(buf, 0, len);
		len = (size_t)inside;
	}
	if (len != 0u)
		code = io->ops->read(io->ctx, pos, buf, len);
	if (code == 0)
		return QCOW2_OK;
	q2_fail(err, QCOW2_E_IO, io, pos, 0);
	err->io_code = code;
	return QCOW2_E_IO;
}
