/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the file system stores of a file, and its holes: ranges that it does not store, and that
 * read as zeros.
 */
#ifndef QCOW2_TOOL_HOLES_H
#define QCOW2_TOOL_HOLES_H

#include "../tool.h"

/* Sets *bytes to what the file system stores for the file. Returns false if that is unknown. */
bool file_stored(int fd, uint64_t *bytes);

/* A hole of a file, which may be empty, and the data after it. */
struct hole_stretch {
	uint64_t hole; /* where the hole begins in the file */
	uint64_t data; /* where it ends and the data begins */
	uint64_t end;  /* of the data */
};

/* What has been found in one file. */
struct hole_file {
	int fd;
	struct hole_stretch last;  /* the stretch found last */
	struct hole_stretch *kept; /* in ascending order */
	size_t n_kept;
	size_t room; /* for this many stretches */
};

/*
 * The holes of all files of a disk, as far as they have been found. Private to holes.c. It takes
 * 4 MiB at most, and a few KiB unless the files have many holes. One thread at a time may use it.
 */
struct hole_cache {
	struct hole_file *files;
	size_t n_files;
	size_t kept_max; /* stretches of each file */
};

/* Starts a cache for the files of the disk. End it with hole_cache_end. */
void hole_cache_begin(struct hole_cache *cache, struct qcow2 *q);
void hole_cache_end(struct hole_cache *cache);

/*
 * Returns how many of the `len` bytes from offset on are all a hole or all data, and sets *hole
 * accordingly. If the file system cannot tell, everything is data.
 *
 * Cost: one lseek(2) for each hole and each run of data of the file, however many calls there are
 * and whatever their order is. Only a file with more runs of data than the cache has room for,
 * which is 170,000 if the disk has one file, is asked again about runs that did not fit. Past the
 * end of a file, which may grow, each call costs two.
 */
uint64_t hole_find(struct hole_cache *cache, int fd, uint64_t offset, uint64_t len, bool *hole);

/*
 * Does the image at this depth have clusters that were allocated but never written, like those that
 * qemu-img makes with preallocation=metadata?
 */
bool is_preallocated(struct qcow2 *q, unsigned depth, const struct qcow2_info *info);

#endif
