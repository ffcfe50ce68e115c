/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the files of the program share. Each calls only files below it here, and the core:
 *
 *	start.c             sets up the memory and calls main; the entry in ARCH.S jumps to it
 *	main.c              the program
 *	buffer.c            the decoders and the memory of the reader; with zstd, buffer_zstd.c
 *	layer.c             from the driver of the disk to an image
 *	print.c             prints numbers
 *	stack.c             measures the stack
 *	BOARD/disk.c        the driver of the disk, declared in BOARD/disk.h
 *	BOARD/console.c     messages, the words of the command line, the exit status: console.h
 *
 * BOARD is the directory of a board. README.md says what is in one.
 */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

#include "console.h"

/* ---- start.c ---- */

__attribute__((noreturn)) void start(void); /* the entry jumps here with an empty stack */
__attribute__((noreturn)) void fault(void); /* exceptions jump here */

/* ---- main.c ---- */

/* Gets the words of the command line and returns the exit status. */
int main(int argc, char **argv);

/* ---- stack.c ---- */

void stack_paint(void);  /* start.c calls it before main */
size_t stack_len(void);  /* the size of the stack in bytes */
size_t stack_peak(void); /* the most bytes of the stack that were used so far */
size_t ram_used(void);   /* the whole stack, data and bss, in bytes */

/* ---- print.c ---- */

void say_number(uint64_t value);
void say_hex(uint64_t value);

#endif
