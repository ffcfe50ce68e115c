/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The readers of a handle: a row of slots. A thread takes one for the duration of a call.
 *
 *	               slot 0        slot 1        slot 2        slot 3
 *	             +-------------+-------------+-------------+-------------+
 *	             | busy        | busy        | free        | free, not   |
 *	             | reader      | reader      | reader      | started yet |
 *	             +-------------+-------------+-------------+-------------+
 *	                 ^   |          ^             ^
 *	          thread A   |    thread B            |
 *	                     |                  thread C searches from here: its last slot
 *	                     v
 *	               from malloc: qp_ahead | memory of the reader (cached tables, decoded cluster)
 *
 * One atomic exchange claims a slot. A thread starts its search at the slot that it had last, so
 * threads neither wait for each other nor share cache lines as long as there are enough slots. If
 * all slots are taken, a thread waits until another gives one back. A slot gets its memory when it
 * is first taken.
 */
#include "pool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cancel.h"
#include "../failure.h"
#include "grown.h"

/*
 * The least number of table slices for each image of the chain: reading in order needs an L1 slice
 * and an L2 slice of each, and with few slices, those of several images evict each other.
 */
enum { SLICES_OF_IMAGE = 16 };

/* Where this thread begins to search: the number of a slot plus 1, or 0 if not chosen yet. */
static __thread unsigned my_place;
static unsigned n_places;

/*
 * One for each processor. The system is asked once for all handles: asking takes longer than
 * opening an image.
 */
static unsigned default_readers(void)
{
	static unsigned known;
	unsigned readers = __atomic_load_n(&known, __ATOMIC_RELAXED);
	long n;

	if (readers != 0u)
		return readers;
	n = sysconf(_SC_NPROCESSORS_ONLN);
	readers = n < 1 ? 1u : n < QP_READERS_DEFAULT ? (unsigned)n : QP_READERS_DEFAULT;
	__atomic_store_n(&known, readers, __ATOMIC_RELAXED);
	return readers;
}

unsigned qp_pool_slots(unsigned max_readers)
{
	if (max_readers == 0u)
		return default_readers();
	return max_readers < QP_READERS_MAX ? max_readers : QP_READERS_MAX;
}

size_t qp_pool_room(unsigned n_slots)
{
	return QP_SLOT_ALIGN - 1u + n_slots * sizeof(struct qp_slot);
}

void qp_pool_init(struct qp_pool *pool, const struct qcow2_image *image, unsigned n_slots,
                  void *room, size_t memory_len)
{
	/* Each slot begins on its own cache line, so that threads in different slots share none. */
	size_t before = (size_t)(-(uintptr_t)room % QP_SLOT_ALIGN);
	unsigned i;

	pool->slots = (struct qp_slot *)(void *)((char *)room + before);
	pool->n_slots = n_slots;
	pool->memory_len = memory_len;
	pool->image = image;
	pool->n_waiting = 0;
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->given, NULL);
	for (i = 0; i < n_slots; i++) {
		pool->slots[i].busy = 0;
		pool->slots[i].started = false;
	}
}

void qp_pool_free(struct qp_pool *pool)
{
	unsigned i;

	for (i = 0; i < pool->n_slots; i++)
		if (pool->slots[i].started) {
			qp_codecs_end(&pool->slots[i].codecs);
			free(pool->slots[i].reader.ahead);
			free(pool->slots[i].grown);
		}
	pthread_mutex_destroy(&pool->mutex);
	pthread_cond_destroy(&pool->given);
}

void qp_pool_after_fork(struct qp_pool *pool)
{
	unsigned i;

	for (i = 0; i < pool->n_slots; i++)
		if (pool->slots[i].busy != 0) {
			pool->slots[i].busy = 0;
			pool->slots[i].started = false;
		}
	pool->n_waiting = 0;
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->given, NULL);
}

/* Bytes of slices that let a chain be read in order without slices evicting each other. */
static size_t few_slices(const struct qcow2_image *image)
{
	size_t n = 0;

	for (; image != NULL; image = image->backing)
		n += SLICES_OF_IMAGE;
	return n * QCOW2_READER_SLICE;
}

/* The memory of a reader in bytes: a good size, or what the caller chose if that is enough. */
static size_t slot_memory_len(const struct qp_pool *pool, const struct qp_slot *slot)
{
	size_t min = 0, good = 0, len;

	/* It fails if the image cannot be read. Then slot_reader fails as well, and reports why. */
	(void)qcow2_reader_memory(pool->image, slot->codecs.list, &min, &good);
	min += few_slices(pool->image);
	/* The core needs its memory aligned to 8. */
	len = pool->memory_len != 0u ? pool->memory_len & ~(size_t)7 : good;
	return len < min ? min : len;
}

