/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Copies the disk of a damaged image to standard output. What cannot be read becomes zeros, and a
 * line on standard error says where that is.
 */
#include <err.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <qcow2.h>

static char buf[65536];

/* Copies the part [offset, end) of the disk, which can be read. */
static void copy(struct qcow2 *q, uint64_t offset, uint64_t end)
{
	while (offset < end) {
		size_t len = end - offset < sizeof buf ? (size_t)(end - offset) : sizeof buf;
		int n = qcow2_read(q, buf, len, offset);

		if (n <= 0)
			errx(1, "%s", qcow2_last_failure()->message);
		fwrite(buf, 1, (size_t)n, stdout);
		offset += (uint64_t)n;
	}
}

static void write_zeros(uint64_t left)
{
	memset(buf, 0, sizeof buf);
	while (left > 0) {
		size_t len = left < sizeof buf ? (size_t)left : sizeof buf;

		fwrite(buf, 1, len, stdout);
		left -= len;
	}
}

int main(int argc, char **argv)
{
	struct qcow2_failure damage;
	const char *error;
	uint64_t offset = 0, size;
	struct qcow2 *q;
	int n;

	if (argc != 2)
		errx(2, "usage: rescue IMAGE >DISK");
	q = qcow2_open(open(argv[1], O_RDONLY), &error);
	if (q == NULL)
		errx(1, "%s: %s", argv[1], error);
	size = qcow2_get_size(q);
	while ((n = qcow2_read(q, buf, sizeof buf, offset)) != 0) {
		if (n > 0) {
			fwrite(buf, 1, (size_t)n, stdout);
			offset += (uint64_t)n;
			continue;
		}
		damage = *qcow2_last_failure();
		warnx("%" PRIu64 " bytes at %" PRIu64 ": %s", damage.length, damage.offset,
		      damage.message);
		if (damage.length == 0)
			return 1;
		copy(q, offset, damage.offset);
		/* The last cluster may end after the disk. */
		if (damage.length > size - damage.offset)
			damage.length = size - damage.offset;
		write_zeros(damage.length);
		offset = damage.offset + damage.length;
	}
	qcow2_close(q);
	return 0;
}
