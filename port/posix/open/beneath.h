/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Opens files and directories by names that must not lead out of a directory.
 */
#ifndef QCOW2_POSIX_BENEATH_H
#define QCOW2_POSIX_BENEATH_H

#include "../posix.h"

/*
 * Opens a name for reading, in or below the directory dir_fd: it must be relative, and neither ".."
 * nor a symbolic link may be part of it. The file is opened like qp_open does. Returns -1 and sets
 * errno on failure: EXDEV or EPERM for a name that leads out, ELOOP for a symbolic link.
 */
int qp_open_beneath(int dir_fd, const char *name);

/*
 * Opens a directory in the same way. It need not be readable, because names in it are opened, and
 * not listed.
 */
int qp_directory_beneath(int dir_fd, const char *name);

/* Opens a directory by a path, whose last part must not be a symbolic link. Sets errno. */
int qp_directory(const char *path);

/*
 * openat(2) for reading, in such a way that a FIFO does not block and a terminal does not become
 * the controlling one. On failure, returns -1 and sets errno, but notes nothing.
 */
int qp_open(int dir_fd, const char *path, int flags);

#endif
