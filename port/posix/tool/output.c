/* SPDX-License-Identifier: MIT */
/*
 * An output file that is written beside its final place and renamed when it is complete.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "message.h"

/* The signals that end a program and that a user or the system sends in normal operation. */
static const int deadly_signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ, SIGPIPE };

/* The file that a deadly signal must remove, or NULL. Global for the signal handler. */
static char *volatile unfinished;

/* Ends the program as the signal would have done, so that its parent sees the same status. */
static void remove_unfinished(int signal_number)
{
	if (unfinished != NULL)
		unlink(unfinished);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

/* Signals that the parent has set to be ignored stay ignored: nohup(1) relies on that. */
static void handle_signals(void (*handler)(int))
{
	struct sigaction action, old;
	size_t i;

	memset(&action, 0, sizeof action);
	action.sa_handler = handler;
	sigemptyset(&action.sa_mask);
	for (i = 0; i < sizeof deadly_signals / sizeof deadly_signals[0]; i++)
		if (sigaction(deadly_signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(deadly_signals[i], &action, NULL);
}

/* Blocks the signals while `unfinished` does not agree with the file that exists. */
static void hold_signals(sigset_t *before)
{
	sigset_t held;
	size_t i;

	sigemptyset(&held);
	for (i = 0; i < sizeof deadly_signals / sizeof deadly_signals[0]; i++)
		sigaddset(&held, deadly_signals[i]);
	pthread_sigmask(SIG_BLOCK, &held, before);
}

static void release_signals(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

static bool is_same_file(int fd, const struct stat *st)
{
	struct stat in;

	return fd >= 0 && fstat(fd, &in) == 0 && in.st_dev == st->st_dev && in.st_ino == st->st_ino;
}

/* Is the file the image, or a backing or data file of it? Renaming would then destroy the input. */
static bool is_input(struct qcow2 *q, const struct stat *st)
{
	unsigned depth;
	int fd;

	for (depth = 0; (fd = qcow2_get_fd(q, depth)) >= 0; depth++)
		if (is_same_file(fd, st) || is_same_file(qcow2_get_data_fd(q, depth), st))
			return true;
	return false;
}

/* Checks what the name refers to: nothing, or a file that may be replaced. */
static int examine_target(struct output *o, struct qcow2 *q, mode_t *mode)
{
	struct stat st;
	mode_t mask = umask(0);

	umask(mask);
	*mode = 0666 & ~mask;
	o->target = NULL;
	if (stat(o->name, &st) != 0) {
		if (errno != ENOENT || lstat(o->name, &st) == 0)
			return tool_error(o->name, "%s", strerror(errno));
		o->target = strdup(o->name);
	} else if (!S_ISREG(st.st_mode)) {
		return tool_error(o->name,
		                  "not a regular file; use 'qcow2 cat' for pipes and devices");
	} else if (is_input(q, &st)) {
		return tool_error(o->name, "is one of the input files");
	} else {
		o->replaces = true;
		/* Without set-user-ID and the like, as the new file may have another owner. */
		*mode = st.st_mode & 0777;
		/* A symbolic link stays; the file that it points to is replaced. */
		o->target = realpath(o->name, NULL);
	}
	return o->target != NULL ? EXIT_OK : tool_error(o->name, "%s", strerror(errno));
}

/* DIR/.NAME.XXXXXX for mkostemp(3). NAME is cut to 200 bytes, as file systems allow 255. */
static char *temp_name(const char *target)
{
	/* Not NULL: tool_error() is never EXIT_OK. NOLINTNEXTLINE(clang-analyzer-core.NonNull*) */
	const char *slash = strrchr(target, '/');
	const char *base = slash != NULL ? slash + 1 : target;
	int dir_len = (int)(base - target);
	size_t room = strlen(target) + 16u;
	char *temp = malloc(room);

	if (temp != NULL)
		snprintf(temp, room, "%.*s.%.200s.XXXXXX", dir_len, target, base);
	return temp;
}

/* Creates the temporary file; from now on a signal removes it. */
static int make_temp(char *name)
{
	sigset_t before;
	int fd;

	hold_signals(&before);
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unfinished = name;
	release_signals(&before);
	return fd;
}

/*
 * Gives the file its name. Signals that come later are ignored: the work is done, and the exit
 * status must say so.
 */
static int give_name(const struct output *o)
{
	sigset_t before;
	int rc;

	hold_signals(&before);
	rc = rename(o->temp, o->target);
	if (rc == 0) {
		unfinished = NULL;
		handle_signals(SIG_IGN);
	}
	release_signals(&before);
	return rc;
}

int output_begin(struct output *o, const char *name, struct qcow2 *q)
{
	mode_t mode;

	memset(o, 0, sizeof *o);
	o->name = name;
	o->fd = -1;
	if (examine_target(o, q, &mode) != EXIT_OK)
		return EXIT_FAILED;
	o->temp = temp_name(o->target);
	if (o->temp == NULL)
		return tool_error(name, "%s", strerror(errno));
	handle_signals(remove_unfinished);
	o->fd = make_temp(o->temp);
	if (o->fd < 0) {
		free(o->temp);
		o->temp = NULL;
		return tool_error(name, "cannot create a temporary file beside it: %s",
		                  strerror(errno));
	}
	if (fchmod(o->fd, mode) != 0)
		return tool_error(name, "%s", strerror(errno));
	return EXIT_OK;
}

int output_commit(struct output *o)
{
	int fd = o->fd;

	/* A crash of the system must leave the old file or the new one, not an empty one. */
	/* Not -1: tool_error() is never EXIT_OK. NOLINTNEXTLINE(clang-analyzer-unix.Std*) */
	if (o->replaces && fsync(fd) != 0)
		return tool_error(o->name, "%s", strerror(errno));
	o->fd = -1;
	if (close(fd) != 0 || give_name(o) != 0)
		return tool_error(o->name, "%s", strerror(errno));
	free(o->temp);
	o->temp = NULL;
	return EXIT_OK;
}

void output_end(struct output *o)
{
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
	if (o->temp != NULL) {
		unlink(o->temp);
		unfinished = NULL;
	}
	free(o->temp);
	free(o->target);
	o->temp = NULL;
	o->target = NULL;
}
