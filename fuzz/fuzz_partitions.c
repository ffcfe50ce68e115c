/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What `qcow2 info` reads of hostile disks: partition tables, and the type of a file.
 *
 * A table is the same when it is read again. It has no more partitions than fit, in ascending order
 * without doubles, none of them wraps, and all texts are well-formed and end. Reads are inside the
 * disk, and no more than partitions.h allows. A failing read is reported.
 *
 * The input is the disk, and a file. The bytes from CHOICES on, which are code of the boot loader,
 * choose the size of the disk, the read that fails, and whether the checksums of a GPT are made
 * right: no fuzzer finds one by chance.
 */
/* First, because they choose the features of the system's headers. */
#include "../port/posix/tool/info/filetype.h"
#include "../port/posix/tool/info/partitions.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"

enum {
	CHOICES = 400,
	SECTOR = 512,
	MBR_READ_MAX = (1 + 128) * SECTOR,
	GPT_READ_MAX = SECTOR + 2 * (512 + 4096) + 4 * 512 * 1024,
	HEADER_LEN = 92
};

struct disk {
	const uint8_t *bytes; /* the disk reads as zeros behind these */
	size_t len;
	uint64_t size;
	uint64_t n_read; /* bytes */
	unsigned n_calls;
	unsigned fail_at; /* 0: no call fails */
};

static bool disk_read(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct disk *d = ctx;
	size_t have = 0;

	CHECK(len > 0 && offset < d->size && len <= d->size - offset);
	d->n_read += len;
	if (++d->n_calls == d->fail_at)
		return false;
	if (offset < d->len)
		have = len < d->len - offset ? len : (size_t)(d->len - offset);
	memcpy(buf, d->bytes + offset, have);
	memset((uint8_t *)buf + have, 0, len - have);
	return true;
}

/* ---- Checksums ---- */

static uint32_t crc32(const uint8_t *bytes, size_t len)
{
	uint32_t crc = UINT32_MAX;

	while (len-- > 0) {
		crc ^= *bytes++;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (UINT32_C(0xedb88320) & (0 - (crc & 1)));
	}
	return ~crc;
}

static void put_le32(uint8_t *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

/* Makes the checksums of the header at sector lba right, if it and its list are in the bytes. */
static void mend(uint8_t *bytes, size_t len, uint64_t lba, unsigned sector)
{
	uint8_t *h = bytes + lba * sector;
	uint64_t list, list_len;

	if (len < HEADER_LEN || lba * sector > len - HEADER_LEN)
		return;
	list = partition_le64(h + 72);
	list_len = (uint64_t)partition_le32(h + 80) * partition_le32(h + 84);
	if (list <= len / sector && list_len <= len - list * sector)
		put_le32(h + 88, crc32(bytes + list * sector, (size_t)list_len));
	put_le32(h + 12, HEADER_LEN);
	put_le32(h + 16, 0);
	put_le32(h + 16, crc32(h, HEADER_LEN));
}

static void mend_all(uint8_t *bytes, size_t len, uint64_t size)
{
	mend(bytes, len, 1, 512);
	mend(bytes, len, 1, 4096);
	if (size >= 4096 && size <= len) {
		mend(bytes, len, size / 512 - 1, 512);
		mend(bytes, len, size / 4096 - 1, 4096);
	}
}

/* ---- Properties ---- */

static void check_text(const char *text, size_t room)
{
	const char *end = memchr(text, '\0', room);

	CHECK(end != NULL);
	while (text < end) {
		uint32_t code;
		int printable;
		size_t n = qcow2_character(text, (size_t)(end - text), &code, &printable);

		/* One malformed byte counts as U+FFFD, which itself has three. */
		CHECK(n > 0 && (code != 0xfffd || n == 3));
		text += n;
	}
}

static void check_table(const struct partition_table *t)
{
	unsigned i;

	CHECK(t->n <= PARTITIONS_MAX);
	CHECK(t->scheme != PARTITIONS_NONE || (t->n == 0 && t->problem == NULL));
	CHECK(t->scheme == PARTITIONS_NONE || t->sector_size == 512 || t->sector_size == 4096);
	for (i = 0; i < t->n; i++) {
		const struct partition *p = &t->list[i];

		CHECK(p->number > (i > 0 ? p[-1].number : 0));
		CHECK(p->length > 0 && p->length <= UINT64_MAX - p->start);
		check_text(p->type, sizeof p->type);
		check_text(p->name, sizeof p->name);
		CHECK(p->type[0] != '\0');
	}
}

static void read_table(struct disk *d, struct partition_table *table, unsigned fail_at)
{
	struct partition_disk disk = { d->size, disk_read, d };
	bool done;

	d->n_read = 0;
	d->n_calls = 0;
	d->fail_at = fail_at;
	done = partitions_read(&disk, table);
	CHECK(done == (fail_at == 0));
}

/* Once more, and then with one call that fails. */
static void check_disk(struct disk *d, unsigned choice)
{
	static struct partition_table table, again;

	read_table(d, &table, 0);
	check_table(&table);
	CHECK(d->n_read <= (table.scheme == PARTITIONS_GPT ? GPT_READ_MAX : MBR_READ_MAX));
	read_table(d, &again, 0);
	CHECK(memcmp(&table, &again, sizeof table) == 0);
	if (d->n_calls > 0)
		read_table(d, &again, 1 + choice % d->n_calls);
}

static void check_file(const uint8_t *bytes, size_t len)
{
	int fd = memfd_create("file", 0);
	bool is_raw, again;
	const char *text;

	CHECK(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	text = filetype_guess(fd, &is_raw);
	CHECK(text == filetype_guess(fd, &again) && is_raw == again);
	CHECK(text != NULL || !is_raw);
	CHECK(lseek(fd, 0, SEEK_CUR) == (off_t)len);
	if (text != NULL)
		check_text(text, 1000);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint64_t sizes[] = { 0, 1, 512, 4096, 1 << 20, UINT64_C(1) << 32, INT64_MAX };
	uint8_t choices[3] = { 0, 0, 0 };
	uint8_t *bytes = malloc(len + 1);
	struct disk d = { .bytes = bytes, .len = len };

	if (bytes == NULL)
		abort();
	memcpy(bytes, data, len);
	check_file(data, len);
	if (len >= CHOICES + sizeof choices)
		memcpy(choices, data + CHOICES, sizeof choices);
	/* The disk ends with the input, or later: no partition_disk needs all its bytes. */
	d.size = sizes[choices[0] % 7u] + (choices[0] < 128u ? len : 0u);
	if (d.size > INT64_MAX)
		d.size = INT64_MAX;
	if (choices[1] % 2u == 0u)
		mend_all(bytes, len, d.size);
	check_disk(&d, choices[2]);
	free(bytes);
	return 0;
}
