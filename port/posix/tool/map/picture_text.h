/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A picture of the map in the characters of a terminal.
 */
#ifndef QCOW2_TOOL_PICTURE_TEXT_H
#define QCOW2_TOOL_PICTURE_TEXT_H

#include "../show/terminal.h"
#include "picture.h"

/* The columns of cells, and the most rows, that suit this terminal. */
unsigned picture_text_columns(const struct terminal *t);
unsigned picture_text_rows(const struct terminal *t);

/* Prints the rows and a legend to standard output. name: of the image, untrusted. */
void picture_print(const struct picture *p, const struct terminal *t, const char *name);

#endif
