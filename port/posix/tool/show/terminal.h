/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the terminal on standard output can show.
 */
#ifndef QCOW2_TOOL_TERMINAL_H
#define QCOW2_TOOL_TERMINAL_H

#include "../tool.h"

struct terminal {
	unsigned columns; /* of the terminal, or COLUMNS in the environment, or 80 */
	unsigned lines;   /* of the terminal; 0 if standard output is none */
	bool utf8;        /* by LC_ALL, LC_CTYPE or LANG, whichever is the first that is set */
	bool color;       /* a terminal that is not dumb, and NO_COLOR is not set */
};

void terminal_examine(struct terminal *t);

#endif
