/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 detach: ends what qcow2 attach, or another NBD client, has started.
 */
#include "../commands.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../message.h"
#include "nbd_device.h"

/* Waits until the process that served the device is done with it, ten seconds at most, because as
 * long as any process has the device open, this cannot be seen. Returns false after that. */
static bool wait_for_end(const struct nbd_device *d)
{
	static const struct timespec moment = { 0, 10 * 1000 * 1000 };
	int i;

	for (i = 0; i < 1000 && nbd_device_is_attached(d); i++)
		nanosleep(&moment, NULL);
	return i < 1000;
}

/*
 * Waits for the server to end, five seconds at most: it closes the image a moment after the device
 * has gone, and only then can the file system of the image be unmounted. Another NBD client may
 * have more to do, and go on.
 */
static void let_server_end(pid_t server)
{
	static const struct timespec moment = { 0, 10 * 1000 * 1000 };
	int i;

	for (i = 0; i < 500 && server > 0 && (kill(server, 0) == 0 || errno == EPERM); i++)
		nanosleep(&moment, NULL);
}

/* The kernel keeps the partitions of a device that has gone until it looks for new ones. */
static void remove_partitions(const char *path)
{
	struct nbd_device device;

	if (nbd_device_open(&device, path, 0) == EXIT_OK) {
		nbd_device_find_partitions(&device);
		nbd_device_close(&device);
	}
}

int run_detach(struct args *args)
{
	struct nbd_device device;
	pid_t server;
	bool ended;
	int error;

	if (nbd_device_open(&device, args->image, O_EXCL) != EXIT_OK)
		return EXIT_FAILED;
	if (!nbd_device_is_attached(&device)) {
		nbd_device_close(&device);
		return tool_error(args->image, "nothing is attached to this device");
	}
	server = nbd_device_server(&device);
	error = nbd_device_disconnect(&device);
	nbd_device_close(&device);
	if (error != 0)
		return tool_error(args->image, "cannot detach: %s", strerror(error));
	ended = wait_for_end(&device);
	remove_partitions(args->image);
	if (!ended)
		return tool_error(args->image, "detached, but a process still has the device open");
	let_server_end(server);
	return EXIT_OK;
}
