/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the file system stores of a file.
 *
 * lseek(2) finds the end of a hole or of a run of data, but not its beginning, and some systems
 * walk through all of the run to find its end. If each cluster were asked about, clusters in
 * descending order would cost the square of their number. So a file is asked from its beginning on,
 * as far as necessary, and each stretch that is found is kept:
 *
 *	file   [data][ hole ][data][  hole  ][ data ][hole][data] ...
 *	kept   [ 1. ][     2.     ][       3.       ][     4.   ]
 */
#include "holes.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	STAT_BLOCK = 512, /* the unit of st_blocks, whatever the block size of the file system */
	CACHE_LEN = 4 * 1024 * 1024,
	ROOM_MIN = 64 /* stretches of a file; 512 files with as many fit in CACHE_LEN */
};

bool file_stored(int fd, uint64_t *bytes)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	*bytes = (uint64_t)st.st_blocks * STAT_BLOCK;
	return true;
}

/* How many files does the disk have? */
static size_t count_files(struct qcow2 *q)
{
	size_t n = 0;
	unsigned depth;

	for (depth = 0; qcow2_get_fd(q, depth) >= 0; depth++)
		n += qcow2_get_data_fd(q, depth) >= 0 ? 2u : 1u;
	return n;
}

void hole_cache_begin(struct hole_cache *cache, struct qcow2 *q)
{
	size_t n = count_files(q);
	unsigned depth;

	cache->kept_max = 0;
	cache->n_files = 0;
	cache->files = n > 0u ? calloc(n, sizeof *cache->files) : NULL;
	if (cache->files == NULL)
		return; /* works without memory, only slower */
	cache->kept_max = CACHE_LEN / (n * sizeof(struct hole_stretch));
	for (depth = 0; cache->n_files < n; depth++) {
		cache->files[cache->n_files++].fd = qcow2_get_fd(q, depth);
		if (qcow2_get_data_fd(q, depth) >= 0)
			cache->files[cache->n_files++].fd = qcow2_get_data_fd(q, depth);
	}
}

void hole_cache_end(struct hole_cache *cache)
{
	size_t i;

	for (i = 0; i < cache->n_files; i++)
		free(cache->files[i].kept);
	free(cache->files);
	cache->files = NULL;
	cache->n_files = 0;
}

/*
 * What is past the end of the file reads as zeros today. The next question must be asked again, for
 * another program may write to the image.
 */
static bool is_past_end(const struct hole_stretch *s)
{
	return s->data == UINT64_MAX;
}

/* Asks the system for the stretch that begins at pos. */
static struct hole_stretch stretch_ask(int fd, uint64_t pos)
{
	struct hole_stretch s = { .hole = pos, .data = UINT64_MAX, .end = UINT64_MAX };
	off_t data = lseek(fd, (off_t)pos, SEEK_DATA), end;

	if (data < 0 && errno == ENXIO) {
		/* Only a hole is left, if anything is. */
		end = lseek(fd, 0, SEEK_END);
		if (end > (off_t)pos)
			s.data = s.end = (uint64_t)end;
		return s;
	}
	s.data = pos;
	if (data < (off_t)pos)
		return s; /* the file system cannot tell */
	s.data = (uint64_t)data;
	end = lseek(fd, data, SEEK_HOLE);
	if (end > data)
		s.end = (uint64_t)end;
	return s;
}

/* Drops every second stretch, but not the last one: the file is asked on from its end. */
static void file_thin(struct hole_file *f)
{
	size_t i, n = 0;

	for (i = (f->n_kept + 1u) % 2u; i < f->n_kept; i += 2u)
		f->kept[n++] = f->kept[i];
	f->n_kept = n;
}

/* Adds a stretch to those that are kept. Without memory for it, there will be fewer. */
static void file_keep(struct hole_file *f, const struct hole_stretch *s, size_t max)
{
	if (f->n_kept == f->room && f->room < max) {
		size_t room = f->room == 0u ? ROOM_MIN : 2u * f->room;
		struct hole_stretch *kept;

		room = room < max ? room : max;
		kept = realloc(f->kept, room * sizeof *kept);
		if (kept != NULL) {
			f->kept = kept;
			f->room = room;
		}
	}
	if (f->n_kept == f->room)
		file_thin(f);
	if (f->n_kept < f->room)
		f->kept[f->n_kept++] = *s;
}

/* The number of stretches that are kept and end at or before the offset. */
static size_t kept_before(const struct hole_file *f, uint64_t offset)
{
	size_t low = 0, high = f->n_kept;

	while (low < high) {
		size_t middle = low + (high - low) / 2u;

		if (f->kept[middle].end <= offset)
			low = middle + 1u;
		else
			high = middle;
	}
	return low;
}

/* Makes f->last the stretch that has the offset. */
static void file_find(struct hole_file *f, uint64_t offset, size_t max)
{
	size_t i = kept_before(f, offset);
	bool is_new = i == f->n_kept; /* else the file was asked before, and that may be kept */

	if (!is_new && f->kept[i].hole <= offset) {
		f->last = f->kept[i];
		return;
	}
	f->last.end = i > 0u ? f->kept[i - 1u].end : 0u;
	do {
		f->last = stretch_ask(f->fd, f->last.end);
		if (is_new && !is_past_end(&f->last))
			file_keep(f, &f->last, max);
	} while (f->last.end <= offset);
}

/* The stretch that has the offset; its beginning is only known if the file has a place in the
 * cache. */
static struct hole_stretch cache_find(struct hole_cache *cache, int fd, uint64_t offset)
{
	size_t i;

	for (i = 0; i < cache->n_files; i++) {
		struct hole_file *f = &cache->files[i];

		if (f->fd != fd)
			continue;
		if (offset < f->last.hole || offset >= f->last.end || is_past_end(&f->last))
			file_find(f, offset, cache->kept_max);
		return f->last;
	}
	return stretch_ask(fd, offset);
}

uint64_t hole_find(struct hole_cache *cache, int fd, uint64_t offset, uint64_t len, bool *hole)
{
	struct hole_stretch s = cache_find(cache, fd, offset);
	uint64_t end = offset < s.data ? s.data : s.end;

	*hole = offset < s.data;
	return end - offset < len ? end - offset : len;
}

/*
 * Applies QEMU's test, so that both commands print the same map: many more clusters are in use than
 * the file system stores for the file. "Many more" is at least a ninth more and at least 2 more.
 */
bool is_preallocated(struct qcow2 *q, unsigned depth, const struct qcow2_info *info)
{
	uint64_t stored, threshold, n, count;

	if (!file_stored(qcow2_get_fd(q, depth), &stored))
		return false;
	stored /= info->cluster_size;
	threshold = stored * 10u / 9u > stored + 2u ? stored * 10u / 9u : stored + 2u;
	n = (info->file_size - 1u) / info->cluster_size + 1u;
	return n >= threshold && qcow2_count_clusters(q, depth, threshold, &count) == 0 &&
	       count >= threshold;
}
