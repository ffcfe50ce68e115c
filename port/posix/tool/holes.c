/* SPDX-License-Identifier: MIT */
/*
 * Holes in files: zeros that nobody has written.
 */
#include "tool.h"

#include <errno.h>
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
	/* All bits of a piece are read, count_set(); NOLINTNEXTLINE(clang-analyzer-core.*) */
	return ((unsigned)block[index * bits / 8u] >> (index * bits % 8u) & ((1u << bits) - 1u)) !=
	       0u;
}

/* Counts what is not 0 among n refcounts from byte position pos on. False: cannot read. */
static bool count_set(const struct qcow2_image *image, uint64_t pos, uint64_t n, uint64_t *count)
{
	unsigned char piece[4096];
	unsigned order = image->refcount_order;
	uint64_t per_piece = (uint64_t)sizeof piece * 8u >> order;
	uint64_t i, k;

	for (i = 0; i < n; i += per_piece) {
		uint64_t left = n - i < per_piece ? n - i : per_piece;

		if (!image_bytes(image, pos, piece, (size_t)(((left << order) + 7u) / 8u)))
			return false;
		for (k = 0; k < left; k++)
			*count += refcount_is_set(piece, order, k);
		pos += sizeof piece;
	}
	return true;
}

/* Counts the clusters in use among the first n of the file, up to enough or some more. */
static bool count_clusters(const struct qcow2_image *image, uint64_t n, uint64_t enough,
                           uint64_t *count)
{
	uint64_t per_block = (UINT64_C(8) << image->cluster_bits) >> image->refcount_order;
	uint64_t n_blocks = (uint64_t)image->refcount_table_clusters << (image->cluster_bits - 3u);
	unsigned char entry[8];
	uint64_t i;

	for (i = 0; i < n_blocks && i * per_block < n && *count < enough; i++) {
		uint64_t left = n - i * per_block;
		uint64_t pos;

		if (!image_bytes(image, image->refcount_table_pos + i * 8u, entry, sizeof entry))
			return false;
		pos = bytes_be(entry, sizeof entry) & ~UINT64_C(511);
		if (pos != 0u && !count_set(image, pos, left < per_block ? left : per_block, count))
			return false;
	}
	return true;
}

/*
 * QEMU's test, so that both tell the same: many more clusters are in use than the file system has
 * given the file.
 */
bool is_preallocated(const struct qcow2_image *image, int fd)
{
	uint64_t given, threshold, n, count = 0;
	struct stat st;

	/* With a table longer than 8 MiB QEMU opens no image, and counting must come to an end. */
	if (fstat(fd, &st) != 0 ||
	    image->refcount_table_clusters > (8u << 20) >> image->cluster_bits)
		return false;
	given = (uint64_t)st.st_blocks * 512u >> image->cluster_bits;
	threshold = given * 10u / 9u > given + 2u ? given * 10u / 9u : given + 2u;
	n = ((image->io.size - 1u) >> image->cluster_bits) + 1u;
	return n >= threshold && count_clusters(image, n, threshold, &count) && count >= threshold;
}
