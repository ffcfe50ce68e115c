/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 cat: writes the content of the disk to standard output.
 */
#include "../commands.h"

#include <inttypes.h>
#include <unistd.h>

#include "../disk/open.h"
#include "../disk/salvage.h"
#include "../message.h"
#include "../output/place.h"
#include "../sandbox/sandbox.h"
#include "../show/progress.h"
#include "stream.h"

/* Sets the range of the disk that the command line asks for. */
static int find_range(struct stream *s)
{
	uint64_t size = qcow2_get_size(s->q), from = s->args->offset;

	if (from > size)
		return tool_error(s->args->image,
		                  "offset %" PRIu64 " is past the end of the disk (%" PRIu64
		                  " bytes)",
		                  from, size);
	s->from = from;
	s->end = s->args->length < size - from ? from + s->args->length : size;
	return EXIT_OK;
}

static int cat(struct stream *s)
{
	const struct args *args = s->args;

	if (marks_begin(&s->marks, args, s->q) != EXIT_OK || find_range(s) != EXIT_OK ||
	    place_check_stream(s->name, s->fd, s->q, args->force, s->end - s->from) != EXIT_OK ||
	    salvage_begin(&s->salvage, args, s->q) != EXIT_OK)
		return EXIT_FAILED;
	sandbox_enter(args->no_sandbox,
	              &(struct sandbox_needs){ .files = { salvage_report_fd(s->salvage), -1 } });
	return salvage_end(s->salvage, stream_write(s));
}

int run_cat(struct args *args)
{
	struct stream s = { .args = args, .fd = STDOUT_FILENO, .name = "standard output" };
	int rc;

	progress_catch_signals();
	s.q = tool_open_disk(args);
	if (s.q == NULL)
		return EXIT_FAILED;
	rc = cat(&s);
	marks_end(&s.marks);
	qcow2_close(s.q);
	return rc;
}
