/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The commands of qemu-img that this program does not have.
 */
#ifndef QCOW2_TOOL_QEMU_IMG_H
#define QCOW2_TOOL_QEMU_IMG_H

#include "tool.h"

/*
 * Returns the end of a message to users of qemu-img: which command comes nearest to the one that
 * they asked for. NULL if qemu-img has no such command.
 */
const char *qemu_img_hint(const char *command);

#endif
