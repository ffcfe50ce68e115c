/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Landlock: what the process can do with files by their names.
 */
#ifndef QCOW2_TOOL_SANDBOX_NAMES_H
#define QCOW2_TOOL_SANDBOX_NAMES_H

/*
 * From now on, the process can open, make, rename and remove nothing by name; except that it can
 * rename and remove files in the directory of the file `beside`, unless that is NULL. Does nothing
 * if the kernel has no Landlock.
 */
void sandbox_limit_names(const char *beside);

#endif
