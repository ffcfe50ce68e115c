/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * memcpy, memmove, memset and memcmp for a program that has no libc. The core calls memcpy and
 * memset; compilers generate calls to all four. No library contains this file. Link it only if
 * nothing else defines these functions.
 *
 * The empty asm keeps the compiler from turning these loops into calls to the very functions they
 * implement, and the shifts in memset into a multiplication, which is a library call on some
 * processors.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict dest, const void *restrict src, size_t len);
void *memmove(void *dest, const void *src, size_t len);
void *memset(void *dest, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);

#define KEEP_LOOP()       __asm__ volatile("" ::: "memory")
#define KEEP_SHIFT(value) __asm__("" : "+r"(value))

/*
 * As many bytes as the processor moves at once. It needs may_alias, because the bytes may belong to
 * an object of any type: the core copies and clears structs.
 */
typedef uintptr_t __attribute__((may_alias)) word;

static bool is_aligned(uintptr_t place)
{
	return place % sizeof(word) == 0u;
}

/* Copies from the first byte to the last, so that dest may overlap src if it is below. */
static void *copy_up(void *dest, const void *src, size_t len)
{
	uint8_t *to = dest;
	const uint8_t *from = src;

	if (is_aligned((uintptr_t)to | (uintptr_t)from)) {
		for (; len >= sizeof(word); len -= sizeof(word)) {
			*(word *)(void *)to = *(const word *)(const void *)from;
			to += sizeof(word);
			from += sizeof(word);
			KEEP_LOOP();
		}
	}
	for (; len > 0u; len--) {
		*to++ = *from++;
		KEEP_LOOP();
	}
	return dest;
}

void *memcpy(void *restrict dest, const void *restrict src, size_t len)
{
	return copy_up(dest, src, len);
}

void *memmove(void *dest, const void *src, size_t len)
{
	uint8_t *to = dest;
	const uint8_t *from = src;

	if ((uintptr_t)to <= (uintptr_t)from)
		return copy_up(dest, src, len);
	for (; len > 0u; len--) {
		to[len - 1u] = from[len - 1u];
		KEEP_LOOP();
	}
	return dest;
}

void *memset(void *dest, int byte, size_t len)
{
	uint8_t *to = dest;
	word filled = (uint8_t)byte;

	/* Puts the byte into each byte of the word. */
	filled |= filled << 8;
	KEEP_SHIFT(filled);
	filled |= filled << 16;
	filled |= filled << 16 << 16; /* in two steps: shifting 32 bits by 32 is undefined */
	if (is_aligned((uintptr_t)to)) {
		for (; len >= sizeof(word); len -= sizeof(word)) {
			*(word *)(void *)to = filled;
			to += sizeof(word);
			KEEP_LOOP();
		}
	}
	for (; len > 0u; len--) {
		*to++ = (uint8_t)byte;
		KEEP_LOOP();
	}
	return dest;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const uint8_t *p = a;
	const uint8_t *q = b;

	for (; len > 0u; len--, p++, q++) {
		if (*p != *q)
			return *p < *q ? -1 : 1;
		KEEP_LOOP();
	}
	return 0;
}
