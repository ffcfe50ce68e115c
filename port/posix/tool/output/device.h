/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Block devices as the place for a disk.
 */
#ifndef QCOW2_TOOL_DEVICE_H
#define QCOW2_TOOL_DEVICE_H

#include "../tool.h"

#include <inttypes.h>

/* The message about a target that is too short; takes what it is, its size and that of the disk. */
#define TARGET_TOO_SMALL "the %s has %" PRIu64 " bytes, the disk needs %" PRIu64

/* Sets *size to the length of the device in bytes. Returns false with errno set on failure. */
bool device_size(int fd, uint64_t *size);

/*
 * Makes the first `len` bytes of the device, or file, read as zeros and gives their storage back,
 * if it can do that. Changes nothing after them. Returns how many bytes from the start now read
 * as zeros.
 */
uint64_t device_discard(int fd, uint64_t len);

/*
 * Makes a range of the device, or of a file, read as zeros, in whatever way it offers, at worst by
 * writing them. Returns false with errno set on failure.
 */
bool device_write_zeros(int fd, uint64_t at, uint64_t len);

#endif
