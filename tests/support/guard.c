/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif
#include "guard.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CANARY = 0xc5, CANARIES_MAX = 4096 };

/* Does the next buffer go next to the page before it? Threads call this as well. */
static bool side_is_before(void)
{
	static unsigned n_asked;
	unsigned n = __atomic_fetch_add(&n_asked, 1u, __ATOMIC_RELAXED);
	const char *side = getenv("TEST_GUARD");

	if (side == NULL) /* Fibonacci hashing: 2^32 divided by the golden ratio */
		return (n * 2654435769u >> 16 & 1u) != 0u;
	return strcmp(side, "before") == 0;
}

void guard_map(struct guarded *g, size_t room)
{
	g->page = (size_t)sysconf(_SC_PAGESIZE);
	room = (room + 2 * (size_t)GUARD_ALIGN_MAX + g->page - 1) / g->page * g->page;
	g->map_len = room + 2 * g->page;
	g->map = mmap(NULL, g->map_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g->map == MAP_FAILED)
		abort();
	if (mprotect(g->map, g->page, PROT_NONE) != 0 ||
	    mprotect(g->map + g->map_len - g->page, g->page, PROT_NONE) != 0)
		abort();
}

/* The canaries before the buffer and behind it. */
static size_t canaries_before(const struct guarded *g)
{
	size_t n = (size_t)(g->p - (g->map + g->page));

	return n < CANARIES_MAX ? n : CANARIES_MAX;
}

static size_t canaries_behind(const struct guarded *g)
{
	size_t n = (size_t)(g->map + g->map_len - g->page - (g->p + g->len));

	return n < CANARIES_MAX ? n : CANARIES_MAX;
}

void guard_place(struct guarded *g, size_t len, size_t align, size_t off)
{
	uint8_t *from = g->map + g->page;
	uint8_t *last = g->map + g->map_len - g->page - len;

	off %= align;
	if (side_is_before())
		g->p = from + (off - (uintptr_t)from) % align;
	else
		g->p = last - ((uintptr_t)last - off) % align;
	g->len = len;
	memset(g->p - canaries_before(g), CANARY, canaries_before(g));
	memset(g->p + len, CANARY, canaries_behind(g));
}

void guard_init(struct guarded *g, size_t len, size_t align)
{
	guard_map(g, len);
	guard_place(g, len, align, 0);
}

static bool is_whole(const uint8_t *p, size_t n)
{
	return n == 0 || (*p == CANARY && memcmp(p, p + 1, n - 1) == 0);
}

bool guard_intact(const struct guarded *g)
{
	size_t n = canaries_before(g);

	return is_whole(g->p - n, n) && is_whole(g->p + g->len, canaries_behind(g));
}

void guard_unmap(struct guarded *g)
{
	munmap(g->map, g->map_len);
	g->map = NULL;
}
