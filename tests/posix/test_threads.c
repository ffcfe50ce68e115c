/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * One handle and many threads: each thread gets the right bytes and its own errors, also if threads
 * are cancelled and if the process forks. tsan.sh also runs this under ThreadSanitizer.
 */
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CLUSTER = 4096,
	DISK = 512 * CLUSTER,
	MOST = 5 * CLUSTER, /* the longest read */
	THREADS = 8,
	ROUNDS = 400,
	BAD = 300
};

static uint8_t expected[DISK];

struct job {
	struct qcow2 *q;
	struct guarded buf, segment; /* what the library fills */
	uint64_t random;
	unsigned n_wrong;
	unsigned n_refused;
};

/* Every kind of cluster, one of them damaged. */
static int write_disk(void **state)
{
	struct image img;
	uint64_t i;

	if (dir_setup(state) != 0)
		return 1;
	image_init(&img, 3, 12, DISK);
	for (i = 0; i < DISK / CLUSTER; i++) {
		static const enum image_kind kinds[] = {
			IMAGE_DATA,   IMAGE_COMPRESSED, IMAGE_ZERO,
			IMAGE_ABSENT, IMAGE_STORED,     IMAGE_DATA
		};

		if (i != BAD)
			image_add(&img, &img.active, i, kinds[i * 7u % COUNT(kinds)]);
	}
	image_add_raw(&img, &img.active, BAD, 0x200, 0);
	image_to_file(&img, "disk", NULL);
	image_expect(&img, &img.active, 0, expected, DISK);
	image_free(&img);
	return 0;
}

static uint64_t next_random(struct job *job, uint64_t below)
{
	job->random ^= job->random << 13;
	job->random ^= job->random >> 7;
	job->random ^= job->random << 17;
	return job->random % below;
}

static void read_some(struct job *job)
{
	static const uint64_t bad_start = (uint64_t)BAD * CLUSTER;
	uint64_t off = next_random(job, DISK);
	size_t len = (size_t)next_random(job, MOST - 1) + 1u;
	bool hits_bad;
	int n;

	if (len > DISK - off)
		len = (size_t)(DISK - off);
	hits_bad = off < bad_start + CLUSTER && off + len > bad_start;
	guard_place(&job->buf, len, 1, 0);
	n = qcow2_read(job->q, job->buf.p, len, off);
	if (hits_bad) {
		/* The failure of this thread, whatever the others do. */
		if (n != -1 || errno != EIO || qcow2_last_failure()->error != EIO)
			job->n_wrong++;
		job->n_refused++;
	} else if (n != (int)len || memcmp(job->buf.p, expected + off, len) != 0) {
		job->n_wrong++;
	}
	job->n_wrong += !guard_intact(&job->buf);
}

static void map_some(struct job *job)
{
	struct qcow2_segment *segment = (void *)job->segment.p;
	uint64_t off = next_random(job, DISK);
	uint64_t i;
	int rc = qcow2_map(job->q, off, 3 * CLUSTER, segment);

	job->n_wrong += !guard_intact(&job->segment);
	if (rc != 1) {
		job->n_wrong += off / CLUSTER != BAD;
		return;
	}
	if ((segment->flags & QCOW2_SEGMENT_ZERO) == 0u)
		return;
	for (i = 0; i < segment->length; i++)
		job->n_wrong += expected[off + i] != 0u;
}

static void *work(void *arg)
{
	struct job *job = arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		read_some(job);
		if (i % 4 == 0)
			map_some(job);
	}
	return NULL;
}

