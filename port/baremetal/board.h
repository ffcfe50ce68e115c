/* SPDX-License-Identifier: MIT */
/*
 * What the example program has instead of an operating system: startup, console and disk. Console
 * and disk use semihosting, calls that a debugger or QEMU serves for a bare program. For a board of
 * your own, replace disk.c, console.c and semihost.S. Each file calls only files below it here:
 *
 *	ARCH.S       the entry and the exceptions of a processor
 *	start.c      sets up the memory and calls main
 *	main.c       the program
 *	buffer.c     the decoders and the memory of the reader; with zstd, buffer_zstd.c
 *	layer.c      from the driver of the disk to an image
 *	disk.c       the driver of the disk
 *	console.c    messages, the command line, the exit status
 *	stack.c      measures the stack
 *	semihost.S   the semihosting call
 */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

/* ---- semihost.S ---- */

enum {
	SEMIHOST_OPEN = 0x01,
	SEMIHOST_WRITE0 = 0x04,
	SEMIHOST_READ = 0x06,
	SEMIHOST_SEEK = 0x0a,
	SEMIHOST_FILE_LEN = 0x0c,
	SEMIHOST_COMMAND_LINE = 0x15,
	SEMIHOST_EXIT = 0x20
};

intptr_t semihost(uintptr_t number, const void *argument);

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

/* ---- console.c ---- */

void say(const char *text);
void say_number(uint64_t value);
void say_hex(uint64_t value);
__attribute__((noreturn)) void leave(int status);
int command_line(char *words[], int max);

/* ---- disk.c: a block device; its blocks are a file of the host ---- */

enum {
	DISK_BLOCK_LEN = 512,
	DISK_ALIGN = 4,     /* of buffers, as many DMA controllers need it */
	DISK_MAX_BLOCKS = 8 /* in one transfer */
};

/* What the two functions return. After a failed read, qcow2_error.io_code has it. */
enum { DISK_OK, DISK_E_RANGE, DISK_E_ALIGN, DISK_E_OPEN, DISK_E_SEEK, DISK_E_READ };

struct disk {
	uintptr_t handle;
	uint64_t size; /* in bytes; if the last block is not full, the rest of it reads as zeros */
};

int disk_open(struct disk *disk, const char *name);
/* Like the driver of a real disk: reads whole blocks into an aligned buffer. ctx: struct disk. */
int disk_read(void *ctx, uint64_t lba, uint32_t count, void *buf);

#endif
