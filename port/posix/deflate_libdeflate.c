/* SPDX-License-Identifier: MIT */
/*
 * Deflate by libdeflate, which is fast, wants the whole stream and allows no doubt: anything but a
 * stream that makes exactly one cluster is left to the core's decoder, so that what is accepted
 * does not depend on the build.
 */
#include "qp.h"

#include <stdlib.h>

#include <libdeflate.h>

struct libdeflate_codec {
	struct qcow2_codec codec; /* first */
	struct libdeflate_decompressor *decompressor;
};

static void libdeflate_begin(const struct qcow2_codec *self, void *work)
{
	(void)self;
	qcow2_deflate.begin(&qcow2_deflate, work);
}

static int libdeflate_decode(const struct qcow2_codec *self, void *work,
                             struct qcow2_stream *stream)
{
	const struct libdeflate_codec *own = (const struct libdeflate_codec *)(const void *)self;
	size_t used; /* not NULL: then the input may be longer than the stream */
	int rc;

	if (stream->done == 0u && stream->stop == stream->window_len) {
		rc = stream->next < stream->end ? QCOW2_OK : stream->fill(stream);
		if (rc != QCOW2_OK)
			return rc;
		if (libdeflate_deflate_decompress_ex(
			    own->decompressor, stream->next, (size_t)(stream->end - stream->next),
			    stream->window, stream->stop, &used, NULL) == LIBDEFLATE_SUCCESS) {
			stream->next = stream->end; /* the stream is over: the rest is padding */
			stream->done = stream->stop;
			stream->window_at = 0;
			return QCOW2_OK;
		}
	}
	return qcow2_deflate.decode(&qcow2_deflate, work, stream);
}

struct qcow2_codec *qp_deflate_new(bool *no_memory)
{
	struct libdeflate_codec *own = calloc(1, sizeof *own);

	if (own != NULL)
		own->decompressor = libdeflate_alloc_decompressor();
	if (own == NULL || own->decompressor == NULL) {
		free(own);
		*no_memory = true;
		return NULL;
	}
	own->codec = qcow2_deflate;
	own->codec.whole = true;
	own->codec.begin = libdeflate_begin;
	own->codec.decode = libdeflate_decode;
	return &own->codec;
}

void qp_deflate_free(struct qcow2_codec *codec)
{
	struct libdeflate_codec *own = (struct libdeflate_codec *)(void *)codec;

	if (own != NULL)
		libdeflate_free_decompressor(own->decompressor);
	free(own);
}
