/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The callback that reads a file. It is the one thing that a port must provide.
 */
#ifndef QCOW2_IO_H
#define QCOW2_IO_H

#include "qcow2/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qcow2_io_ops {
	/*
	 * Copies all bytes [pos, pos + len) of the file to buf, and returns 0. If that fails, it
	 * returns a code of its own other than 0, and may leave anything in buf. The call that
	 * needed the bytes then fails with QCOW2_E_IO, and qcow2_error.io_code is the code.
	 *
	 * The core asks only for bytes inside the file: len > 0, and pos + len <= size, which does
	 * not wrap. buf may have any alignment; block.h adapts devices that need more.
	 *
	 * If several threads read one image, each with its own reader, they call this at the same
	 * time.
	 */
	int (*read)(void *ctx, uint64_t pos, void *buf, size_t len);
};

/* A file. The caller fills in all fields. */
struct qcow2_io {
	const struct qcow2_io_ops *ops; /* may be in ROM */
	void *ctx;                      /* passed to the callback; the core does not use it */
	uint64_t size;                  /* of the file in bytes; must not change */
};

#ifdef __cplusplus
}
#endif
#endif
