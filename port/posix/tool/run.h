/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A program that has some of the commands.
 */
#ifndef QCOW2_TOOL_RUN_H
#define QCOW2_TOOL_RUN_H

#include "args.h"

/* What main does, with a table of commands that ends with the name NULL. Returns the exit status.
 */
int tool_run(const struct command *commands, int argc, char **argv);

#endif
