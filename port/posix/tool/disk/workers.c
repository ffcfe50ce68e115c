/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Threads that help the first one.
 */
#include "workers.h"

#include <unistd.h>

void workers_begin(struct workers *w)
{
	long others = sysconf(_SC_NPROCESSORS_ONLN) - 1;

	w->n = 0;
	w->most = 0;
	if (others > 0)
		w->most = others < WORKERS_MAX ? (unsigned)others : WORKERS_MAX;
}

void workers_call(struct workers *w, void *(*run)(void *ctx), void *ctx)
{
	while (w->n < w->most) {
		if (pthread_create(&w->threads[w->n], NULL, run, ctx) != 0)
			break;
		w->n++;
	}
}

void workers_wait(struct workers *w)
{
	while (w->n > 0u)
		pthread_join(w->threads[--w->n], NULL);
}
