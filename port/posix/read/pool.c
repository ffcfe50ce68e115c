/* SPDX-License-Identifier: MIT */
/*
 * The readers of a handle: a row of slots, of which each thread takes one for the time of a call.
 *
 * A slot is claimed by one atomic exchange. Each thread begins to look where it last sat, so that
 * threads that are not more than the slots neither wait nor share. When all are taken, a thread
 * waits for one to be given back. A slot gets its memory when it is first sat on.
 */
#include "../posix.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLICES_OF_IMAGE = 16 };

/* Where this thread looks first: the number of a slot, plus 1; 0: not decided. */
static __thread unsigned my_place;
static unsigned n_places;

/* One for each processor. The system is asked once: that takes longer than to open an image. */
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

/* Seats have cache lines of their own, so that threads on two of them do not share any. */
void qp_pool_init(struct qp_pool *pool, unsigned n_slots, void *room, size_t memory_len)
{
	size_t before = (size_t)(-(uintptr_t)room % QP_SLOT_ALIGN);
	unsigned i;

	pool->slots = (struct qp_slot *)(void *)((char *)room + before);
	pool->n_slots = n_slots;
	pool->memory_len = memory_len;
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
			free(pool->slots[i].ahead);
		}
	pthread_mutex_destroy(&pool->mutex);
	pthread_cond_destroy(&pool->given);
}

/* What a chain is read in order with, without the tables pushing each other out. */
static size_t few_slices(const struct qcow2_image *image)
{
	size_t n = 0;

	for (; image != NULL; image = image->backing)
		n += SLICES_OF_IMAGE;
	return n * QCOW2_READER_SLICE;
}

/* Bytes of memory for a reader: what is good, or what the caller wants, if that is enough. */
static int slot_memory_len(const struct qp_pool *pool, const struct qp_slot *slot, size_t *len)
{
	size_t min, good;
	int rc = qcow2_reader_memory(pool->image, slot->codecs.list, &min, &good);

	if (rc != QCOW2_OK)
		return rc;
	min += few_slices(pool->image);
	*len = pool->memory_len != 0u ? pool->memory_len & ~(size_t)7 : good;
	if (*len < min)
		*len = min;
	return QCOW2_OK;
}

/* Starts the reader of a slot in this memory. */
static int slot_reader(const struct qp_pool *pool, struct qp_slot *slot, void *memory, size_t len)
{
	int rc = qcow2_reader_init(&slot->reader, pool->image, memory, len);

	return rc == QCOW2_OK ? qcow2_reader_codecs(&slot->reader, slot->codecs.list) : rc;
}

/* Gives a slot its reader. */
static bool slot_start(const struct qp_pool *pool, struct qp_slot *slot)
{
	struct qp_ahead *ahead;
	size_t len = 0;
	int rc;

	qp_codecs_init(&slot->codecs);
	rc = slot_memory_len(pool, slot, &len);
	if (rc != QCOW2_OK) {
		/* Opened to look, not to read; if it is encrypted, the message says how. */
		struct qcow2_error err = { .status = rc, .detail = pool->image->crypt_method };

		qp_fail_core(rc, &err);
		return false;
	}
	ahead = len <= SIZE_MAX - sizeof *ahead ? malloc(sizeof *ahead + len) : NULL;
	if (ahead == NULL) {
		qp_fail_memory();
		return false;
	}
	rc = slot_reader(pool, slot, ahead + 1, len);
	if (rc != QCOW2_OK) {
		qp_fail_core(rc, NULL);
		free(ahead);
		return false;
	}
	memset(ahead, 0, offsetof(struct qp_ahead, bytes));
	slot->ahead = ahead;
	slot->started = true;
	return true;
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
 * Sleeps until a slot can be had. Who waits says so before it looks again, and who gives a slot
 * back looks for waiters after that: one of the two sees the other.
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
	qp_ahead_use(NULL);
	__atomic_exchange_n(&slot->busy, 0, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&pool->n_waiting, __ATOMIC_SEQ_CST) == 0)
		return;
	pthread_mutex_lock(&pool->mutex);
	pthread_cond_signal(&pool->given);
	pthread_mutex_unlock(&pool->mutex);
}

struct qp_slot *qp_slot_take(struct qp_pool *pool)
{
	struct qp_slot *slot = slot_claim(pool);

	if (slot == NULL)
		slot = slot_wait(pool);
	if (slot->started || slot_start(pool, slot)) {
		qp_ahead_use(slot->ahead);
		return slot;
	}
	qp_slot_give(pool, slot);
	return NULL;
}
