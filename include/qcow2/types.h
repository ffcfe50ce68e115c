/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The integer types of the core. This is the only header that includes headers of the compiler. A
 * source tree whose own headers define these types, or whose own stdint.h is in the way, puts
 * another file in its place: port/uboot/include/qcow2/types.h does so for U-Boot, and
 * port/uefi/edk2/qcow2/types.h for EDK2.
 *
 * Such a file must define bool, size_t, uintptr_t and the types int8_t to int64_t and uint8_t to
 * uint64_t; the macros UINT32_C and UINT64_C; and as constants of the preprocessor INT32_MAX,
 * INT64_MAX, UINT32_MAX, UINT64_MAX, UINTPTR_MAX and SIZE_MAX.
 */
#ifndef QCOW2_TYPES_H
#define QCOW2_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#endif
