/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * fork(2) copies the handles, but only the thread that calls it. A reader that another thread has
 * taken would stay taken in the child, and a call that needs one would wait for ever. So a handler
 * of pthread_atfork(3) gives them back there. It finds the pools in a list.
 */
#include "fork.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* for the list */
static struct qp_pool *pools;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
	pthread_mutex_lock(&mutex);
}

static void after_in_parent(void)
{
	pthread_mutex_unlock(&mutex);
}

static void after_in_child(void)
{
	struct qp_pool *pool;

	for (pool = pools; pool != NULL; pool = pool->next)
		qp_pool_after_fork(pool);
	pthread_mutex_unlock(&mutex);
}

/* Fails only without memory. Then a child must not use the handles, as if there were no list. */
static void handle_forks(void)
{
	(void)pthread_atfork(before_fork, after_in_parent, after_in_child);
}

void qp_fork_add(struct qp_pool *pool)
{
	pthread_once(&once, handle_forks);
	pthread_mutex_lock(&mutex);
	pool->next = pools;
	pools = pool;
	pthread_mutex_unlock(&mutex);
}

void qp_fork_remove(struct qp_pool *pool)
{
	struct qp_pool **at = &pools;

	pthread_mutex_lock(&mutex);
	while (*at != pool)
		at = &(*at)->next;
	*at = pool->next;
	pthread_mutex_unlock(&mutex);
}
