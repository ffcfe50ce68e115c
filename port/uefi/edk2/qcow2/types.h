/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The integer types of the qcow2 reader, from EDK2's own headers. With the compiler's stdint.h,
 * uint64_t is another type than UINT64, and pointers to the two are not compatible.
 */
#ifndef QCOW2_TYPES_H
#define QCOW2_TYPES_H

#include <Base.h>
#include <stdbool.h>
#include <stddef.h>

typedef INT8 int8_t;
typedef UINT8 uint8_t;
typedef INT16 int16_t;
typedef UINT16 uint16_t;
typedef INT32 int32_t;
typedef UINT32 uint32_t;
typedef INT64 int64_t;
typedef UINT64 uint64_t;
typedef UINTN uintptr_t;

#define UINT32_C(x) x##U
#define UINT64_C(x) x##ULL

/* The preprocessor compares these, so they must not contain a cast. */
#define INT32_MAX   __INT32_MAX__
#define INT64_MAX   __INT64_MAX__
#define UINT32_MAX  __UINT32_MAX__
#define UINT64_MAX  __UINT64_MAX__
#define UINTPTR_MAX __UINTPTR_MAX__
#define SIZE_MAX    __SIZE_MAX__

#endif
