/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads tables ahead.
 *
 * The core fetches tables in slices of 512 bytes. If a slice follows the last one, the caller
 * probably goes through the table in order, as calls of qcow2_map for a whole disk do. Then one
 * pread also reads the slices after it.
 */
#include "ahead.h"

#include <string.h>

/*
 * From this cluster size on, reading ahead stops at the end of the table's cluster, because what
 * follows is usually data. Smaller tables often follow each other.
 */
enum { TABLE_LONG = 4096 };

/* How much to read from a slice on. */
static size_t ahead_len(const struct qp_file *file, uint64_t pos)
{
	const size_t most = sizeof((struct qp_ahead *)NULL)->bytes;
	size_t left;

	if (file->table_len < TABLE_LONG)
		return most;
	left = file->table_len - (size_t)(pos % file->table_len);
	return left < most ? left : most;
}

/*
 * Returns true if the len bytes at pos are in memory. Reads ahead if they are not and if the slice
 * before them was the last one.
 */
static bool slice_is_there(struct qp_ahead *ahead, const struct qp_file *file, uint64_t pos,
                           size_t len)
{
	bool in_order = ahead->file == file && ahead->expected == pos;
	ssize_t got;

	if (ahead->file != file)
		ahead->len = 0;
	ahead->file = file;
	ahead->expected = pos + len;
	/* The difference is huge if pos is before the bytes in memory. */
	if (pos - ahead->pos < ahead->len)
		return ahead->len - (size_t)(pos - ahead->pos) >= len;
	if (!in_order)
		return false;
	got = qp_file_pread(file, ahead->bytes, ahead_len(file, pos), pos);
	ahead->pos = pos;
	/* Not reported here: the caller then fetches just the slice, which succeeds or fails. */
	ahead->len = got > 0 ? (size_t)got : 0u;
	return ahead->len >= len;
}

int qp_ahead_fetch(struct qcow2_error *at, void *buf, size_t len)
{
	/* The core passes the error of its reader, which is the first field of a qp_reader. */
	struct qp_reader *reader = (struct qp_reader *)(void *)at;
	struct qp_ahead *ahead = reader->ahead;

	/* If the file ends inside the slice, the core completes it with zeros. */
	if (at->pos < at->io->size && len <= at->io->size - at->pos &&
	    slice_is_there(ahead, at->io->ctx, at->pos, len)) {
		memcpy(buf, ahead->bytes + (at->pos - ahead->pos), len);
		return QCOW2_OK;
	}
	return reader->fetch(at, buf, len);
}
