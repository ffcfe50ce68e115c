/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What every file of the qcow2 command needs. Each file includes it before anything else, because
 * it asks the system for 64-bit file offsets and times, and for splice(2).
 *
 * The command uses the library only through qcow2.h and qcow2/status.h (tests/layers/command.sh),
 * so it shows what any other program can do with the shared library.
 */
#ifndef QCOW2_TOOL_H
#define QCOW2_TOOL_H

#define _GNU_SOURCE       1
#define _FILE_OFFSET_BITS 64
#define _TIME_BITS        64

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "qcow2.h"

/* The Makefile defines it; this is for builds by hand. */
#ifndef QCOW2_VERSION
#define QCOW2_VERSION "(unknown version)"
#endif

/*
 * The exit statuses: success, a failure with a message, a wrong command line, success with losses.
 */
enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_SALVAGED = 3 };

#endif
