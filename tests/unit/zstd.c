/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "zstd.h"

#include <stdlib.h>
#include <string.h>

enum { GUARD = 64, CANARY = 0xc5, UNTOUCHED = 0x5a };

const struct qcow2_codec *zstd_codec = &qcow2_zstd_small;
uint8_t zstd_output[ZSTD_OUT];
uint8_t zstd_wanted[ZSTD_OUT];

struct input {
	struct qcow2_stream stream; /* first, so that fill() finds the rest */
	struct zstd_run *run;
	const uint8_t *bytes;
	uint32_t len, piece;
	uint8_t *copy; /* the piece, on the heap: a sanitizer sees reads past its end */
};

/* Gives the piece that has byte fill_at. After a failure there must be no other call. */
static int fill(struct qcow2_stream *stream)
{
	struct input *in = (struct input *)stream;
	uint32_t from = stream->fill_at & ~(in->piece - 1);
	uint32_t len = 0;

	TRUE(in->run->fail_at == 0 || in->run->n_fills < in->run->fail_at);
	in->run->n_fills++;
	if (stream->fill_at < in->len) {
		len = in->len - from < in->piece ? in->len - from : in->piece;
		stream->fill_at = from + len;
	}
	free(in->copy);
	in->copy = malloc(len != 0 ? len : 1);
	TRUE(in->copy != NULL);
	memcpy(in->copy, in->bytes + (len != 0 ? from : 0), len);
	stream->next = in->copy;
	stream->end = in->copy + len;
	return in->run->n_fills == in->run->fail_at ? QCOW2_E_IO : QCOW2_OK;
}

int zstd_decode(const uint8_t *bytes, size_t len, uint32_t out_len, struct zstd_run *run)
{
	uint32_t window_len = run->window_len != 0 ? run->window_len : 512;
	uint8_t *memory, *work = malloc(zstd_codec->work_len);
	struct input in = { .run = run, .bytes = bytes, .len = (uint32_t)len };
	struct qcow2_stream *stream = &in.stream;
	int status;

	while (window_len < out_len)
		window_len *= 2;
	memory = malloc(window_len + 2 * GUARD);
	TRUE(memory != NULL && work != NULL);
	memset(memory, CANARY, window_len + 2 * GUARD);
	memset(work, UNTOUCHED, zstd_codec->work_len);
	in.piece = run->piece != 0 && zstd_codec->pieces ? run->piece : UINT32_C(1) << 31;
	run->n_fills = 0;
	stream->fill = fill;
	stream->next = stream->end = bytes;
	stream->window = memory + GUARD;
	stream->window_len = window_len;
	stream->stop = out_len;
	zstd_codec->begin(zstd_codec, work);
	status = zstd_codec->decode(zstd_codec, work, stream);
	LE(stream->done, out_len);
	run->done = stream->done;
	if (status == QCOW2_OK) {
		EQ(stream->done, out_len);
		EQ(stream->window_at, out_len % window_len);
		if (zstd_output != bytes)
			memcpy(zstd_output, stream->window, out_len);
		EQ(zstd_codec->decode(zstd_codec, work, stream), QCOW2_OK);
	}
	ALL(memory, CANARY, GUARD);
	ALL(memory + GUARD + out_len, CANARY, window_len - out_len + GUARD);
	free(in.copy);
	free(memory);
	free(work);
	return status;
}

void zstd_good(uint32_t out_len)
{
	static const uint32_t pieces[] = { 0, 1, 64, 512 };

	TRUE(zstd_oracle(zstd.bytes, zstd.len, out_len));
	zstd_oracle_same(zstd_wanted);
	for (size_t i = 0; i < COUNT(pieces); i++) {
		struct zstd_run run = { .piece = pieces[i] };

		memset(zstd_output, UNTOUCHED, out_len);
		EQ(zstd_decode(zstd.bytes, zstd.len, out_len, &run), QCOW2_OK);
		SAME(zstd_output, zstd_wanted, out_len);
	}
}

static void refused(uint32_t out_len)
{
	struct zstd_run run = { .piece = 64 };

	EQ(zstd_decode(zstd.bytes, zstd.len, out_len, &run), QCOW2_E_COMPRESSED);
}

void zstd_bad(uint32_t out_len)
{
	TRUE(!zstd_oracle(zstd.bytes, zstd.len, out_len));
	refused(out_len);
}

void zstd_forbidden(uint32_t out_len)
{
	TRUE(zstd_oracle(zstd.bytes, zstd.len, out_len));
	refused(out_len);
}
