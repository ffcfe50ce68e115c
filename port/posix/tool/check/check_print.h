/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Prints what a check has found.
 */
#ifndef QCOW2_TOOL_CHECK_PRINT_H
#define QCOW2_TOOL_CHECK_PRINT_H

#include "../args.h"

/* The numbers, on standard output, as qemu-img prints them. */
void check_print_text(const struct qcow2_check_result *result);
void check_print_json(const struct args *args, const struct qcow2_check_result *result);

#endif
