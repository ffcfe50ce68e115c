/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The commands, one file each: info.c, map.c and so on. Each returns an exit status, after a
 * message if that is not EXIT_OK.
 */
#ifndef QCOW2_TOOL_COMMANDS_H
#define QCOW2_TOOL_COMMANDS_H

#include "args.h"

int run_attach(struct args *args);
int run_bitmaps(struct args *args);
int run_cat(struct args *args);
int run_check(struct args *args);
int run_compare(struct args *args);
int run_convert(struct args *args);
int run_detach(struct args *args);
int run_help(struct args *args);
int run_info(struct args *args);
int run_map(struct args *args);
int run_snapshots(struct args *args);
int run_version(struct args *args);

#endif
