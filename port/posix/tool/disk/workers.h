/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Threads that help the first one: `convert` and `compare` call them when they meet compressed
 * data, which takes longer to decode than to move.
 */
#ifndef QCOW2_TOOL_WORKERS_H
#define QCOW2_TOOL_WORKERS_H

#include <pthread.h>

#include "../tool.h"

enum { WORKERS_MAX = 3 }; /* four threads in all */

struct workers {
	pthread_t threads[WORKERS_MAX];
	unsigned n;
	unsigned most; /* that can run besides the first one */
};

/* Counts the processors. This opens a file, so call it before sandbox_enter. */
void workers_begin(struct workers *w);

/*
 * Starts a thread for each other processor, at most WORKERS_MAX; each calls run(ctx), and its
 * result is ignored. If a thread cannot be started, the work only takes longer.
 */
void workers_call(struct workers *w, void *(*run)(void *ctx), void *ctx);

/* Waits until all of them have returned. */
void workers_wait(struct workers *w);

#endif
