/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The kernel's network block devices by netlink(7): <linux/nbd-netlink.h>, since Linux 4.12. Unlike
 * with NBD_DO_IT of ioctl(2), no process waits in the kernel while the device runs, so a device
 * outlasts a signal that stops its server for a moment. At shutdown, systemd sends SIGSTOP to all
 * processes, and then SIGCONT.
 */
#ifndef QCOW2_TOOL_NBD_NETLINK_H
#define QCOW2_TOOL_NBD_NETLINK_H

#include "../tool.h"

struct nbd_settings {
	uint64_t size; /* bytes, a multiple of the sector */
	uint64_t sector;
	uint64_t timeout; /* seconds for a request */
	uint64_t flags;   /* NBD_FLAG_* of <linux/nbd.h> */
};

/*
 * Starts the device with this number, read by n sockets, 0 < n <= NBD_CONNECTIONS. Returns 0 or an
 * errno: EBUSY if any process has the device open, or ENOENT if this kernel, or this network
 * namespace, offers no such interface.
 */
int nbd_netlink_connect(unsigned index, const struct nbd_settings *settings, const int *sockets,
                        unsigned n);

/* Ends the device, whoever has started it. Returns 0 or an errno. */
int nbd_netlink_disconnect(unsigned index);

#endif
