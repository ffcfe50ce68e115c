/* SPDX-License-Identifier: MIT */
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

void check_print_text(const struct qcow2_check_result *r)
{
	print_findings(r);
	if (r->total_clusters != 0u && r->allocated_clusters != 0u)
		printf("%" PRIu64 "/%" PRIu64 " = %0.2f%% allocated, %0.2f%% fragmented, "
		       "%0.2f%% compressed clusters\n",
		       r->allocated_clusters, r->total_clusters,
		       percent(r->allocated_clusters, r->total_clusters),
		       percent(r->fragmented_clusters, r->allocated_clusters),
		       percent(r->compressed_clusters, r->allocated_clusters));
	if (r->image_end != 0u)
		printf("Image end offset: %" PRIu64 "\n", r->image_end);
}

/* Like qemu-img, leaves out what is 0. */
static void number(struct json *j, const char *key, uint64_t value)
{
	if (value != 0u)
		json_number(j, key, value);
}

void check_print_json(const struct args *args, const struct qcow2_check_result *r)
{
	struct json j = { stdout, 0, true };

	json_begin(&j, NULL, '{');
	number(&j, "image-end-offset", r->image_end);
	number(&j, "total-clusters", r->total_clusters);
	json_number(&j, "check-errors", r->errors);
	number(&j, "corruptions", r->corruptions);
	number(&j, "leaks", r->leaks);
	number(&j, "allocated-clusters", r->allocated_clusters);
	number(&j, "fragmented-clusters", r->fragmented_clusters);
	number(&j, "compressed-clusters", r->compressed_clusters);
	number(&j, "notes", r->notes);
	number(&j, "snapshot-copied-flags", r->snapshot_copied);
	json_text(&j, "filename", args->image);
	json_text(&j, "format", "qcow2");
	json_end(&j, '}');
}
