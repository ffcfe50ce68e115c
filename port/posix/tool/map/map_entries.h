/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The map of a disk as QEMU prints it: the library's segments, cut where holes in files begin and
 * end, and merged as QEMU merges.
 */
#ifndef QCOW2_TOOL_MAP_ENTRIES_H
#define QCOW2_TOOL_MAP_ENTRIES_H

#include "../disk/holes.h"
#include "../disk/marks.h"
#include "../disk/past_end.h"

/* The flags mean what the keys of qemu-img map --output=json mean. */
struct map_entry {
	uint64_t start;
	uint64_t length;
	uint64_t offset; /* in the file of the image at this depth, if has_offset */
	unsigned depth;
	bool present;
	bool zero;
	bool data;
	bool compressed;
	bool has_offset;
	bool dirty;         /* --bitmap marks it; true without --bitmap */
	bool damaged;       /* what is there is not known: only start, length and reason count */
	int status;         /* of the failure, if damaged */
	const char *reason; /* its message, printable; valid until the next call */
};

/* The library opens no longer chain than this. */
enum { MAP_DEPTH_MAX = 256 };

/* What a walk found damaged. */
struct map_damage {
	uint64_t entries;
	uint64_t bytes;
	char first[sizeof((struct qcow2_failure *)NULL)->message]; /* the reason of the first */
};

/* Private to map_entries.c, but for past_end and damage. */
struct map_walk {
	struct qcow2 *q;
	uint64_t at;                  /* where the next segment begins */
	struct qcow2_segment segment; /* the rest of the current one; its length is 0 at its end */
	bool damaged;                 /* the segment is damaged */
	struct past_end past_end;     /* what is odd in what was walked so far */
	struct map_damage damage;     /* in the entries that map_walk_next returned */
	bool has_entry;
	struct map_entry entry; /* collected so far; the next segment may continue it */
	/* The reasons of this entry and of the next. */
	char reasons[2][sizeof((struct qcow2_failure *)NULL)->message];
	unsigned char holes[MAP_DEPTH_MAX]; /* HOLES_*, for the file of each image */
	struct hole_cache cache;
	struct marks *marks;
};

/* End the walk with map_report or map_walk_end. marks: of --bitmap, or NULL. */
void map_walk_begin(struct map_walk *w, struct qcow2 *q, struct marks *marks);
void map_walk_end(struct map_walk *w);

/*
 * Gets the next entry. Where the disk is damaged, that is an entry with its reason, and the walk
 * goes on after it. Returns 1, 0 at the end of the disk, or -1 if the library failed for a reason
 * that is not about a part of the disk; entries before the failure come first.
 */
int map_walk_next(struct map_walk *w, struct map_entry *entry);

#endif
