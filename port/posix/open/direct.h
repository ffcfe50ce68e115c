/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads from descriptors with O_DIRECT, which only read whole blocks.
 */
#ifndef QCOW2_POSIX_DIRECT_H
#define QCOW2_POSIX_DIRECT_H

#include "../posix.h"

struct qp_file;

/*
 * Reads len bytes at pos of the image in the file, of which pread(2) has refused some with EINVAL.
 * Returns 0, or an errno; EINVAL if O_DIRECT was not the reason.
 */
int qp_direct_read(const struct qp_file *file, uint64_t pos, void *buf, size_t len);

#endif
