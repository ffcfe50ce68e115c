/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* What console.c of a board does for the program. */
#ifndef CONSOLE_H
#define CONSOLE_H

void say(const char *text);
/* Ends the program. On a board that has nothing to return to, it stops the processor. */
__attribute__((noreturn)) void leave(int status);
/*
 * Sets words[0] to the name of the program and the next ones to its arguments, the names of images:
 * those of a command line, or constants. Returns how many there are, at most max.
 */
int command_line(char *words[], int max);

#endif
