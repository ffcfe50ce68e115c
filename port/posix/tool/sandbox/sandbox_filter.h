/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * seccomp: which system calls the process can make.
 */
#ifndef QCOW2_TOOL_SANDBOX_FILTER_H
#define QCOW2_TOOL_SANDBOX_FILTER_H

#include "sandbox.h"

/*
 * From now on, this thread, and every thread that it starts, can only make the system calls that
 * the tables in sandbox_filter.c list. Does nothing if the kernel or the processor is unknown.
 */
void sandbox_limit_calls(const struct sandbox_needs *needs);

#endif
