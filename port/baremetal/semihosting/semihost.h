/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Calls that a debugger or QEMU serves for a bare program: semihost.S. */
#ifndef SEMIHOST_H
#define SEMIHOST_H

#include <stdint.h>

enum {
	SEMIHOST_OPEN = 0x01,
	SEMIHOST_WRITE0 = 0x04,
	SEMIHOST_READ = 0x06,
	SEMIHOST_SEEK = 0x0a,
	SEMIHOST_FILE_LEN = 0x0c,
	SEMIHOST_COMMAND_LINE = 0x15,
	SEMIHOST_EXIT = 0x20
};

intptr_t semihost(uintptr_t number, const void *argument);

#endif
