/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Memory for a buffer under test, between two guard pages. An access to a guard page raises a
 * signal. The buffer is next to one of the pages, as close as its alignment allows. Canaries fill
 * the gap that the alignment leaves, and are on the other side of the buffer.
 *
 *	TEST_GUARD=before    the page before the buffer is the one next to it
 *	TEST_GUARD=after     the page after it
 *	not set              a pseudo-random choice for each buffer, the same in each run
 *
 * check-all.sh runs the tests of the core with each of the three.
 */
#ifndef TEST_GUARD_H
#define TEST_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GUARD_ALIGN_MAX = 8192 };

struct guarded {
	uint8_t *p;
	size_t len;
	uint8_t *map; /* the mapping, with both guard pages */
	size_t map_len, page;
};

/* A buffer of len bytes, which may be 0. align: a power of two, at most GUARD_ALIGN_MAX. */
void guard_init(struct guarded *g, size_t len, size_t align);

/* The same in two steps, for many buffers in turn. First maps room for the largest of them; */
void guard_map(struct guarded *g, size_t room);
/* then places each of them in it, `off` bytes after a multiple of align. */
void guard_place(struct guarded *g, size_t len, size_t align, size_t off);

/* Are all canaries unchanged? */
bool guard_intact(const struct guarded *g);
void guard_unmap(struct guarded *g);

#endif
