/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The second wall. Images are hostile: if one of them takes over a decoder, the process must not be
 * able to do more than the command still has to do.
 */
#ifndef QCOW2_TOOL_SANDBOX_H
#define QCOW2_TOOL_SANDBOX_H

#include "../tool.h"

enum { SANDBOX_FILES = 2, SANDBOX_WRITABLE = 16 };

/* What a command does after its files are open, besides reading and printing. */
struct sandbox_needs {
	int files[SANDBOX_FILES]; /* descriptors that it writes to; -1: none */
	bool zeroes_blocks;       /* the first one is a block device, of which it zeroes ranges */
	bool copies;              /* it duplicates descriptors */
	const char *beside;       /* path of a file; the command renames and removes files in the
	                           * directory of this file. NULL: it does neither. */
	const int *writable;      /* more descriptors that it writes to: also the pipes of mount */
	unsigned n_writable;      /* at most SANDBOX_WRITABLE. 0: none, and no nbd_device */
	int nbd_device;           /* the device that it runs and clears, if there are sockets; -1:
	                           * none */
};

/*
 * Gives up all other rights of this process, for good: to open files, to start programs, to use the
 * network, to signal other processes, and to write to descriptors other than these, standard output
 * and standard error. Does nothing if `off`, which is --no-sandbox.
 *
 * Threads inherit the limits, so call it before the first thread starts, and after everything is
 * open. What is refused fails with EPERM or EACCES. A kernel without seccomp(2) or landlock(7),
 * another processor than x86-64, and another system than Linux refuse less or nothing; that is no
 * failure.
 */
void sandbox_enter(bool off, const struct sandbox_needs *needs);

/* The same, for a command that only reads and prints. */
void sandbox_enter_reading(bool off);

#endif
