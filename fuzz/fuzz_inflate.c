/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The built-in deflate decoders give the verdict and the bytes of zlib, whatever the pieces of
 * input and output. The fast decoder gets the whole input and makes the whole output at once. If
 * the callback fails, the decoder reports that, its output so far is right, and begin() starts
 * afresh.
 *
 * The first 8 bytes of the input choose the length of the output, the window, pieces and steps.
 *
 * Two differences are allowed. If the output is complete and the input is at its end, zlib cannot
 * know how the stream continues, and our decoders need not. A window that is too small is
 * QCOW2_E_MEMORY.
 */
#include <stdlib.h>
#include <zlib.h>

#include "common.h"

enum { HEAD_LEN = 8, OUT_MAX = 1 << 16 };

struct run {
	const struct qcow2_codec *codec;
	uint32_t out_len;
	uint32_t window_len;
	uint32_t step;    /* bytes of output for each call */
	uint32_t piece;   /* bytes of input for each call of fill */
	uint32_t fail_at; /* the call of fill that fails in a first try; 0 for no such try */
};

struct input {
	struct qcow2_stream stream; /* the first member, so that fill finds the others */
	const uint8_t *bytes;
	size_t left;
	uint32_t piece;
	uint8_t *
		copy; /* `piece` bytes on the heap; a piece ends at their end, to catch overreads */
	uint32_t n_fills;
	uint32_t fail_at;
};

static int fill(struct qcow2_stream *stream)
{
	struct input *in = (struct input *)(void *)stream;
	size_t n = in->left < in->piece ? in->left : in->piece;

	CHECK(stream->next == stream->end);
	if (++in->n_fills == in->fail_at)
		return FUZZ_FAULT;
	stream->end = in->copy + in->piece;
	stream->next = stream->end - n;
	memcpy(in->copy + in->piece - n, in->bytes, n);
	in->bytes += n;
	in->left -= n;
	return QCOW2_OK;
}

struct answer {
	uint8_t out[OUT_MAX];
	uint32_t done;
	int status;
	int finish; /* the status of the call after the last byte */
};

static uint32_t next_stop(const struct run *run, const struct qcow2_stream *stream)
{
	uint32_t n = run->window_len - stream->done % run->window_len;

	if (n > run->out_len - stream->done)
		n = run->out_len - stream->done;
	return stream->done + (n < run->step ? n : run->step);
}

static void decode_steps(const struct run *run, struct qcow2_stream *stream, void *work,
                         struct answer *a)
{
	while (a->status == QCOW2_OK && stream->done < run->out_len) {
		uint32_t from = stream->done;

		stream->stop = next_stop(run, stream);
		a->status = run->codec->decode(run->codec, work, stream);
		CHECK(stream->done >= from && stream->done <= stream->stop);
		CHECK(stream->window_at == stream->done % run->window_len);
		CHECK(a->status != QCOW2_OK || stream->done == stream->stop);
		memcpy(a->out + from, stream->window + from % run->window_len, stream->done - from);
	}
	if (a->status == QCOW2_OK)
		a->finish = run->codec->decode(run->codec, work, stream);
	a->done = stream->done;
}

/* Decodes everything from begin() on. Returns true if the callback failed. */
static bool decode_once(struct input in, const struct run *run, uint8_t *window, void *work,
                        struct answer *a)
{
	in.stream.fill = fill;
	in.stream.next = in.stream.end = in.bytes;
	in.stream.window = window;
	in.stream.window_len = run->window_len;
	a->status = QCOW2_OK;
	a->finish = QCOW2_OK;
	run->codec->begin(run->codec, work);
	decode_steps(run, &in.stream, work, a);
	return in.fail_at != 0 && in.n_fills >= in.fail_at;
}

