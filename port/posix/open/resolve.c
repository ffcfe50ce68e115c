/* SPDX-License-Identifier: MIT */
/*
 * Opens the file that an image names, if the caller allows the library to follow names.
 *
 * The name is untrusted. With QCOW2_FOLLOW it must stay inside the directory of the image that
 * holds it: neither ".." nor a symbolic link may be part of it. The kernel checks this (openat2);
 * if it cannot, the library opens one directory after another and checks each.
 */
#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../failure.h"
#include "../printable.h"
#include "../words.h"
#include "file.h"

/* PATH_MAX of Linux without the NUL: no system call accepts a longer path. */
enum { NAME_LIMIT = 4095 };

/* linux/openat2.h, which older systems do not have. */
enum { BENEATH = 0x08 /* RESOLVE_BENEATH */, NO_SYMLINKS = 0x04 /* RESOLVE_NO_SYMLINKS */ };

/* openat2 fails with EAGAIN if a rename elsewhere disturbs it; it is worth a few more attempts. */
enum { OPENAT2_ATTEMPTS = 16 };

int qp_open(int dir_fd, const char *path, int flags)
{
	return openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
}

/* Notes why the file is not opened. Returns -1. */
static int refuse(const struct qcow2_file_request *request, int error, const char *why)
{
	char shown[QP_PRINTABLE];

	qp_fail(error, 0, "cannot open a file that the image names", "cannot open the %s '%s': %s",
	        qp_kind_name(request->kind), qp_printable(shown, request->name, request->name_len),
	        why);
	return -1;
}

/* QEMU takes what precedes the first ':' for a protocol, unless a '/' comes earlier. */
static bool has_protocol(const char *name)
{
	return name[strcspn(name, ":/")] == ':';
}

/* The directory part of a path, without the last '/'; "." if there is none. */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static char *path_join(const char *dir, const char *name)
{
	size_t dir_len = strlen(dir);
	const char *slash = dir_len != 0u && dir[dir_len - 1u] == '/' ? "" : "/";
	size_t room = dir_len + strlen(name) + 2u;
	char *path = malloc(room);

	if (path != NULL)
		snprintf(path, room, "%s%s%s", dir, slash, name);
	return path;
}

static bool has_dot_dot(const char *name)
{
	while (*name != '\0') {
		size_t len = strcspn(name, "/");

		if (len == 2u && name[0] == '.' && name[1] == '.')
			return true;
		name += len;
		name += *name == '/';
	}
	return false;
}

/*
 * One step of the walk. Fails with ELOOP for a symbolic link: O_NOFOLLOW alone reports a link in
 * place of a directory as ENOTDIR.
 */
static int walk_step(int dir_fd, const char *name, int flags)
{
	int fd = qp_open(dir_fd, name, O_NOFOLLOW | flags);
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
static int walk_beneath(int dir_fd, char *name)
{
	int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);

	while (fd >= 0) {
		char *end = name + strcspn(name, "/");
		bool last = end[strspn(end, "/")] == '\0';
		int next;

		/* "name/" asks for a directory, which cannot be an image. */
		if (last && *end == '/') {
			close(fd);
			errno = ENOTDIR;
			return -1;
		}
		*end = '\0';
		next = walk_step(fd, *name != '\0' ? name : ".", last ? 0 : O_DIRECTORY);
		qp_close(fd);
		if (last)
			return next;
		fd = next;
		name = end + 1;
	}
	return -1;
}

/* openat2(2), which stays inside dir_fd. Fails with ENOSYS if the system does not have it. */
static int kernel_beneath(int dir_fd, const char *name)
{
#ifdef SYS_openat2
	struct {
		uint64_t flags, mode, resolve;
		/* O_LARGEFILE is 0 on 64 bits; NOLINTNEXTLINE(misc-redundant-expression) */
	} how = { O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_LARGEFILE, 0,
		  BENEATH | NO_SYMLINKS };
	int attempts = OPENAT2_ATTEMPTS;
	long fd;

	do
		fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof how);
	while (fd < 0 && errno == EAGAIN && --attempts > 0);
	return (int)fd;
