/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The core in a program that has nothing else: no libc, no start files. It reads the images that
 * are built into it (images.h, made by freestanding.mk from recipes) and exits 0 if each has the
 * content that it should have. On targets without system calls below, it is an ordinary program
 * that does the same.
 *
 * Compilers without an operating system get -DSYSTEM_LINUX to make a program for an emulator of
 * Linux, or -DSYSTEM_NONE to make one that is only linked.
 */
#include <stddef.h>
#include <stdint.h>

#include "qcow2/reader.h"

#include "images.h"

enum { PIECE = 1000 };

struct rom {
	const char *name;
	const uint8_t *bytes;
	uint64_t len;
	const uint8_t *content;
	uint64_t size;
};

/* ---- In place of a libc: write and exit ---- */

#if defined __linux__ && !defined SYSTEM_NONE && !defined SYSTEM_LINUX
#define SYSTEM_LINUX 1
#endif

#if defined SYSTEM_NONE
#define FREESTANDING 1
enum { NR_WRITE, NR_EXIT };

static long system_call(long number, long a, long b, long c)
{
	(void)a;
	(void)b;
	(void)c;
	return number;
}

#elif defined SYSTEM_LINUX && defined __x86_64__
#define FREESTANDING 1
enum { NR_WRITE = 1, NR_EXIT = 60 };

static long system_call(long number, long a, long b, long c)
{
	long result = 0;

	__asm__ volatile("syscall"
	                 : "=a"(result)
	                 : "a"(number), "D"(a), "S"(b), "d"(c)
	                 : "rcx", "r11", "memory");
	return result;
}

#elif defined SYSTEM_LINUX && defined __i386__
#define FREESTANDING 1
enum { NR_WRITE = 4, NR_EXIT = 1 };

static long system_call(long number, long a, long b, long c)
{
	long result = 0;

	__asm__ volatile("int $0x80"
	                 : "=a"(result)
	                 : "a"(number), "b"(a), "c"(b), "d"(c)
	                 : "memory");
	return result;
}

#elif defined SYSTEM_LINUX && defined __aarch64__
#define FREESTANDING 1
enum { NR_WRITE = 64, NR_EXIT = 93 };

static long system_call(long number, long a, long b, long c)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
}

#elif defined SYSTEM_LINUX && defined __arm__
#define FREESTANDING 1
enum { NR_WRITE = 4, NR_EXIT = 1 };

static long system_call(long number, long a, long b, long c)
{
	register long r0 __asm__("r0") = a;
	register long r1 __asm__("r1") = b;
	register long r2 __asm__("r2") = c;

	/* r7 may be the frame pointer, which no operand can be. */
	__asm__ volatile("mov ip, r7\n\tmov r7, %1\n\tsvc 0\n\tmov r7, ip"
	                 : "+r"(r0)
	                 : "r"(number), "r"(r1), "r"(r2)
	                 : "ip", "memory");
	return r0;
}

#elif defined SYSTEM_LINUX && defined __riscv
#define FREESTANDING 1
enum { NR_WRITE = 64, NR_EXIT = 93 };

static long system_call(long number, long a, long b, long c)
{
	register long a7 __asm__("a7") = number;
	register long a0 __asm__("a0") = a;
	register long a1 __asm__("a1") = b;
	register long a2 __asm__("a2") = c;

	__asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
	return a0;
}

#else
#include <stdio.h>
#include <stdlib.h>
#endif

static size_t text_len(const char *text)
{
	size_t n = 0;

	while (text[n] != '\0')
		n++;
	return n;
}

static void say(const char *text)
{
#ifdef FREESTANDING
	(void)system_call(NR_WRITE, 2, (long)(uintptr_t)text, (long)text_len(text));
#else
	(void)fwrite(text, 1, text_len(text), stderr);
#endif
}

/* ---- The work ---- */

static int rom_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	const struct rom *rom = ctx;
	uint8_t *to = buf;

	if (len == 0 || pos > rom->len || len > rom->len - pos)
		return 1; /* the core never asks for that */
	for (size_t i = 0; i < len; i++)
		to[i] = rom->bytes[(size_t)pos + i];
	return 0;
}

static const struct qcow2_io_ops rom_ops = { .read = rom_read };
static const struct qcow2_codec *const codecs[] = { &qcow2_deflate_small, NULL };

static uint64_t memory[QCOW2_READER_MEMORY_DEFLATE / 8 + 1];
static uint8_t buf[PIECE];

static int compare(struct qcow2_reader *reader, const struct rom *rom)
{
	for (uint64_t off = 0; off < rom->size; off += PIECE) {
		size_t n = rom->size - off < PIECE ? (size_t)(rom->size - off) : PIECE;
		int rc = qcow2_reader_read(reader, off, buf, n);

		if (rc != QCOW2_OK)
			return rc;
		for (size_t i = 0; i < n; i++) {
			if (buf[i] != rom->content[(size_t)off + i])
				return QCOW2_E_COMPRESSED;
		}
	}
	return QCOW2_OK;
}

static int check(struct rom *rom)
{
	struct qcow2_io io = { &rom_ops, rom, rom->len };
	struct qcow2_image image;
	struct qcow2_reader reader;
	int rc = qcow2_image_open(&image, &io, 0, NULL);

	if (rc == QCOW2_OK && image.size != rom->size)
		rc = QCOW2_E_RANGE;
	if (rc == QCOW2_OK)
		rc = qcow2_reader_init(&reader, &image, memory, sizeof memory);
	if (rc == QCOW2_OK)
		rc = qcow2_reader_codecs(&reader, codecs);
	if (rc == QCOW2_OK)
		rc = compare(&reader, rom);
	say(rom->name);
	say(": ");
	say(qcow2_status_text(rc));
	say("\n");
	return rc == QCOW2_OK ? 0 : 1;
}

static int check_all(void)
{
	static struct rom roms[] = {
		{ "plain", plain_image, sizeof plain_image, plain_content, sizeof plain_content },
		{ "compressed", compressed_image, sizeof compressed_image, compressed_content,
		  sizeof compressed_content },
	};

	return check(&roms[0]) | check(&roms[1]);
}

#ifdef FREESTANDING
/* The entry. Where a process begins, the stack of an x86 is not aligned as it is in a function. */
#if defined __x86_64__ || defined __i386__
#define ENTRY __attribute__((noreturn, used, force_align_arg_pointer))
#else
#define ENTRY __attribute__((noreturn, used))
#endif
ENTRY void program(void);

void program(void)
{
	long status = check_all();

	for (;;)
		(void)system_call(NR_EXIT, status, 0, 0);
}
#else
int main(void)
{
	return check_all();
}
#endif
