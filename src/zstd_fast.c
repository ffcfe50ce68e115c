/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The fast decoder for zstd (RFC 8878). It needs all input in one piece, room for all output, and
 * 10 KiB of memory; zstd_small.c needs a third of that, and input in pieces. Section numbers are
 * those of the RFC. What makes it fast:
 *
 *  - One table look-up decodes a literal. The four streams of literals are decoded in turns,
 *    several symbols at a time, so that the processor works on all of them at once.
 *  - A cell of a sequence table has all that a sequence needs, so no table of baselines is read.
 *  - On 64-bit processors, a turn of the main loop of zstd_fast_sequences.c decodes a sequence with
 *    one load of input, and copies 16 bytes at a time. This may write up to 15 bytes too many,
 *    which the next sequences overwrite.
 *
 * This file has the frames and blocks around them. zstd_fast.h describes the tables and the memory.
 */
#include "zstd_fast.h"

enum {
	ZFAST_MAGIC_LEN = 4,   /* 3.1.1: Magic_Number */
	ZFAST_SIZE_LEN = 4,    /* 3.1.2: Frame_Size of a skippable frame */
	ZFAST_BLOCK_LEN = 3,   /* 3.1.1.2: Block_Header */
	ZFAST_CHECKSUM_LEN = 4 /* 3.1.1: Content_Checksum */
};

/* Parts of a Frame_Header_Descriptor: 3.1.1.1.1. */
enum { ZFAST_CHECKSUM = 4, ZFAST_RESERVED = 8, ZFAST_SINGLE = 0x20, ZFAST_SIZED = 0x40 };

/* Decodes a block that has `size` bytes of input: 3.1.1.3. */
static bool zfast_compressed(struct zfast *s, uint32_t size)
{
	s->block_end = s->in + size;
	if (!q2_zfast_literals(s) || !q2_zfast_sequences(s))
		return false;
	q2_zfast_move_literals(s, s->n_lits); /* those that no sequence used */
	s->in = s->block_end;
	return true;
}

/* Decodes a block: 3.1.1.2. Sets *is_last to whether it is the last one of the frame. */
static int zfast_block(struct zfast *s, bool *is_last)
{
	size_t left = (size_t)(s->in_end - s->in);
	uint32_t head, type, size, len;

	if (left < ZFAST_BLOCK_LEN)
		return QCOW2_E_TRUNCATED;
	head = q2_zfast_le(s->in, ZFAST_BLOCK_LEN);
	s->in += ZFAST_BLOCK_LEN;
	left -= ZFAST_BLOCK_LEN;
	*is_last = (head & 1u) != 0;
	type = head >> 1 & 3u;
	size = head >> 3;
	len = type == ZFAST_RLE ? 1 : size;
	if (type == ZFAST_NO_BLOCK || size > s->block_max)
		return QCOW2_E_COMPRESSED;
	if (left < len)
		return QCOW2_E_TRUNCATED;
	if (type == ZFAST_COMPRESSED)
		return zfast_compressed(s, size) ? QCOW2_OK : QCOW2_E_COMPRESSED;
	if (size > s->end - s->at)
		return QCOW2_E_COMPRESSED;
	if (type == ZFAST_RAW)
		memcpy(s->out + s->at, s->in, size);
	else
		memset(s->out + s->at, *s->in, size);
	s->at += size;
	s->in += len;
	return QCOW2_OK;
}

/*
 * Sets the limits of a frame from the fields of its header, which are at p: 3.1.1.1. Returns false
 * if the frame needs a dictionary, a window that is too large, or more room than the cluster has.
 */
static bool zfast_limits(struct zfast *s, const uint8_t *p, uint32_t window_len, uint32_t id_len,
                         uint32_t size_len)
{
	const uint8_t *id = p + window_len;
	uint32_t room = s->stop - s->at;
	uint32_t size = q2_zfast_le(id + id_len, size_len < 4 ? size_len : 4);

	if (q2_zfast_le(id, id_len) != 0) /* Dictionary_ID: 0 is the same as none */
		return false;
	if (size_len == 2)
		size += 256;
	s->has_size = size_len != 0;
	if (!s->has_size)
		size = room;
	if (size > room || (size_len == 8 && q2_zfast_le(id + id_len + 4, 4) != 0))
		return false;
	s->end = s->at + size;
	s->window = size; /* that of a single segment */
	if (window_len != 0) {
		if (*p > ZSTD_FORMAT_WINDOW_MAX)
			return false;
		s->window = (8u + (*p & 7u)) << (7 + (*p >> 3));
	}
	s->block_max = s->window < ZSTD_FORMAT_BLOCK_MAX ? s->window : ZSTD_FORMAT_BLOCK_MAX;
	return true;
}

