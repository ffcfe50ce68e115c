/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 mount: shows the disk of an image, its partitions and snapshots as files.
 *
 *	qcow2 mount ----- mounts, waits until the disk is shown, ends (without --foreground)
 *	   '-- keeper ----- waits for a signal, or for the end of the server; then unmounts
 *	         '-- server ----- reads the image, answers the kernel; has the sandbox
 *
 * With --foreground, the first process is the keeper. Only the server touches what the image holds.
 * The sandbox does not let it unmount: without root, that takes a set-user-ID program. If a hostile
 * image ends the server, the keeper still unmounts.
 */
#include "../commands.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
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
	int ready[2]; /* a pipe: a byte goes through it when the server is ready */
};

/* This opens a file, so it comes before the sandbox. */
static unsigned count_threads(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	processors = processors < SERVE_THREADS_MAX ? processors : SERVE_THREADS_MAX;
	return processors > THREADS_MIN ? (unsigned)processors : THREADS_MIN;
}

/* Checks the directory, and makes its name absolute: in the background, / is the working directory.
 */
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

/* The server. In the background it gives up its standard error last, after its warnings. */
static void serve_disk(struct mounting *m)
{
	struct sandbox_needs needs = { .files = { serve_fd(m->session), m->ready[1] },
		                       .copies = true };
	bool foreground = m->args->foreground;

	sandbox_enter(m->args->no_sandbox, &needs);
	if (!tree_begin(&m->tree, m->args, m->q) || write(m->ready[1], "", 1) != 1)
		_exit(EXIT_FAILED);
	close(m->ready[1]);
	m->tree.prints = foreground;
	if (!foreground) {
		close(STDIN_FILENO);
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
	}
	serve_requests(m->session, m->n_threads);
	_exit(EXIT_OK);
}

/* The signals that the keeper waits for. The server has them blocked. */
static void block_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGHUP);
	sigaddset(signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, signals, NULL);
}

/* Waits for the end of the server, and unmounts if that is not why it has ended. */
static int keep(struct mounting *m, pid_t server, const sigset_t *signals)
{
	int status = 0;

	while (waitpid(server, &status, WNOHANG) == 0) {
		if (sigwaitinfo(signals, NULL) == SIGCHLD)
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

/* Starts the server, and keeps the mount until it ends. */
static int run_keeper(struct mounting *m)
{
	sigset_t signals;
	pid_t server;

	block_signals(&signals);
	server = fork();
	if (server == 0) {
		close(m->ready[0]);
		serve_disk(m);
	}
	close(m->ready[1]);
	if (server > 0 && !m->args->foreground)
		leave_streams();
	return server > 0 ? keep(m, server, &signals) : cannot_fork(m);
}

/* Waits until the server has begun, or has ended before, after a message. */
static int wait_ready(struct mounting *m)
{
	char byte;
	ssize_t n;

	close(m->ready[1]);
	n = read(m->ready[0], &byte, 1);
	close(m->ready[0]);
	serve_leave(m->session);
	return n == 1 ? EXIT_OK : EXIT_FAILED;
}

/* The keeper, in the background. */
static void become_keeper(struct mounting *m)
{
	close(m->ready[0]);
	setsid();
	_exit(chdir("/") == 0 ? run_keeper(m) : EXIT_FAILED);
}

static int run_in_background(struct mounting *m)
{
	pid_t keeper = fork();

	if (keeper == 0)
		become_keeper(m);
	return keeper > 0 ? wait_ready(m) : cannot_fork(m);
}

static int mount_disk(struct mounting *m, const char *directory)
{
	if (pipe2(m->ready, O_CLOEXEC) != 0)
		return tool_error("mount", "%s", strerror(errno));
	m->session = serve_mount(m->args, directory, &m->tree);
	if (m->session == NULL)
		return EXIT_FAILED;
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
