/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * pthread_cancel(3) during a call. Many system calls can end a cancelled thread, which would lose
 * the memory, the descriptors and the reader that the call has. So each call that has any of these
 * holds cancellation off until it returns. qcow2_read and qcow2_map are cancellation points
 * nevertheless, so that a thread that only reads can be cancelled: they test for it at the
 * beginning, when they have nothing.
 */
#ifndef QCOW2_POSIX_CANCEL_H
#define QCOW2_POSIX_CANCEL_H

#include "posix.h"

#include <pthread.h>

/* Ends the thread if it was cancelled. */
static inline void qp_cancel_test(void)
{
#ifndef __ANDROID__ /* it has no pthread_cancel */
	pthread_testcancel();
#endif
}

/* Holds cancellation off. Returns what qp_cancel_restore needs. */
static inline int qp_cancel_hold(void)
{
	int state = 0;

#ifndef __ANDROID__
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
#endif
	return state;
}

static inline void qp_cancel_restore(int state)
{
#ifndef __ANDROID__
	pthread_setcancelstate(state, &state);
#else
	(void)state;
#endif
}

#endif
