/* SPDX-License-Identifier: MIT */
/*
 * Deflate by a library, deflate_libdeflate.c or deflate_zlib.c.
 *
 * The library is fast, but it wants the whole stream and reports every irregularity as an error.
 * The core's decoder gets what is not a stream of exactly one cluster, so that every build accepts
 * what that decoder accepts, and it accepts what zlib does. libdeflate accepts a little more, which
 * cannot be told from valid streams: block headers with more than 286 or 30 lengths or with a run
 * of lengths beyond the last, and symbols without a meaning.
 */
#include "codecs.h"

static void library_begin(const struct qcow2_codec *self, void *work)
{
	(void)qp_codec_claim(qp_codec_of(self));
	qcow2_deflate_small.begin(&qcow2_deflate_small, work);
}

static int library_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	/* The library decodes a whole cluster, to a window that has room for it. */
	if (stream->done == 0u && stream->stop == stream->window_len) {
		int rc = stream->next < stream->end ? QCOW2_OK : stream->fill(stream);

		if (rc != QCOW2_OK)
			return rc;
		if (qp_deflate_cluster(qp_codec_of(self)->state, stream)) {
			stream->next = stream->end; /* what follows the stream is padding */
			stream->done = stream->stop;
			stream->window_at = 0;
			return QCOW2_OK;
		}
	}
	return qcow2_deflate_small.decode(&qcow2_deflate_small, work, stream);
}

bool qp_deflate_init(struct qp_codec *codec)
{
	codec->core = qcow2_deflate_small;
	codec->core.whole = true;
	codec->core.begin = library_begin;
	codec->core.decode = library_decode;
	return true;
}
