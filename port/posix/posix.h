/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The macros that this library sets for the system's headers. Not installed. Each file of the
 * library includes this header before any other.
 *
 * An internal function that can fail notes the failure (failure.h) and returns -1, NULL or false.
 * The public call on top of it turns the note into errno.
 */
#ifndef QCOW2_POSIX_H
#define QCOW2_POSIX_H

#define _GNU_SOURCE       1  /* declares syscall and O_LARGEFILE */
#define _FILE_OFFSET_BITS 64 /* off_t holds any file offset, also where long has 32 bits */
#define _TIME_BITS        64 /* the same for times after 2038: else fstat(2) fails with EOVERFLOW */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qcow2.h"

#endif
