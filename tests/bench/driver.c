/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Does one piece of work with the reader that it is linked with (reader.h).
 *
 *	driver seq IMAGE BUFFER [TIMES [BYTES]]     reads the disk, or its first BYTES, in order
 *	driver par IMAGE BUFFER THREADS             the same, by threads that take pieces in turn
 *	driver rand IMAGE OFFSETS BUFFER [THREADS]  reads at the offsets in a file, on one handle
 *	driver open IMAGE TIMES                     opens, reads 4 KiB in the middle, closes
 *	driver sum IMAGE BUFFER                     prints a checksum of the disk
 *	driver fill BYTES BUFFER                    reads nothing, but clears a buffer repeatedly
 *
 * OFFSETS is a file of 64-bit numbers in the byte order of the machine. Sizes are in bytes. The
 * exit status is 0, or 1 if a call fails. The driver does as little else as possible, so that its
 * cost is the cost of the reader.
 */
#define _POSIX_C_SOURCE 200809L

#include "bench/reader.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS_MAX = 64, OPEN_READ = 4096 };

static void die(const char *what)
{
	fprintf(stderr, "driver: %s\n", what);
	exit(1);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (*end != '\0' || end == text)
		die("not a number");
	return n;
}

static unsigned char *buffer_new(size_t len)
{
	void *buf;

	if (len == 0u || posix_memalign(&buf, 4096, len) != 0)
		die("no memory");
	memset(buf, 1, len);
	return buf;
}

static struct reader *must_open(const char *path)
{
	struct reader *reader = reader_open(path);

	if (reader == NULL)
		die("cannot open");
	return reader;
}

static uint64_t fold(uint64_t sum, const unsigned char *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
	return sum;
}

/* Reads the first `bytes` in order. Adds them to the checksum *sum if that is not NULL. */
static void pass(struct reader *reader, unsigned char *buf, size_t room, uint64_t bytes,
                 uint64_t *sum)
{
	uint64_t off;
	size_t len;

	for (off = 0; off < bytes; off += len) {
		len = bytes - off < room ? (size_t)(bytes - off) : room;
		if (!reader_read(reader, buf, len, off))
			die("cannot read");
		if (sum != NULL)
			*sum = fold(*sum, buf, len);
	}
}

static void run_seq(int argc, char **argv)
{
	struct reader *reader = must_open(argv[2]);
	size_t room = (size_t)number(argv[3]);
	uint64_t times = argc > 4 ? number(argv[4]) : 1u;
	uint64_t bytes = argc > 5 ? number(argv[5]) : reader_size(reader);
	unsigned char *buf = buffer_new(room);

	while (times-- > 0u)
		pass(reader, buf, room, bytes, NULL);
	reader_close(reader);
	free(buf);
}

static void run_sum(char **argv)
{
	struct reader *reader = must_open(argv[2]);
	size_t room = (size_t)number(argv[3]);
	unsigned char *buf = buffer_new(room);
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	pass(reader, buf, room, reader_size(reader), &sum);
	printf("%016" PRIx64 "\n", sum);
	reader_close(reader);
	free(buf);
}

/* What the threads of one run share. */
struct queue {
	struct reader *reader;
	size_t room;
	uint64_t bytes;
	uint64_t next; /* accessed by atomic operations only */
};

static void *run_queue(void *arg)
{
	struct queue *queue = arg;
	unsigned char *buf = buffer_new(queue->room);
	uint64_t off, left;

	for (;;) {
		off = __atomic_fetch_add(&queue->next, queue->room, __ATOMIC_RELAXED);
		if (off >= queue->bytes)
			break;
		left = queue->bytes - off;
		if (!reader_read(queue->reader, buf, left < queue->room ? left : queue->room, off))
			die("cannot read");
	}
	free(buf);
	return NULL;
}

static unsigned n_threads(const char *text)
{
	uint64_t n = number(text);

	if (n == 0u || n > THREADS_MAX)
		die("not a number of threads from 1 to 64");
	return (unsigned)n;
}

