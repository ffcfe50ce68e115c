/* SPDX-License-Identifier: MIT */
/*
 * qcow2 info: what the header says. It needs no other file, and it shows as much as possible of an
 * image that cannot be read: encrypted, truncated, or without its backing file.
 */
#include "info.h"

#include <string.h>
#include <time.h>

#include "commands.h"
#include "message.h"
#include "open.h"
#include "past_end.h"
#include "qcow2/status.h"
#include "sandbox.h"

/*
 * Opens only to inspect, unless the command line says where the other files are. If the file is
 * cut, warns and opens what is left of it; then *cut is true.
 */
static struct qcow2 *open_for_info(struct args *args, bool *cut)
{
	struct qcow2_options *o = &args->options;
	char reason[sizeof qcow2_last_failure()->message];
	struct qcow2 *q;

	if (args->backing_chain && (o->flags & (QCOW2_FOLLOW_ANY | QCOW2_LAYER_ONLY)) == 0u)
		o->flags |= QCOW2_FOLLOW;
	*cut = false;
	/* The layer alone can also be mapped. */
	if ((o->flags & (QCOW2_FOLLOW | QCOW2_FOLLOW_ANY)) == 0u && o->n_backing == 0u &&
	    o->data_file == NULL)
		o->flags |= QCOW2_INSPECT | QCOW2_LAYER_ONLY;
	q = tool_open_quietly(args);
	if (q != NULL || qcow2_last_failure()->status != QCOW2_E_TRUNCATED ||
	    qcow2_last_failure()->depth != 0u)
		return q != NULL ? q : tool_open(args);
	o->flags |= QCOW2_ALLOW_TRUNCATED;
	memcpy(reason, qcow2_last_failure()->message, sizeof reason);
	q = tool_open(args);
	if (q != NULL)
		tool_error(args->image, "warning: %s", reason);
	*cut = q != NULL;
	return q;
}

/* Warns of what is odd at the end of the files, unless the image cannot be mapped. */
static void warn_past_end(const struct args *args, struct qcow2 *q)
{
	struct past_end past_end;

	past_end_begin(&past_end);
	past_end_walk(&past_end, q, 0, qcow2_get_size(q));
	past_end_warn_cut(&past_end, args);
	past_end_warn_zeros(&past_end, args);
}

static void print_image(const struct args *args, struct qcow2 *q, bool cut)
{
	struct json j = { stdout, 0, true };
	struct info info;

	sandbox_enter_reading(args->no_sandbox);
	info_load(&info, args->image, q, cut);
	if (args->json)
		info_print_json(&j, &info);
	else
		info_print_text(&info);
	info_free(&info);
	if (!cut)
		warn_past_end(args, q);
}

int run_info(struct args *args)
{
	bool cut;
	struct qcow2 *q = open_for_info(args, &cut);
	int rc = EXIT_OK;

	if (q == NULL)
		return EXIT_FAILED;
	tzset(); /* localtime(3) opens a file at its first use */
	if (args->backing_chain)
		rc = info_print_chain(args, q);
	else
		print_image(args, q, cut);
	qcow2_close(q);
	return rc;
}
