/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A picture of the map as SVG: the cells of the disk in rows, a legend, and a plot of guest order
 * against file order. Its size is bounded, as both panels have a bounded number of cells.
 */
#ifndef QCOW2_TOOL_PICTURE_SVG_H
#define QCOW2_TOOL_PICTURE_SVG_H

#include "plot.h"

/* What suits the panel of cells. */
enum { PICTURE_SVG_COLUMNS = 128, PICTURE_SVG_ROWS = 16 };

/* Draws p, which has at most PICTURE_SVG_COLUMNS and _ROWS. name: of the image, untrusted. */
void picture_print_svg(FILE *out, const struct picture *p, const struct plot *plot,
                       const char *name);

#endif
