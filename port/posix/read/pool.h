/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The readers of a handle. A thread takes one for the duration of a call.
 */
#ifndef QCOW2_POSIX_POOL_H
#define QCOW2_POSIX_POOL_H

#include "../posix.h"

#include <pthread.h>

#include "../codec/codecs.h"
#include "ahead.h"
#include "qcow2/image.h"

enum {
	QP_READERS_MAX = 1024,   /* keeps the row of slots, some 600 bytes each, below 1 MiB */
	QP_READERS_DEFAULT = 32, /* at most, unless the caller chooses: each takes memory */
	QP_SLOT_ALIGN = 128      /* two cache lines, which processors fetch together */
};

/* One reader. Only the thread that has claimed the slot may access more than `busy`. */
struct qp_slot {
	int busy;                /* 1: claimed by a thread. Atomic access only. */
	int cancel_state;        /* of the thread, for qp_cancel_restore */
	bool started;            /* the fields below are valid */
	struct qp_reader reader; /* its memory follows *reader.ahead */
	struct qp_codecs codecs;
	struct qp_grown *grown; /* copies of the images, with longer files; NULL: no file grew */
} __attribute__((aligned(QP_SLOT_ALIGN)));

struct qp_pool {
	struct qp_slot *slots;
	unsigned n_slots;
	size_t memory_len;               /* bytes for each reader, or 0 for a good size */
	const struct qcow2_image *image; /* what the readers read */
	int n_waiting;                   /* threads in slot_wait. Atomic access only. */
	pthread_mutex_t mutex;           /* for threads that wait, and for those that wake them */
	pthread_cond_t given;            /* a slot was given back */
	struct qp_pool *next;            /* in the list of fork.c */
};

/* The number of slots for qcow2_options.max_readers. */
unsigned qp_pool_slots(unsigned max_readers);
/* The bytes that this many slots take, wherever they are put. */
size_t qp_pool_room(unsigned n_slots);
/* Starts a pool with n_slots slots in `room`, for readers of *image. */
void qp_pool_init(struct qp_pool *pool, const struct qcow2_image *image, unsigned n_slots,
                  void *room, size_t memory_len);
void qp_pool_free(struct qp_pool *pool);

/*
 * Gives back the slots of threads that do not exist here, in a process that fork(2) has just made.
 * Nothing shows what these threads were doing, so their readers are not used again, nor freed.
 */
void qp_pool_after_fork(struct qp_pool *pool);

/*
 * Takes a slot, with a reader that belongs to the calling thread until qp_slot_give. Waits if all
 * slots are taken. Returns NULL if the reader cannot be started. A
 * cancelled thread ends at the beginning of the call, but not while it waits or has a slot.
 */
struct qp_slot *qp_slot_take(struct qp_pool *pool);
void qp_slot_give(struct qp_pool *pool, struct qp_slot *slot);

/*
 * For a call that failed with QCOW2_E_TRUNCATED: has the file in question grown since the reader
 * started? If so, starts the reader anew, with the new sizes of all files and no cached tables, and
 * returns true. Then the call may succeed.
 */
bool qp_slot_grow(struct qp_pool *pool, struct qp_slot *slot);

#endif
