/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Opens the file that an image names, if the caller allows the library to follow names.
 *
 * The name is untrusted. With QCOW2_FOLLOW it must stay inside the directory of the image that
 * holds it: neither ".." nor a symbolic link may be part of it. That directory is open, and remains
 * so until the names in the image have been followed. So another process that renames directories
 * meanwhile cannot lead a name elsewhere.
 */
#include "resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../failure.h"
#include "../printable.h"
#include "../words.h"
#include "beneath.h"
#include "find.h"

/* PATH_MAX of Linux without the NUL: no system call accepts a longer path. */
enum { NAME_LIMIT = 4095 };

/* The status of an image whose file cannot be found: the caller must give the file. */
static int missing_status(const struct qcow2_file_request *request)
{
	return request->kind == QCOW2_FILE_DATA ? QCOW2_E_DATA_FILE : QCOW2_E_BACKING;
}

/*
 * Notes why the file is not opened: `tried`, or the file that the image names if that is NULL.
 * Returns false.
 */
static bool refuse(const struct qcow2_file_request *request, const char *tried, int error,
                   const char *why)
{
	const char *name = tried != NULL ? tried : request->name;
	size_t len = tried != NULL ? strlen(tried) : request->name_len;
	char shown[QP_PRINTABLE];

	qp_fail(error, error == ENOENT ? missing_status(request) : 0,
	        "cannot open a file that the image names", "cannot open the %s '%s': %s",
	        qp_kind_name(request->kind), qp_printable(shown, name, len), why);
	return false;
}

/* The same for a name that is no file name: the caller must give the file itself. */
static bool refuse_kind(const struct qcow2_file_request *request)
{
	char shown[QP_PRINTABLE];

	qp_fail(ENOTSUP, missing_status(request),
	        "the image names a file by other means than a file name",
	        "cannot open the %s '%s': only file names are followed",
	        qp_kind_name(request->kind), qp_printable(shown, request->name, request->name_len));
	return false;
}

/* QEMU takes what precedes the first ':' for a protocol, unless a '/' comes earlier. */
static bool has_protocol(const char *name)
{
	return name[strcspn(name, ":/")] == ':';
}

bool qp_resolve_may_follow(const char *name)
{
	return strncmp(name, "file:", 5) == 0 || (*name != '\0' && !has_protocol(name));
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
	case EPERM: return "the name leads out of the image's directory";
	default: return strerror(error);
	}
}

/*
 * Opens a name below the directory of the image, and the directory that has the file: names in the
 * file will be looked up in that one, even if its own name then leads elsewhere. Sets errno on
 * failure.
 */
static void open_inside(const struct qp_directory *from, const char *name, struct qp_found *found)
{
	const char *slash = strrchr(name, '/');
	const char *last = slash != NULL ? slash + 1 : name;
	char *parent = slash != NULL ? strndup(name, (size_t)(slash - name)) : NULL;

	if (*last == '\0') { /* it asks for a directory, which cannot be an image */
		errno = ENOTDIR;
	} else if (slash == NULL) {
		found->dir.fd = fcntl(from->fd, F_DUPFD_CLOEXEC, 0);
	} else if (parent != NULL) {
		found->dir.fd = qp_directory_beneath(from->fd, *parent != '\0' ? parent : ".");
	} else {
		errno = ENOMEM;
	}
	if (found->dir.fd >= 0)
		found->fd = qp_open_beneath(found->dir.fd, last);
	free(parent);
}

/* Opens a name that must stay inside the directory of the image. */
static bool resolve_inside(const struct qcow2_file_request *request, struct qp_layer *layer,
                           const char *name, struct qp_found *found)
{
	const char *inside = name;
	int error = EPERM;

	if (name[0] == '/')
		inside = inside_directory(layer->dir.path, name, &error);
	if (inside == NULL || has_dot_dot(inside))
		return refuse(request, NULL, inside == NULL ? error : EPERM,
		              refusal_text(inside == NULL ? error : EPERM));
	open_inside(&layer->dir, inside, found);
	if (found->fd >= 0)
		return true;
	error = errno == EXDEV ? EPERM : errno;
	return refuse(request, found->path, error, refusal_text(error));
}

static bool resolve_anywhere(const struct qcow2_file_request *request, struct qp_found *found)
{
	found->fd = qp_open(AT_FDCWD, found->path, 0);
	return found->fd >= 0 || refuse(request, found->path, errno, strerror(errno));
}

/*
 * Finds the directory of the image. With QCOW2_FOLLOW_ANY that is the one in its path, as in QEMU,
 * and nothing needs to be open.
 */
static bool directory_open(const struct qcow2_file_request *request, struct qp_layer *layer,
                           unsigned flags)
{
	const char *path = layer->file.path;
	int error;

	if ((flags & QCOW2_FOLLOW_ANY) != 0u || layer->dir.fd >= 0) {
		if (layer->dir.path == NULL)
			layer->dir.path = qp_directory_part(path);
		if (layer->dir.path == NULL)
			qp_fail_memory();
		return layer->dir.path != NULL;
	}
	if (qp_directory_of(&layer->dir, layer->file.fd, path))
		return true;
	error = errno;
	if (error == ENOMEM)
		qp_fail_memory();
	else
		qp_fail(error, 0, "cannot find the directory of the image",
		        "cannot open the %s: the directory of the image is not known: %s",
		        qp_kind_name(request->kind), strerror(error));
	return false;
}

bool qp_resolve(const struct qcow2_file_request *request, struct qp_layer *layer, unsigned flags,
                struct qp_found *found)
{
	const char *name = request->name;

	if (strncmp(name, "file:", 5) == 0)
		name += 5;
	else if (has_protocol(name))
		return refuse_kind(request);
	if (*name == '\0')
		return refuse(request, NULL, ENOENT, "the name is empty");
	if (strlen(name) > NAME_LIMIT)
		return refuse(request, NULL, ENAMETOOLONG, "the name is too long");
	if (layer->file.path == NULL)
		return refuse(request, NULL, EINVAL,
		              "the image has no path from which to follow the name; give the file "
		              "itself");
	if (!directory_open(request, layer, flags))
		return false;
	found->path = name[0] == '/' ? strdup(name) : path_join(layer->dir.path, name);
	if (found->path == NULL) {
		qp_fail_memory();
		return false;
	}
	if ((flags & QCOW2_FOLLOW_ANY) != 0u)
		return resolve_anywhere(request, found);
	return resolve_inside(request, layer, name, found);
}
