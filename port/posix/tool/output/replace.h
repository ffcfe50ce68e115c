/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Whether a file can be replaced by renaming another one. The system says so only when it is done,
 * which is after the work; this finds it out before.
 */
#ifndef QCOW2_TOOL_REPLACE_H
#define QCOW2_TOOL_REPLACE_H

#include "../tool.h"

#include <sys/stat.h>

enum replace {
	REPLACE_BY_RENAME,
	REPLACE_IN_PLACE, /* it is a mount point, or its directory lets nobody rename it */
	REPLACE_NEVER     /* the file must not be changed: errno is EPERM */
};

/* `path` is an existing file as realpath(3) returns it, and *st its status. */
enum replace replace_how(const char *path, const struct stat *st);

/* After a file could not be created, does this errno mean that the directory takes no files? */
bool replace_beside_is_refused(int error);

#endif
