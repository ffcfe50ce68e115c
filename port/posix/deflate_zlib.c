/* SPDX-License-Identifier: MIT */
/*
 * Deflate by zlib. As with libdeflate: anything but a stream that makes exactly one cluster is left
 * to the core's decoder.
 */
#include "qp.h"

#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

static void zlib_begin(const struct qcow2_codec *self, void *work)
{
	const struct qp_deflate *own = (const struct qp_deflate *)(const void *)self;

	*own->zstd_state = NULL;
	qcow2_deflate.begin(&qcow2_deflate, work);
}

static z_stream *zlib_new(void)
{
	z_stream *z = calloc(1, sizeof *z);

	if (z == NULL || inflateInit2(z, -15) == Z_OK)
		return z;
	free(z);
	return NULL;
}

/* Decodes the input at hand to exactly one cluster; false: not such a stream. */
static bool zlib_whole(const struct qp_deflate *own, struct qcow2_stream *stream)
{
	z_stream *z;

	if (*own->state == NULL)
		*own->state = zlib_new();
	z = *own->state;
	if (z == NULL || inflateReset(z) != Z_OK)
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
	const struct qp_deflate *own = (const struct qp_deflate *)(const void *)self;
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

void qp_deflate_init(struct qp_deflate *deflate)
{
	deflate->codec = qcow2_deflate;
	deflate->codec.whole = true;
	deflate->codec.begin = zlib_begin;
	deflate->codec.decode = zlib_decode;
}

void qp_deflate_end(struct qp_deflate *deflate)
{
	if (*deflate->state != NULL)
		inflateEnd(*deflate->state);
	free(*deflate->state);
	*deflate->state = NULL;
}
