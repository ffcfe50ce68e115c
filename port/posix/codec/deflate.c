/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Deflate by a library: libdeflate or zlib.
 *
 * The library is fast, but it needs the whole stream and fails on any irregularity. So what it does
 * not decode to exactly one cluster goes to the core's decoder, which accepts the same streams as
 * zlib. Every build therefore accepts what that decoder accepts. libdeflate accepts a few invalid
 * streams as well, and does not report them: block headers with more than 286 or 30 lengths or with
 * a run of lengths beyond the last, and symbols without a meaning.
 */
#include "codecs.h"

static void library_begin(const struct qcow2_codec *self, void *work)
{
	(void)qp_codec_claim(qp_codec_of(self));
	qcow2_deflate_small.begin(&qcow2_deflate_small, work);
}

static int library_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	/* The library decodes only a whole cluster, into a window that has room for it. */
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

void qp_deflate_init(struct qp_codec *codec)
{
	codec->core = qcow2_deflate_small;
	codec->core.whole = true;
	codec->core.begin = library_begin;
	codec->core.decode = library_decode;
}
