/* SPDX-License-Identifier: MIT */
/*
 * Deflate by zlib. As with libdeflate: anything but a stream that makes exactly one cluster is left
 * to the core's decoder.
 */
#include "qp.h"

#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

struct zlib_codec {
	struct qcow2_codec codec; /* first */
	z_stream *stream;
};

static void zlib_begin(const struct qcow2_codec *self, void *work)
{
	(void)self;
	qcow2_deflate.begin(&qcow2_deflate, work);
}

/* Decodes the input at hand to exactly one cluster; false: not such a stream. */
static bool zlib_whole(const struct zlib_codec *own, struct qcow2_stream *stream)
{
	z_stream *z = own->stream;

	if (inflateReset(z) != Z_OK)
		return false;
	z->next_in = stream->next;
	z->avail_in = (uInt)(stream->end - stream->next);
	z->next_out = stream->window;
	z->avail_out = stream->stop;
	if (inflate(z, Z_FINISH) != Z_STREAM_END || z->avail_out != 0u)
		return false;
	stream->next = stream->end; /* the stream is over: the rest is padding */
	stream->done = stream->stop;
	stream->window_at = 0;
	return true;
}

static int zlib_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	const struct zlib_codec *own = (const struct zlib_codec *)(const void *)self;
	int rc;

	if (stream->done == 0u && stream->stop == stream->window_len) {
		rc = stream->next < stream->end ? QCOW2_OK : stream->fill(stream);
		if (rc != QCOW2_OK)
			return rc;
		if (zlib_whole(own, stream))
			return QCOW2_OK;
	}
	return qcow2_deflate.decode(&qcow2_deflate, work, stream);
}

struct qcow2_codec *qp_deflate_new(bool *no_memory)
{
	struct zlib_codec *own = calloc(1, sizeof *own);

	if (own != NULL)
		own->stream = calloc(1, sizeof *own->stream);
	if (own == NULL || own->stream == NULL || inflateInit2(own->stream, -15) != Z_OK) {
		if (own != NULL)
			free(own->stream);
		free(own);
		*no_memory = true;
		return NULL;
	}
	own->codec = qcow2_deflate;
	own->codec.whole = true;
	own->codec.begin = zlib_begin;
	own->codec.decode = zlib_decode;
	return &own->codec;
}

void qp_deflate_free(struct qcow2_codec *codec)
{
	struct zlib_codec *own = (struct zlib_codec *)(void *)codec;

	if (own == NULL)
		return;
	inflateEnd(own->stream);
	free(own->stream);
	free(own);
}
