/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Prints the numbers of a check: qemu-img's words and JSON keys.
 */
#include "check_print.h"

#include <inttypes.h>

#include "../show/json.h"

static void print_findings(const struct qcow2_check_result *r)
{
	if (r->corruptions != 0u)
		printf("\n%" PRIu64 " errors were found on the image.\n"
		       "Data may be corrupted, or further writes to the image may corrupt it.\n",
		       r->corruptions);
	if (r->leaks != 0u)
		printf("\n%" PRIu64 " leaked clusters were found on the image.\n"
		       "This means waste of disk space, but no harm to data.\n",
		       r->leaks);
	if (r->errors != 0u)
		printf("\n%" PRIu64 " internal errors have occurred during the check.\n",
		       r->errors);
	if ((r->corruptions | r->leaks | r->errors) == 0u)
		printf("No errors were found on the image.\n");
}

static double percent(uint64_t part, uint64_t whole)
{
	return (double)part * 100.0 / (double)whole;
}

void check_print_text(const struct qcow2_check_result *result)
{
	print_findings(result);
	if (result->total_clusters != 0u && result->allocated_clusters != 0u)
		printf("%" PRIu64 "/%" PRIu64 " = %0.2f%% allocated, %0.2f%% fragmented, "
		       "%0.2f%% compressed clusters\n",
		       result->allocated_clusters, result->total_clusters,
		       percent(result->allocated_clusters, result->total_clusters),
		       percent(result->fragmented_clusters, result->allocated_clusters),
		       percent(result->compressed_clusters, result->allocated_clusters));
	if (result->image_end != 0u)
		printf("Image end offset: %" PRIu64 "\n", result->image_end);
}

/* Like qemu-img, leaves out what is 0. */
static void number(struct json *j, const char *key, uint64_t value)
{
	if (value != 0u)
		json_number(j, key, value);
}

void check_print_json(const struct args *args, const struct qcow2_check_result *result)
{
	struct json j = { stdout, 0, true };

	json_begin(&j, NULL, '{');
	number(&j, "image-end-offset", result->image_end);
	number(&j, "total-clusters", result->total_clusters);
	json_number(&j, "check-errors", result->errors);
	number(&j, "corruptions", result->corruptions);
	number(&j, "leaks", result->leaks);
	number(&j, "allocated-clusters", result->allocated_clusters);
	number(&j, "fragmented-clusters", result->fragmented_clusters);
	number(&j, "compressed-clusters", result->compressed_clusters);
	number(&j, "notes", result->notes);
	number(&j, "snapshot-copied-flags", result->snapshot_copied);
	json_text(&j, "filename", args->image);
	json_text(&j, "format", "qcow2");
	json_end(&j, '}');
}