/* Reads the header of a frame, after its magic number: 3.1.1.1. */
static int zfast_header(struct zfast *s)
{
	static const uint8_t lens[4] = { 0, 1, 2, 4 }; /* of a Dictionary_ID */
	size_t left = (size_t)(s->in_end - s->in);
	uint32_t descriptor, window_len, id_len, size_len;

	if (left == 0)
		return QCOW2_E_TRUNCATED;
	descriptor = *s->in++;
	if ((descriptor & ZFAST_RESERVED) != 0)
		return QCOW2_E_COMPRESSED;
	s->has_checksum = (descriptor & ZFAST_CHECKSUM) != 0;
	window_len = (descriptor & ZFAST_SINGLE) != 0 ? 0 : 1;
	id_len = lens[descriptor & 3u];
	size_len = descriptor < ZFAST_SIZED ? 1 - window_len : 1u << (descriptor >> 6);
	if (left - 1 < window_len + id_len + size_len)
		return QCOW2_E_TRUNCATED;
	if (!zfast_limits(s, s->in, window_len, id_len, size_len))
		return QCOW2_E_COMPRESSED;
	s->in += window_len + id_len + size_len;
	return QCOW2_OK;
}

/* Checks what follows the last block of a frame. */
static int zfast_check(struct zfast *s)
{
	uint32_t checksum;

	if (s->has_size && s->at != s->end)
		return QCOW2_E_COMPRESSED;
	if (!s->has_checksum)
		return QCOW2_OK;
	if ((size_t)(s->in_end - s->in) < ZFAST_CHECKSUM_LEN)
		return QCOW2_E_TRUNCATED;
	checksum = q2_zfast_le(s->in, ZFAST_CHECKSUM_LEN);
	s->in += ZFAST_CHECKSUM_LEN;
	if (checksum != (uint32_t)q2_xxh64(s->out + s->start, s->at - s->start))
		return QCOW2_E_COMPRESSED;
	return QCOW2_OK;
}

/* Decodes a frame, whose magic number is taken: 3.1.1. */
static int zfast_data_frame(struct zfast *s)
{
	static const struct zfast_repeats repeats = { 1, 4, 8 };
	bool is_last = false;
	int rc = zfast_header(s);

	s->start = s->at;
	s->repeats = repeats;
	s->has_tables = false;
	s->has_tree = false;
	/*@ loop invariant rc == 0 ==> good_frame(s) && good_rest(s) &&
	                               0 <= s->in - \at(s->in, Pre);
	    loop assigns rc, is_last, BLOCK_STATE, s->out[0 .. s->stop - 1]; */
	while (rc == QCOW2_OK && !is_last)
		rc = zfast_block(s, &is_last);
	return rc == QCOW2_OK ? zfast_check(s) : rc;
}

/* Skips a skippable frame, whose magic number is taken: 3.1.2. */
static int zfast_skip(struct zfast *s)
{
	size_t left = (size_t)(s->in_end - s->in);
	uint32_t len;

	if (left < ZFAST_SIZE_LEN)
		return QCOW2_E_TRUNCATED;
	len = q2_zfast_le(s->in, ZFAST_SIZE_LEN);
	s->in += ZFAST_SIZE_LEN;
	if (len > left - ZFAST_SIZE_LEN)
		return QCOW2_E_TRUNCATED;
	s->in += len;
	return QCOW2_OK;
}

/* Decodes or skips the next frame: 3.1. */
static int zfast_frame(struct zfast *s)
{
	uint32_t magic;

	if ((size_t)(s->in_end - s->in) < ZFAST_MAGIC_LEN)
		return QCOW2_E_TRUNCATED;
	magic = q2_zfast_le(s->in, ZFAST_MAGIC_LEN);
	s->in += ZFAST_MAGIC_LEN;
	if (magic == ZSTD_FORMAT_MAGIC)
		return zfast_data_frame(s);
	return (magic & ~15u) == ZSTD_FORMAT_SKIP_MAGIC ? zfast_skip(s) : QCOW2_E_COMPRESSED;
}

static void zfast_begin(const struct qcow2_codec *self, void *work)
{
	(void)self;
	(void)work; /* zfast_decode sets everything */
}

/*
 * The first call for a cluster decodes it, together with the end of the frame that makes its last
 * byte. So the call after the last byte has nothing to do.
 */
static int zfast_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	struct zfast *s = work;
	int rc = QCOW2_OK;

	(void)self;
	if (stream->done == stream->stop)
		return QCOW2_OK;
	if (stream->done != 0 || stream->stop > stream->window_len)
		return QCOW2_E_ARGUMENT;
	if (!(stream->next < stream->end))
		rc = stream->fill(stream);
	s->in = stream->next;
	s->in_end = stream->end;
	s->out = stream->window;
	s->at = 0;
	s->stop = stream->stop;
	while (rc == QCOW2_OK && s->at < s->stop)
		rc = zfast_frame(s);
	stream->next = s->in;
	stream->done = s->at;
	stream->window_at = s->at == stream->window_len ? 0 : s->at;
	return rc;
}

const struct qcow2_codec qcow2_zstd_fast = {
	QCOW2_COMPRESSION_ZSTD, true, sizeof(struct zfast), zfast_begin, zfast_decode, false,
};
