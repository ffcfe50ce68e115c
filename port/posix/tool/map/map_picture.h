/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 map --picture and --svg: one walk over the map, which is then drawn.
 */
#ifndef QCOW2_TOOL_MAP_PICTURE_H
#define QCOW2_TOOL_MAP_PICTURE_H

#include "../args.h"

/* Each returns the exit status, after a message if it is not EXIT_OK. */
int map_draw_text(const struct args *args, struct qcow2 *q);
int map_draw_svg(const struct args *args, struct qcow2 *q);

#endif
