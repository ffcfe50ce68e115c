/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What a part of the disk holds, in one word: the column KIND of `qcow2 map`.
 */
#ifndef QCOW2_TOOL_MAP_KIND_H
#define QCOW2_TOOL_MAP_KIND_H

#include "map_entries.h"

enum map_kind {
	MAP_DATA,
	MAP_COMPRESSED,
	MAP_ZERO,    /* an image has an entry that says so, or a hole in its file */
	MAP_ABSENT,  /* no image has an entry; reads as zeros */
	MAP_DAMAGED, /* what is there is not known */
	MAP_KINDS
};

enum map_kind map_kind_of(const struct map_entry *entry);
const char *map_kind_name(enum map_kind kind);

#endif
