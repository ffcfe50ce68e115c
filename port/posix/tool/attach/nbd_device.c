/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The kernel's network block devices. Only NBD_SET_SOCK checks whether another process has set up
 * the device. All other calls would change, or even end, what that process serves, so the first
 * socket comes before them.
 */
#include "nbd_device.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/major.h>
#include <linux/nbd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "../message.h"
#include "nbd_server.h"

/*
 * Seconds for a request, an hour. With several connections, the kernel takes one for dead whose
 * answer is late, after 30 seconds if no limit is set, and no dead connection comes back. So the
 * limit must be longer than any disk below needs to recover or to give up: Linux tries a read of a
 * SCSI or USB disk up to six times, for 30 seconds each, and resets the disk in between. But if the
 * server itself hangs, its readers get an error some day, so that a shutdown ends.
 */
#define TIME_LIMIT 3600ul

/* Is there such a file in the directory of the device? */
static bool has_sysfs(const struct nbd_device *d, const char *name)
{
	char path[sizeof d->sysfs + 32];

	snprintf(path, sizeof path, "%s/%s", d->sysfs, name);
	return access(path, F_OK) == 0;
}

/* Is it a whole device of this driver? If so, sets its directory. */
static bool find_sysfs(struct nbd_device *d)
{
	struct stat st;

	if (fstat(d->fd, &st) != 0 || !S_ISBLK(st.st_mode) || major(st.st_rdev) != NBD_MAJOR)
		return false;
	snprintf(d->sysfs, sizeof d->sysfs, "/sys/dev/block/%u:%u", major(st.st_rdev),
	         minor(st.st_rdev));
	return !has_sysfs(d, "partition");
}

static int open_failed(const char *path, int error)
{
	if (error == EBUSY)
		return tool_error(path, "in use; unmount it first");
	if (error == ENOENT || error == ENXIO)
		return tool_error(path, "%s; load the driver with 'modprobe nbd max_part=16'",
		                  strerror(error));
	return tool_error(path, "%s", strerror(error));
}

int nbd_device_open(struct nbd_device *d, const char *path, int flags)
{
	d->path = path;
	/* O_NONBLOCK: opening a FIFO must not wait for a writer. */
	d->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags);
	if (d->fd < 0)
		return open_failed(path, errno);
	if (find_sysfs(d))
		return EXIT_OK;
	close(d->fd);
	return tool_error(path, "not a network block device; expected /dev/nbd0 or the like");
}

bool nbd_device_is_attached(const struct nbd_device *d)
{
	return has_sysfs(d, "pid");
}

static int served_already(const struct nbd_device *d)
{
	return tool_error(d->path, "another process serves this device already");
}

int nbd_device_check_free(const struct nbd_device *d)
{
	return nbd_device_is_attached(d) ? served_already(d) : EXIT_OK;
}

/* Writes the longest request that the kernel makes, in KiB. Returns 0 or an errno. */
static int limit_requests(const struct nbd_device *d, unsigned limit)
{
	char path[sizeof d->sysfs + 32], text[16];
	int fd, len, error = 0;

	snprintf(path, sizeof path, "%s/queue/max_sectors_kb", d->sysfs);
	len = snprintf(text, sizeof text, "%u\n", limit / 1024u);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (write(fd, text, (size_t)len) != len)
		error = errno;
	close(fd);
	return error;
}

/* Sets the size and the flags, and adds the sockets. Returns 0 or an errno. */
static int describe_disk(const struct nbd_device *d, uint64_t size, const int *sockets, unsigned n)
{
	unsigned long flags = NBD_FLAG_HAS_FLAGS | NBD_FLAG_READ_ONLY | NBD_FLAG_CAN_MULTI_CONN;
	uint64_t sectors = size / NBD_SECTOR;
	unsigned i;

	if (sectors > ULONG_MAX)
		return EFBIG;
	if (ioctl(d->fd, NBD_SET_BLKSIZE, (unsigned long)NBD_SECTOR) != 0 ||
	    ioctl(d->fd, NBD_SET_SIZE_BLOCKS, (unsigned long)sectors) != 0 ||
	    ioctl(d->fd, NBD_SET_TIMEOUT, TIME_LIMIT) != 0 ||
	    ioctl(d->fd, NBD_SET_FLAGS, flags) != 0)
		return errno;
	for (i = 0; i < n; i++)
		if (ioctl(d->fd, NBD_SET_SOCK, (unsigned long)sockets[i]) != 0)
			return errno;
	return 0;
}

static int set_up_failed(const struct nbd_device *d, int error)
{
	return tool_error(d->path, "cannot set up the device: %s", strerror(error));
}

/* Sets up the rest of a device that has its first socket. */
static int set_up_rest(const struct nbd_device *d, uint64_t size, const int *sockets, unsigned n,
                       unsigned limit)
{
	/* The kernel keeps the number of an earlier server while any process has the device open,
	 * and starts no other until then. */
	int error, rc = nbd_device_check_free(d);

	if (rc != EXIT_OK)
		return rc;
	error = limit_requests(d, limit);
	if (error != 0)
		return tool_error(d->path, "cannot limit the length of requests in /sys: %s",
		                  strerror(error));
	error = describe_disk(d, size, sockets, n);
	return error == 0 ? EXIT_OK : set_up_failed(d, error);
}

int nbd_device_set_up(const struct nbd_device *d, uint64_t size, const int *sockets, unsigned n,
                      unsigned limit)
{
	int rc;

	if (ioctl(d->fd, NBD_SET_SOCK, (unsigned long)sockets[0]) != 0)
		return errno == EBUSY ? served_already(d) : set_up_failed(d, errno);
	rc = set_up_rest(d, size, sockets + 1, n - 1u, limit);
	if (rc != EXIT_OK)
		ioctl(d->fd, NBD_CLEAR_SOCK, 0ul);
	return rc;
}

int nbd_device_run(const struct nbd_device *d)
{
	int error = ioctl(d->fd, NBD_DO_IT, 0ul) == 0 ? 0 : errno;

	ioctl(d->fd, NBD_CLEAR_SOCK, 0ul);
	return error;
}

/* It fails if the driver has partitions turned off (max_part=0), which the user may want. */
void nbd_device_find_partitions(const struct nbd_device *d)
{
	ioctl(d->fd, BLKRRPART, 0ul);
}

int nbd_device_disconnect(const struct nbd_device *d)
{
	return ioctl(d->fd, NBD_DISCONNECT, 0ul) == 0 ? 0 : errno;
}
