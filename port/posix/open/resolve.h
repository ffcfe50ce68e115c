/* SPDX-License-Identifier: MIT */
#ifndef QCOW2_POSIX_RESOLVE_H
#define QCOW2_POSIX_RESOLVE_H

#include "../posix.h"

/*
 * Opens the file that the request names, as QCOW2_FOLLOW or QCOW2_FOLLOW_ANY in flags allow.
 * Returns the descriptor and sets *path to the file's path, which the caller frees, or returns -1.
 */
int qp_resolve(const struct qcow2_file_request *request, unsigned flags, char **path);

/*
 * openat(2) for reading, in such a way that a FIFO does not block and a terminal does not become
 * the controlling one. On failure, returns -1 and sets errno, but notes nothing.
 */
int qp_open(int dir_fd, const char *path, int flags);

#endif
