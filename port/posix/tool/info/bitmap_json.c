/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "bitmap_json.h"

void bitmap_print_json(struct json *j, const struct qcow2_bitmap_entry *b, bool has_table)
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
	if (has_table) {
		json_number(j, "table-offset", b->table_offset);
		json_number(j, "table-entries", b->table_entries);
	}
	json_end(j, '}');
}
