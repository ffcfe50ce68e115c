/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Which files a disk is read from, so that none of them is written.
 */
#ifndef QCOW2_TOOL_FILES_H
#define QCOW2_TOOL_FILES_H

#include "../tool.h"

#include <sys/stat.h>

/* Is this the file, or the same device under another name? -1 is no file. */
bool file_is(int fd, const struct stat *st);

/* Is the file the image, or a backing or data file of it? */
bool file_is_input(struct qcow2 *q, const struct stat *st);

#endif
