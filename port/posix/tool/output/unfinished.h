/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What a deadly signal does to an output that is not complete: it removes the file, or says on
 * standard error that the output is not complete.
 */
#ifndef QCOW2_TOOL_UNFINISHED_H
#define QCOW2_TOOL_UNFINISHED_H

#include "../tool.h"

#include <signal.h>

/* Installs the handler of the signals that end a program. Ignored signals stay ignored. */
void unfinished_begin(void);

/*
 * From now on a signal removes the file at `path`, or writes `notice` to standard error; NULL turns
 * the one or the other off. Both must stay valid. Hold the signals while the file system and these
 * two do not agree.
 */
void unfinished_remove(const char *path);
void unfinished_say(const char *notice);

/* The work is done: signals that come later are ignored, and the exit status says so. */
void unfinished_done(void);

void unfinished_hold_signals(sigset_t *before);
void unfinished_release_signals(const sigset_t *before);

#endif
