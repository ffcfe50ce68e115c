/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Where an output goes.
 */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../disk/files.h"
#include "../message.h"
#include "attributes.h"
#include "device.h"
#include "link.h"
#include "replace.h"
#include "temp.h"

/* The number at the end of /dev/fd/N and the like, or -1 if the name is none of these. */
static int descriptor_number(const char *name)
{
	static const char *const folders[] = { "/dev/fd/", "/proc/self/fd/" };
	size_t i;

	if (strcmp(name, "-") == 0 || strcmp(name, "/dev/stdout") == 0)
		return STDOUT_FILENO;
	if (strcmp(name, "/dev/stderr") == 0)
		return STDERR_FILENO;
	for (i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		size_t len = strlen(folders[i]);

		if (strncmp(name, folders[i], len) == 0 && name[len] != '\0' &&
		    strlen(name + len) < 9u && name[len + strspn(name + len, "0123456789")] == '\0')
			return (int)strtol(name + len, NULL, 10);
	}
	return -1;
}

/*
 * Gets the status of what is open as fd, and refuses q's own files and, without force, a terminal.
 */
static int check(const char *name, int fd, struct qcow2 *q, bool force, struct stat *st)
{
	if (fstat(fd, st) != 0)
		return tool_error(name, "%s", strerror(errno));
	if (file_is_input(q, st))
		return tool_error(name, "is one of the input files");
	if (isatty(fd) && !force)
		return tool_error(name, "is a terminal; write to a file or a pipe, or use --force");
	return EXIT_OK;
}

/* A device of the caller that is too short is refused before anything is written to it. */
static int check_room(const char *name, int fd, const struct stat *st, uint64_t len)
{
	off_t at = S_ISBLK(st->st_mode) ? lseek(fd, 0, SEEK_CUR) : -1;
	uint64_t size;

	if (at < 0 || !device_size(fd, &size) || len <= size - (uint64_t)at)
		return EXIT_OK;
	return tool_error(name, TARGET_TOO_SMALL, "device", size - (uint64_t)at, len);
}

int place_check_stream(const char *name, int fd, struct qcow2 *q, bool force, uint64_t len)
{
	struct stat st;

	if (check(name, fd, q, force, &st) != EXIT_OK)
		return EXIT_FAILED;
	return check_room(name, fd, &st, len);
}

/* Nothing follows in the file, so that it can be written at any place, and have holes. */
static bool is_at_end(int fd, const struct stat *st, uint64_t *base)
{
	off_t at = lseek(fd, 0, SEEK_CUR);
	int flags = fcntl(fd, F_GETFL);

	if (!S_ISREG(st->st_mode) || at < st->st_size || flags < 0 || (flags & O_APPEND) != 0)
		return false;
	*base = (uint64_t)at;
	return true;
}

/* Text is not harmful to a terminal. */
static bool may_be_terminal(const struct output *o)
{
	return o->args->force || o->is_text;
}

static int use_descriptor(struct output *o, struct qcow2 *q, int number)
{
	struct stat st;

	if (number == STDOUT_FILENO)
		o->name = "standard output";
	o->fd = fcntl(number, F_DUPFD_CLOEXEC, 3);
	if (o->fd < 0)
		return tool_error(o->name, "%s", strerror(errno));
	if (check(o->name, o->fd, q, may_be_terminal(o), &st) != EXIT_OK)
		return EXIT_FAILED;
	if (check_room(o->name, o->fd, &st, o->size) != EXIT_OK)
		return EXIT_FAILED;
	o->is_stream = !is_at_end(o->fd, &st, &o->base) || o->size > INT64_MAX - o->base;
	return EXIT_OK;
}

