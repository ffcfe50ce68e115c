/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A bitmap as JSON, for `qcow2 bitmaps` and `qcow2 info`.
 */
#ifndef QCOW2_TOOL_BITMAP_JSON_H
#define QCOW2_TOOL_BITMAP_JSON_H

#include "../show/json.h"

/* The keys of qemu-img and, if has_table, where the bitmap table is and how many entries it has. */
void bitmap_print_json(struct json *j, const struct qcow2_bitmap_entry *b, bool has_table);

#endif
