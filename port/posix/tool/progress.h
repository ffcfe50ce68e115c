/* SPDX-License-Identifier: MIT */
/*
 * A progress bar on standard error.
 */
#ifndef QCOW2_TOOL_PROGRESS_H
#define QCOW2_TOOL_PROGRESS_H

#include "tool.h"

struct progress {
	bool on;
	int shown; /* per mille that the bar shows, or -1 if there is no bar yet */
};

/* The bar is shown on a terminal; `always` also shows it elsewhere, `never` nowhere. */
void progress_begin(struct progress *p, bool always, bool never);
void progress_show(struct progress *p, uint64_t done, uint64_t total);
void progress_end(struct progress *p);

/* Ends the line of the bar, if one is open, so that a message gets a line of its own. */
void progress_break(void);

#endif
