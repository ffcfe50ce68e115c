/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 attach: shows the disk as a block device of the kernel.
 *
 * A child of this process serves the device until it is detached. This process waits until the
 * device works and its partitions are known.
 */
#include "../commands.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "../disk/open.h"
#include "../message.h"
#include "../sandbox/sandbox.h"
#include "nbd_device.h"
#include "nbd_server.h"

/*
 * The kernel receives from each connection in a work item that ends only with the connection. If it
 * is short of time or memory when the device starts, one thread gets all of these items, and works
 * on the first for ever: replies on the other connections never arrive, and their readers hang. One
 * connection cannot suffer this, and early boot is the worst time to risk it. Several threads share
 * it, so that a slow request holds up no other.
 */
enum { DEFAULT_CONNECTIONS = 1, DEFAULT_THREADS = 4 };

struct attachment {
	const struct args *args;
	struct qcow2 *q;
	struct nbd_device device;
	struct nbd_server server;
	int ready; /* a pipe: the child writes a byte once the server is ready */
	pid_t child;
};

/* Asks the kernel never to end this process for its memory. Only root can, and only with /proc. */
static void survive_lack_of_memory(void)
{
	static const char never[] = "-1000\n";
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!write(fd, never, sizeof never - 1u);
		close(fd);
	}
}

/*
 * The kernel may have to read this disk before it can free memory, so the server must not wait for
 * memory that only this disk can free. Its own memory is locked. The little that it allocates
 * later, such as the state of a decoder at the first compressed cluster of a connection, comes
 * without I/O: PR_SET_IO_FLUSHER tells the kernel that storage depends on this process. If there is
 * none, the request fails. systemd ends a process whose name begins with '@' only after all file
 * systems are unmounted (ROOT STORAGE DAEMONS).
 */
static void become_storage(const struct args *args)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0 && !args->quiet)
		tool_error(args->out, "warning: cannot lock memory: %s", strerror(errno));
#ifdef PR_SET_IO_FLUSHER
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0); /* since Linux 5.6; others work without */
#endif
	survive_lack_of_memory();
	if (program_invocation_name[0] != '\0')
		program_invocation_name[0] = '@';
}

/* Keeps no terminal, no directory and no signal of a terminal. */
static bool leave_terminal(void)
{
	return setsid() >= 0 && chdir("/") == 0 && signal(SIGHUP, SIG_IGN) != SIG_ERR &&
	       signal(SIGPIPE, SIG_IGN) != SIG_ERR;
}

/* Gives the kernel its ends of the connections. */
static int connect_device(struct attachment *a)
{
	int kernel_ends[NBD_CONNECTIONS] = { 0 };
	unsigned i, n = a->args->connections;
	int error, rc;

	error = nbd_server_begin(&a->server, a->q, n, a->args->options.max_readers, kernel_ends);
	if (error != 0)
		return tool_error(a->args->image, "cannot start the server: %s", strerror(error));
	rc = nbd_device_set_up(&a->device, a->server.size, kernel_ends, n, NBD_REQUEST_LIMIT);
	/* The kernel keeps its own reference, so that its end is closed once it gives that up. */
	for (i = 0; i < n; i++)
		close(kernel_ends[i]);
	return rc;
}

static void enter_sandbox(const struct attachment *a)
{
	int sockets[NBD_CONNECTIONS];
	struct sandbox_needs needs = { .files = { a->ready, -1 }, .n_writable = a->server.n };
	unsigned i;

	for (i = 0; i < a->server.n; i++)
		sockets[i] = a->server.connections[i].socket;
	needs.writable = sockets;
	needs.nbd_device = a->device.fd;
	sandbox_enter(a->args->no_sandbox, &needs);
}

/* Tells the other process that the device is about to start; messages go nowhere from here on. */
static void become_ready(const struct attachment *a)
{
	int fd;

	/* If the other process has gone away, nobody waits for this. */
	if (write(a->ready, "", 1) == 1)
		fflush(stderr);
	close(a->ready);
	for (fd = 0; fd < 3; fd++)
		close(fd);
}

/* What the child does, until the device is detached. Returns its status: after become_ready, that
 * is the errno with which the device failed. */
