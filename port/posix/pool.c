/* SPDX-License-Identifier: MIT */
/*
 * The readers of a handle: a row of seats, of which each thread takes one for the time of a call.
 *
 * A seat is claimed by one atomic exchange. Each thread begins to look where it last sat, so that
 * threads that are not more than the seats neither wait nor share. When all are taken, a thread
 * waits for one to be given back. A seat gets its memory when it is first sat on.
 */
#include "qp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where this thread looks first: the number of a seat, plus 1; 0: not decided. */
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

/* Each in cache lines of its own, so that threads on two of them do not slow each other down. */
static struct qp_seat *seats_new(unsigned n)
{
	void *seats;

	if (posix_memalign(&seats, QP_SEAT_ALIGN, n * sizeof(struct qp_seat)) != 0)
		return NULL;
	return memset(seats, 0, n * sizeof(struct qp_seat));
}

bool qp_pool_init(struct qp_pool *pool, const struct qcow2_image *image, unsigned max_readers,
                  size_t memory_len)
{
	if (max_readers == 0u)
		max_readers = default_readers();
	if (max_readers > QP_READERS_MAX)
		max_readers = QP_READERS_MAX;
	pool->seats = seats_new(max_readers);
	if (pool->seats == NULL) {
		qp_fail_text(ENOMEM, 0, "out of memory");
		return false;
	}
	pool->n_seats = max_readers;
	pool->memory_len = memory_len;
	pool->image = image;
	pool->n_waiting = 0;
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->given, NULL);
	return true;
}

static void seat_clear(struct qp_seat *seat)
{
	qp_codecs_free(seat->codecs);
	free(seat->memory);
	free(seat->ahead);
	seat->codecs = NULL;
	seat->memory = NULL;
	seat->ahead = NULL;
	seat->started = false;
}

void qp_pool_free(struct qp_pool *pool)
{
	unsigned i;

	if (pool->seats == NULL)
		return;
	for (i = 0; i < pool->n_seats; i++)
		seat_clear(&pool->seats[i]);
	free(pool->seats);
	pthread_mutex_destroy(&pool->mutex);
	pthread_cond_destroy(&pool->given);
}

/* Bytes of memory for a reader: what the caller wants, if that is enough, or what is good. */
static int seat_memory_len(const struct qp_pool *pool, const struct qp_seat *seat, size_t *len)
{
	size_t min, good;
	int rc = qcow2_reader_memory(pool->image, qp_codecs_list(seat->codecs), &min, &good);

	if (rc != QCOW2_OK)
		return rc;
	*len = pool->memory_len != 0u ? pool->memory_len & ~(size_t)7 : good;
	if (*len < min)
		*len = min;
	return QCOW2_OK;
}

/* Gives a seat its reader. */
static bool seat_start(const struct qp_pool *pool, struct qp_seat *seat)
{
	size_t len = 0;
	int rc;

	seat->codecs = qp_codecs_new();
	if (seat->codecs == NULL) {
		qp_fail_text(ENOMEM, 0, "out of memory");
		return false;
	}
	rc = seat_memory_len(pool, seat, &len);
	if (rc == QCOW2_OK) {
		seat->memory = malloc(len);
		seat->ahead = calloc(1, sizeof *seat->ahead);
		if (seat->memory == NULL || seat->ahead == NULL) {
			qp_fail_text(ENOMEM, 0, "out of memory");
			seat_clear(seat);
			return false;
		}
		rc = qcow2_reader_init(&seat->reader, pool->image, seat->memory, len);
	}
	if (rc == QCOW2_OK)
		rc = qcow2_reader_codecs(&seat->reader, qp_codecs_list(seat->codecs));
	if (rc != QCOW2_OK) {
		qp_fail_core(rc, NULL);
		seat_clear(seat);
		return false;
	}
	seat->started = true;
	return true;
}

static struct qp_seat *seat_claim(struct qp_pool *pool)
{
	unsigned i, at;

	if (my_place == 0u)
		my_place =
			1u + __atomic_fetch_add(&n_places, 1u, __ATOMIC_RELAXED) % QP_READERS_MAX;
	at = (my_place - 1u) % pool->n_seats;
	for (i = 0; i < pool->n_seats; i++) {
		struct qp_seat *seat = &pool->seats[at];

		if (__atomic_load_n(&seat->busy, __ATOMIC_SEQ_CST) == 0 &&
		    __atomic_exchange_n(&seat->busy, 1, __ATOMIC_ACQUIRE) == 0) {
			my_place = at + 1u;
			return seat;
		}
		at = at + 1u < pool->n_seats ? at + 1u : 0u;
	}
	return NULL;
}

/*
 * Sleeps until a seat can be had. Who waits says so before it looks again, and who gives a seat
 * back looks for waiters after that: one of the two sees the other.
 */
static struct qp_seat *seat_wait(struct qp_pool *pool)
{
	struct qp_seat *seat;

	pthread_mutex_lock(&pool->mutex);
	__atomic_fetch_add(&pool->n_waiting, 1, __ATOMIC_SEQ_CST);
	while ((seat = seat_claim(pool)) == NULL)
		pthread_cond_wait(&pool->given, &pool->mutex);
	__atomic_fetch_sub(&pool->n_waiting, 1, __ATOMIC_SEQ_CST);
	pthread_mutex_unlock(&pool->mutex);
	return seat;
}

void qp_seat_give(struct qp_pool *pool, struct qp_seat *seat)
{
	qp_ahead_use(NULL);
	__atomic_exchange_n(&seat->busy, 0, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&pool->n_waiting, __ATOMIC_SEQ_CST) == 0)
		return;
	pthread_mutex_lock(&pool->mutex);
	pthread_cond_signal(&pool->given);
	pthread_mutex_unlock(&pool->mutex);
}

struct qp_seat *qp_seat_take(struct qp_pool *pool)
{
	struct qp_seat *seat = seat_claim(pool);

	if (seat == NULL)
		seat = seat_wait(pool);
	if (seat->started || seat_start(pool, seat)) {
		qp_ahead_use(seat->ahead);
		return seat;
	}
	qp_seat_give(pool, seat);
	return NULL;
}
