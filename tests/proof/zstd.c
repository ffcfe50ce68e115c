/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A zstd decoder: any frames in pieces of any length, which may fail, any state of the memory.
 * WINDOW is the exact length of the window. CODEC is the decoder, and WORK the macro for its
 * memory.
 *
 * The checksum is a model that reads nothing: Eva does not relate where a frame begins and ends, so
 * it cannot see that the checksum reads only the window. xxh64.c shows that it reads what it is
 * told.
 */
#include "proof.h"
#include "qcow2/codec.h"
#include "qcow2/status.h"
#include "../../src/zstd_format.h"

#ifndef CODEC
#define CODEC  qcow2_zstd_small
#define WORK   QCOW2_ZSTD_SMALL_WORK
#define WINDOW 4096
#endif

static uint8_t window[WINDOW];
static uint8_t piece[64];
static uint64_t work[WORK / 8];

uint64_t q2_xxh64(const uint8_t *bytes, uint32_t len)
{
	(void)bytes;
	(void)len;
	return Frama_C_unsigned_long_long_interval(0, UINT64_MAX);
}

static int any_fill(struct qcow2_stream *stream)
{
	Frama_C_make_unknown((char *)piece, sizeof piece);
	stream->next = piece;
	stream->end = piece + Frama_C_unsigned_int_interval(0, sizeof piece);
	stream->fill_at = Frama_C_unsigned_int_interval(0, UINT32_MAX);
	return Frama_C_interval(-128, 0);
}

int main(void)
{
	struct qcow2_stream stream;

	Frama_C_make_unknown((char *)work, sizeof work);
	Frama_C_make_unknown((char *)window, sizeof window);
	stream.next = piece;
	stream.end = piece;
	stream.fill = any_fill;
	stream.fill_at = 0;
	stream.window = window;
	stream.window_len = WINDOW;
	stream.done = Frama_C_unsigned_int_interval(0, UINT32_MAX);
	stream.window_at = Frama_C_unsigned_int_interval(0, UINT32_MAX);
	stream.stop = Frama_C_unsigned_int_interval(0, UINT32_MAX);
	CODEC.begin(&CODEC, work);
	(void)CODEC.decode(&CODEC, work, &stream);
	return 0;
}
