/* SPDX-License-Identifier: MIT */
/*
 * qcow2 map: what each part of the disk holds, and where that is.
 */
#include "commands.h"

#include <inttypes.h>

#include "map_entries.h"
#include "open.h"
#include "sandbox.h"

static const char *yes_no(bool value)
{
	return value ? "true" : "false";
}

/* One array element on a line of its own, in the format of qemu-img. */
static void print_json_entry(const struct map_entry *e, bool first)
{
	printf("%s{ \"start\": %" PRIu64 ", \"length\": %" PRIu64 ", \"depth\": %u, "
	       "\"present\": %s, \"zero\": %s, \"data\": %s, \"compressed\": %s",
	       first ? "[" : ",\n", e->start, e->length, e->depth, yes_no(e->present),
	       yes_no(e->zero), yes_no(e->data), yes_no(e->compressed));
	if (e->has_offset)
		printf(", \"offset\": %" PRIu64, e->offset);
	putchar('}');
}

static const char *kind_of(const struct map_entry *e)
{
	if (e->compressed)
		return "compressed";
	if (e->zero)
		return e->present ? "zero" : "absent";
	return "data";
}

static void print_entry(const struct map_entry *e, bool first)
{
	if (first)
		printf("%18s %18s  %-10s %5s  %s\n", "START", "LENGTH", "KIND", "DEPTH",
		       "FILE OFFSET");
	printf("%18" PRIu64 " %18" PRIu64 "  %-10s %5u", e->start, e->length, kind_of(e), e->depth);
	if (e->has_offset)
		printf("  %" PRIu64, e->offset);
	putchar('\n');
}

/* A disk of size 0 has no entries; qemu-img prints one of length 0, and so do we. */
static void print_json_end(bool is_empty)
{
	static const struct map_entry nothing;

	if (is_empty)
		print_json_entry(&nothing, true);
	puts("]");
}

int run_map(struct args *args)
{
	struct map_entry entry;
	struct map_walk walk;
	struct qcow2 *q = tool_open(args);
	bool first = true;
	int rc;

	if (q == NULL)
		return EXIT_FAILED;
	sandbox_enter_reading(args->no_sandbox);
	map_walk_begin(&walk, q);
	while ((rc = map_walk_next(&walk, &entry)) > 0) {
		if (args->json)
			print_json_entry(&entry, first);
		else
			print_entry(&entry, first);
		first = false;
	}
	if (rc < 0)
		tool_failed(args);
	if (args->json && rc == 0)
		print_json_end(first);
	qcow2_close(q);
	return rc < 0 ? EXIT_FAILED : EXIT_OK;
}
