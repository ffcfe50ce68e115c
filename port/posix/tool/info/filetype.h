/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What a file is that is no qcow2 image, judged by its first bytes. This is only for messages:
 * nothing is ever opened because of it.
 */
#ifndef QCOW2_TOOL_FILETYPE_H
#define QCOW2_TOOL_FILETYPE_H

#include "../tool.h"

/*
 * Returns a static text that follows "the file is", such as "packed with xz; unpack it first", or
 * NULL if the file is unknown or cannot be read. Reads at most 4 KiB, and a few bytes at some
 * places after that. Sets *is_raw: the file seems to be a disk by itself, without a format.
 */
const char *filetype_guess(int fd, bool *is_raw);

#endif
