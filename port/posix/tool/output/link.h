/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Symbolic links that point to files that do not exist yet.
 */
#ifndef QCOW2_TOOL_LINK_H
#define QCOW2_TOOL_LINK_H

#include "../tool.h"

/*
 * Returns the name of the file that open(2) would create for this name, which stat(2) does not
 * find: the name itself, or what the symbolic links at its end lead to. The caller frees it.
 * Returns NULL with errno set on failure.
 */
char *link_follow(const char *name);

#endif
