/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 mount: shows the disk of an image, its partitions and snapshots as files.
 *
 *	qcow2 mount ----- mounts, waits until the disk is shown, ends (without --foreground)
 *	   '-- keeper ----- waits for a signal, or for the end of the server; then unmounts
 *	         '-- server ----- reads the image, answers the kernel; has the sandbox
 *
 * With --foreground, the first process is the keeper. The first process opens the image, as all
 * commands do; only the server reads the disk. The sandbox does not let it unmount: without root,
 * that takes a set-user-ID program. If a hostile image ends the server, the keeper still unmounts.
 */
#include "../commands.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../disk/open.h"
#include "../message.h"
#include "../sandbox/sandbox.h"
#include "serve.h"

enum {
	THREADS_MIN = 4, /* also on one processor: reads wait for the storage */
	/* Of each reader: the longest cluster, decoded, and tables, because programs read a file as
	 * they like. */
	READER_MEMORY = 4 * 1024 * 1024
};

struct mounting {
	const struct args *args;
	struct qcow2 *q;
	struct fuse_session *session;
	struct tree tree;
	unsigned n_threads;
	sigset_t signals;   /* that the keeper waits for */
	sigset_t unblocked; /* the mask of the caller */
	int started[2];     /* a pipe from the server to the keeper: a byte when it is ready */
	int ready[2];       /* from the keeper to the first process: the same byte */
};

/* This opens a file, so it comes before the sandbox. */
static unsigned count_threads(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (n < THREADS_MIN)
		n = THREADS_MIN;
	return n < SERVE_THREADS_MAX ? (unsigned)n : SERVE_THREADS_MAX;
}

/* Checks the directory, and makes its name absolute: a server in the background is in /. */
static int find_directory(const char *directory, char absolute[PATH_MAX])
{
	struct stat st;

	if (realpath(directory, absolute) == NULL || stat(absolute, &st) != 0)
		return tool_error(directory, "%s", strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return tool_error(directory, "%s", strerror(ENOTDIR));
	return EXIT_OK;
}

/* Standard input and output of a process in the background. */
static void leave_streams(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

/*
 * Each open snapshot has a descriptor for each file of the chain. The soft limit is low for the
 * sake of programs that use select(2), which the server does not.
 */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit); /* else fewer snapshots are open at once */
}

/* The server. In the background it gives up its standard error last, after its warnings. */
static void serve_disk(struct mounting *m)
{
	int pipes[SERVE_THREADS_MAX];
	struct sandbox_needs needs = { .files = { serve_fd(m->session), m->started[1] },
		                       .copies = true,
		                       .writable = pipes,
		                       .nbd_device = -1 };
	bool foreground = m->args->foreground;

	allow_descriptors();
	needs.n_writable = serve_open_pipes(m->n_threads, pipes);
	sandbox_enter(m->args->no_sandbox, &needs);
	if (!tree_begin(&m->tree, m->args, m->q) || write(m->started[1], "", 1) != 1)
		_exit(EXIT_FAILED);
	close(m->started[1]);
	m->tree.prints = foreground;
	if (!foreground) {
		close(STDIN_FILENO);
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
	}
	serve_requests(m->session, m->n_threads);
	_exit(EXIT_OK);
}

/*
 * Blocks the signals that the keeper waits for, before anything is mounted: a signal must not end
 * the command while nobody would unmount. The server has them blocked as well.
 */
static void block_signals(struct mounting *m)
{
	sigemptyset(&m->signals);
	sigaddset(&m->signals, SIGINT);
	sigaddset(&m->signals, SIGTERM);
	sigaddset(&m->signals, SIGHUP);
	sigaddset(&m->signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &m->signals, &m->unblocked);
}

static void unblock_signals(const struct mounting *m)
{
	sigprocmask(SIG_SETMASK, &m->unblocked, NULL);
}

