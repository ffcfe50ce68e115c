/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The small decoder for zstd (RFC 8878): 3.4 KiB of memory beside the cluster, and input in pieces.
 * This file has the frames and blocks; zstd_small.h describes how they are decoded. Section numbers
 * are those of the RFC.
 */
#include "zstd_small.h"

/* Takes the next four bytes, a number. */
static uint32_t unzstd_take32(struct unzstd *s)
{
	uint32_t low = q2_unzstd_take(s, 16);

	return low | q2_unzstd_take(s, 16) << 16;
}

/* Decodes a block: section 3.1.1.2. Returns whether it is the last one. */
static bool unzstd_block(struct unzstd *s)
{
	uint32_t head = q2_unzstd_take(s, 16);
	uint32_t type, n, most;

	head |= q2_unzstd_next(s) << 16;
	type = head >> 1 & 3u; /* raw, RLE, compressed, reserved */
	n = head >> 3;
	most = s->reach < ZSTD_FORMAT_BLOCK_MAX ? s->reach : ZSTD_FORMAT_BLOCK_MAX;
	if (!q2_unzstd_check(s, n <= most && type != 3))
		return true;
	s->room = s->limit - s->stream->done;
	if (s->room > most)
		s->room = most;
	s->literals = 0;
	if (type == 2) {
		n += s->at;
		q2_unzstd_enter(s, s->at, n);
		q2_unzstd_literals(s);
		q2_unzstd_sequences(s);
		q2_unzstd_enter(s, n, UINT32_MAX);
	} else if (q2_unzstd_check(s, n <= s->room)) {
		q2_unzstd_plain(s, s->stream->done, n, type == 1);
		s->stream->done += n;
	}
	return (head & 1u) != 0 || s->status != QCOW2_OK;
}

/* Takes the size of the window if the frame has one: section 3.1.1.1.2. */
static uint32_t unzstd_window(struct unzstd *s)
{
	uint32_t byte = q2_unzstd_next(s);

	if (byte > ZSTD_FORMAT_WINDOW_MAX) {
		q2_unzstd_fail(s, QCOW2_E_COMPRESSED);
		return 0;
	}
	return (8u + (byte & 7u)) << 7 << (byte >> 3);
}

/* Takes a number of 0, 1, 2, 4 or 8 bytes, of which the upper four must be 0. */
static uint32_t unzstd_field(struct unzstd *s, uint32_t len)
{
	uint32_t value;

	if (len < 4)
		return q2_unzstd_take(s, 8 * len);
	value = unzstd_take32(s);
	if (len > 4)
		q2_unzstd_check(s, unzstd_take32(s) == 0);
	return value;
}

/* Takes the header of a frame after its magic number: section 3.1.1.1. Returns its first byte. */
static uint32_t unzstd_header(struct unzstd *s)
{
	uint32_t head = q2_unzstd_next(s);
	uint32_t size_form = head >> 6;
	uint32_t left = s->stream->stop - s->stream->done;
	bool single = (head & 0x20u) != 0;

	s->reach = 0;
	if (!single)
		s->reach = unzstd_window(s);
	q2_unzstd_check(s, (head & 8u) == 0);
	/* There are no dictionaries; number 0 means none. */
	q2_unzstd_check(s, unzstd_field(s, (1u << (head & 3u)) >> 1) == 0);
	s->limit = s->stream->stop;
	if (single || size_form != 0) {
		uint32_t size = unzstd_field(s, 1u << size_form);

		if (size_form == 1)
			size += 256;
		q2_unzstd_check(s, size <= left);
		s->limit = s->stream->done + size;
		if (single)
			s->reach = size;
	}
	return head;
}

/* Decodes a frame: section 3.1.1. */
static void unzstd_frame(struct unzstd *s)
{
	struct qcow2_stream *stream = s->stream;
	uint32_t head = unzstd_header(s);
	bool is_last = false;
	uint32_t i;

	s->begin = stream->done;
	for (i = 0; i < 3; i++) {
		static const uint8_t first[3] = { 1, 4, 8 };

		s->repeat[i] = first[i];
		s->logs[i] = UNZSTD_NO_TABLE;
	}
	s->n_sorted = 0;
	while (s->status == QCOW2_OK && !is_last)
		is_last = unzstd_block(s);
	/* A frame that states the size of its content must have that size. */
	q2_unzstd_check(s, stream->done == s->limit || (head & 0xe0u) == 0);
	if ((head & 4u) != 0 && s->status == QCOW2_OK)
		q2_unzstd_check(s, unzstd_take32(s) == (uint32_t)q2_xxh64(stream->window + s->begin,
		                                                          stream->done - s->begin));
}

/* Decodes the next frame, or skips it: section 3.1.2. */
static void unzstd_any_frame(struct unzstd *s)
{
	uint32_t magic = unzstd_take32(s);

	if ((magic & ~15u) == ZSTD_FORMAT_SKIP_MAGIC) {
		uint32_t len = unzstd_take32(s);

		if (q2_unzstd_check(s, len < s->end - s->at))
			s->at += len;
	} else if (q2_unzstd_check(s, magic == ZSTD_FORMAT_MAGIC)) {
		unzstd_frame(s);
	}
}

/* Nothing to do: unzstd_decode makes the cluster in one call, and sets all that it begins with. */
static void unzstd_begin(const struct qcow2_codec *self, void *work)
{
	(void)self;
	(void)work;
}

/*
 * Decodes frames until the cluster is full, which it must be at the end of a frame. What follows is
 * ignored, as in QEMU, so the call after the last byte has nothing to do.
 */
static int unzstd_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	struct unzstd *s = work;

	(void)self;
	if (stream->done != 0 || stream->stop > stream->window_len)
		return stream->stop == stream->done ? QCOW2_OK : QCOW2_E_ARGUMENT;
	s->stream = stream;
	s->status = QCOW2_OK;
	q2_unzstd_enter(s, 0, UINT32_MAX);
	while (s->status == QCOW2_OK && stream->done < stream->stop)
		unzstd_any_frame(s);
	stream->window_at = stream->done & (stream->window_len - 1u);
	return s->status;
}

const struct qcow2_codec qcow2_zstd_small = {
	QCOW2_COMPRESSION_ZSTD, true, sizeof(struct unzstd), unzstd_begin, unzstd_decode, true,
};
