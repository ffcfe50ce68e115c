/* SPDX-License-Identifier: MIT */
/*
 * What the example program has instead of an operating system: a start, a console, a disk. All of
 * it goes through semihosting, the calls that a debugger or QEMU serves for a bare program; on a
 * board of your own, disk.c and console.c are what you replace.
 */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

/* ---- One .S file for each architecture: entry, faults, and this ---- */

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

__attribute__((noreturn)) void start(void); /* the entry jumps here, on the fresh stack */
__attribute__((noreturn)) void fault(void); /* where exceptions go */

size_t stack_len(void);
size_t stack_peak(void); /* bytes of the stack that were ever used */
size_t ram_used(void);   /* the stack as a whole, data and bss */

/* The program: gets the words of the command line, returns the exit status. */
int main(int argc, char **argv);

/* ---- console.c ---- */

void say(const char *text);
void say_number(uint64_t value);
void say_hex(uint64_t value);
__attribute__((noreturn)) void leave(int status);
int command_line(char *words[], int max);

/* ---- disk.c: a block device, which is a file of the host ---- */

enum {
	DISK_BLOCK_LEN = 512,
	DISK_ALIGN = 4,     /* of buffers, as DMA has it */
	DISK_MAX_BLOCKS = 8 /* in one transfer */
};

/* What these answer, and qcow2_error.io_code shows. */
enum { DISK_OK, DISK_E_RANGE, DISK_E_ALIGN, DISK_E_OPEN, DISK_E_SEEK, DISK_E_READ };

struct disk {
	uintptr_t handle;
	uint64_t size; /* in bytes; the last block may be there in part, the rest reads as zeros */
};

int disk_open(struct disk *disk, const char *name);
/* ctx: a struct disk. As a driver would: whole blocks, into an aligned buffer. */
int disk_read(void *ctx, uint64_t lba, uint32_t count, void *buf);

#endif
