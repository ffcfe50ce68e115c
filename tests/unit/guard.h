/* SPDX-License-Identifier: MIT */
/*
 * Memory for a buffer under test: between two pages that must not be touched, right behind the
 * first or right before the second, as far as its alignment lets it. Next to it, where the pages
 * are not, lie canaries.
 *
 * On which side a buffer lies is drawn by lot, the same in each run. TEST_GUARD=before puts all
 * right behind the first page, TEST_GUARD=after right before the second: check-all.sh runs all
 * tests once with each.
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
	uint8_t *map; /* with both pages */
	size_t map_len, page;
};

/* Memory for a buffer of len bytes; a length of 0 is fine. align: a power of two. */
void guard_init(struct guarded *g, size_t len, size_t align);

/* The same in two steps, for many buffers one after the other: room for the largest of them, */
void guard_map(struct guarded *g, size_t room);
/* and the place of one, `off` bytes after a multiple of align. */
void guard_place(struct guarded *g, size_t len, size_t align, size_t off);

/* Are all canaries as they were? */
bool guard_intact(const struct guarded *g);
void guard_unmap(struct guarded *g);

#endif
