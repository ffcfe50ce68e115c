/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Owner, group, mode, access control list and extended attributes of a file that is replaced.
 */
#ifndef QCOW2_TOOL_ATTRIBUTES_H
#define QCOW2_TOOL_ATTRIBUTES_H

#include "../tool.h"

#include <sys/stat.h>

/*
 * Gives the new file fd the attributes of the file at `path`, whose status is *old, as far as the
 * system allows: what it refuses is left out. Set-user-ID and the like are never copied. Returns
 * whether the new file has the same owner and group.
 */
bool attributes_copy(int fd, const char *path, const struct stat *old);

/*
 * Returns the mode to create the new file with: only its owner may use it until attributes_copy.
 */
mode_t attributes_first_mode(const struct stat *old);

#endif
