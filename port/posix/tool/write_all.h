/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#ifndef QCOW2_TOOL_WRITE_ALL_H
#define QCOW2_TOOL_WRITE_ALL_H

#include <stdbool.h>
#include <stddef.h>

/* Writes all bytes, also to a pipe or a socket. Returns false with errno set on failure. */
bool write_all(int fd, const void *bytes, size_t len);

#endif