#else
	(void)dir_fd;
	(void)name;
	errno = ENOSYS;
	return -1;
#endif
}

static int open_beneath(const char *dir, const char *name)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (dir_fd < 0)
		return -1;
	fd = kernel_beneath(dir_fd, name);
	/* In a sandbox that does not know the call, it fails with EPERM. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
		char *copy = strdup(name);
		int error;

		fd = copy != NULL ? walk_beneath(dir_fd, copy) : -1;
		/* ENOMEM, not errno: clang assumes that strdup leaves errno as it was above. */
		error = copy != NULL ? errno : ENOMEM;
		free(copy);
		errno = error;
	}
	qp_close(dir_fd);
	return fd;
}

/*
 * The part of an absolute name after the directory of the image. The name may begin with the
 * directory as it is in the image's own path, or with its full path. Returns NULL and sets *error
 * if it begins with neither, or if the full path cannot be found.
 */
static const char *inside_directory(const char *dir, const char *name, int *error)
{
	char *full = realpath(dir, NULL);
	const char *candidates[2] = { dir, full };
	const char *rest = NULL;
	int i;

	*error = full != NULL ? EPERM : errno;
	for (i = 0; i < 2 && rest == NULL; i++) {
		const char *prefix = candidates[i];
		size_t len = prefix != NULL && prefix[0] == '/' ? strlen(prefix) : 0u;

		while (len > 0u && prefix[len - 1u] == '/')
			len--;
		if (prefix != NULL && prefix[0] == '/' && strncmp(name, prefix, len) == 0 &&
		    name[len] == '/')
			rest = name + len + strspn(name + len, "/");
	}
	free(full);
	return rest;
}

static const char *refusal_text(int error)
{
	switch (error) {
	case ELOOP:
		return "the name leads through a symbolic link; only plain names inside the "
		       "image's directory are followed";
	case EPERM:
	case EXDEV: return "the name leads out of the image's directory";
	default: return strerror(error);
	}
}

/* Opens a name that must stay inside the directory. */
static int resolve_inside(const struct qcow2_file_request *request, const char *dir,
                          const char *name)
{
	const char *inside = name;
	int error = EPERM;
	int fd = -1;

	if (name[0] == '/')
		inside = inside_directory(dir, name, &error);
	if (inside != NULL && has_dot_dot(inside)) {
		error = EPERM;
	} else if (inside != NULL) {
		fd = open_beneath(dir, inside);
		error = errno == EXDEV ? EPERM : errno;
	}
	if (fd < 0)
		refuse(request, error, refusal_text(error));
	return fd;
}

static int resolve_anywhere(const struct qcow2_file_request *request, const char *path)
{
	int fd = qp_open(AT_FDCWD, path, 0);

	if (fd < 0)
		refuse(request, errno, strerror(errno));
	return fd;
}

int qp_resolve(const struct qcow2_file_request *request, unsigned flags, char **path)
{
	const char *name = request->name;
	char *dir;
	int fd = -1;

	if (strncmp(name, "file:", 5) == 0)
		name += 5;
	else if (has_protocol(name))
		return refuse(request, ENOTSUP, "only plain file names are followed");
	if (*name == '\0' || strlen(name) > NAME_LIMIT)
		return refuse(request, *name == '\0' ? ENOENT : ENAMETOOLONG,
		              *name == '\0' ? "the name is empty" : "the name is too long");
	if (request->path == NULL)
		return refuse(request, EINVAL,
		              "the image has no path from which to follow the name; give the file "
		              "itself");

	dir = directory_of(request->path);
	*path = NULL;
	if (dir != NULL)
		*path = name[0] == '/' ? strdup(name) : path_join(dir, name);
	if (*path == NULL)
		qp_fail_memory();
	else if ((flags & QCOW2_FOLLOW_ANY) != 0u)
		fd = resolve_anywhere(request, *path);
	else
		fd = resolve_inside(request, dir, name);
	free(dir);
	if (fd < 0) {
		free(*path);
		*path = NULL;
	}
	return fd;
}
