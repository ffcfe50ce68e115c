/* SPDX-License-Identifier: MIT */
/*
 * Deflate by a library, deflate_libdeflate.c or deflate_zlib.c, which is fast, wants the whole
 * stream and allows no doubt: anything but a stream that makes exactly one cluster is left to the
 * core's decoder. So what that accepts, as zlib does, is accepted in each build. libdeflate accepts
 * a little more, and there is no telling it from the rest: block headers with more than 286 or 30
 * lengths, or with a run of them that goes on past the last, and symbols without a meaning.
 */
#include "../posix.h"

static void library_begin(const struct qcow2_codec *self, void *work)
{
	const struct qp_deflate *own = (const struct qp_deflate *)(const void *)self;

	*own->zstd_state = NULL;
	qcow2_deflate_small.begin(&qcow2_deflate_small, work);
}

static int library_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	const struct qp_deflate *own = (const struct qp_deflate *)(const void *)self;

	if (stream->done == 0u && stream->stop == stream->window_len) {
		int rc = stream->next < stream->end ? QCOW2_OK : stream->fill(stream);

		if (rc != QCOW2_OK)
			return rc;
		if (qp_deflate_cluster(own->state, stream)) {
			stream->next = stream->end; /* the stream is over: the rest is padding */
			stream->done = stream->stop;
			stream->window_at = 0;
			return QCOW2_OK;
		}
	}
	return qcow2_deflate_small.decode(&qcow2_deflate_small, work, stream);
}

void qp_deflate_init(struct qp_deflate *deflate)
{
	deflate->codec = qcow2_deflate_small;
	deflate->codec.whole = true;
	deflate->codec.begin = library_begin;
	deflate->codec.decode = library_decode;
}
