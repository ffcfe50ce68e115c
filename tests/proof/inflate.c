/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The small deflate decoder, or the fast one if FAST is defined: any stream in pieces of any
 * length, any state of the window, any stop. WINDOW is the exact length of the window.
 */
#include "proof.h"
#include "qcow2/codec.h"
#include "qcow2/status.h"

#ifndef WINDOW
#define WINDOW 4096
#endif

static uint8_t window[WINDOW];
static uint8_t piece[64];
#ifdef FAST
#define CODEC qcow2_deflate_fast
static uint64_t work[QCOW2_DEFLATE_FAST_WORK / 8];
#else
#define CODEC qcow2_deflate_small
static uint64_t work[QCOW2_DEFLATE_SMALL_WORK / 8];
#endif

static int any_fill(struct qcow2_stream *stream)
{
	Frama_C_make_unknown((char *)piece, sizeof piece);
	stream->next = piece + Frama_C_unsigned_int_interval(0, sizeof piece);
	stream->end = piece + sizeof piece;
	return Frama_C_interval(-128, 0);
}

int main(void)
{
	struct qcow2_stream stream;

	Frama_C_make_unknown((char *)work, sizeof work);
	Frama_C_make_unknown((char *)window, sizeof window);
	stream.next = piece + sizeof piece;
	stream.end = piece + sizeof piece;
	stream.fill = any_fill;
	stream.window = window;
	stream.window_len = WINDOW;
	stream.done = Frama_C_unsigned_int_interval(0, UINT32_MAX);
	stream.window_at = Frama_C_unsigned_int_interval(0, UINT32_MAX);
	CODEC.begin(&CODEC, work);
	while (Frama_C_interval(0, 1)) {
		stream.stop = Frama_C_unsigned_int_interval(0, UINT32_MAX);
		if (CODEC.decode(&CODEC, work, &stream) != QCOW2_OK)
			break;
	}
	return 0;
}
