/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Runs of the command by request: a process that is ready to run it makes a copy of itself for each
 * run. With sanitizers this takes a third of the time of starting the program again.
 */
#ifndef TESTS_FAULT_SERVER_H
#define TESTS_FAULT_SERVER_H

#include <stdbool.h>

/*
 * Answers the requests that come from a socket until its other end is closed; then returns false.
 * Returns true in each copy, which then runs the command as the request says: argc and argv, the
 * current directory, standard input, output and error, and the environment (faults.c). The answer
 * to a request is the status that waitpid returned. fault_server.py is the other end.
 */
bool serve(int socket, int *argc, char ***argv);

#endif