static void run(unsigned max_readers)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct job jobs[THREADS];
	pthread_t threads[THREADS];
	unsigned i, refused = 0;
	struct qcow2 *q;

	options.max_readers = max_readers;
	q = qcow2_open_options(open_read("disk"), &options, NULL);
	TRUE(q != NULL);
	for (i = 0; i < THREADS; i++) {
		jobs[i] = (struct job){ .q = q, .random = 88172645463325252u + i * 7919u };
		guard_map(&jobs[i].buf, MOST);
		guard_init(&jobs[i].segment, sizeof(struct qcow2_segment), SEGMENT_ALIGN);
		EQ(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		EQ(pthread_join(threads[i], NULL), 0);
		guard_unmap(&jobs[i].buf);
		guard_unmap(&jobs[i].segment);
		EQ(jobs[i].n_wrong, 0);
		refused += jobs[i].n_refused;
	}
	TRUE(refused > 0u);
	qcow2_close(q);
}

static void test_one_reader(void **state)
{
	(void)state;
	run(1);
}

static void test_fewer_readers(void **state)
{
	(void)state;
	run(3);
}

static void test_as_many_readers(void **state)
{
	(void)state;
	run(THREADS);
}

static void test_default_readers(void **state)
{
	(void)state;
	run(0);
}

/* Several threads ask for a name that was not read before: all get the same string. */
static void *ask_for_name(void *arg)
{
	struct qcow2_info info = { .struct_size = sizeof info };

	if (qcow2_get_info(arg, 0, &info) != 0 || info.incomplete)
		return NULL;
	return strcmp(info.backing_file.bytes, "base") == 0
	               ? (void *)(uintptr_t)info.backing_file.bytes
	               : NULL;
}

static void test_info(void **state)
{
	int round;

	(void)state;
	write_overlay("overlay", "base", "raw");
	for (round = 0; round < 20; round++) {
		struct qcow2 *q = open_with("overlay", QCOW2_INSPECT);
		pthread_t threads[THREADS];
		void *names[THREADS];
		int i;

		TRUE(q != NULL);
		for (i = 0; i < THREADS; i++)
			EQ(pthread_create(&threads[i], NULL, ask_for_name, q), 0);
		for (i = 0; i < THREADS; i++) {
			EQ(pthread_join(threads[i], &names[i]), 0);
			TRUE(names[i] != NULL);
			TRUE(names[i] == names[0]);
		}
		qcow2_close(q);
	}
}

#if defined(__SANITIZE_ADDRESS__)
/*
 * AddressSanitizer takes the stack of a cancelled thread for overflown when it gives back the
 * stack that it has for signals. It asks the program for its options by this name.
 */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "use_sigaltstack=0";
}
#endif

static unsigned n_warm; /* threads that have read the disk once */

/* Reads up to the damaged cluster, again and again until it is cancelled. */
static void *read_for_ever(void *arg)
{
	uint8_t buf[MOST];
	bool warm = false;
	uint64_t off = 0;

	for (;;) {
		struct qcow2_segment s;

		qcow2_read(arg, buf, sizeof buf, off);
		qcow2_map(arg, off, 1, &s);
		off += MOST;
		if (off < BAD * CLUSTER - MOST)
			continue;
		off = 0;
		if (!warm)
			__atomic_fetch_add(&n_warm, 1u, __ATOMIC_RELAXED);
		warm = true;
	}
	return NULL;
}

/*
 * Waits until no thread allocates memory any more. Unlike glibc's, the malloc of AddressSanitizer
 * stays locked in the child of a fork if another thread was in it.
 */
static void wait_until_warm(void)
{
	unsigned i;

	for (i = 0; i < 60000u && __atomic_load_n(&n_warm, __ATOMIC_RELAXED) < THREADS; i++)
		usleep(1000);
	EQ(__atomic_load_n(&n_warm, __ATOMIC_RELAXED), THREADS);
}

static struct qcow2 *open_readers(unsigned max_readers)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct qcow2 *q;

	options.max_readers = max_readers;
	q = qcow2_open_options(open_read("disk"), &options, NULL);
	TRUE(q != NULL);
	return q;
}

static void cancel_all(pthread_t threads[THREADS])
{
	void *result;
	int i;

	for (i = 0; i < THREADS; i++)
		EQ(pthread_cancel(threads[i]), 0);
	for (i = 0; i < THREADS; i++) {
		EQ(pthread_join(threads[i], &result), 0);
		TRUE(result == PTHREAD_CANCELED);
	}
}

