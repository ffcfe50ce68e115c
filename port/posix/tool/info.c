/* SPDX-License-Identifier: MIT */
/*
 * qcow2 info: what the header says. It needs no other file, and it shows as much as possible of an
 * image that cannot be read: encrypted, truncated, or without its backing file.
 */
#include "info.h"

#include "commands.h"
#include "message.h"
#include "open.h"
#include "qcow2/status.h"

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

/* Counts with a handle of the image alone, so that its backing file is not needed. */
static bool count_alone(const struct args *args, struct info *info)
{
	struct args alone = *args;
	struct qcow2 *q;
	bool done;

	alone.options.flags &= ~(unsigned)QCOW2_INSPECT;
	alone.options.flags |= QCOW2_LAYER_ONLY;
	q = tool_open_quietly(&alone);
	if (q == NULL)
		return false;
	done = usage_count(q, args->scan, &info->usage);
	qcow2_close(q);
	return done;
}

/* The tables of an encrypted image, or of one without its data file, cannot be read. */
static void load_usage(const struct args *args, struct info *info)
{
	info->has_usage = usage_count(info->q, args->scan, &info->usage);
	if (!info->has_usage && qcow2_last_failure()->status == QCOW2_E_BACKING)
		info->has_usage = count_alone(args, info);
	if (!info->has_usage && qcow2_last_failure()->status != QCOW2_E_ENCRYPTED &&
	    qcow2_last_failure()->status != QCOW2_E_DATA_FILE)
		tool_error(args->image, "warning: cannot count what is allocated: %s",
		           qcow2_last_failure()->message);
}

/* Prints one image, which args->image names. */
static int info_of(struct args *args, struct json *j)
{
	struct qcow2 *q = open_for_info(args);
	struct info info;

	if (q == NULL)
		return EXIT_FAILED;
	info_load(&info, args->image, q);
	if (!args->no_scan) {
		load_usage(args, &info);
		info_load_partitions(&info);
	}
	if (args->json)
		info_print_json(j, &info);
	else
		info_print_text(&info);
	info_free(&info);
	qcow2_close(q);
	return EXIT_OK;
}

/* Of several images, JSON is an array of those that can be shown, and text has blank lines between. */
int run_info(struct args *args)
{
	struct json j = { stdout, 0, true };
	bool is_list = args->json && args->n_images > 1u;
	unsigned i, flags = args->options.flags;
	int rc = EXIT_OK;

	if (is_list)
		json_begin(&j, NULL, '[');
	for (i = 0; i < args->n_images; i++) {
		args->image = args->images[i];
		args->options.flags = flags;
		if (i > 0u && !args->json)
			putchar('\n');
		if (info_of(args, &j) != EXIT_OK)
			rc = EXIT_FAILED;
	}
	if (is_list)
		json_end(&j, ']');
	return rc;
}
