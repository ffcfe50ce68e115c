/* SPDX-License-Identifier: MIT */
/*
 * Threads that help the first one.
 */
#include "workers.h"

#include <unistd.h>

void workers_call(struct workers *w, void *(*run)(void *ctx), void *ctx)
{
	long others = sysconf(_SC_NPROCESSORS_ONLN) - 1;

	while (w->n < WORKERS_MAX && (long)w->n < others) {
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