/* A cancelled thread ends, and gives back its reader first. */
static void test_cancel(void **state)
{
	struct qcow2 *q = open_readers(2);
	uint8_t byte;
	int round, i;

	(void)state;
	for (round = 0; round < 20; round++) {
		pthread_t threads[THREADS];

		for (i = 0; i < THREADS; i++)
			EQ(pthread_create(&threads[i], NULL, read_for_ever, q), 0);
		usleep(1000);
		cancel_all(threads);
		EQ(qcow2_read(q, &byte, 1, 0), 1);
		EQ(byte, expected[0]);
	}
	qcow2_close(q);
}

/* Opens, lists and closes in a thread that has been cancelled: it ends only after that. */
static void *open_cancelled(void *arg)
{
	struct qcow2_snapshot_entry *snapshots;
	struct qcow2_bitmap_entry *bitmaps;
	struct qcow2_info info = { .struct_size = sizeof info };
	int fd = open_read("disk");
	struct qcow2 *q;

	pthread_cancel(pthread_self());
	q = qcow2_open(fd, NULL);
	if (q == NULL || qcow2_get_info(q, 0, &info) != 0 || qcow2_list_bitmaps(q, &bitmaps) != 0 ||
	    qcow2_list_snapshots(q, &snapshots) != 0 ||
	    qcow2_count_clusters(q, 0, UINT64_MAX, arg) != 0)
		return NULL;
	free(bitmaps);
	free(snapshots);
	qcow2_close(q);
	pthread_testcancel();
	return NULL;
}

static void test_cancelled_before(void **state)
{
	unsigned n_fds = count_fds();
	uint64_t count = 0;
	pthread_t thread;
	void *result;

	(void)state;
	EQ(pthread_create(&thread, NULL, open_cancelled, &count), 0);
	EQ(pthread_join(thread, &result), 0);
	TRUE(result == PTHREAD_CANCELED);
	TRUE(count > 0u);
	EQ(count_fds(), n_fds);
}

/* The child of a fork reads the disk up to the damaged cluster. */
static void read_in_child(struct qcow2 *q)
{
	static uint8_t bytes[BAD * CLUSTER];
	bool good;

	alarm(60); /* ends a call that waits for ever */
	good = qcow2_read(q, bytes, sizeof bytes, 0) == (int)sizeof bytes &&
	       memcmp(bytes, expected, sizeof bytes) == 0;
	qcow2_close(q);
	/* What other threads had in their calls is lost here, as qcow2.h says. Another program in
	 * place of this one keeps valgrind from reporting that. */
	if (good)
		execl("/bin/true", "true", (char *)NULL);
	_exit(1);
}

/* Threads read while the process forks: neither the child nor the parent loses a reader. */
static void test_fork(void **state)
{
	struct qcow2 *q = open_readers(2), *closed = open_readers(1), *other = open_readers(1);
	pthread_t threads[THREADS];
	int round, i;

	(void)state;
	qcow2_close(closed);
	__atomic_store_n(&n_warm, 0u, __ATOMIC_RELAXED);
	for (i = 0; i < THREADS; i++)
		EQ(pthread_create(&threads[i], NULL, read_for_ever, i % 2 == 0 ? q : other), 0);
	wait_until_warm();
	for (round = 0; round < 20; round++) {
		pid_t child = fork();
		int status = -1;

		TRUE(child >= 0);
		if (child == 0)
			read_in_child(round % 2 == 0 ? q : other);
		EQ(waitpid(child, &status, 0), child);
		EQ(status, 0);
	}
	cancel_all(threads);
	qcow2_close(q);
	qcow2_close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_one_reader),
		cmocka_unit_test(test_fewer_readers),
		cmocka_unit_test(test_as_many_readers),
		cmocka_unit_test(test_default_readers),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancelled_before),
		cmocka_unit_test(test_fork),
	};

	return cmocka_run_group_tests(tests, write_disk, dir_teardown);
}
