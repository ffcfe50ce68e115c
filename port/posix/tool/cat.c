/* SPDX-License-Identifier: MIT */
/*
 * qcow2 cat: writes the content of the disk to standard output.
 */
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "message.h"
#include "open.h"
#include "past_end.h"
#include "progress.h"
#include "salvage.h"
#include "sandbox.h"

enum {
	CAT_BUFFER = 256 * 1024, /* large enough that system calls cost little */
	SPLICE_MIN = 16 * 1024,  /* a copy of less is faster than a call of splice(2) */
	SPLICE_MAX = 1 << 24     /* small enough that progress is shown often */
};

struct cat {
	const struct args *args;
	struct qcow2 *q;
	struct progress progress;
	struct salvage *salvage; /* NULL without --salvage */
	bool to_pipe;
	char *buf;
	size_t room;
};

static bool write_all(const char *bytes, size_t len)
{
	while (len > 0u) {
		ssize_t n = write(STDOUT_FILENO, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

static int write_failed(void)
{
	/* The reader of the pipe has gone away, which is normal: head(1) does so. */
	if (errno == EPIPE)
		return EXIT_FAILED;
	return tool_error("standard output", "%s", strerror(errno));
}

/*
 * Sends data from its file to a pipe without copying it. Returns the number of bytes, or 0 if this
 * cannot be done. After a failure or the end of the file, copy_out continues, and reports the
 * error.
 */
static uint64_t splice_out(const struct cat *c, uint64_t at, uint64_t end)
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
	if (s.length > SPLICE_MAX)
		s.length = SPLICE_MAX;
	while (done < s.length) {
		size_t len = (size_t)(s.length - done);
		ssize_t n = splice(s.fd, &pos, STDOUT_FILENO, NULL, len, SPLICE_F_MORE);

		if (n > 0)
			done += (uint64_t)n;
		else if (n == 0 || errno != EINTR)
			break;
	}
	return done;
}

/* Reads and writes up to the next multiple of c->room, so that whole clusters are decoded. */
static int copy_out(const struct cat *c, uint64_t at, uint64_t end, uint64_t *done)
{
	size_t len = c->room - (size_t)(at % c->room);

	if (len > end - at)
		len = (size_t)(end - at);
	if (!salvage_read(c->salvage, c->q, c->buf, len, at))
		return tool_failed(c->args);
	*done = len;
	return write_all(c->buf, len) ? EXIT_OK : write_failed();
}

/* Warns if one of the files ends inside a data cluster of this range. */
static void warn_if_cut(const struct cat *c, uint64_t at, uint64_t end)
{
	struct past_end past_end;

	if (!past_end_may_be_cut(c->q))
		return;
	past_end_begin(&past_end);
	past_end_walk(&past_end, c->q, at, end);
	past_end_warn_cut(&past_end, c->args);
}

static int cat_range(struct cat *c, uint64_t from, uint64_t end)
{
	uint64_t at = from;
	struct stat st;
	uint64_t n = 0;
	int rc = EXIT_OK;

	c->to_pipe = fstat(STDOUT_FILENO, &st) == 0 && S_ISFIFO(st.st_mode);
	c->room = tool_buffer_size(c->q, CAT_BUFFER);
	c->buf = malloc(c->room);
	if (c->buf == NULL)
		return tool_error(c->args->image, "%s", strerror(errno));
	for (; at < end && rc == EXIT_OK; at += n) {
		n = splice_out(c, at, end);
		if (n == 0u)
			rc = copy_out(c, at, end, &n);
		if (rc == EXIT_OK)
			progress_show(&c->progress, at + n - from, end - from);
	}
	free(c->buf);
	warn_if_cut(c, from, end);
	return rc;
}

/* Progress is only shown on request, because another program may write to the same terminal. */
static int cat_shown(struct cat *c, uint64_t at, uint64_t end)
{
	const struct args *args = c->args;
	int rc;

	progress_begin(&c->progress, args->progress, args->quiet || !args->progress);
	progress_show(&c->progress, 0, end - at);
	rc = cat_range(c, at, end);
	progress_end(&c->progress);
	return rc;
}

int run_cat(struct args *args)
{
	struct cat c = { .args = args };
	uint64_t size, end;
	int rc;

	progress_catch_signals();
	c.q = tool_open_disk(args);
	if (c.q == NULL)
		return EXIT_FAILED;
	size = qcow2_get_size(c.q);
	end = size;
	if (args->offset <= size && args->length < size - args->offset)
		end = args->offset + args->length;
	if (args->offset > size)
		rc = tool_error(args->image,
		                "offset %" PRIu64 " is past the end of the disk (%" PRIu64
		                " bytes)",
		                args->offset, size);
	else
		rc = salvage_begin(&c.salvage, args, c.q);
	if (rc == EXIT_OK) {
		sandbox_enter(
			args->no_sandbox,
			&(struct sandbox_needs){ .files = { salvage_report_fd(c.salvage), -1 } });
		rc = cat_shown(&c, args->offset, end);
	}
	rc = salvage_end(c.salvage, rc);
	qcow2_close(c.q);
	return rc;
}
