/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * How many bytes of a disk are of which kind, and at which depth of the chain.
 */
#ifndef QCOW2_TOOL_MAP_SUMMARY_H
#define QCOW2_TOOL_MAP_SUMMARY_H

#include "map_kind.h"

struct map_sum {
	uint64_t entries; /* of the map */
	uint64_t bytes;   /* of the disk */
};

/* Starts as all zeros. */
struct map_summary {
	struct map_sum total;
	uint64_t dirty; /* bytes that --bitmap marks */
	struct map_sum of[MAP_KINDS][MAP_DEPTH_MAX];
};

void map_summary_add(struct map_summary *s, const struct map_entry *entry);

/*
 * Prints a table with a line for each kind and depth; human: sizes with a unit. bitmaps: also what
 * is dirty.
 */
void map_summary_print(const struct map_summary *s, bool human, bool bitmaps);
void map_summary_print_json(const struct map_summary *s, bool bitmaps);

/* Prints "8192 data, 4096 zero": the bytes of each kind, at all depths. */
void map_summary_print_kinds(const struct map_summary *s, bool human);

#endif
