/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The decompressors of a reader.
 *
 * Each has its own file. The build chooses one of deflate_*.c and one of zstd_*.c; codecs.c has the
 * table of those that it chose.
 */
#ifndef QCOW2_POSIX_CODECS_H
#define QCOW2_POSIX_CODECS_H

#include "../posix.h"

#include "qcow2/codec.h"
#include "qcow2/status.h"

enum { QP_CODECS_MAX = 4 };

/* One decompressor of one reader. */
struct qp_codec {
	struct qcow2_codec core; /* first: the core passes its address to begin and decode */
	/*
	 * *state is what the decompressor keeps from cluster to cluster, or NULL. It is created
	 * when it is first needed. It is outside this struct, because the core passes the codec as
	 * const.
	 */
	void **state;
	/*
	 * *last is the codec of this reader that began last. Only its state may still be in the
	 * reader's working memory, which all codecs share.
	 */
	const struct qp_codec **last;
};

struct qp_codecs {
	struct qp_codec codec[QP_CODECS_MAX];
	void *state[QP_CODECS_MAX];
	const struct qp_codec *last;
	const struct qcow2_codec *list[QP_CODECS_MAX + 1]; /* for the core, ends with NULL */
};

/* Fills *codecs with the decompressors of this build. The struct must not be moved after that. */
void qp_codecs_init(struct qp_codecs *codecs);
/* Frees what the decompressors keep. */
void qp_codecs_end(struct qp_codecs *codecs);

/* "zlib" or "zstd", for a compression_type of the header. */
const char *qp_compression_name(uint64_t type);

/* The codec behind the pointer that the core passes. */
static inline const struct qp_codec *qp_codec_of(const struct qcow2_codec *core)
{
	return (const struct qp_codec *)(const void *)core;
}

/*
 * Every begin() must call this, because the codec uses the working memory from then on. Returns
 * false if another codec has used that memory since, so that what this codec had there is lost.
 */
static inline bool qp_codec_claim(const struct qp_codec *codec)
{
	bool same = *codec->last == codec;

	*codec->last = codec;
	return same;
}

/* Each sets codec->core. */
void qp_deflate_init(struct qp_codec *codec);
void qp_zstd_init(struct qp_codec *codec);
/* What decodes each in this build, for qcow2_get_decoder. */
extern const char *const qp_deflate_decoder;
extern const char *const qp_zstd_decoder;
/* Frees *codec->state. */
void qp_deflate_end(struct qp_codec *codec);

/*
 * In deflate_libdeflate.c and deflate_zlib.c: decodes the input at hand to exactly one cluster.
 * Returns false if the input is not such a stream, or if there is no memory for *state; then the
 * core's decoder does the work.
 */
bool qp_deflate_cluster(void **state, const struct qcow2_stream *stream);

#endif
