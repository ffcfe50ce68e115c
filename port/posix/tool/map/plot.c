/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The grid of guest order against file order.
 */
#include "plot.h"

#include <stdlib.h>

bool plot_begin(struct plot *plot, uint64_t width, uint64_t height)
{
	plot->width = width;
	plot->height = height;
	plot->any = false;
	plot->marked = calloc((size_t)PLOT_COLUMNS * PLOT_ROWS, sizeof *plot->marked);
	return plot->marked != NULL;
}

void plot_free(struct plot *plot)
{
	free(plot->marked);
	plot->marked = NULL;
}

/* The bin of n that value < range falls into. */
static unsigned bin_of(uint64_t value, uint64_t range, unsigned n)
{
	unsigned bin = (unsigned)((double)value / (double)range * n);

	return bin < n ? bin : n - 1u;
}

/* The first value in a bin, or one near it: doubles have 53 bits. */
static uint64_t bin_start(unsigned bin, uint64_t range, unsigned n)
{
	double exact = (double)range / n * bin;
	uint64_t start = (uint64_t)exact;

	return (double)start < exact ? start + 1u : start;
}

/* Marks the rows of [pos, pos + len) in one column. */
static void mark_column(struct plot *plot, unsigned column, uint64_t pos, uint64_t len,
                        unsigned kind)
{
	unsigned row, last;

	if (pos >= plot->height)
		return;
	if (len > plot->height - pos)
		len = plot->height - pos;
	row = bin_of(pos, plot->height, PLOT_ROWS);
	plot->any = true;
	last = bin_of(pos + len - 1u, plot->height, PLOT_ROWS);
	for (; row <= last; row++)
		plot->marked[row * PLOT_COLUMNS + column] |= (uint16_t)(1u << kind);
}

/* An entry is a rising line, which each column cuts into a part of its own. */
void plot_add(struct plot *plot, const struct map_entry *entry)
{
	uint64_t at = entry->start, pos = entry->offset, left = entry->length;
	unsigned kind = picture_kind_of(entry);

	if (!entry->has_offset)
		return;
	while (left > 0u) {
		unsigned column = bin_of(at, plot->width, PLOT_COLUMNS);
		uint64_t next = bin_start(column + 1u, plot->width, PLOT_COLUMNS);
		/* A rounded start may not be past at. */
		uint64_t n = next > at ? next - at : PICTURE_CELL_MIN;

		if (n > left || column == PLOT_COLUMNS - 1u)
			n = left;
		mark_column(plot, column, pos, n, kind);
		at += n;
		pos += n;
		left -= n;
	}
}

unsigned plot_kind(const struct plot *plot, unsigned column, unsigned row)
{
	unsigned marked = plot->marked[row * PLOT_COLUMNS + column], kind = 0;

	while (kind < PICTURE_KINDS && (marked >> kind & 1u) == 0u)
		kind++;
	return kind;
}