/* Waits for the end of the server, and unmounts if that is not why it has ended. */
static int keep(struct mounting *m, pid_t server)
{
	int status = 0;

	while (waitpid(server, &status, WNOHANG) == 0) {
		int number = sigwaitinfo(&m->signals, NULL);

		/* It fails with EINTR when the process continues after a stop. */
		if (number < 0 || number == SIGCHLD)
			continue;
		serve_unmount(m->session);
		/* Programs may still have files open: their reads fail from now on. */
		kill(server, SIGKILL);
		waitpid(server, &status, 0);
		return EXIT_OK;
	}
	serve_unmount(m->session);
	if (WIFSIGNALED(status))
		return tool_error(m->args->out, "unmounted, because signal %d ended the server",
		                  WTERMSIG(status));
	return WEXITSTATUS(status);
}

static int cannot_fork(struct mounting *m)
{
	tool_error("mount", "%s", strerror(errno));
	serve_unmount(m->session);
	return EXIT_FAILED;
}

/*
 * Waits until the server is ready, tells the first process, and gives up the standard streams. If
 * the server ends before, its message and that of the keeper still reach standard error.
 */
static void pass_on(struct mounting *m, pid_t server)
{
	char byte;

	if (read(m->started[0], &byte, 1) != 1)
		return;
	if (write(m->ready[1], &byte, 1) != 1)
		kill(server, SIGKILL); /* the first process was interrupted */
	close(m->ready[1]);
	leave_streams();
}

/* Starts the server, and keeps the mount until it ends. */
static int run_keeper(struct mounting *m)
{
	pid_t server = fork();

	if (server == 0) {
		close(m->started[0]);
		close(m->ready[1]);
		serve_disk(m);
	}
	close(m->started[1]);
	if (server < 0)
		return cannot_fork(m);
	if (!m->args->foreground)
		pass_on(m, server);
	return keep(m, server);
}

/* Waits until the server is ready; or has ended before, after a message, and nothing is mounted. */
static int wait_ready(struct mounting *m, pid_t keeper)
{
	char byte;
	ssize_t n;

	unblock_signals(m);
	close(m->started[0]);
	close(m->started[1]);
	close(m->ready[1]);
	serve_leave(m->session);
	n = read(m->ready[0], &byte, 1);
	close(m->ready[0]);
	if (n == 1)
		return EXIT_OK;
	waitpid(keeper, NULL, 0);
	return EXIT_FAILED;
}

/* The keeper, in the background. If the first process has gone, a write to it must only fail. */
static void become_keeper(struct mounting *m)
{
	close(m->ready[0]);
	signal(SIGPIPE, SIG_IGN);
	setsid();
	_exit(chdir("/") == 0 ? run_keeper(m) : EXIT_FAILED);
}

static int run_in_background(struct mounting *m)
{
	pid_t keeper = fork();

	if (keeper == 0)
		become_keeper(m);
	return keeper > 0 ? wait_ready(m, keeper) : cannot_fork(m);
}

static int mount_disk(struct mounting *m, const char *directory)
{
	if (pipe2(m->started, O_CLOEXEC) != 0 || pipe2(m->ready, O_CLOEXEC) != 0)
		return tool_error("mount", "%s", strerror(errno));
	block_signals(m);
	m->session = serve_mount(m->args, directory, &m->tree);
	if (m->session == NULL) {
		unblock_signals(m);
		return EXIT_FAILED;
	}
	return m->args->foreground ? run_keeper(m) : run_in_background(m);
}

int run_mount(struct args *args)
{
	struct mounting m = {
		.args = args,
		.tree = { .uid = getuid(), .gid = getgid() },
		.n_threads = count_threads(),
	};
	char directory[PATH_MAX];
	int rc;

	/* A caller that ignores it would hide how the server ended, and fusermount3. */
	signal(SIGCHLD, SIG_DFL);
	if (serve_check() != EXIT_OK || find_directory(args->out, directory) != EXIT_OK)
		return EXIT_FAILED;
	args->options.max_readers = m.n_threads;
	args->options.reader_memory = READER_MEMORY;
	m.q = tool_open_disk(args);
	if (m.q == NULL)
		return EXIT_FAILED;
	rc = mount_disk(&m, directory);
	qcow2_close(m.q);
	return rc;
}
