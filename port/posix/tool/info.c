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

/*
 * Opens the image alone, for its map, if the handle q misses its backing file. Returns q if it does
 * not, or NULL after a warning.
 */
static struct qcow2 *open_alone(const struct args *args, struct qcow2 *q)
{
	struct qcow2_info info = { .struct_size = sizeof info };
	struct args alone = *args;

	if ((args->options.flags & QCOW2_INSPECT) == 0u || qcow2_get_info(q, 0, &info) != 0 ||
	    (info.backing_file.bytes == NULL && !info.incomplete) || info.encryption != NULL ||
	    (info.flags & QCOW2_INFO_DATA_FILE) != 0u)
		return q;
	alone.options.flags &= ~(unsigned)QCOW2_INSPECT;
	alone.options.flags |= QCOW2_LAYER_ONLY;
	q = tool_open_quietly(&alone);
	if (q == NULL)
		tool_error(args->image, "warning: cannot count what is allocated: %s",
		           qcow2_last_failure()->message);
	return q;
}

/* The tables of an encrypted image, or of one without its data file, cannot be read. */
static void load_usage(const struct args *args, struct info *info, struct qcow2 *alone)
{
	const struct qcow2_failure *failure;

	info->has_usage = usage_count(alone, args->scan, &info->usage);
	if (info->has_usage)
		return;
	failure = qcow2_last_failure();
	if (failure->status != QCOW2_E_ENCRYPTED && failure->status != QCOW2_E_DATA_FILE)
		tool_error(args->image, "warning: cannot count what is allocated: %s",
		           failure->message);
}

static void print_image(const struct args *args, struct json *j, struct qcow2 *q,
                        struct qcow2 *alone)
{
	struct info info;

	info_load(&info, args->image, q);
	if (alone != NULL)
		load_usage(args, &info, alone);
	if (!args->no_scan)
		info_load_partitions(&info);
	if (args->json)
		info_print_json(j, &info);
	else
		info_print_text(&info);
	info_free(&info);
}

/* Shows one image, which args->image names. After the last one, no other file is opened. */
static int info_of(struct args *args, struct json *j, bool is_last)
{
	struct qcow2 *q = open_for_info(args);
	struct qcow2 *alone = NULL;

	if (q == NULL)
		return EXIT_FAILED;
	if (!args->no_scan)
		alone = open_alone(args, q);
	if (is_last)
		sandbox_enter_reading(args->no_sandbox);
	print_image(args, j, q, alone);
	if (alone != q)
		qcow2_close(alone);
	qcow2_close(q);
	return EXIT_OK;
}

/* Of several images, JSON is an array of those that can be shown, and text has blank lines between.
 */
int run_info(struct args *args)
{
	struct json j = { stdout, 0, true };
	bool is_list = args->json && args->n_images > 1u;
	unsigned i, flags = args->options.flags;
	int rc = EXIT_OK;

	tzset(); /* localtime(3) opens a file at its first use */
	if (is_list)
		json_begin(&j, NULL, '[');
	for (i = 0; i < args->n_images; i++) {
		args->image = args->images[i];
		args->options.flags = flags;
		if (i > 0u && !args->json)
			putchar('\n');
		if (info_of(args, &j, i + 1u == args->n_images) != EXIT_OK)
			rc = EXIT_FAILED;
	}
	if (is_list)
		json_end(&j, ']');
	return rc;
}
