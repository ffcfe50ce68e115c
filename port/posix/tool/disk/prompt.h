/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Asks for a password on the terminal.
 */
#ifndef QCOW2_TOOL_PROMPT_H
#define QCOW2_TOOL_PROMPT_H

#include "../tool.h"

enum { PROMPT_ROOM = 4096 }; /* the longest line that a terminal delivers */

/*
 * Asks for the password of the image of that name on the controlling terminal, which does not show
 * what is typed, and puts it without the newline into buf. Returns its length, or -1 if the process
 * has no terminal or the terminal ended the input. A signal that ends or stops the process first
 * restores the terminal.
 */
int prompt_password(const char *name, char buf[PROMPT_ROOM]);

#endif
