/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Writes a disk in order: to a pipe, or to whatever standard output is.
 */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../disk/open.h"
#include "../disk/past_end.h"
#include "../message.h"
#include "../write_all.h"

enum {
	STREAM_BUFFER = 256 * 1024, /* large enough that system calls cost little */
	SPLICE_MIN = 16 * 1024,     /* a copy of less is faster than a call of splice(2) */
	SPLICE_MAX = 1 << 24        /* small enough that progress is shown often */
};

static int write_failed(const struct stream *s)
{
	/* The reader of the pipe has gone away, which is normal: head(1) does so. */
	if (errno == EPIPE)
		return EXIT_FAILED;
	return tool_error(s->name, "%s", strerror(errno));
}

/*
 * Sends data from its file to a pipe without copying it. Returns the number of bytes, or 0 if this
 * cannot be done. After a failure or the end of the file, copy_out continues, and reports the
 * error.
 */
static uint64_t splice_out(const struct stream *s, uint64_t at, uint64_t end)
{
	struct qcow2_segment data;
	uint64_t done = 0;
	off_t pos;

	if (!s->to_pipe || qcow2_map(s->q, at, end - at, &data) <= 0)
		return 0;
	if ((data.flags & QCOW2_SEGMENT_DATA) == 0u || (data.flags & QCOW2_SEGMENT_AT) == 0u ||
	    data.length < SPLICE_MIN)
		return 0;
	pos = (off_t)data.file_offset;
	if (data.length > SPLICE_MAX)
		data.length = SPLICE_MAX;
	while (done < data.length) {
		size_t len = (size_t)(data.length - done);
		ssize_t n = splice(data.fd, &pos, s->fd, NULL, len, SPLICE_F_MORE);

		if (n > 0)
			done += (uint64_t)n;
		else if (n == 0 || errno != EINTR)
			break;
	}
	return done;
}

/* Reads and writes up to the next multiple of s->room, so that whole clusters are decoded. */
static int copy_out(const struct stream *s, uint64_t at, uint64_t end, uint64_t *done)
{
	size_t len = s->room - (size_t)(at % s->room);

	if (len > end - at)
		len = (size_t)(end - at);
	if (!salvage_read(s->salvage, s->q, s->buf, len, at))
		return tool_failed(s->args);
	*done = len;
	return write_all(s->fd, s->buf, len) ? EXIT_OK : write_failed(s);
}

/* Warns if one of the files ends inside a data cluster of the range. */
static void warn_if_cut(const struct stream *s)
{
	struct past_end past_end;

	if (!past_end_may_be_cut(s->q))
		return;
	past_end_begin(&past_end);
	past_end_walk(&past_end, s->q, s->from, s->end);
	past_end_warn_cut(&past_end, s->args);
}

static int write_part(struct stream *s, uint64_t at, uint64_t end)
{
	int rc = EXIT_OK;

	while (at < end && rc == EXIT_OK) {
		uint64_t n = splice_out(s, at, end);

		if (n == 0u)
			rc = copy_out(s, at, end, &n);
		at += n;
		if (rc == EXIT_OK)
			progress_show(&s->progress, at - s->from, s->end - s->from);
	}
	return rc;
}

static int write_range(struct stream *s)
{
	uint64_t at = s->from;
	int rc = EXIT_OK;

	while (at < s->end && rc == EXIT_OK) {
		uint64_t len = s->end - at;
		bool dirty;

		if (!marks_find(&s->marks, at, &len, &dirty))
			return tool_failed(s->args);
		if (dirty)
			rc = write_part(s, at, at + len);
		at += len;
		if (rc == EXIT_OK)
			progress_show(&s->progress, at - s->from, s->end - s->from);
	}
	return rc;
}

/* Progress is only shown on request, because another program may write to the same terminal. */
int stream_write(struct stream *s)
{
	const struct args *args = s->args;
	struct stat st;
	int rc;

	/* Not -1: tool_error() is never EXIT_OK. NOLINTNEXTLINE(clang-analyzer-unix.Std*) */
	s->to_pipe = fstat(s->fd, &st) == 0 && S_ISFIFO(st.st_mode);
	s->room = tool_buffer_size(s->q, STREAM_BUFFER);
	s->buf = malloc(s->room);
	if (s->buf == NULL)
		return tool_error(args->image, "%s", strerror(errno));
	progress_begin(&s->progress, args->progress, args->quiet || !args->progress);
	progress_show(&s->progress, 0, s->end - s->from);
	rc = write_range(s);
	warn_if_cut(s);
	progress_end(&s->progress);
	free(s->buf);
	return rc;
}
