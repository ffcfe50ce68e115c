/* SPDX-License-Identifier: MIT */
/*
 * qcow2 bitmaps: lists the persistent bitmaps, for people and as JSON. The keys that qemu-img info
 * has for a bitmap are the same here.
 */
#include "../commands.h"

#include <inttypes.h>
#include <stdlib.h>

#include "../disk/open.h"
#include "../sandbox/sandbox.h"
#include "../show/json.h"
#include "../show/text.h"

static void bitmap_print_json(struct json *j, const struct qcow2_bitmap_entry *b)
{
	json_begin(j, NULL, '{');
	json_begin(j, "flags", '[');
	if ((b->flags & QCOW2_BITMAP_ENTRY_IN_USE) != 0u)
		json_text(j, NULL, "in-use");
	if ((b->flags & QCOW2_BITMAP_ENTRY_AUTO) != 0u)
		json_text(j, NULL, "auto");
	json_end(j, ']');
	json_string(j, "name", b->name, b->name_len);
	json_number(j, "granularity", b->granularity);
	json_number(j, "table-offset", b->table_offset);
	json_number(j, "table-entries", b->table_entries);
	json_end(j, '}');
}

static const char *bitmap_flags_text(unsigned flags)
{
	static const char *const texts[] = { "-", "in-use", "auto", "in-use,auto" };

	return texts[flags & (QCOW2_BITMAP_ENTRY_IN_USE | QCOW2_BITMAP_ENTRY_AUTO)];
}

static void bitmaps_print(const struct args *args, const struct qcow2_bitmap_entry *b, int n)
{
	struct json j = { stdout, 0, true };

	if (args->json)
		json_begin(&j, NULL, '[');
	else
		printf("%12s %-11s %14s %10s  %s\n", "GRANULARITY", "FLAGS", "TABLE OFFSET",
		       "ENTRIES", "NAME");
	for (; n > 0; n--, b++) {
		if (args->json) {
			bitmap_print_json(&j, b);
			continue;
		}
		printf("%12" PRIu64 " %-11s %14" PRIu64 " %10" PRIu32 "  ", b->granularity,
		       bitmap_flags_text(b->flags), b->table_offset, b->table_entries);
		text_print(stdout, b->name, b->name_len);
		putchar('\n');
	}
	if (args->json)
		json_end(&j, ']');
}

int run_bitmaps(struct args *args)
{
	struct qcow2_bitmap_entry *list = NULL;
	struct qcow2 *q;
	int n;

	/* The list is in the image file itself, so no other file is needed. */
	args->options.flags |= QCOW2_INSPECT;
	q = tool_open(args);
	if (q == NULL)
		return EXIT_FAILED;
	sandbox_enter_reading(args->no_sandbox);
	n = qcow2_list_bitmaps(q, &list);
	if (n < 0)
		tool_failed(args);
	else
		bitmaps_print(args, list, n);
	free(list);
	qcow2_close(q);
	return n < 0 ? EXIT_FAILED : EXIT_OK;
}
