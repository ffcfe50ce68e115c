/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "inflate.h"

#include <stdlib.h>
#include <string.h>

enum {
	GUARD = 64, /* canaries before and after the window */
	CANARY = 0xc5,
	WHOLE = 0x7fffffff /* a piece of input that is longer than any */
};

const struct qcow2_codec *codec = &qcow2_deflate_small;
uint8_t output[MAX_OUT];
uint8_t wanted[MAX_OUT];

struct input {
	struct qcow2_stream stream; /* first, so that fill() finds the rest */
	const uint8_t *bytes;
	size_t left;
	size_t piece;
	uint8_t *copy; /* the piece, on the heap: a sanitizer sees reads past its end */
	int fail;      /* what fill() answers at the end instead of QCOW2_OK */
	uint32_t n_fills;
};

static int fill(struct qcow2_stream *stream)
{
	struct input *in = (struct input *)stream;
	size_t n = in->left < in->piece ? in->left : in->piece;

	TRUE(stream->next == stream->end);
	in->n_fills++;
	free(in->copy);
	in->copy = malloc(n != 0 ? n : 1);
	TRUE(in->copy != NULL);
	memcpy(in->copy, in->bytes, n);
	stream->next = in->copy;
	stream->end = in->copy + n;
	in->bytes += n;
	in->left -= n;
	return n == 0 ? in->fail : QCOW2_OK;
}

static uint32_t window_for(const struct run *run)
{
	uint32_t len = 512;

	if (run->window_len != 0 && !codec->whole)
		return run->window_len;
	while (len < run->out_len)
		len *= 2;
	return len;
}

int decode(const uint8_t *bytes, size_t len, struct run *run)
{
	uint32_t window_len = window_for(run);
	uint8_t *memory = malloc(window_len + 2 * GUARD);
	uint8_t *work = malloc(codec->work_len);
	struct input in = { .bytes = bytes, .left = len, .fail = run->fail };
	struct qcow2_stream *stream = &in.stream;
	int status = QCOW2_OK;

	TRUE(memory != NULL && work != NULL && run->out_len <= MAX_OUT);
	memset(memory, CANARY, window_len + 2 * GUARD);
	memset(work, 0xa5, codec->work_len);
	in.piece = run->piece != 0 && !codec->whole ? run->piece : WHOLE;
	stream->fill = fill;
	stream->next = stream->end = bytes;
	stream->window = memory + GUARD;
	stream->window_len = window_len;
	codec->begin(codec, work);
	while (status == QCOW2_OK && stream->done < run->out_len) {
		uint32_t done = stream->done, at = done % window_len;
		uint32_t n = window_len - at;

		if (n > run->out_len - done)
			n = run->out_len - done;
		if (run->step != 0 && n > run->step && !codec->whole)
			n = run->step;
		stream->stop = done + n;
		status = codec->decode(codec, work, stream);
		TRUE(stream->done <= stream->stop && stream->done >= done);
		EQ(stream->window_at, stream->done % window_len);
		if (status == QCOW2_OK)
			EQ(stream->done, stream->stop);
		memcpy(output + done, stream->window + at, stream->done - done);
		/*
		 * The decoder may touch the bytes from done to stop of the window, and no others.
		 */
		if (stream->stop <= window_len)
			ALL(stream->window + stream->stop, CANARY, window_len - stream->stop);
	}
	run->n_fills = in.n_fills;
	if (status == QCOW2_OK && stream->done == stream->stop)
		run->finish = codec->decode(codec, work, stream);
	ALL(memory, CANARY, GUARD);
	ALL(memory + GUARD + window_len, CANARY, GUARD);
	run->done = stream->done;
	free(in.copy);
	free(memory);
	free(work);
	return status;
}

int decode_plain(uint32_t out_len)
{
	struct run run = { .out_len = out_len };

	return decode(writer.bytes, stream_len(), &run);
}

void expect_bytes(const uint8_t *bytes, uint32_t len)
{
	EQ(decode_plain(len), QCOW2_OK);
	SAME(output, bytes, len);
}

uint32_t below(uint32_t n)
{
	return (uint32_t)test_random(n);
}

void random_bytes(uint8_t *p, size_t len, uint32_t alphabet)
{
	while (len-- != 0)
		*p++ = (uint8_t)below(alphabet);
}

void copy_match(uint32_t n, uint32_t len, uint32_t distance)
{
	for (; len != 0; len--, n++)
		wanted[n] = wanted[n - distance];
}

bool zlib_makes(size_t len, uint32_t out_len)
{
	uint32_t made;
	int answer = zlib_inflate(writer.bytes, len, out_len, &made);

	return answer == ZLIB_MADE || answer == ZLIB_CUT_BEHIND;
}
