/* SPDX-License-Identifier: MIT */
/*
 * qcow2 cat: the disk's bytes to standard output.
 */
#include "tool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qcow2/image.h"

enum { CAT_BUFFER = 256 * 1024 };

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
	/* Whoever reads has seen enough. */
	if (errno == EPIPE)
		return EXIT_FAILED;
	return tool_error("standard output", "%s", strerror(errno));
}

static int cat_range(const struct args *args, struct qcow2 *q, uint64_t at, uint64_t end)
{
	size_t cluster = (size_t)1 << qcow2_get_image(q, 0)->cluster_bits;
	size_t room = cluster > CAT_BUFFER ? cluster : CAT_BUFFER;
	char *buf = malloc(room);
	int rc = EXIT_OK;

	if (buf == NULL)
		return tool_error(args->image, "%s", strerror(errno));
	while (at < end && rc == EXIT_OK) {
		/* Up to a multiple of the room, so that clusters come whole. */
		size_t len = room - (size_t)(at % room);
		int n;

		if (len > end - at)
			len = (size_t)(end - at);
		n = qcow2_read(q, buf, len, at);
		if (n < 0)
			rc = tool_failed(args);
		else if (!write_all(buf, (size_t)n))
			rc = write_failed();
		else
			at += (uint64_t)n;
	}
	free(buf);
	return rc;
}

int run_cat(struct args *args)
{
	struct qcow2 *q = tool_open(args);
	uint64_t size, end;
	int rc;

	if (q == NULL)
		return EXIT_FAILED;
	size = qcow2_get_size(q);
	end = size;
	if (args->has_length && args->offset <= size && args->length < size - args->offset)
		end = args->offset + args->length;
	if (args->offset > size)
		rc = tool_error(args->image,
		                "offset %" PRIu64 " is past the end of the disk, which has %" PRIu64
		                " bytes",
		                args->offset, size);
	else
		rc = cat_range(args, q, args->offset, end);
	qcow2_close(q);
	return rc;
}
