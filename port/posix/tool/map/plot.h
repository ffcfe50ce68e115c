/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Guest order against file order: a grid whose columns are parts of the disk, and whose rows are
 * parts of the files. A bin is marked where data of that part of the disk is at that place in a
 * file. A file that was written in order shows one rising line; a fragmented one shows scattered
 * marks. The grid has one size, whatever the image.
 */
#ifndef QCOW2_TOOL_PLOT_H
#define QCOW2_TOOL_PLOT_H

#include "picture.h"

enum { PLOT_COLUMNS = 448, PLOT_ROWS = 176 };

struct plot {
	uint64_t width;   /* of the disk, bytes */
	uint64_t height;  /* of the longest file, bytes; what is past it is not shown */
	bool any;         /* bins are marked */
	uint16_t *marked; /* a bit for each enum picture_kind; the start of the file comes first */
};

/* Returns false if there is no memory. plot_free frees the grid. */
bool plot_begin(struct plot *plot, uint64_t width, uint64_t height);
void plot_add(struct plot *plot, const struct map_entry *entry);
void plot_free(struct plot *plot);

/* The kind that a bin shows, or PICTURE_KINDS if it is not marked. */
unsigned plot_kind(const struct plot *plot, unsigned column, unsigned row);

#endif
