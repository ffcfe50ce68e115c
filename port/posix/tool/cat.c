/* SPDX-License-Identifier: MIT */
/*
 * qcow2 cat: writes the content of the disk to standard output.
 */
#include "commands.h"

#include <inttypes.h>
#include <unistd.h>

#include "message.h"
#include "open.h"
#include "sandbox.h"
#include "stream.h"

int run_cat(struct args *args)
{
	struct qcow2 *q = tool_open(args);
	uint64_t size, end;
	int rc;

	if (q == NULL)
		return EXIT_FAILED;
	sandbox_enter_reading(args->no_sandbox);
	size = qcow2_get_size(q);
	end = size;
	if (args->offset <= size && args->length < size - args->offset)
		end = args->offset + args->length;
	if (args->offset > size)
		rc = tool_error(args->image,
		                "offset %" PRIu64 " is past the end of the disk (%" PRIu64
		                " bytes)",
		                args->offset, size);
	else
		rc = stream_write(args, q, STDOUT_FILENO, "standard output", args->offset, end);
	qcow2_close(q);
	return rc;
}