/*
 * Starts the reader of a slot on an image, in the len bytes after *ahead. Fails if QCOW2_INSPECT
 * opened an image that cannot be read.
 */
static bool slot_reader(struct qp_slot *slot, const struct qcow2_image *image,
                        struct qp_ahead *ahead, size_t len)
{
	struct qp_reader *reader = &slot->reader;
	int rc = qcow2_reader_start(&reader->core, image, slot->codecs.list, ahead + 1, len);

	if (rc != QCOW2_OK) {
		reader->core.error.io = NULL; /* the core reports no position for this */
		qp_fail_core(rc, &reader->core.error);
		return false;
	}
	reader->fetch = reader->core.fetch;
	reader->core.fetch = qp_ahead_fetch;
	reader->ahead = ahead;
	memset(ahead, 0, offsetof(struct qp_ahead, bytes));
	return true;
}

/* Gives a slot its reader. */
static bool slot_start(const struct qp_pool *pool, struct qp_slot *slot)
{
	struct qp_ahead *ahead;
	size_t len;

	qp_codecs_init(&slot->codecs);
	len = slot_memory_len(pool, slot);
	ahead = len <= SIZE_MAX - sizeof *ahead ? malloc(sizeof *ahead + len) : NULL;
	if (ahead == NULL) {
		qp_fail_memory();
		return false;
	}
	if (!slot_reader(slot, pool->image, ahead, len)) {
		free(ahead);
		return false;
	}
	slot->grown = NULL;
	slot->started = true;
	return true;
}

bool qp_slot_grow(struct qp_pool *pool, struct qp_slot *slot)
{
	if (!qp_grown_update(&slot->grown, pool->image, slot->reader.core.error.io))
		return false;
	return slot_reader(slot, qp_grown_image(slot->grown), slot->reader.ahead,
	                   slot_memory_len(pool, slot));
}

static struct qp_slot *slot_claim(struct qp_pool *pool)
{
	unsigned i, at;

	if (my_place == 0u)
		my_place =
			1u + __atomic_fetch_add(&n_places, 1u, __ATOMIC_RELAXED) % QP_READERS_MAX;
	at = (my_place - 1u) % pool->n_slots;
	for (i = 0; i < pool->n_slots; i++) {
		struct qp_slot *slot = &pool->slots[at];

		/* The load first: an exchange takes the cache line from the thread that has it. */
		if (__atomic_load_n(&slot->busy, __ATOMIC_SEQ_CST) == 0 &&
		    __atomic_exchange_n(&slot->busy, 1, __ATOMIC_ACQUIRE) == 0) {
			my_place = at + 1u;
			return slot;
		}
		at = at + 1u < pool->n_slots ? at + 1u : 0u;
	}
	return NULL;
}

/*
 * Sleeps until a slot is free. A thread that waits announces itself before it checks the slots
 * again, and a thread that gives a slot back checks for waiting threads after that: at least one of
 * the two sees what the other has done.
 */
static struct qp_slot *slot_wait(struct qp_pool *pool)
{
	struct qp_slot *slot;

	pthread_mutex_lock(&pool->mutex);
	__atomic_fetch_add(&pool->n_waiting, 1, __ATOMIC_SEQ_CST);
	while ((slot = slot_claim(pool)) == NULL)
		pthread_cond_wait(&pool->given, &pool->mutex);
	__atomic_fetch_sub(&pool->n_waiting, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&pool->mutex);
	return slot;
}

void qp_slot_give(struct qp_pool *pool, struct qp_slot *slot)
{
	int cancel_state = slot->cancel_state;

	__atomic_exchange_n(&slot->busy, 0, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&pool->n_waiting, __ATOMIC_SEQ_CST) != 0) {
		pthread_mutex_lock(&pool->mutex);
		pthread_cond_signal(&pool->given);
		pthread_mutex_unlock(&pool->mutex);
	}
	qp_cancel_restore(cancel_state);
}

/*
 * gcc's analyzer does not follow slots in an array by an index, so it takes the memory that
 * slot_start puts into one for lost.
 */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 10
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif
struct qp_slot *qp_slot_take(struct qp_pool *pool)
{
	struct qp_slot *slot;
	int cancel_state;

	qp_cancel_test();
	cancel_state = qp_cancel_hold();
	slot = slot_claim(pool);
	if (slot == NULL)
		slot = slot_wait(pool);
	slot->cancel_state = cancel_state;
	if (slot->started || slot_start(pool, slot))
		return slot;
	qp_slot_give(pool, slot);
	return NULL;
}
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 10
#pragma GCC diagnostic pop
#endif
