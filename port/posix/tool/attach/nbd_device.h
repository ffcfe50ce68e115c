/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The kernel's network block devices, /dev/nbdN, by netlink or by the ioctl(2) of <linux/nbd.h>,
 * and by the files of each device in /sys.
 */
#ifndef QCOW2_TOOL_NBD_DEVICE_H
#define QCOW2_TOOL_NBD_DEVICE_H

#include "../tool.h"

#include <sys/types.h>

struct nbd_device {
	const char *path;
	int fd;         /* -1: none */
	char sysfs[64]; /* the directory of the device in /sys */
};

/*
 * Opens the device. `flags` are added to those of open(2): O_EXCL fails if the device or one of its
 * partitions is mounted. Returns EXIT_OK, or EXIT_FAILED after a message.
 */
int nbd_device_open(struct nbd_device *d, const char *path, int flags);

/* Keeps the path. */
void nbd_device_close(struct nbd_device *d);

/* Does a process serve the device? As long as any process has it open, the answer stays yes. */
bool nbd_device_is_attached(const struct nbd_device *d);

/* The process that serves the device, or 0 if the kernel does not tell. */
pid_t nbd_device_server(const struct nbd_device *d);

/* Returns EXIT_OK, or EXIT_FAILED after a message if a process serves the device. */
int nbd_device_check_free(const struct nbd_device *d);

/*
 * Describes the disk to the kernel: `size` bytes, in sectors of 512, read by n sockets, n > 0, with
 * at most `limit` bytes a request. The device has been open, and is closed. It runs afterwards, if
 * the kernel can start it by netlink. Otherwise it is open, waits for nbd_device_run, and no other
 * process can start it. Returns EXIT_OK, or EXIT_FAILED after a message.
 */
int nbd_device_set_up(struct nbd_device *d, uint64_t size, const int *sockets, unsigned n,
                      unsigned limit);

/*
 * Runs a device that does not run yet, until it is detached, and then takes the sockets from it.
 * Returns 0, or the errno of a device that did not start.
 */
int nbd_device_run(const struct nbd_device *d);

/* Makes the kernel read the partition table. A kernel that was told to use none does not. */
void nbd_device_find_partitions(const struct nbd_device *d);

/* Ends a device, and nbd_device_run in the process that serves it. Returns 0 or an errno. */
int nbd_device_disconnect(const struct nbd_device *d);

/* The same for a device that cannot be opened. Returns false if this kernel cannot do it. */
bool nbd_device_disconnect_closed(const struct nbd_device *d);

#endif
