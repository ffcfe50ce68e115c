/* SPDX-License-Identifier: MIT */
/*
 * Holes in files: zeros that nobody has written.
 */
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qcow2/image.h"

uint64_t hole_find(int fd, uint64_t offset, uint64_t len, bool *hole)
{
	off_t at = (off_t)offset;
	off_t data = lseek(fd, at, SEEK_DATA);
	off_t end;

	*hole = data != at;
	if (data < 0) {
		*hole = errno == ENXIO; /* nothing but a hole from here on */
		return len;
	}
	end = data != at ? data : lseek(fd, at, SEEK_HOLE);
	if (end <= at)
		return len;
	return (uint64_t)(end - at) < len ? (uint64_t)(end - at) : len;
}

/* qcow2.txt "Host cluster management": is the refcount with this index in the block not 0? */
static bool refcount_is_set(const unsigned char *block, unsigned order, uint64_t index)
{
	unsigned bits = 1u << order;

	if (order >= 3u)
		return bytes_be(block + index * (bits / 8u), bits / 8u) != 0u;
	return (block[index * bits / 8u] >> (index * bits % 8u) & ((1u << bits) - 1u)) != 0u;
}

/* Counts the clusters in use among the first n of the file, up to enough. False: cannot tell. */
static bool count_clusters(const struct qcow2_image *image, uint64_t n, uint64_t enough,
                           unsigned char *block, uint64_t *count)
{
	size_t cluster = (size_t)1 << image->cluster_bits;
	uint64_t per_block = (uint64_t)cluster * 8u >> image->refcount_order;
	uint64_t n_blocks = (uint64_t)image->refcount_table_clusters * (cluster / 8u);
	unsigned char entry[8];
	uint64_t i, k;

	for (i = 0; i < n_blocks && i * per_block < n && *count < enough; i++) {
		uint64_t left = n - i * per_block;
		uint64_t pos;

		if (!image_bytes(image, image->refcount_table_pos + i * 8u, entry, sizeof entry))
			return false;
		pos = bytes_be(entry, sizeof entry) & ~UINT64_C(511);
		if (pos == 0u)
			continue;
		if (!image_bytes(image, pos, block, cluster))
			return false;
		for (k = 0; k < per_block && k < left && *count < enough; k++)
			*count += refcount_is_set(block, image->refcount_order, k);
	}
	return true;
}

/*
 * QEMU's test, so that both tell the same: much more clusters are in use than the file system has
 * given the file.
 */
bool is_preallocated(const struct qcow2_image *image, int fd)
{
	uint64_t given, threshold, count = 0;
	unsigned char *block;
	struct stat st;
	bool known;

	if (fstat(fd, &st) != 0 || image->refcount_table_clusters > 0x800000u)
		return false;
	given = (uint64_t)st.st_blocks * 512u >> image->cluster_bits;
	threshold = given * 10u / 9u > given + 2u ? given * 10u / 9u : given + 2u;
	if (image->io.size >> image->cluster_bits < threshold - 1u)
		return false;
	block = malloc((size_t)1 << image->cluster_bits);
	if (block == NULL)
		return false;
	known = count_clusters(image,
	                       ((image->io.size - 1u) >> image->cluster_bits) + 1u,
	                       threshold, block, &count);
	free(block);
	return known && count >= threshold;
}