/* A device, a pipe, or a file that is there. Whatever it is must be what it was a moment ago. */
static int open_in_place(struct output *o, struct qcow2 *q, const struct stat *before)
{
	int flags = O_WRONLY | O_CLOEXEC | O_NOCTTY;
	struct stat st;

	o->is_own = true;
	o->is_device = S_ISBLK(before->st_mode);
	o->is_stream = !S_ISREG(before->st_mode) && !o->is_device;
	o->fd = open(o->name, o->is_device ? flags | O_EXCL : flags);
	if (o->fd < 0 && o->is_device && errno == EBUSY)
		return tool_error(o->name, "the device is mounted or in use");
	if (o->fd < 0)
		return tool_error(o->name, "%s", strerror(errno));
	if (check(o->name, o->fd, q, may_be_terminal(o), &st) != EXIT_OK)
		return EXIT_FAILED;
	if (!file_is(o->fd, before) || (st.st_mode & S_IFMT) != (before->st_mode & S_IFMT))
		return tool_error(o->name, "changed while it was opened");
	return EXIT_OK;
}

/* Nothing can be made beside the file that is there, or that is to be created. */
static int go_in_place(struct output *o, struct qcow2 *q, const struct stat *st)
{
	int error = errno;

	free(o->temp);
	o->temp = NULL;
	if (st != NULL)
		return open_in_place(o, q, st);
	/* The directory may let this name alone be created. */
	o->temp = strdup(o->target);
	if (o->temp != NULL)
		o->fd = temp_create(o->temp, 0666, false);
	if (o->fd >= 0)
		return EXIT_OK;
	free(o->temp);
	o->temp = NULL;
	return tool_error(o->name, "cannot create the file: %s", strerror(error));
}

/* Creates a file beside the target; st is that of the file that it replaces, or NULL. */
static int open_beside(struct output *o, struct qcow2 *q, const struct stat *st)
{
	o->is_own = true;
	o->temp = temp_name(o->target);
	if (o->temp == NULL)
		return tool_error(o->name, "%s", strerror(errno));
	o->fd = temp_create(o->temp, st != NULL ? attributes_first_mode(st) : 0666, true);
	if (o->fd < 0 && replace_beside_is_refused(errno))
		return go_in_place(o, q, st);
	if (o->fd < 0) {
		free(o->temp);
		o->temp = NULL;
		return tool_error(o->name, "cannot create a temporary file beside it: %s",
		                  strerror(errno));
	}
	if (st != NULL)
		attributes_copy(o->fd, o->target, st);
	return EXIT_OK;
}

/* A symbolic link stays; the file that it points to is replaced. */
static int replace_file(struct output *o, struct qcow2 *q, const struct stat *st)
{
	o->replaces = true;
	if (file_is_input(q, st))
		return tool_error(o->name, "is one of the input files");
	if (o->args->in_place || o->args->no_create)
		return open_in_place(o, q, st);
	if (o->args->n_bitmaps != 0u)
		return tool_error(o->name, "exists; with --bitmap, use -n to bring it up to date");
	o->target = realpath(o->name, NULL);
	if (o->target == NULL)
		return tool_error(o->name, "%s", strerror(errno));
	switch (replace_how(o->target, st)) {
	case REPLACE_NEVER: return tool_error(o->name, "%s", strerror(errno));
	case REPLACE_IN_PLACE: return open_in_place(o, q, st);
	case REPLACE_BY_RENAME: break;
	}
	return open_beside(o, q, st);
}

/*
 * A symbolic link that points to no file stays as well, and the file that it points to is created.
 */
static int create_file(struct output *o, struct qcow2 *q)
{
	o->target = link_follow(o->name);
	if (o->target == NULL)
		return tool_error(o->name, "%s", strerror(errno));
	return open_beside(o, q, NULL);
}

int place_find(struct output *o, struct qcow2 *q)
{
	int number = descriptor_number(o->name);
	struct stat st;

	if (number >= 0)
		return use_descriptor(o, q, number);
	if (stat(o->name, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return tool_error(o->name, "is a directory");
		return S_ISREG(st.st_mode) ? replace_file(o, q, &st) : open_in_place(o, q, &st);
	}
	if (errno != ENOENT || o->args->no_create)
		return tool_error(o->name, "%s", strerror(errno));
	return create_file(o, q);
}