static int serve_device(struct attachment *a)
{
	int error;

	if (!leave_terminal())
		return tool_error(a->args->image, "cannot start the server: %s", strerror(errno));
	become_storage(a->args);
	if (connect_device(a) != EXIT_OK)
		return EXIT_FAILED;
	enter_sandbox(a);
	error = nbd_server_start(&a->server);
	if (error != 0)
		return tool_error(a->args->image, "cannot start a thread: %s", strerror(error));
	become_ready(a);
	error = nbd_device_run(&a->device); /* returns at once if netlink has started it */
	if (error != 0)
		return error; /* without waiting for connections that nobody ends */
	nbd_server_end(&a->server);
	qcow2_close(a->q);
	return EXIT_OK;
}

static void wait_a_moment(void)
{
	static const struct timespec moment = { 0, 10 * 1000 * 1000 };

	nanosleep(&moment, NULL);
}

/* Says why the child has ended before the device worked. */
static int child_failed(const struct attachment *a, int status)
{
	const char *path = a->device.path;

	if (WIFSIGNALED(status))
		return tool_error(path, "the server was ended by signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status) == 0)
		return tool_error(path, "another process detached the device at once");
	return tool_error(path, "the device did not start: %s", strerror(WEXITSTATUS(status)));
}

/* Makes the kernel look for partitions. A device whose partitions are unknown does not stay. */
static int find_partitions(const struct attachment *a)
{
	struct nbd_device again;

	if (nbd_device_open(&again, a->device.path, 0) != EXIT_OK) {
		if (!nbd_device_disconnect_closed(&a->device))
			kill(a->child, SIGTERM);
		return EXIT_FAILED;
	}
	nbd_device_find_partitions(&again);
	nbd_device_close(&again);
	return EXIT_OK;
}

/*
 * Waits until the device works or the child has ended, and then for the partitions. The kernel says
 * nothing when the device starts, but then its directory gets a file. It is the child's: no other
 * process can start the device that the child has set up.
 */
static int wait_for_device(const struct attachment *a)
{
	int status;

	while (!nbd_device_is_attached(&a->device)) {
		if (waitpid(a->child, &status, WNOHANG) == a->child)
			return child_failed(a, status);
		wait_a_moment();
	}
	return find_partitions(a);
}

/* Waits for the byte of become_ready. A child that ends without it has printed a message, unless a
 * signal ended it. */
static int wait_for_server(const struct attachment *a, int ready)
{
	char byte;
	ssize_t n;
	int status;

	do
		n = read(ready, &byte, 1);
	while (n < 0 && errno == EINTR);
	close(ready);
	if (n > 0)
		return EXIT_OK;
	if (waitpid(a->child, &status, 0) == a->child && WIFSIGNALED(status))
		return child_failed(a, status);
	return EXIT_FAILED;
}

/* What the first process does after it has tried to start the child. */
static int wait_for_start(struct attachment *a, int ready)
{
	int rc;

	if (a->child < 0) {
		close(ready);
		return tool_error(a->args->image, "cannot start the server: %s", strerror(errno));
	}
	rc = wait_for_server(a, ready);
	return rc == EXIT_OK ? wait_for_device(a) : rc;
}

static int start_server(struct attachment *a)
{
	int ends[2];

	if (pipe(ends) != 0)
		return tool_error(a->args->image, "cannot start the server: %s", strerror(errno));
	a->ready = ends[1];
	a->child = fork();
	if (a->child == 0) {
		close(ends[0]);
		_exit(serve_device(a));
	}
	close(ends[1]);
	return wait_for_start(a, ends[0]);
}

/* Opens the image for all threads, with memory for many tables. */
static struct qcow2 *open_image(struct args *args)
{
	if (args->connections == 0u) {
		args->connections = DEFAULT_CONNECTIONS;
		args->options.max_readers = DEFAULT_THREADS;
	} else {
		args->options.max_readers = args->connections;
	}
	args->options.reader_memory = NBD_REQUEST_LIMIT;
	return tool_open_disk(args);
}

int run_attach(struct args *args)
{
	struct attachment a = { .args = args };
	int rc;

	/* A process whose parent ignores this signal ignores it too, and cannot wait for a child.
	 */
	signal(SIGCHLD, SIG_DFL);
	if (nbd_device_open(&a.device, args->out, 0) != EXIT_OK)
		return EXIT_FAILED;
	/* The server checks this again; here, it saves the user from entering a password in vain.
	 */
	rc = nbd_device_check_free(&a.device);
	nbd_device_close(&a.device); /* the kernel starts none that is open */
	if (rc == EXIT_OK)
		rc = (a.q = open_image(args)) != NULL ? start_server(&a) : EXIT_FAILED;
	qcow2_close(a.q);
	return rc;
}
