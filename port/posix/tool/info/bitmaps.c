/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
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
#include "bitmap_json.h"

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
			bitmap_print_json(&j, b, true);
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
