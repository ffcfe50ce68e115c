/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Included before mem.c. EDK2 links all objects of all libraries, and some platforms have a library
 * with some of these functions, CompilerIntrinsicsLib. The linker must not refuse the second ones.
 */
#pragma weak memcpy
#pragma weak memmove
#pragma weak memset
#pragma weak memcmp
