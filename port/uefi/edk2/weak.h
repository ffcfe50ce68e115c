/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Included before mem.c. EDK2 links all objects of all libraries, and some platforms have a library
 * with these functions, CompilerIntrinsicsLib. Where there is one, the linker takes its functions.
 */
#pragma weak memcpy
#pragma weak memmove
#pragma weak memset
#pragma weak memcmp
