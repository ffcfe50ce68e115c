/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The qcow2 command with system calls that fail on demand. The linker redirects them to this file:
 * -Wl,--wrap, FAULTS_LDFLAGS in tests/tests.mk.
 *
 *	QCOW2_FAULT="CALL FIRST LAST WHAT"	changes the calls FIRST to LAST of this function,
 *			counted from 1. If WHAT is an errno, they fail with it; if it is 0, they
 *			transfer half; if it is -SIGNAL, the signal is raised before the call; if
 *			it is -100-SIGNAL, after it (create and rename only)
 *	QCOW2_CALLS=FILE	at the end, FILE has "CALL N" for each function: N calls; and zeros
 *	QCOW2_SERVER=FD	each run, with the values of the other two, comes from this socket
 *			(fault_server.h)
 *
 * "create" is open with O_CREAT.
 */
#define _GNU_SOURCE       1
#define _FILE_OFFSET_BITS 64

#include "fault_server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum call {
	MALLOC,
	CALLOC,
	STRDUP,
	REALPATH,
	OPEN,
	FCNTL,
	FSTAT,
	STAT,
	READLINK,
	LSEEK,
	PREAD,
	PWRITE,
	WRITE,
	SPLICE,
	FTRUNCATE,
	FALLOCATE,
	CREATE,
	FCHMOD,
	FSYNC,
	CLOSE,
	RENAME,
	PTHREAD_CREATE,
	CALLS
};

static const char *const names[CALLS] = {
	[MALLOC] = "malloc",       [CALLOC] = "calloc",
	[STRDUP] = "strdup",       [REALPATH] = "realpath",
	[OPEN] = "open",           [FCNTL] = "fcntl",
	[FSTAT] = "fstat",         [STAT] = "stat",
	[READLINK] = "readlink",   [LSEEK] = "lseek",
	[PREAD] = "pread",         [PWRITE] = "pwrite",
	[WRITE] = "write",         [SPLICE] = "splice",
	[FTRUNCATE] = "ftruncate", [FALLOCATE] = "fallocate",
	[CREATE] = "create",       [FCHMOD] = "fchmod",
	[FSYNC] = "fsync",         [CLOSE] = "close",
	[RENAME] = "rename",       [PTHREAD_CREATE] = "pthread_create",
};

static unsigned n_calls[CALLS];
/* Calls count only while the command runs: a sanitizer calls malloc before and after it. */
static bool is_running;
static char fault_name[32];
static unsigned fault_first, fault_last;
static int fault;

enum outcome { GO_ON, FAIL, HALF, SIGNAL };
enum { AFTER = -100 };

static enum outcome outcome(enum call call)
{
	unsigned n;

	if (!is_running)
		return GO_ON;
	n = __atomic_add_fetch(&n_calls[call], 1u, __ATOMIC_RELAXED);
	if (n < fault_first || n > fault_last || strcmp(names[call], fault_name) != 0)
		return GO_ON;
	if (fault == 0)
		return HALF;
	if (fault < AFTER)
		return SIGNAL;
	if (fault < 0) {
		raise(-fault);
		return GO_ON;
	}
	errno = fault;
	return FAIL;
}

static bool fails(enum call call)
{
	return outcome(call) == FAIL;
}

static size_t part(enum outcome o, size_t len)
{
	return o == HALF ? (len + 1u) / 2u : len;
}

/* Defines the function that is called instead of `name`, and declares the original. */
#define CAUGHT(type, name, parameters)                                                             \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters

CAUGHT(void *, malloc, (size_t len))
{
	return fails(MALLOC) ? NULL : __real_malloc(len);
}

CAUGHT(void *, calloc, (size_t n, size_t len))
{
	return fails(CALLOC) ? NULL : __real_calloc(n, len);
}

CAUGHT(char *, strdup, (const char *text))
{
	return fails(STRDUP) ? NULL : __real_strdup(text);
}

CAUGHT(char *, realpath, (const char *path, char *resolved))
{
	return fails(REALPATH) ? NULL : __real_realpath(path, resolved);
}

int __real_open64(const char *path, int flags, ...);

static int create(const char *path, int flags, mode_t mode)
{
	enum outcome o = outcome(CREATE);
	int fd = o == FAIL ? -1 : __real_open64(path, flags, mode);

	if (o == SIGNAL)
		raise(AFTER - fault);
	return fd;
}

/* There is a mode only if a file is created. */
CAUGHT(int, open64, (const char *path, int flags, ...))
{
	va_list args;
	mode_t mode;

	if ((flags & O_CREAT) == 0)
		return fails(OPEN) ? -1 : __real_open64(path, flags);
	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	return create(path, flags, mode);
}

/* What open becomes with _FORTIFY_SOURCE if there is no mode and the flags are not constant. */
CAUGHT(int, __open64_2, (const char *path, int flags))
{
	return fails(OPEN) ? -1 : __real_open64(path, flags);
}

