/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "serve_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <unistd.h>

/*
 * Each part of a page takes a slot of a pipe. A request for more than the kernel reads ahead, 128
 * KiB, is rare, and pipes count against a limit of the user.
 */
enum { PIPE_BYTES = 256 * 1024, DRAIN_BYTES = 4096 };

void relay_open(struct relay *relay)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), spare = 2u * page;
	int bytes;

	relay->room = 0;
	if (pipe2(relay->ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return;
	(void)fcntl(relay->ends[1], F_SETPIPE_SZ, PIPE_BYTES);
	bytes = fcntl(relay->ends[1], F_GETPIPE_SZ);
	/* The header of the answer has a slot, and so has data that begins within a page. */
	if (bytes > 0 && (size_t)bytes > spare)
		relay->room = (size_t)bytes - spare;
}

/* Empties the pipe after a failure. */
static void drain(const struct relay *relay)
{
	char buf[DRAIN_BYTES];
	ssize_t n;

	do
		n = read(relay->ends[0], buf, sizeof buf);
	while (n > 0 || (n < 0 && errno == EINTR));
}

/* Moves bytes into the pipe until all have been moved, or no more can be. */
static bool move(int from, off_t *pos, int to, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = splice(from, pos, to, NULL, len - done, SPLICE_F_NONBLOCK);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			return false; /* the end of the file, or a failure */
	}
	return true;
}

/* Gives what is in the pipe to the kernel, which takes an answer as a whole. */
static bool hand_over(const struct relay *relay, int to, size_t len)
{
	ssize_t n;

	do
		n = splice(relay->ends[0], NULL, to, NULL, len, 0);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)len;
}

bool relay_answer(const struct relay *relay, const void *request, int to, int fd, uint64_t pos,
                  size_t len)
{
	const struct fuse_in_header *in = request;
	struct fuse_out_header out = { .unique = in->unique };
	off_t from = (off_t)pos;

	if (len > relay->room)
		return false;
	out.len = (uint32_t)(sizeof out + len);
	if (write(relay->ends[1], &out, sizeof out) == (ssize_t)sizeof out &&
	    move(fd, &from, relay->ends[1], len) && hand_over(relay, to, out.len))
		return true;
	drain(relay);
	return false;
}
