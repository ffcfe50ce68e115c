/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What a part of the disk holds, in one word.
 */
#include "map_kind.h"

enum map_kind map_kind_of(const struct map_entry *entry)
{
	if (entry->damaged)
		return MAP_DAMAGED;
	if (entry->compressed)
		return MAP_COMPRESSED;
	if (entry->zero)
		return entry->present ? MAP_ZERO : MAP_ABSENT;
	return MAP_DATA;
}

const char *map_kind_name(enum map_kind kind)
{
	static const char *const names[MAP_KINDS] = {
		[MAP_DATA] = "data",     [MAP_COMPRESSED] = "compressed", [MAP_ZERO] = "zero",
		[MAP_ABSENT] = "absent", [MAP_DAMAGED] = "damaged",
	};

	return names[kind];
}
