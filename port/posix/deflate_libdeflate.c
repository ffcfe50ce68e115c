/* SPDX-License-Identifier: MIT */
/*
 * Deflate by libdeflate, which is fast, wants the whole stream and allows no doubt: anything but a
 * stream that makes exactly one cluster is left to the core's decoder, so that what is accepted
 * does not depend on the build.
 */
#include "qp.h"

#include <libdeflate.h>

static void libdeflate_begin(const struct qcow2_codec *self, void *work)
{
	const struct qp_deflate *own = (const struct qp_deflate *)(const void *)self;

	*own->zstd_state = NULL;
	qcow2_deflate.begin(&qcow2_deflate, work);
}

/* Decodes the input at hand to exactly one cluster; false: not such a stream. */
static bool libdeflate_whole(const struct qp_deflate *own, struct qcow2_stream *stream)
{
	size_t used; /* not NULL: then the input may be longer than the stream */

	if (*own->state == NULL)
		*own->state = libdeflate_alloc_decompressor();
	if (*own->state == NULL ||
	    libdeflate_deflate_decompress_ex(*own->state, stream->next,
	                                     (size_t)(stream->end - stream->next), stream->window,
	                                     stream->stop, &used, NULL) != LIBDEFLATE_SUCCESS)
		return false;
	stream->next = stream->end; /* the stream is over: the rest is padding */
	stream->done = stream->stop;
	stream->window_at = 0;
	return true;
}

static int libdeflate_decode(const struct qcow2_codec *self, void *work,
                             struct qcow2_stream *stream)
{
	const struct qp_deflate *own = (const struct qp_deflate *)(const void *)self;
	int rc;

	if (stream->done == 0u && stream->stop == stream->window_len) {
		rc = stream->next < stream->end ? QCOW2_OK : stream->fill(stream);
		if (rc != QCOW2_OK)
			return rc;
		if (libdeflate_whole(own, stream))
			return QCOW2_OK;
	}
	return qcow2_deflate.decode(&qcow2_deflate, work, stream);
}

void qp_deflate_init(struct qp_deflate *deflate)
{
	deflate->codec = qcow2_deflate;
	deflate->codec.whole = true;
	deflate->codec.begin = libdeflate_begin;
	deflate->codec.decode = libdeflate_decode;
}

void qp_deflate_end(struct qp_deflate *deflate)
{
	libdeflate_free_decompressor(*deflate->state); /* NULL is fine */
	*deflate->state = NULL;
}
