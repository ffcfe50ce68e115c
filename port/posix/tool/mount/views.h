/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The disks that a mount shows: that of the image, and those of its snapshots. Each has parts: the
 * whole disk and its partitions.
 *
 * A snapshot is opened when it is first used, from copies of the descriptors that the disk has. If
 * too many are open, the one that has not been used for the longest time is closed again. Opening
 * one holds up only those who want the same one.
 */
#ifndef QCOW2_TOOL_VIEWS_H
#define QCOW2_TOOL_VIEWS_H

#include "../tool.h"

#include <pthread.h>

#include "../args.h"

/* Of the whole disk, the number is 0; of partitions, that of Linux. */
struct view_part {
	unsigned number;
	uint64_t start;  /* offset in the disk, bytes */
	uint64_t length; /* bytes; the part does not go past the end of the disk */
	uint64_t stored; /* bytes of it that an image holds; UINT64_MAX: not counted yet */
};

struct view {
	const char *snapshot;    /* its id; NULL: the disk of the image */
	uint64_t time;           /* seconds since 1970: of the image file, or of the snapshot */
	struct qcow2 *q;         /* NULL: not open */
	bool is_opening;         /* a thread opens q or reads the parts, without the lock */
	unsigned users;          /* calls that use q now */
	uint64_t used_at;        /* counts uses: the least one was first */
	struct view_part *parts; /* the first is the whole disk; NULL: not read yet */
	unsigned n_parts;
	unsigned block_size; /* that reads should have: a cluster */
};

struct views {
	const struct args *args;
	pthread_mutex_t lock;  /* for what is not in a part */
	pthread_cond_t opened; /* an is_opening became false */
	pthread_rwlock_t
		opening;   /* shared while snapshots are opened, or owned to open one alone */
	struct view *list; /* the first is the disk of the image */
	size_t n;
	size_t n_open; /* snapshots, with those that are being opened */
	uint64_t uses;
};

/* Starts with the disk of the image, and room for n snapshots. Returns false without memory. */
bool views_begin(struct views *views, const struct args *args, struct qcow2 *disk, size_t n);

/*
 * Returns the i-th view with its disk open and its parts read, for one call; end this with
 * view_give. Returns NULL with errno set on failure.
 */
struct view *view_take(struct views *views, size_t i);
void view_give(struct views *views, struct view *view);

/* Counts the bytes of a part that images hold. What takes too long to count is held. */
uint64_t view_stored(struct view *view, struct view_part *part);

/*
 * Finds data, or a hole, in a part from the offset in it on, as lseek(2) does. Returns the offset
 * in the part, or UINT64_MAX with errno set. If that takes too long, ends early, as lseek may: with
 * data that is a hole, or with an empty hole.
 */
uint64_t view_seek(struct view *view, const struct view_part *part, uint64_t offset, bool for_data);

#endif
