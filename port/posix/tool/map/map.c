/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 map: what each part of the disk holds, and where that is.
 */
#include "../commands.h"

#include <inttypes.h>
#include <string.h>

#include "../disk/open.h"
#include "../sandbox/sandbox.h"
#include "../show/json.h"
#include "../show/text.h"
#include "map_picture.h"
#include "map_report.h"
#include "map_summary.h"

static const char *yes_no(bool value)
{
	return value ? "true" : "false";
}

/* One array element on a line of its own, in the format of qemu-img. */
static void print_json_entry(const struct map_entry *e, bool first, bool bitmaps)
{
	printf("%s{ \"start\": %" PRIu64 ", \"length\": %" PRIu64 ", \"depth\": %u, "
	       "\"present\": %s, \"zero\": %s, \"data\": %s, \"compressed\": %s",
	       first ? "[" : ",\n", e->start, e->length, e->depth, yes_no(e->present),
	       yes_no(e->zero), yes_no(e->data), yes_no(e->compressed));
	if (e->has_offset)
		printf(", \"offset\": %" PRIu64, e->offset);
	if (bitmaps && !e->damaged)
		printf(", \"dirty\": %s", yes_no(e->dirty));
	if (e->damaged) {
		printf(", \"damaged\": true, \"reason\": ");
		json_quoted(stdout, e->reason, strlen(e->reason));
	}
	putchar('}');
}

/* Completes the array, even if the walk has failed. */
static void print_json_end(bool empty, bool failed)
{
	static const struct map_entry nothing;

	/* A disk of size 0 has no entries; qemu-img prints one of length 0, and so do we. */
	if (empty && !failed)
		print_json_entry(&nothing, true, false);
	puts(empty && failed ? "[]" : "]");
}

/* The width of a column with a number of bytes. */
static int bytes_width(bool human)
{
	return human ? 10 : 18;
}

/* bitmaps: there is a column for what they mark. */
static void print_entry(const struct map_entry *e, bool first, bool human, bool bitmaps)
{
	int width = bytes_width(human);

	if (first)
		printf("%*s %*s  %-10s %5s  %s%s\n", width, "START", width, "LENGTH", "KIND",
		       "DEPTH", bitmaps ? "BITMAP  " : "", "FILE OFFSET");
	text_print_bytes(e->start, human, width);
	putchar(' ');
	text_print_bytes(e->length, human, width);
	printf("  %-10s %5u", map_kind_name(map_kind_of(e)), e->depth);
	if (bitmaps)
		printf(e->has_offset || e->damaged ? "  %-6s" : "  %s", e->damaged ? ""
		                                                        : e->dirty ? "dirty"
		                                                                   : "clean");
	if (e->has_offset) {
		fputs("  ", stdout);
		text_print_bytes(e->offset, human, 0);
	}
	if (e->damaged)
		printf("  %s", e->reason);
	putchar('\n');
}

static void print_total(const struct map_summary *sum, bool human, bool bitmaps)
{
	printf("%*s ", bytes_width(human), "total");
	text_print_bytes(sum->total.bytes, human, bytes_width(human));
	fputs("  ", stdout);
	map_summary_print_kinds(sum, human);
	if (bitmaps) {
		fputs("; ", stdout);
		text_print_bytes(sum->dirty, human, 0);
		fputs(" dirty", stdout);
	}
	putchar('\n');
}

/* Prints each entry, and at the end what they add up to. */
static int list_entries(const struct args *args, struct qcow2 *q, struct marks *marks)
{
	bool bitmaps = marks->set != NULL;
	struct map_summary sum = { 0 };
	struct map_entry entry;
	struct map_walk walk;
	bool first = true;
	int rc;

	map_walk_begin(&walk, q, marks);
	while ((rc = map_walk_next(&walk, &entry)) > 0) {
		if (args->json)
			print_json_entry(&entry, first, bitmaps);
		else
			print_entry(&entry, first, args->human, bitmaps);
		map_summary_add(&sum, &entry);
		first = false;
	}
	if (args->json)
		print_json_end(first, rc < 0);
	else if (!first && rc == 0)
		print_total(&sum, args->human, bitmaps);
	return map_report(&walk, args, rc);
}

static int summarize(const struct args *args, struct qcow2 *q, struct marks *marks)
{
	struct map_summary sum = { 0 };
	struct map_entry entry;
	struct map_walk walk;
	int rc;

	map_walk_begin(&walk, q, marks);
	while ((rc = map_walk_next(&walk, &entry)) > 0)
		map_summary_add(&sum, &entry);
	if (args->json)
		map_summary_print_json(&sum, marks->set != NULL);
	else if (rc == 0)
		map_summary_print(&sum, args->human, marks->set != NULL);
	return map_report(&walk, args, rc);
}

/* Shows the map in the form that the user wants. */
static int show(const struct args *args, struct qcow2 *q, struct marks *marks)
{
	/* The pictures do it later: they need to know the terminal, or to create a file. */
	if (!args->picture && args->svg == NULL)
		sandbox_enter_reading(args->no_sandbox);
	if (args->picture)
		return map_draw_text(args, q);
	if (args->svg != NULL)
		return map_draw_svg(args, q);
	if (args->summary)
		return summarize(args, q, marks);
	return list_entries(args, q, marks);
}

int run_map(struct args *args)
{
	struct qcow2 *q;
	struct marks marks;
	int rc;

	/* Tables are not encrypted. */
	if (args->n_keys == 0u)
		args->options.flags |= QCOW2_WITHOUT_KEYS;
	q = tool_open_disk(args);
	if (q == NULL)
		return EXIT_FAILED;
	rc = marks_begin(&marks, args, q);
	if (rc == EXIT_OK)
		rc = show(args, q, &marks);
	marks_end(&marks);
	qcow2_close(q);
	return rc;
}
