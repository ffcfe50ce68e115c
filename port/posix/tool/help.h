/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Prints what the tables of commands and options say.
 */
#ifndef QCOW2_TOOL_HELP_H
#define QCOW2_TOOL_HELP_H

#include "args.h"

/* What `qcow2 --help` prints. commands: the table. */
void help_general(FILE *out, const struct command *commands);

/* What `qcow2 COMMAND --help` prints. */
void help_command(const struct command *command);

/*
 * Lists all commands and options for programs. Each line has five fields with a tab after each but
 * the last: command, long name, letter, argument, help. A line without a long name describes the
 * command itself: its operands and its summary.
 */
void help_table(const struct command *commands);

#endif
