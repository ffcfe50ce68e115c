/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The end of a walk over the map: what is wrong with the disk, on standard error.
 */
#ifndef QCOW2_TOOL_MAP_REPORT_H
#define QCOW2_TOOL_MAP_REPORT_H

#include "map_entries.h"

/*
 * Ends a walk, after its entries have been shown; last is what map_walk_next returned last. Prints
 * warnings, why the walk failed, or what is damaged. Returns EXIT_OK if nothing failed and nothing
 * is damaged.
 */
int map_report(struct map_walk *w, const struct args *args, int last);

#endif