static void decode(const uint8_t *bytes, size_t len, const struct run *run, struct answer *a)
{
	static struct answer faulty;
	struct input in = { .bytes = bytes, .left = len, .fail_at = run->fail_at };
	uint8_t *work = fuzz_buf_new(run->codec->work_len);
	uint8_t *window = fuzz_buf_new(run->window_len);
	bool has_failed = false;

	in.piece = run->piece < len + 1 ? run->piece : (uint32_t)len + 1;
	in.copy = malloc(in.piece);
	if (in.copy == NULL)
		abort();
	if (in.fail_at != 0)
		has_failed = decode_once(in, run, window, work, &faulty);
	in.fail_at = 0;
	decode_once(in, run, window, work, a);
	if (has_failed) {
		CHECK(faulty.status == FUZZ_FAULT || faulty.finish == FUZZ_FAULT);
		CHECK(faulty.done <= a->done && memcmp(faulty.out, a->out, faulty.done) == 0);
	}
	free(in.copy);
	fuzz_buf_free(window, run->window_len);
	fuzz_buf_free(work, run->codec->work_len);
}

/* The verdict of zlib. */
struct verdict {
	uint8_t out[OUT_MAX];
	uint32_t done;
	bool all;     /* zlib made all output */
	bool damaged; /* zlib found an error */
	bool unknown; /* the input ended before the end of the stream */
};

static void judge(const uint8_t *bytes, size_t len, uint32_t out_len, struct verdict *v)
{
	z_stream z;
	uint8_t *copy = malloc(len != 0 ? len : 1);
	int rc;

	if (copy == NULL)
		abort();
	memcpy(copy, bytes, len);
	memset(&z, 0, sizeof z);
	CHECK(inflateInit2(&z, -15) == Z_OK);
	z.next_in = copy;
	z.avail_in = (uInt)len;
	z.next_out = v->out;
	z.avail_out = out_len;
	rc = inflate(&z, Z_FINISH);
	v->done = out_len - z.avail_out;
	v->all = z.avail_out == 0;
	v->damaged = rc == Z_DATA_ERROR;
	v->unknown = rc == Z_BUF_ERROR && z.avail_in == 0;
	inflateEnd(&z);
	free(copy);
}

static void compare(const struct run *run, const struct answer *a, const struct verdict *v)
{
	if (!v->all) {
		CHECK(a->status == QCOW2_E_COMPRESSED || a->status == QCOW2_E_TRUNCATED);
		CHECK(a->done == v->done && memcmp(a->out, v->out, v->done) == 0);
		return;
	}
	CHECK(a->status == QCOW2_OK);
	CHECK(memcmp(a->out, v->out, run->out_len) == 0);
	if (!v->unknown)
		CHECK(a->finish == (v->damaged ? QCOW2_E_COMPRESSED : QCOW2_OK));
}

static struct run run_of(const uint8_t *head)
{
	struct run run;

	run.codec = &qcow2_deflate_small;
	run.out_len = 1 + head[0] + 256u * head[1];
	run.window_len = UINT32_C(4096) << head[2] % 5;
	run.step = 1 + (head[3] + 256u * head[4]) % 20000;
	run.piece = 1 + (head[5] + 256u * head[6]) % 3000;
	run.fail_at = 1 + (head[3] + head[7] / 4u) % 16;
	if (head[7] % 2 != 0)
		run.step = OUT_MAX;
	if (head[7] / 2 % 2 != 0)
		run.piece = UINT32_MAX;
	return run;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct answer a, in_small, whole;
	static struct verdict v;
	struct run run;

	if (len < HEAD_LEN)
		return 0;
	run = run_of(data);
	data += HEAD_LEN;
	len -= HEAD_LEN;
	judge(data, len, run.out_len, &v);
	decode(data, len, &run, &in_small);
	run.window_len = OUT_MAX;
	run.fail_at = 0;
	decode(data, len, &run, &a);
	compare(&run, &a, &v);
	run.codec = &qcow2_deflate_fast;
	run.step = OUT_MAX;
	run.piece = UINT32_MAX;
	run.fail_at = 1; /* the fast decoder calls fill once */
	decode(data, len, &run, &whole);
	compare(&run, &whole, &v);
	CHECK(whole.status == a.status && whole.finish == a.finish);
	if (in_small.status == QCOW2_E_MEMORY) {
		/* The output is the same up to the match that reaches too far back. */
		CHECK(in_small.done <= a.done && memcmp(in_small.out, a.out, in_small.done) == 0);
		return 0;
	}
	CHECK(in_small.status == a.status && in_small.finish == a.finish);
	CHECK(in_small.done == a.done && memcmp(in_small.out, a.out, a.done) == 0);
	return 0;
}
