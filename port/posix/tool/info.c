/* SPDX-License-Identifier: MIT */
/*
 * qcow2 info: what the header says. It needs no other file, and it shows as much as possible of an
 * image that cannot be read: encrypted, truncated, or without its backing file.
 */
#include "info.h"

#include <time.h>

#include "commands.h"
#include "message.h"
#include "open.h"
#include "qcow2/status.h"
#include "sandbox.h"

/* Opens only to inspect, unless the command line says where the other files are. */
static struct qcow2 *open_for_info(struct args *args)
{
	struct qcow2_options *o = &args->options;
	struct qcow2 *q;

	if ((o->flags & (QCOW2_FOLLOW | QCOW2_FOLLOW_ANY)) == 0u && o->n_backing == 0u &&
	    o->data_file == NULL)
		o->flags |= QCOW2_INSPECT;
	q = tool_open_quietly(args);
	if (q != NULL || qcow2_last_failure()->status != QCOW2_E_TRUNCATED)
		return q != NULL ? q : tool_open(args);
	tool_error(args->image, "warning: %s", qcow2_last_failure()->message);
	o->flags |= QCOW2_ALLOW_TRUNCATED;
	return tool_open(args);
}

int run_info(struct args *args)
{
	struct qcow2 *q = open_for_info(args);
	struct info info;

	if (q == NULL)
		return EXIT_FAILED;
	tzset(); /* localtime(3) opens a file at its first use */
	sandbox_enter_reading(args->no_sandbox);
	info_load(&info, args->image, q);
	if (args->json)
		info_print_json(&info);
	else
		info_print_text(&info);
	info_free(&info);
	qcow2_close(q);
	return EXIT_OK;
}
