/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The parts of an SVG file: numbers, untrusted text, labels and rectangles.
 */
#ifndef QCOW2_TOOL_SVG_H
#define QCOW2_TOOL_SVG_H

#include "../tool.h"

/*
 * Prints untrusted text so that the file is well-formed: characters that are not printable become
 * \xNN, those of markup become entities. If there are more than `most` characters, the middle of
 * the text is left out.
 */
void svg_escape(FILE *out, const char *bytes, size_t len, size_t most);

/* Prints a number with at most four decimals. */
void svg_number(FILE *out, double value);

/* Prints a line of text of a class; anchor: start, middle or end. text is trusted. */
void svg_label(FILE *out, double x, double y, const char *css, const char *anchor,
               const char *text);

/* Adds a rectangle to the data of a path. */
void svg_rectangle(FILE *out, double x, double y, double width, double height);

#endif
