/* SPDX-License-Identifier: MIT */
/*
 * Threads that help the first one: `convert` and `compare` call them when they meet compressed data,
 * which takes longer to decode than to move.
 */
#ifndef QCOW2_TOOL_WORKERS_H
#define QCOW2_TOOL_WORKERS_H

#include <pthread.h>

#include "tool.h"

enum { WORKERS_MAX = 3 }; /* four threads in all */

/* All zero before the first call. */
struct workers {
	pthread_t threads[WORKERS_MAX];
	unsigned n;
};

/*
 * Starts a thread for each other processor, at most WORKERS_MAX; each calls run(ctx), and its
 * result is ignored. If a thread cannot be started, the work only takes longer.
 */
void workers_call(struct workers *w, void *(*run)(void *ctx), void *ctx);

/* Waits until all of them have returned. */
void workers_wait(struct workers *w);

#endif
