/* SPDX-License-Identifier: MIT */
/*
 * qcow2 map: what each part of the disk holds, and where that is.
 */
#include "commands.h"

#include <inttypes.h>
#include <string.h>

#include "json.h"
#include "map_entries.h"
#include "message.h"
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
	if (e->damaged) {
		printf(", \"damaged\": true, \"reason\": ");
		json_quoted(stdout, e->reason, strlen(e->reason));
	}
	putchar('}');
}

static const char *kind_of(const struct map_entry *e)
{
	if (e->damaged)
		return "damaged";
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
	if (e->damaged)
		printf("  %s", e->reason);
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

/* What the walk found that cannot be told. */
struct map_lost {
	uint64_t n; /* entries */
	uint64_t bytes;
	char first[sizeof qcow2_last_failure()->message]; /* the reason of the first */
};

static void map_lost_add(struct map_lost *lost, const struct map_entry *e)
{
	if (!e->damaged)
		return;
	if (lost->n == 0u)
		snprintf(lost->first, sizeof lost->first, "%s", e->reason);
	lost->n++;
	lost->bytes += e->length;
}

/* Prints all entries. Returns what map_walk_next returned last. */
static int print_map(const struct args *args, struct qcow2 *q, struct map_lost *lost)
{
	struct map_entry entry;
	struct map_walk walk;
	bool first = true;
	int rc;

	map_walk_begin(&walk, q);
	while ((rc = map_walk_next(&walk, &entry)) > 0) {
		if (args->json)
			print_json_entry(&entry, first);
		else
			print_entry(&entry, first);
		map_lost_add(lost, &entry);
		first = false;
	}
	if (args->json && first && rc < 0)
		putchar('[');
	if (args->json)
		print_json_end(first && rc == 0);
	map_walk_end(&walk);
	past_end_warn_cut(&walk.past_end, args);
	past_end_warn_zeros(&walk.past_end, args);
	return rc;
}

int run_map(struct args *args)
{
	struct qcow2 *q = tool_open_disk(args);
	struct map_lost lost = { 0, 0, "" };
	int rc;

	if (q == NULL)
		return EXIT_FAILED;
	sandbox_enter_reading(args->no_sandbox);
	rc = print_map(args, q, &lost);
	if (rc < 0)
		tool_failed(args);
	else if (lost.n > 0u)
		tool_error(args->image,
		           "damaged ranges: %" PRIu64 ", %" PRIu64 " bytes in all; the first: %s",
		           lost.n, lost.bytes, lost.first);
	qcow2_close(q);
	return rc < 0 || lost.n > 0u ? EXIT_FAILED : EXIT_OK;
}
