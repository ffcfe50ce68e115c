/* SPDX-License-Identifier: MIT */
/*
 * Where the bytes of a file come from: the one thing that a port must provide.
 */
#ifndef QCOW2_IO_H
#define QCOW2_IO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct qcow2_io_ops {
	/*
	 * Copy the bytes [pos, pos + len) of the file to buf: all of them and return 0, or return
	 * a code of your own other than 0, which the caller of the library finds verbatim in
	 * qcow2_error.io_code. On failure buf may hold anything.
	 *
	 * It is only called with len > 0 and pos + len <= size, and pos + len does not wrap. buf
	 * has no alignment. When several readers share an image, it is called from all their
	 * threads at once.
	 */
	int (*read)(void *ctx, uint64_t pos, void *buf, size_t len);
};

struct qcow2_io {
	const struct qcow2_io_ops *ops; /* may be in ROM */
	void *ctx;                      /* passed to the callbacks, never looked at */
	uint64_t size;                  /* of the file, in bytes; must not change */
};

#ifdef __cplusplus
}
#endif
#endif
