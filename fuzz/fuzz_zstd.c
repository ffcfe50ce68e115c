/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The built-in zstd decoders and libzstd, in the loop of QEMU. The first 4 bytes of the input
 * choose the length of the output, the pieces, the fill that fails, and what the rest of the input
 * is:
 *
 *	frames  What a decoder accepts, libzstd accepts as well, with the same bytes, except for the
 *	        blocks of is_newer(). libzstd accepts more (P18), so the other direction is not
 *	        asked here.
 *	bytes   libzstd compresses them, and the decoders must make the same bytes of that.
 *	damage  libzstd compresses them, and then some bytes of the frame are changed.
 *
 * The small decoder and the fast one always agree. If a fill fails, the decoder returns that.
 */
#include <stdlib.h>
#include <zstd.h>

#include "common.h"
#include "qcow2/codec.h"

enum { HEAD_LEN = 4, OUT_MAX = 1 << 17, IN_MAX = OUT_MAX + 4096 };
enum { FRAMES, BYTES, DAMAGE, N_KINDS };

struct input {
	struct qcow2_stream stream; /* the first member, so that fill finds the others */
	const uint8_t *bytes;
	uint32_t len, piece;
	uint8_t *copy; /* on the heap, to catch overreads */
	uint32_t n_fills, fail_at;
};

static int fill(struct qcow2_stream *stream)
{
	struct input *in = (struct input *)(void *)stream;
	uint32_t from = stream->fill_at & ~(in->piece - 1);
	uint32_t len = 0;

	CHECK(in->fail_at == 0 || in->n_fills < in->fail_at);
	if (stream->fill_at < in->len) {
		len = in->len - from < in->piece ? in->len - from : in->piece;
		stream->fill_at = from + len;
	}
	free(in->copy);
	in->copy = malloc(len + 1);
	if (in->copy == NULL)
		abort();
	memcpy(in->copy, in->bytes + (len != 0 ? from : 0), len);
	stream->next = in->copy;
	stream->end = in->copy + len;
	return ++in->n_fills == in->fail_at ? FUZZ_FAULT : QCOW2_OK;
}

/* Decodes out_len bytes to `out`, and returns the status. */
static int decode(const struct qcow2_codec *codec, struct input in, uint32_t out_len, uint8_t *out)
{
	uint8_t *work = fuzz_buf_new(codec->work_len);
	uint8_t *window;
	uint32_t window_len = 512;
	int status;

	while (window_len < out_len)
		window_len *= 2;
	window = fuzz_buf_new(window_len);
	if (!codec->pieces)
		in.piece = UINT32_C(1) << 31;
	in.stream.fill = fill;
	in.stream.next = in.stream.end = in.bytes;
	in.stream.window = window;
	in.stream.window_len = window_len;
	in.stream.stop = out_len;
	codec->begin(codec, work);
	status = codec->decode(codec, work, &in.stream);
	CHECK(in.stream.done <= out_len);
	if (in.fail_at != 0 && in.n_fills >= in.fail_at) {
		CHECK(status == FUZZ_FAULT);
	} else {
		CHECK(status == QCOW2_OK || status == QCOW2_E_COMPRESSED ||
		      status == QCOW2_E_TRUNCATED);
		CHECK(status != QCOW2_OK || in.stream.done == out_len);
	}
	memcpy(out, window, out_len);
	free(in.copy);
	fuzz_buf_free(window, window_len);
	fuzz_buf_free(work, codec->work_len);
	return status;
}

static bool judge(const uint8_t *bytes, size_t len, uint32_t out_len, uint8_t *made)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	ZSTD_outBuffer out = { made, out_len, 0 };
	ZSTD_inBuffer in = { bytes, len, 0 };
	size_t rc = 1;

	if (context == NULL)
		abort();
	while (out.pos < out.size) {
		size_t before = in.pos + out.pos;

		rc = ZSTD_decompressStream(context, &out, &in);
		if (ZSTD_isError(rc) || in.pos + out.pos == before) {
			rc = 1;
			break;
		}
	}
	ZSTD_freeDCtx(context);
	return rc == 0;
}

/*
 * Can the frames have a block that is valid, but that libzstd accepts only from 1.5.5 on? That is
 * one without sequences whose number has two bytes, which are 0x80 and 0 at the end of the block,
 * or one of two bytes. It is enough to find such bytes.
 */
static bool is_newer(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++)
		if ((bytes[i] == 0x80 && bytes[i + 1] == 0) ||
		    (i + 2 < len && (bytes[i] & 0xfe) == 0x14 && bytes[i + 1] == 0))
			return true;
	return false;
}

/* Changes up to 4 bytes: three bytes of the input say where and how. */
static void damage(uint8_t *packed, size_t n, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i + 3 <= len && i < 12; i += 3)
		packed[(data[i] + 256u * data[i + 1]) % n] ^= data[i + 2];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t packed[IN_MAX], small[OUT_MAX], fast[OUT_MAX], theirs[OUT_MAX];
	struct input in = { .bytes = packed };
	uint32_t out_len;
	unsigned kind;
	int rc;

	if (len <= HEAD_LEN || len - HEAD_LEN > OUT_MAX)
		return 0;
	out_len = 1 + (data[0] + 256u * data[1]) % OUT_MAX;
	in.piece = UINT32_C(1) << data[2] % 12;
	kind = data[3] % N_KINDS;
	if (kind == FRAMES) {
		in.len = (uint32_t)(len - HEAD_LEN);
		memcpy(packed, data + HEAD_LEN, in.len);
	} else {
		size_t n = ZSTD_compress(packed, sizeof packed, data + HEAD_LEN, len - HEAD_LEN,
		                         data[3] / N_KINDS % 20);

		CHECK(!ZSTD_isError(n));
		in.len = (uint32_t)n;
		out_len = (uint32_t)(len - HEAD_LEN);
		if (kind == DAMAGE)
			damage(packed, n, data + HEAD_LEN, len - HEAD_LEN);
	}
	rc = decode(&qcow2_zstd_small, in, out_len, small);
	CHECK(decode(&qcow2_zstd_fast, in, out_len, fast) == QCOW2_OK ? rc == QCOW2_OK
	                                                              : rc != QCOW2_OK);
	if (kind == BYTES)
		CHECK(rc == QCOW2_OK && memcmp(small, data + HEAD_LEN, out_len) == 0);
	if (rc == QCOW2_OK) {
		CHECK(memcmp(small, fast, out_len) == 0);
		if (judge(packed, in.len, out_len, theirs))
			CHECK(memcmp(small, theirs, out_len) == 0);
		else
			CHECK(is_newer(packed, in.len));
	}
	in.fail_at = 1 + data[2] / 12u;
	decode(&qcow2_zstd_small, in, out_len, small);
	in.fail_at = 1;
	decode(&qcow2_zstd_fast, in, out_len, fast);
	return 0;
}