/* F_DUPFD_CLOEXEC and F_OFD_GETLK have an argument; the others in use have none. */
CAUGHT(int, fcntl64, (int fd, int command, ...))
{
	va_list args;
	struct flock *lock = NULL;
	int least = 0;

	va_start(args, command);
	if (command == F_DUPFD_CLOEXEC)
		least = va_arg(args, int);
	else if (command == F_OFD_GETLK)
		lock = va_arg(args, struct flock *);
	va_end(args);
	if (fails(FCNTL))
		return -1;
	return lock != NULL ? __real_fcntl64(fd, command, lock)
	                    : __real_fcntl64(fd, command, least);
}

CAUGHT(int, fstat64, (int fd, struct stat *st))
{
	return fails(FSTAT) ? -1 : __real_fstat64(fd, st);
}

CAUGHT(int, stat64, (const char *path, struct stat *st))
{
	return fails(STAT) ? -1 : __real_stat64(path, st);
}

CAUGHT(ssize_t, readlink, (const char *path, char *text, size_t len))
{
	return fails(READLINK) ? -1 : __real_readlink(path, text, len);
}

CAUGHT(off_t, lseek64, (int fd, off_t pos, int from))
{
	return fails(LSEEK) ? -1 : __real_lseek64(fd, pos, from);
}

CAUGHT(ssize_t, pread64, (int fd, void *buf, size_t len, off_t pos))
{
	enum outcome o = outcome(PREAD);

	return o == FAIL ? -1 : __real_pread64(fd, buf, part(o, len), pos);
}

CAUGHT(ssize_t, pwrite64, (int fd, const void *buf, size_t len, off_t pos))
{
	enum outcome o = outcome(PWRITE);

	return o == FAIL ? -1 : __real_pwrite64(fd, buf, part(o, len), pos);
}

CAUGHT(ssize_t, write, (int fd, const void *buf, size_t len))
{
	enum outcome o = outcome(WRITE);

	return o == FAIL ? -1 : __real_write(fd, buf, part(o, len));
}

CAUGHT(ssize_t, splice, (int in, off_t *from, int out, off_t *to, size_t len, unsigned flags))
{
	enum outcome o = outcome(SPLICE);

	return o == FAIL ? -1 : __real_splice(in, from, out, to, part(o, len), flags);
}

CAUGHT(int, ftruncate64, (int fd, off_t len))
{
	return fails(FTRUNCATE) ? -1 : __real_ftruncate64(fd, len);
}

CAUGHT(int, fallocate64, (int fd, int mode, off_t pos, off_t len))
{
	return fails(FALLOCATE) ? -1 : __real_fallocate64(fd, mode, pos, len);
}

CAUGHT(int, fchmod, (int fd, mode_t mode))
{
	return fails(FCHMOD) ? -1 : __real_fchmod(fd, mode);
}

CAUGHT(int, fsync, (int fd))
{
	return fails(FSYNC) ? -1 : __real_fsync(fd);
}

/* Linux closes the descriptor even if close fails. */
CAUGHT(int, close, (int fd))
{
	bool failed = fails(CLOSE);
	int rc = __real_close(fd);

	return failed ? -1 : rc;
}

CAUGHT(int, rename, (const char *from, const char *to))
{
	enum outcome o = outcome(RENAME);
	int rc = o == FAIL ? -1 : __real_rename(from, to);

	if (o == SIGNAL)
		raise(AFTER - fault);
	return rc;
}

CAUGHT(int, pthread_create,
       (pthread_t * thread, const pthread_attr_t *how, void *(*run)(void *), void *arg))
{
	return fails(PTHREAD_CREATE) ? errno : __real_pthread_create(thread, how, run, arg);
}

enum { COUNTS_ROOM = 4096 };

/* Maps the file of counts: once the command is in its sandbox, it can neither open nor write it. */
static char *map_counts(const char *path)
{
	int fd = __real_open64(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char *counts;

	if (fd < 0 || __real_ftruncate64(fd, COUNTS_ROOM) != 0)
		abort();
	counts = mmap(NULL, COUNTS_ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counts == MAP_FAILED || __real_close(fd) != 0)
		abort();
	return counts;
}

static void write_counts(char *counts)
{
	int i, len = 0;

	for (i = 0; i < CALLS; i++)
		len += snprintf(counts + len, (size_t)(COUNTS_ROOM - len), "%s %u\n", names[i],
		                n_calls[i]);
}

CAUGHT(int, main, (int argc, char **argv))
{
	const char *server = getenv("QCOW2_SERVER"), *text, *calls;
	char *counts;
	int rc;

	if (server != NULL && !serve(atoi(server), &argc, &argv))
		return 0;
	text = getenv("QCOW2_FAULT");
	calls = getenv("QCOW2_CALLS");
	counts = calls != NULL ? map_counts(calls) : NULL;
	if (text != NULL &&
	    sscanf(text, "%31s %u %u %d", fault_name, &fault_first, &fault_last, &fault) != 4)
		abort();
	is_running = true;
	rc = __real_main(argc, argv);
	is_running = false;
	if (counts != NULL)
		write_counts(counts);
	return rc;
}
