/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Files that a deadly signal removes while they are not complete.
 */
#ifndef QCOW2_TOOL_TEMP_H
#define QCOW2_TOOL_TEMP_H

#include "../tool.h"

#include <sys/stat.h>

/* DIR/.NAME.XXXXXX for temp_create, or NULL with errno set. The caller frees it. */
char *temp_name(const char *target);

/*
 * Creates a new file with this mode and opens it for writing; the umask and the access control list
 * of the directory apply. `random` replaces the last six characters of the name. Returns the
 * descriptor, or -1 with errno set. From a success on a signal removes the file, so that the name
 * must stay valid.
 */
int temp_create(char *name, mode_t mode, bool random);

#endif
