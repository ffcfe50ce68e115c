/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The kernel's network block devices. netlink starts a device that no process has set up, or fails.
 * Of the ioctl(2) calls, only NBD_SET_SOCK checks this. All others would change, or even end, what
 * another process serves, so the first socket comes before them.
 */
#include "nbd_device.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/major.h>
#include <linux/nbd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "../message.h"
#include "nbd_netlink.h"
#include "nbd_server.h"

#define FLAGS (NBD_FLAG_HAS_FLAGS | NBD_FLAG_READ_ONLY | NBD_FLAG_CAN_MULTI_CONN)

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

void nbd_device_close(struct nbd_device *d)
{
	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
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
	nbd_device_close(d);
	return tool_error(path, "not a network block device; expected /dev/nbd0 or the like");
}

bool nbd_device_is_attached(const struct nbd_device *d)
{
	return has_sysfs(d, "pid");
}

pid_t nbd_device_server(const struct nbd_device *d)
{
	char path[sizeof d->sysfs + 32], text[16] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "%s/pid", d->sysfs);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof text - 1u);
	close(fd);
	return n > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
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
	uint64_t sectors = size / NBD_SECTOR;
	unsigned i;

	if (sectors > ULONG_MAX)
		return EFBIG;
	if (ioctl(d->fd, NBD_SET_BLKSIZE, (unsigned long)NBD_SECTOR) != 0 ||
	    ioctl(d->fd, NBD_SET_SIZE_BLOCKS, (unsigned long)sectors) != 0 ||
	    ioctl(d->fd, NBD_SET_TIMEOUT, TIME_LIMIT) != 0 ||
	    ioctl(d->fd, NBD_SET_FLAGS, (unsigned long)FLAGS) != 0)
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

/* Sets up a device that is open. */
static int set_up_by_ioctl(const struct nbd_device *d, uint64_t size, const int *sockets,
                           unsigned n, unsigned limit)
{
	int rc;

	if (ioctl(d->fd, NBD_SET_SOCK, (unsigned long)sockets[0]) != 0)
		return errno == EBUSY ? served_already(d) : set_up_failed(d, errno);
	rc = set_up_rest(d, size, sockets + 1, n - 1u, limit);
	if (rc != EXIT_OK)
		ioctl(d->fd, NBD_CLEAR_SOCK, 0ul);
	return rc;
}

/* The number of the device, which depends on how many partitions each may have, is in its name. */
static bool find_index(const struct nbd_device *d, unsigned *index)
{
	char target[256];
	ssize_t len = readlink(d->sysfs, target, sizeof target - 1u);
	const char *name;
	char *end;

	if (len < 0)
		return false;
	target[len] = '\0';
	name = strrchr(target, '/');
	if (name == NULL || strncmp(name, "/nbd", 4) != 0)
		return false;
	*index = (unsigned)strtoul(name + 4, &end, 10);
	return end != name + 4 && *end == '\0';
}

/* Another process, such as udev, may have the device open for a moment, and then it cannot start.
 */
static bool start_by_netlink(const struct nbd_device *d, uint64_t size, const int *sockets,
                             unsigned n)
{
	static const struct timespec moment = { 0, 10 * 1000 * 1000 };
	struct nbd_settings settings = { size, NBD_SECTOR, TIME_LIMIT, FLAGS };
	int i, error = EBUSY;
	unsigned index;

	if (!find_index(d, &index))
		return false;
	for (i = 0; i < 20 && error == EBUSY; i++) {
		if (i > 0)
			nanosleep(&moment, NULL);
		error = nbd_netlink_connect(index, &settings, sockets, n);
	}
	return error == 0;
}

int nbd_device_set_up(struct nbd_device *d, uint64_t size, const int *sockets, unsigned n,
                      unsigned limit)
{
	int rc = nbd_device_check_free(d);

	if (rc != EXIT_OK)
		return rc;
	if (limit_requests(d, limit) == 0 && start_by_netlink(d, size, sockets, n))
		return EXIT_OK;
	rc = nbd_device_open(d, d->path, 0);
	return rc == EXIT_OK ? set_up_by_ioctl(d, size, sockets, n, limit) : rc;
}

int nbd_device_run(const struct nbd_device *d)
{
	int error;

	if (d->fd < 0)
		return 0;
	error = ioctl(d->fd, NBD_DO_IT, 0ul) == 0 ? 0 : errno;
	ioctl(d->fd, NBD_CLEAR_SOCK, 0ul);
	return error;
}

/* It fails if the driver has partitions turned off (max_part=0), which the user may want. */
void nbd_device_find_partitions(const struct nbd_device *d)
{
	ioctl(d->fd, BLKRRPART, 0ul);
}

/* A device that netlink has started keeps its sockets, even if they are dead, until they are taken
 * from it. */
int nbd_device_disconnect(const struct nbd_device *d)
{
	if (ioctl(d->fd, NBD_DISCONNECT, 0ul) != 0)
		return errno;
	ioctl(d->fd, NBD_CLEAR_SOCK, 0ul);
	return 0;
}

bool nbd_device_disconnect_closed(const struct nbd_device *d)
{
	unsigned index;

	return find_index(d, &index) && nbd_netlink_disconnect(index) == 0;
}
