/* SPDX-License-Identifier: MIT */
/*
 * Writes a disk in order: to a pipe, or to whatever standard output is.
 */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "message.h"
#include "open.h"
#include "place.h"

enum {
	STREAM_BUFFER = 256 * 1024, /* large enough that system calls cost little */
	SPLICE_MIN = 16 * 1024,     /* a copy of less is faster than a call of splice(2) */
	SPLICE_MAX = 1 << 30        /* Linux transfers less than 2 GiB in one call */
};

struct stream {
	const struct args *args;
	struct qcow2 *q;
	int fd;
	const char *name; /* of fd, for messages */
	bool to_pipe;
	char *buf;
	size_t room;
};

static bool write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0u) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

static int write_failed(const struct stream *c)
{
	/* The reader of the pipe has gone away, which is normal: head(1) does so. */
	if (errno == EPIPE)
		return EXIT_FAILED;
	return tool_error(c->name, "%s", strerror(errno));
}

/*
 * Sends data from its file to a pipe without copying it. Returns the number of bytes, or 0 if this
 * cannot be done. After a failure or the end of the file, copy_out continues, and reports the
 * error.
 */
static uint64_t splice_out(const struct stream *c, uint64_t at, uint64_t end)
{
	struct qcow2_segment s;
	uint64_t done = 0;
	off_t pos;

	if (!c->to_pipe || qcow2_map(c->q, at, end - at, &s) <= 0)
		return 0;
	if ((s.flags & QCOW2_SEGMENT_DATA) == 0u || (s.flags & QCOW2_SEGMENT_AT) == 0u ||
	    s.length < SPLICE_MIN)
		return 0;
	pos = (off_t)s.file_offset;
	while (done < s.length) {
		uint64_t len = s.length - done < SPLICE_MAX ? s.length - done : SPLICE_MAX;
		ssize_t n = splice(s.fd, &pos, c->fd, NULL, (size_t)len, SPLICE_F_MORE);

		if (n > 0)
			done += (uint64_t)n;
		else if (n == 0 || errno != EINTR)
			break;
	}
	return done;
}

/* Reads and writes up to the next multiple of c->room, so that whole clusters are decoded. */
static int copy_out(const struct stream *c, uint64_t at, uint64_t end, uint64_t *done)
{
	size_t len = c->room - (size_t)(at % c->room);
	int n;

	if (len > end - at)
		len = (size_t)(end - at);
	n = qcow2_read(c->q, c->buf, len, at);
	if (n < 0)
		return tool_failed(c->args);
	*done = (uint64_t)n;
	return write_all(c->fd, c->buf, (size_t)n) ? EXIT_OK : write_failed(c);
}

/* A device of the caller that is too short is refused before anything is written to it. */
static int check_room(const struct stream *c, const struct stat *st, uint64_t len)
{
	off_t at = S_ISBLK(st->st_mode) ? lseek(c->fd, 0, SEEK_CUR) : -1;
	uint64_t size;

	if (at < 0 || !device_size(c->fd, &size) || len <= size - (uint64_t)at)
		return EXIT_OK;
	return tool_error(c->name, DEVICE_TOO_SMALL, size - (uint64_t)at, len);
}

static int write_range(struct stream *c, uint64_t at, uint64_t end)
{
	uint64_t n = 0;
	int rc = EXIT_OK;

	c->room = tool_buffer_size(c->q, STREAM_BUFFER);
	c->buf = malloc(c->room);
	if (c->buf == NULL)
		return tool_error(c->args->image, "%s", strerror(errno));
	for (; at < end && rc == EXIT_OK; at += n) {
		n = splice_out(c, at, end);
		if (n == 0u)
			rc = copy_out(c, at, end, &n);
	}
	free(c->buf);
	return rc;
}

int stream_write(const struct args *args, struct qcow2 *q, int fd, const char *name, uint64_t at,
                 uint64_t end)
{
	struct stream c = { .args = args, .q = q, .fd = fd, .name = name };
	struct stat st;

	if (place_check(name, fd, q, args->force, &st) != EXIT_OK)
		return EXIT_FAILED;
	c.to_pipe = S_ISFIFO(st.st_mode);
	if (check_room(&c, &st, end - at) != EXIT_OK)
		return EXIT_FAILED;
	return write_range(&c, at, end);
}
