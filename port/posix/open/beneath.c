/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Opens names that must stay inside a directory. The kernel checks this (openat2); if it cannot,
 * the library opens one directory after another and checks each.
 */
#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "file.h"

/* linux/openat2.h, which older systems do not have. */
enum { BENEATH = 0x08 /* RESOLVE_BENEATH */, NO_SYMLINKS = 0x04 /* RESOLVE_NO_SYMLINKS */ };

/* openat2 fails with EAGAIN if a rename elsewhere disturbs it; it is worth a few more attempts. */
enum { OPENAT2_ATTEMPTS = 16 };

/* How to open files, and directories: with O_PATH, a directory need not be readable. */
#define FILE_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
#ifdef O_PATH
#define DIRECTORY_FLAGS (O_PATH | O_CLOEXEC | O_DIRECTORY)
#else
#define DIRECTORY_FLAGS (O_RDONLY | O_CLOEXEC | O_DIRECTORY)
#endif

int qp_open(int dir_fd, const char *path, int flags)
{
	return openat(dir_fd, path, FILE_FLAGS | flags);
}

int qp_directory(const char *path)
{
	return openat(AT_FDCWD, path, DIRECTORY_FLAGS | O_NOFOLLOW);
}

/*
 * One step of the walk. Fails with ELOOP for a symbolic link: O_NOFOLLOW alone reports a link in
 * place of a directory as ENOTDIR.
 */
static int walk_step(int dir_fd, const char *name, int flags)
{
	int fd = openat(dir_fd, name, O_NOFOLLOW | flags);
	struct stat st;

	if (fd < 0 && errno == ENOTDIR) {
		if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
			errno = ELOOP;
		else
			errno = ENOTDIR;
	}
	return fd;
}

/* Opens name below dir_fd, one directory at a time. Changes name. */
static int walk_beneath(int dir_fd, char *name, int flags)
{
	int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);

	while (fd >= 0) {
		char *end = name + strcspn(name, "/");
		bool last = end[strspn(end, "/")] == '\0';
		int next;

		*end = '\0';
		next = walk_step(fd, *name != '\0' ? name : ".", last ? flags : DIRECTORY_FLAGS);
		qp_close(fd);
		if (last)
			return next;
		fd = next;
		name = end + 1;
	}
	return -1;
}

/* openat2(2), which stays inside dir_fd. Fails with ENOSYS if the system does not have it. */
static int kernel_beneath(int dir_fd, const char *name, int flags)
{
#ifdef SYS_openat2
	struct {
		uint64_t flags, mode, resolve;
	} how = { (unsigned)flags, 0, BENEATH | NO_SYMLINKS };
	int attempts = OPENAT2_ATTEMPTS;
	long fd;

	do
		fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof how);
	while (fd < 0 && errno == EAGAIN && --attempts > 0);
	return (int)fd;
#else
	(void)dir_fd;
	(void)name;
	(void)flags;
	errno = ENOSYS;
	return -1;
#endif
}

static int open_beneath(int dir_fd, const char *name, int flags)
{
	int fd = kernel_beneath(dir_fd, name, flags);

	/* In a sandbox that does not know the call, it fails with EPERM. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
		char *copy = strdup(name);
		int error;

		fd = copy != NULL ? walk_beneath(dir_fd, copy, flags) : -1;
		/* ENOMEM, not errno: clang assumes that strdup leaves errno as it was above. */
		error = copy != NULL ? errno : ENOMEM;
		free(copy);
		errno = error;
	}
	return fd;
}

int qp_open_beneath(int dir_fd, const char *name)
{
	/* O_LARGEFILE is 0 on 64 bits; NOLINTNEXTLINE(misc-redundant-expression) */
	return open_beneath(dir_fd, name, FILE_FLAGS | O_LARGEFILE);
}

int qp_directory_beneath(int dir_fd, const char *name)
{
	return open_beneath(dir_fd, name, DIRECTORY_FLAGS);
}