static void run_par(char **argv)
{
	pthread_t threads[THREADS_MAX];
	struct queue queue = { must_open(argv[2]), (size_t)number(argv[3]), 0, 0 };
	unsigned n = n_threads(argv[4]), i;

	queue.bytes = reader_size(queue.reader);
	for (i = 1; i < n; i++)
		if (pthread_create(&threads[i], NULL, run_queue, &queue) != 0)
			die("no thread");
	run_queue(&queue);
	for (i = 1; i < n; i++)
		pthread_join(threads[i], NULL);
	reader_close(queue.reader);
}

struct share {
	struct reader *reader;
	const char *offsets; /* file name */
	size_t room;
	unsigned part, parts;
	pthread_t thread;
};

/* Reads every parts-th piece of the list. Reading it piece by piece keeps the memory small. */
static void *run_share(void *arg)
{
	const struct share *share = arg;
	unsigned char *buf = buffer_new(share->room);
	FILE *file = fopen(share->offsets, "rb");
	uint64_t off[512];
	unsigned turn = 0;
	size_t n, i;

	if (file == NULL)
		die("cannot open the list of offsets");
	while ((n = fread(off, sizeof off[0], 512, file)) > 0u) {
		if (turn++ % share->parts != share->part)
			continue;
		for (i = 0; i < n; i++)
			if (!reader_read(share->reader, buf, share->room, off[i]))
				die("cannot read");
	}
	fclose(file);
	free(buf);
	return NULL;
}

static void run_rand(int argc, char **argv)
{
	static struct share shares[THREADS_MAX];
	struct reader *reader = must_open(argv[2]);
	unsigned parts = argc > 5 ? n_threads(argv[5]) : 1u;
	unsigned i;

	for (i = 0; i < parts; i++) {
		shares[i].reader = reader;
		shares[i].offsets = argv[3];
		shares[i].room = (size_t)number(argv[4]);
		shares[i].part = i;
		shares[i].parts = parts;
		if (i > 0u && pthread_create(&shares[i].thread, NULL, run_share, &shares[i]) != 0)
			die("no thread");
	}
	run_share(&shares[0]);
	for (i = 1; i < parts; i++)
		pthread_join(shares[i].thread, NULL);
	reader_close(reader);
}

static void run_open(char **argv)
{
	static unsigned char buf[OPEN_READ];
	uint64_t times = number(argv[3]);

	while (times-- > 0u) {
		struct reader *reader = must_open(argv[2]);
		uint64_t middle = reader_size(reader) / 2u / OPEN_READ * OPEN_READ;

		if (!reader_read(reader, buf, sizeof buf, middle))
			die("cannot read");
		reader_close(reader);
	}
}

static void run_fill(char **argv)
{
	uint64_t bytes = number(argv[2]);
	size_t room = (size_t)number(argv[3]);
	unsigned char *buf = buffer_new(room);
	uint64_t off;

	for (off = 0; off < bytes; off += room) {
		memset(buf, 0, room);
		__asm__ volatile(""
		                 :
		                 : "r"(buf)
		                 : "memory"); /* keeps the compiler from dropping memset */
	}
	free(buf);
}

int main(int argc, char **argv)
{
	const char *work = argc > 1 ? argv[1] : "";

	if (strcmp(work, "seq") == 0 && argc >= 4 && argc <= 6)
		run_seq(argc, argv);
	else if (strcmp(work, "par") == 0 && argc == 5)
		run_par(argv);
	else if (strcmp(work, "rand") == 0 && argc >= 5 && argc <= 6)
		run_rand(argc, argv);
	else if (strcmp(work, "open") == 0 && argc == 4)
		run_open(argv);
	else if (strcmp(work, "sum") == 0 && argc == 4)
		run_sum(argv);
	else if (strcmp(work, "fill") == 0 && argc == 4)
		run_fill(argv);
	else
		die("usage: see the top of driver.c");
	return 0;
}
