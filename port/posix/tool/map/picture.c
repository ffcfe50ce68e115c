/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The cells of a picture, and the walk that counts bytes in them.
 */
#include "picture.h"

#include <stdlib.h>
#include <string.h>

/* The number of cells that cover the disk, without overflow at its end. */
static uint64_t cells_needed(uint64_t size, uint64_t cell_size)
{
	return size / cell_size + (size % cell_size != 0u);
}

bool picture_begin(struct picture *p, uint64_t size, unsigned columns, unsigned max_rows)
{
	uint64_t most = (uint64_t)columns * max_rows;

	memset(p, 0, sizeof *p);
	p->size = size;
	p->columns = columns;
	p->cell_size = PICTURE_CELL_MIN;
	while (cells_needed(size, p->cell_size) > most)
		p->cell_size *= 2u;
	p->n_cells = (unsigned)cells_needed(size, p->cell_size);
	p->rows = (p->n_cells + columns - 1u) / columns;
	/* One cell more than needed: calloc may return NULL for none. */
	p->cells = calloc((size_t)p->n_cells + 1u, sizeof *p->cells);
	return p->cells != NULL;
}

void picture_free(struct picture *p)
{
	free(p->cells);
	p->cells = NULL;
}

enum picture_kind picture_kind_of(const struct map_entry *entry)
{
	switch (map_kind_of(entry)) {
	case MAP_DAMAGED: return PICTURE_DAMAGED;
	case MAP_ZERO: return PICTURE_ZERO;
	case MAP_ABSENT: return PICTURE_ABSENT;
	case MAP_DATA:
	case MAP_COMPRESSED:
	case MAP_KINDS:
	default: break;
	}
	switch (entry->depth) {
	case 0: return entry->compressed ? PICTURE_COMPRESSED : PICTURE_DATA;
	case 1: return PICTURE_BACKING_1;
	case 2: return PICTURE_BACKING_2;
	case 3: return PICTURE_BACKING_3;
	default: return PICTURE_BACKING_MORE;
	}
}

const char *picture_kind_name(enum picture_kind kind)
{
	static const char *const names[PICTURE_KINDS] = {
		[PICTURE_DAMAGED] = "damaged",
		[PICTURE_DATA] = "data",
		[PICTURE_COMPRESSED] = "compressed data",
		[PICTURE_BACKING_1] = "data of backing file 1",
		[PICTURE_BACKING_2] = "data of backing file 2",
		[PICTURE_BACKING_3] = "data of backing file 3",
		[PICTURE_BACKING_MORE] = "data of deeper ones",
		[PICTURE_ZERO] = "zeros",
		[PICTURE_ABSENT] = "absent",
	};

	return names[kind];
}

void picture_add(struct picture *p, const struct map_entry *entry)
{
	enum picture_kind kind = picture_kind_of(entry);
	uint64_t at = entry->start, left = entry->length;

	p->total.bytes[kind] += left;
	while (left > 0u) {
		uint64_t cell = at / p->cell_size;
		uint64_t n = p->cell_size - at % p->cell_size;

		if (n > left)
			n = left;
		p->cells[cell].bytes[kind] += n;
		at += n;
		left -= n;
	}
}

uint64_t picture_cell_length(const struct picture *p, unsigned cell)
{
	uint64_t start = cell * p->cell_size;

	return p->size - start < p->cell_size ? p->size - start : p->cell_size;
}
