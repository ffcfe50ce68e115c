/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Fixed pieces of work on a bare Cortex-M4; gate.py counts their instructions.
 *
 *	m4 WORK TIMES IMAGE      does the work TIMES times and prints the number of io calls
 *
 * The preparation does not depend on TIMES, so the difference of two runs is the work alone.
 * count.c leaves out the io callback, so the count is that of the library with its memcpy.
 */
#include "board.h"
#include "disk.h"
#include "semihost.h"

#include "qcow2/reader.h"

enum { BLOCK = 4096, SLOTS = 16, PACKED_MAX = 64, STATUS_FAILED = 1, STATUS_USAGE = 2 };

static struct disk disk;
static struct qcow2_io io;
static struct qcow2_image image;
static struct qcow2_reader reader;
static uint64_t memory[SLOTS * QCOW2_READER_SLICE / 8];
static uint8_t buffer[BLOCK];
static uint32_t packed[PACKED_MAX]; /* the first blocks of compressed clusters */
static uint32_t n_packed;
static uint32_t n_calls;

static void must(int rc)
{
	if (rc == QCOW2_OK)
		return;
	say(qcow2_status_text(rc));
	say("\n");
	leave(STATUS_FAILED);
}

/* gate.py finds this function by its name, to leave it out of the count. */
int m4_read(void *ctx, uint64_t pos, void *buf, size_t len);

__attribute__((noinline)) int m4_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	const struct disk *from = ctx;
	const uintptr_t seek[] = { from->handle, (uintptr_t)pos };
	const uintptr_t read[] = { from->handle, (uintptr_t)buf, len };

	n_calls++;
	if (semihost(SEMIHOST_SEEK, seek) != 0)
		return DISK_E_SEEK;
	return semihost(SEMIHOST_READ, read) == 0 ? DISK_OK : DISK_E_READ;
}

static void open_image(const char *name)
{
	static const struct qcow2_io_ops ops = { m4_read };

	must(disk_open(&disk, name) == DISK_OK ? QCOW2_OK : QCOW2_E_IO);
	io.ops = &ops;
	io.ctx = &disk;
	io.size = disk.size;
	must(qcow2_image_open(&image, &io, 0, NULL));
}

static void read_block(uint32_t block)
{
	must(qcow2_reader_read(&reader, (uint64_t)block * BLOCK, buffer, BLOCK));
}

/* The first block of each cluster, in an order in which no two clusters are neighbours. */
static uint32_t scattered_block(uint32_t i)
{
	uint32_t n_clusters = (uint32_t)(image.size >> image.cluster_bits); /* a power of two */

	return (i * 197u & (n_clusters - 1u)) << (image.cluster_bits - 12);
}

static void setup_none(void)
{
}

static void work_open(uint32_t i)
{
	(void)i;
	must(qcow2_image_open(&image, &io, 0, NULL));
}

static void setup_cold(void)
{
	must(qcow2_reader_init(&reader, &image, memory, QCOW2_READER_MEMORY));
}

static void work_scattered(uint32_t i)
{
	read_block(scattered_block(i));
}

/* Reads all clusters repeatedly, until all tables are in the reader's memory. */
static void setup_hot(void)
{
	must(qcow2_reader_init(&reader, &image, memory, sizeof memory));
	for (uint32_t i = 0; i < 4096u; i++)
		work_scattered(i);
}

static void work_in_order(uint32_t i)
{
	read_block(i);
}

static void setup_packed(void)
{
	static const struct qcow2_codec *const codecs[] = { &qcow2_deflate_small, NULL };
	struct qcow2_extent e;

	must(qcow2_reader_init(&reader, &image, memory, QCOW2_READER_MEMORY_DEFLATE));
	must(qcow2_reader_codecs(&reader, codecs));
	for (uint64_t off = 0; off < image.size && n_packed < PACKED_MAX; off += e.len) {
		must(qcow2_reader_map(&reader, off, image.size - off, &e));
		if (e.kind == QCOW2_EXTENT_COMPRESSED)
			packed[n_packed++] = (uint32_t)(off / BLOCK);
	}
	must(n_packed == PACKED_MAX ? QCOW2_OK : QCOW2_E_RANGE);
}

static void work_packed(uint32_t i)
{
	read_block(packed[i % PACKED_MAX]);
}

static const struct work {
	const char *name;
	void (*setup)(void);
	void (*once)(uint32_t i);
} works[] = {
	{ "open", setup_none, work_open },        /* open the image */
	{ "cold", setup_cold, work_scattered },   /* 4 KiB with no table in memory */
	{ "hot", setup_hot, work_scattered },     /* 4 KiB with all tables in memory */
	{ "in-order", setup_hot, work_in_order }, /* 4 KiB after 4 KiB */
	{ "deflate", setup_packed, work_packed }, /* 4 KiB of a compressed cluster */
};

static int same(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static uint32_t number(const char *text)
{
	uint32_t n = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		n = n * 10u + (uint32_t)(*text - '0');
	return n;
}

int main(int argc, char **argv)
{
	uint32_t times;

	for (size_t w = 0; argc == 4 && w < sizeof works / sizeof *works; w++) {
		if (!same(works[w].name, argv[1]))
			continue;
		times = number(argv[2]);
		open_image(argv[3]);
		works[w].setup();
		n_calls = 0;
		for (uint32_t i = 0; i < times; i++)
			works[w].once(i);
		say("calls ");
		say_number(n_calls);
		say("\n");
		return 0;
	}
	say("usage: WORK TIMES IMAGE\n");
	return STATUS_USAGE;
}
