/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * How far a command is, on standard error: a line that changes in its place, and a line of its own
 * for each SIGUSR1, or SIGINFO where the system has it.
 */
#ifndef QCOW2_TOOL_PROGRESS_H
#define QCOW2_TOOL_PROGRESS_H

#include "../tool.h"

struct progress {
	bool on;         /* the changing line is shown */
	double began;    /* by progress_clock */
	double shown_at; /* when the changing line was last written; negative: never */
	uint64_t done;   /* as of the last progress_show */
	uint64_t total;
};

/*
 * From now on, SIGUSR1 asks for a line instead of ending the program. Call it before anything that
 * takes time; the line comes with the next progress_show or progress_end.
 */
void progress_catch_signals(void);

/* Seconds of a clock that never goes back. */
double progress_clock(void);

/* The changing line is shown on a terminal; `always` also shows it elsewhere, `never` nowhere. */
void progress_begin(struct progress *p, bool always, bool never);
void progress_show(struct progress *p, uint64_t done, uint64_t total);
void progress_end(struct progress *p);

/* Ends the changing line, if it is open, so that a message gets a line of its own. */
void progress_break(void);

#endif
