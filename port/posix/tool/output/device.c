/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Block devices as the place for a disk.
 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	/*
	 * The system zeroes whole sectors only. Blocks of the page cache are whole ones for each
	 * device, and what is left at both ends is written.
	 */
	DEVICE_BLOCK = 4096,
	STEP = 1 << 30 /* between two steps a signal can end the program */
};

bool device_size(int fd, uint64_t *size)
{
	return ioctl(fd, BLKGETSIZE64, size) == 0;
}

static bool pwrite_all(int fd, const char *bytes, uint64_t len, uint64_t at)
{
	while (len > 0u) {
		ssize_t n = pwrite(fd, bytes, (size_t)len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		bytes += n;
		len -= (uint64_t)n;
		at += (uint64_t)n;
	}
	return true;
}

/* Writes zeros, up to the next multiple of DEVICE_BLOCK at first. */
static bool write_zeros(int fd, uint64_t at, uint64_t len)
{
	static const char zeros[16 * DEVICE_BLOCK];
	uint64_t n;

	for (; len > 0u; at += n, len -= n) {
		n = sizeof zeros - at % DEVICE_BLOCK;
		if (n > len)
			n = len;
		if (!pwrite_all(fd, zeros, n, at))
			return false;
	}
	return true;
}

/*
 * Linux zeroes a range of a device for this call only if the device itself reads as zeros after it
 * has discarded: else it fails, and nothing is written.
 */
static bool discard_blocks(int fd, uint64_t at, uint64_t len)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)len) ==
	       0;
}

/* Keeps the storage. Linux writes the zeros itself where the device cannot. */
static bool zero_blocks(int fd, uint64_t at, uint64_t len)
{
	uint64_t range[2] = { at, len };

	return ioctl(fd, BLKZEROOUT, range) == 0;
}

uint64_t device_discard(int fd, uint64_t len)
{
	uint64_t whole = len - len % DEVICE_BLOCK, at, n;

	for (at = 0; at < whole; at += n) {
		n = whole - at < STEP ? whole - at : STEP;
		if (!discard_blocks(fd, at, n))
			return at;
	}
	return write_zeros(fd, whole, len - whole) ? len : whole;
}

bool device_write_zeros(int fd, uint64_t at, uint64_t len)
{
	uint64_t head = (DEVICE_BLOCK - at % DEVICE_BLOCK) % DEVICE_BLOCK, whole;

	if (head > len)
		head = len;
	whole = (len - head) - (len - head) % DEVICE_BLOCK;
	if (!write_zeros(fd, at, head))
		return false;
	at += head;
	len -= head;
	if (whole > 0u && zero_blocks(fd, at, whole)) {
		at += whole;
		len -= whole;
	}
	return write_zeros(fd, at, len);
}
