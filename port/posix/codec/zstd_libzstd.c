/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * zstd by libzstd, in the reader's memory.
 *
 * A cluster is one or more frames (RFC 8878) that together make exactly the cluster; the frame that
 * makes its last byte must be complete. Skippable and empty frames may come before it. libzstd
 * verifies the checksums. The limits are those of QEMU: a window of at most 128 MiB, no dictionary.
 *
 * libzstd's state is created in the reader's working memory and stays there until another codec
 * uses that memory. In a virtual machine, creating it for each cluster would cost a tenth of the
 * time that decoding takes, because libzstd asks the processor for its features.
 */
#include "codecs.h"

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

const char *const qp_zstd_decoder = "libzstd";

/* The default limit of libzstd's streaming decoder, which QEMU uses: 2^27, and 1 for rounding. */
#define ZSTD_WINDOW_LIMIT ((1ull << 27) + 1)

enum { SKIPPABLE_HEADER_LEN = 8 };

static void zstd_begin(const struct qcow2_codec *self, void *work)
{
	const struct qp_codec *codec = qp_codec_of(self);

	(void)work; /* zstd_decode does everything in one call */
	if (!qp_codec_claim(codec))
		*codec->state = NULL;
}

/* Distinguishes input that ends too early from input that is wrong: the file may be cut short. */
static int zstd_status(size_t code)
{
	return ZSTD_getErrorCode(code) == ZSTD_error_srcSize_wrong ? QCOW2_E_TRUNCATED
	                                                           : QCOW2_E_COMPRESSED;
}

/* Skips one skippable frame. */
static int zstd_skip(struct qcow2_stream *stream, unsigned long long content)
{
	size_t left = (size_t)(stream->end - stream->next);

	if (left < SKIPPABLE_HEADER_LEN || content > left - SKIPPABLE_HEADER_LEN)
		return QCOW2_E_TRUNCATED;
	stream->next += SKIPPABLE_HEADER_LEN + (size_t)content;
	return QCOW2_OK;
}

/* Decodes the frame at stream->next into the rest of the cluster. */
static int zstd_frame(ZSTD_DCtx *dctx, struct qcow2_stream *stream)
{
	size_t left = (size_t)(stream->end - stream->next);
	ZSTD_frameHeader header;
	size_t rc = ZSTD_getFrameHeader(&header, stream->next, left);
	size_t len;

	if (ZSTD_isError(rc))
		return zstd_status(rc);
	if (rc != 0u) /* the header needs more bytes */
		return QCOW2_E_TRUNCATED;
	if (header.frameType == ZSTD_skippableFrame)
		return zstd_skip(stream, header.frameContentSize);
	if (header.windowSize > ZSTD_WINDOW_LIMIT || header.dictID != 0u)
		return QCOW2_E_COMPRESSED;
	len = ZSTD_findFrameCompressedSize(stream->next, left);
	if (ZSTD_isError(len))
		return zstd_status(len);
	rc = ZSTD_decompressDCtx(dctx, stream->window + stream->done, stream->stop - stream->done,
	                         stream->next, len);
	if (ZSTD_isError(rc))
		return QCOW2_E_COMPRESSED;
	stream->next += len;
	stream->done += (uint32_t)rc;
	return QCOW2_OK;
}

/* libzstd's state in the reader's working memory, or NULL if it does not fit. */
static ZSTD_DCtx *zstd_state(const struct qp_codec *codec, void *work)
{
	if (*codec->state == NULL)
		*codec->state = ZSTD_initStaticDCtx(work, codec->core.work_len);
	return *codec->state;
}

static int zstd_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	ZSTD_DCtx *dctx;
	int rc;

	if (stream->done == stream->stop)
		return QCOW2_OK; /* an incomplete last frame has failed in the call before */
	dctx = zstd_state(qp_codec_of(self), work);
	if (dctx == NULL)
		return QCOW2_E_COMPRESSED;
	rc = stream->next < stream->end ? QCOW2_OK : stream->fill(stream);
	while (rc == QCOW2_OK && stream->done < stream->stop) {
		if (stream->next == stream->end)
			return QCOW2_E_TRUNCATED;
		rc = zstd_frame(dctx, stream);
	}
	stream->window_at = 0;
	return rc;
}

void qp_zstd_init(struct qp_codec *codec)
{
	struct qcow2_codec *core = &codec->core;

	core->type = QCOW2_COMPRESSION_ZSTD;
	core->whole = true;
	core->work_len = (uint32_t)((ZSTD_estimateDCtxSize() + 7u) & ~(size_t)7);
	core->begin = zstd_begin;
	core->decode = zstd_decode;
}
