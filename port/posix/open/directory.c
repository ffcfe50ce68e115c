/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Finds the directory of an open file.
 *
 * The path by which the file was opened does not show it: the path may lead through symbolic links,
 * or may have become the path of another file. The kernel knows where the file is (/proc), and if
 * /proc is missing, realpath(3) finds it. Whatever they say is checked: the directory must have
 * this file.
 */
#include "directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"
#include "file.h"

/* PATH_MAX of Linux. */
enum { PATH_ROOM = 4096 };

char *qp_directory_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/*
 * Makes sure that the directory has the open file `fd` under the last part of this path. Sets errno
 * on failure, to ENOENT if it has another file there.
 */
static bool has_file(int dir_fd, const char *path, int fd)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	struct stat found, wanted;

	if (fstatat(dir_fd, name, &found, AT_SYMLINK_NOFOLLOW) != 0 || fstat(fd, &wanted) != 0)
		return false;
	errno = ENOENT;
	return is_same(&found, &wanted);
}

/* Opens the directory part of a path of the file `fd`. Sets errno on failure. */
static bool open_parent(struct qp_directory *directory, int fd, const char *path)
{
	directory->path = qp_directory_part(path);
	if (directory->path == NULL)
		return false;
	directory->fd = qp_directory(directory->path);
	if (directory->fd >= 0 && has_file(directory->fd, path, fd))
		return true;
	qp_directory_close(directory);
	return false;
}

/* The path of an open file as the kernel knows it, in buf. */
static bool kernel_path(int fd, char buf[PATH_ROOM])
{
	char link[32];
	ssize_t len;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	len = readlink(link, buf, PATH_ROOM);
	if (len <= 0 || len == PATH_ROOM)
		return false;
	buf[len] = '\0';
	return buf[0] == '/';
}

/* Opens the directory that has the file according to the kernel. Sets errno on failure. */
static bool open_known(struct qp_directory *directory, int fd)
{
	char full[PATH_ROOM];

	if (kernel_path(fd, full))
		return open_parent(directory, fd, full);
	errno = ENOENT;
	return false;
}

/* Opens the directory to which the path leads. Sets errno on failure. */
static bool open_real(struct qp_directory *directory, int fd, const char *path)
{
	char *real = realpath(path, NULL);
	bool found = real != NULL && open_parent(directory, fd, real);
	int error = errno;

	free(real);
	errno = error;
	return found;
}

/*
 * Uses the directory part of the path by which the file was opened instead of the full path if both
 * are the same directory: messages and qcow2_get_path then have the words of the caller.
 */
static bool prefer_given(struct qp_directory *directory, const char *path)
{
	char *given = qp_directory_part(path);
	struct stat a, b;

	if (given == NULL || fstat(directory->fd, &a) != 0) {
		free(given);
		return false;
	}
	if (stat(given, &b) == 0 && is_same(&a, &b)) {
		char *full = directory->path;

		directory->path = given;
		given = full;
	}
	free(given);
	return true;
}

bool qp_directory_of(struct qp_directory *directory, int fd, const char *path)
{
	bool found = open_known(directory, fd);
	int error;

	if (!found && (errno == ENOENT || errno == ENOTDIR))
		found = open_real(directory, fd, path);
	if (found && prefer_given(directory, path))
		return true;
	error = errno;
	qp_directory_close(directory);
	errno = error;
	return false;
}

void qp_directory_close(struct qp_directory *directory)
{
	qp_close(directory->fd);
	directory->fd = -1;
	free(directory->path);
	directory->path = NULL;
}
