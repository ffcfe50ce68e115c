/* SPDX-License-Identifier: MIT */
/*
 * What the file system stores of a file.
 */
#include "holes.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* The unit of st_blocks, whatever the block size of the file system. */
#define STAT_BLOCK 512u

bool file_stored(int fd, uint64_t *bytes)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	*bytes = (uint64_t)st.st_blocks * STAT_BLOCK;
	return true;
}

uint64_t hole_find(int fd, uint64_t offset, uint64_t len, bool *hole)
{
	off_t at = (off_t)offset;
	off_t data = lseek(fd, at, SEEK_DATA);
	off_t end;

	*hole = data != at;
	if (data < 0) {
		/* ENXIO: only a hole is left. Another error: the file system cannot tell. */
		*hole = errno == ENXIO;
		return len;
	}
	end = data != at ? data : lseek(fd, at, SEEK_HOLE);
	if (end <= at)
		return len;
	return (uint64_t)(end - at) < len ? (uint64_t)(end - at) : len;
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
