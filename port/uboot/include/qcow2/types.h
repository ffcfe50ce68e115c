/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The integer types of the qcow2 reader, from U-Boot's own headers. U-Boot's
 * stdint.h has none, and its releases differ in which limits they define.
 */
#ifndef QCOW2_TYPES_H
#define QCOW2_TYPES_H

#include <linux/stddef.h>
#include <linux/types.h>

#ifndef UINT32_C
#define UINT32_C(x) x##U
#endif
#ifndef UINT64_C
#define UINT64_C(x) x##ULL
#endif

/* The preprocessor compares these, so they must not contain a cast. */
#undef INT32_MAX
#define INT32_MAX __INT32_MAX__
#undef INT64_MAX
#define INT64_MAX __INT64_MAX__
#undef UINT32_MAX
#define UINT32_MAX __UINT32_MAX__
#undef UINT64_MAX
#define UINT64_MAX __UINT64_MAX__
#undef UINTPTR_MAX
#define UINTPTR_MAX __UINTPTR_MAX__
#undef SIZE_MAX
#define SIZE_MAX __SIZE_MAX__

#endif
