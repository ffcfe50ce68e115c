/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "key_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../message.h"

/* The most bytes of a password: a file with more is a wrong file. */
enum { KEY_MAX = 1024 * 1024, KEY_ROOM = 4096 };

void key_source_wipe(struct key_source *source)
{
	if (source->bytes != NULL)
		explicit_bzero(source->bytes, source->room);
	free(source->bytes);
	source->bytes = NULL;
}

/*
 * gcc's analyzer does not follow memory whose owner is in an array, so it takes it for lost.
 */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 10
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif
/* Makes room for more bytes. realloc(3) would leave a copy of the old ones behind. */
static bool key_grow(struct key_source *source)
{
	size_t room = source->room == 0u ? KEY_ROOM : 2u * source->room;
	char *bytes = malloc(room);

	if (bytes == NULL)
		return false;
	if (source->len != 0u)
		memcpy(bytes, source->bytes, source->len);
	key_source_wipe(source);
	source->bytes = bytes;
	source->room = room;
	return true;
}

/* Reads all that fd has. Returns false with errno set. */
static bool key_read_fd(struct key_source *source, int fd)
{
	ssize_t n = 1;

	while (n > 0) {
		if (source->len > KEY_MAX) {
			errno = EFBIG;
			return false;
		}
		if (source->len == source->room && !key_grow(source))
			return false;
		do
			n = read(fd, source->bytes + source->len, source->room - source->len);
		while (n < 0 && errno == EINTR);
		if (n > 0)
			source->len += (size_t)n;
	}
	return n == 0;
}

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 10
#pragma GCC diagnostic pop
#endif

static bool key_read(struct key_source *source)
{
	int fd = source->fd, error;
	bool done;

	if (source->file != NULL)
		fd = open(source->file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return false;
	source->len = 0;
	done = key_read_fd(source, fd);
	error = errno;
	if (source->file != NULL)
		close(fd);
	else
		key_source_close(source);
	errno = error;
	return done;
}

bool key_source_is_same(const struct key_source *a, const struct key_source *b)
{
	if (a->file != NULL && b->file != NULL)
		return strcmp(a->file, b->file) == 0;
	return a->file == NULL && b->file == NULL && a->fd == b->fd;
}

const struct key_source *key_source_read(struct key_source *source)
{
	if (source->same != NULL)
		source = source->same;
	if (!source->is_read)
		source->is_read = key_read(source);
	return source->is_read ? source : NULL;
}

void key_source_close(struct key_source *source)
{
	if (source->same == NULL && source->file == NULL && source->fd > STDERR_FILENO &&
	    !source->is_closed)
		close(source->fd);
	source->is_closed = true;
}

/* What messages call it. */
static const char *key_source_name(const struct key_source *source, char buf[32])
{
	if (source->file != NULL)
		return source->file;
	snprintf(buf, 32, "--key-fd %d", source->fd);
	return buf;
}

int key_source_failed(const struct key_source *source, int error)
{
	char buf[32];

	return tool_error(key_source_name(source, buf), "%s",
	                  error == EFBIG ? "a password has at most 1 MiB" : strerror(error));
}

int key_source_unused(const struct key_source *source)
{
	char buf[32];

	return tool_error(key_source_name(source, buf), "no image needs this password");
}
