/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The map of a disk as a picture: the disk is cut into cells of equal length, in rows, and a walk
 * over the map counts how many bytes of each cell are of which kind. So a picture takes as much
 * memory for millions of map entries as for one.
 */
#ifndef QCOW2_TOOL_PICTURE_H
#define QCOW2_TOOL_PICTURE_H

#include "map_kind.h"

/* The kinds that have a colour, in the order of the legend and, from the bottom up, of a cell. */
enum picture_kind {
	PICTURE_DAMAGED,
	PICTURE_DATA,
	PICTURE_COMPRESSED,
	PICTURE_BACKING_1, /* data at depth 1, compressed or not */
	PICTURE_BACKING_2,
	PICTURE_BACKING_3,
	PICTURE_BACKING_MORE, /* data at depth 4 or deeper */
	PICTURE_ZERO,
	PICTURE_ABSENT,
	PICTURE_KINDS
};

/* The first of the kinds that hold no data. */
enum { PICTURE_EMPTY = PICTURE_ZERO };

struct picture_cell {
	uint64_t bytes[PICTURE_KINDS];
};

struct picture {
	uint64_t size;      /* of the disk, bytes */
	uint64_t cell_size; /* bytes, a power of two; the last cell may be shorter */
	unsigned columns;   /* cells of a row; the last row may be shorter */
	unsigned rows;
	unsigned n_cells;
	struct picture_cell *cells;
	struct picture_cell total;
};

/* A cell has at least a sector. */
enum { PICTURE_CELL_MIN = 512 };

/*
 * Cuts a disk of this size into the smallest cells that fit. Returns false if there is no memory.
 * picture_free frees the cells.
 */
bool picture_begin(struct picture *p, uint64_t size, unsigned columns, unsigned max_rows);
void picture_add(struct picture *p, const struct map_entry *entry);
void picture_free(struct picture *p);

enum picture_kind picture_kind_of(const struct map_entry *entry);

/* The words of the legend. */
const char *picture_kind_name(enum picture_kind kind);

/* The bytes of a cell: cell_size, or less in the last one. */
uint64_t picture_cell_length(const struct picture *p, unsigned cell);

#endif
