/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Decoders for compressed clusters: the interface, and the built-in decoders for deflate and zstd.
 *
 * The caller registers codecs by pointer (reader.h). The core names none, so a program links only
 * those that it uses. A program may bring codecs of its own. The format defines two compression
 * types, deflate and zstd (qcow2.txt "compression_type").
 */
#ifndef QCOW2_CODEC_H
#define QCOW2_CODEC_H

#include "qcow2/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Compression types. */
enum { QCOW2_COMPRESSION_DEFLATE = 0, QCOW2_COMPRESSION_ZSTD = 1 };

/* One cluster that is being decoded. The reader owns it; a codec uses it as follows. */
struct qcow2_stream {
	/*
	 * Input. The codec takes the bytes [next, end) by advancing next. When it needs more, it
	 * calls fill, which makes [next, end) the next piece and returns QCOW2_OK, or fails with a
	 * status that decode must return as well. If next == end after a fill that succeeded, the
	 * input has ended, and further calls give the same answer. Both pointers always point into
	 * one object, and are never NULL.
	 */
	const uint8_t *next;
	const uint8_t *end;
	int (*fill)(struct qcow2_stream *stream);

	/*
	 * Output. Byte number k of the cluster goes to window[k % window_len]. The codec makes the
	 * bytes [done, stop) and advances done. They never pass the end of the window:
	 * stop - done <= window_len - done % window_len.
	 *
	 *	window_len = 4096, a cluster of 16 KiB:
	 *
	 *	cluster    |  overwritten  | still in the window  | to be made |   later   |
	 *	           0          done - 4096               done         stop        16384
	 *
	 * window_len is a power of two: the cluster size, or smaller and at least 4096. In a
	 * smaller window, bytes that are more than window_len before done are overwritten.
	 */
	uint8_t *window;
	uint32_t window_len;
	uint32_t window_at; /* done % window_len; the codec advances it together with done */
	uint32_t done;      /* bytes of the cluster that are made */
	uint32_t stop;      /* bytes of the cluster that must be made when decode returns */

	/*
	 * Where the next fill reads: the number of a byte of the input. fill moves it to the end of
	 * the piece that it gives, so a codec that reads its input from the first byte to the last
	 * need not know it. Another codec may set it before it calls fill, to any number:
	 *
	 *	input   |  piece  |  piece  |  piece  | ...      before fill:  fill_at anywhere here
	 *	                  next      end                  after it:     fill_at here
	 *	                            fill_at
	 *
	 * Pieces do not overlap. So byte number k is in the present piece if
	 * fill_at - k - 1 < end - next, in unsigned numbers. Its place is end - (fill_at - k), and
	 * the bytes before it are likely to be in the same piece. If the input has no byte of this
	 * number, fill succeeds with next == end and does not change fill_at. The codec then
	 * returns QCOW2_E_TRUNCATED without another fill.
	 */
	uint32_t fill_at;
};

/* A decoder. It is constant, so it may be in ROM, and any number of readers may use it. */
struct qcow2_codec {
	uint8_t type; /* QCOW2_COMPRESSION_* */
	/*
	 * True if the codec decodes only whole clusters: decode makes the cluster in one call, and
	 * window_len is the cluster size. Unless `pieces` is set as well, the first fill gives the
	 * codec all input, or the first 2 clusters of it, which is more than a descriptor can
	 * state.
	 */
	bool whole;
	uint32_t work_len; /* bytes of working memory that the calls need, aligned to 8 */

	/* Starts on a new cluster. The content of work is unspecified. */
	void (*begin)(const struct qcow2_codec *self, void *work);

	/*
	 * Makes output until stream->done == stream->stop. After a success it may be called again
	 * with a larger stop, and goes on from there. After a failure only begin may be called.
	 *
	 * When the whole cluster is made, the reader calls decode once more with stop == done. That
	 * call makes nothing. It checks what follows in the stream, up to where the next byte would
	 * be made, and fails if that is invalid. Bytes after the end of the stream are padding.
	 *
	 * Returns
	 *	QCOW2_OK            done == stop
	 *	QCOW2_E_COMPRESSED  the stream is invalid, or ends before done == stop
	 *	QCOW2_E_TRUNCATED   the input ended before the stream did
	 *	QCOW2_E_MEMORY      the stream refers to bytes that the window no longer has
	 *	QCOW2_E_ARGUMENT    stop is before done, or past the end of the window
	 *	the status of fill  if fill failed
	 */
	int (*decode)(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream);

	/*
	 * True if a codec that is `whole` takes its input in pieces of any length all the same. The
	 * reader then needs memory for 512 bytes of input instead of 2 clusters.
	 */
	bool pieces;
};

/*
 * The small decoder for raw deflate (RFC 1951), with up to 32 KiB of history. It works with any
 * window, and with input in pieces of any length.
 */
extern const struct qcow2_codec qcow2_deflate_small;

/* Upper limit of qcow2_deflate_small.work_len, for static buffers. */
#define QCOW2_DEFLATE_SMALL_WORK 1088

/*
 * The fast decoder for raw deflate. It makes the same bytes and returns the same statuses as the
 * small one, but needs ten times the memory, and is `whole`: the first call of decode makes the
 * whole cluster from the first piece of input, so a later call with a larger stop fails with
 * QCOW2_E_ARGUMENT. It never returns QCOW2_E_MEMORY.
 */
extern const struct qcow2_codec qcow2_deflate_fast;

/* Upper limit of qcow2_deflate_fast.work_len. */
#define QCOW2_DEFLATE_FAST_WORK 12160

/*
 * The small decoder for zstd (RFC 8878), with all that the format has except dictionaries. It is
 * `whole`, because matches reach back to the beginning of the cluster, but takes its input in
 * `pieces`. It reads a few of them twice, where the format makes it go back: a block of 64 KiB
 * costs up to 8 more calls of fill than it has pieces.
 *
 * It accepts what QEMU accepts, except for frames that the format forbids: see src/README.md. It
 * never returns QCOW2_E_MEMORY.
 */
extern const struct qcow2_codec qcow2_zstd_small;

/* Upper limit of qcow2_zstd_small.work_len. */
#define QCOW2_ZSTD_SMALL_WORK 3440

/*
 * The fast decoder for zstd (RFC 8878), with all that the format has except dictionaries. It is
 * `whole`, and takes all input in one piece. The window of a frame is the output, so it needs no
 * other memory than work. The first call of decode also checks what follows the last byte of the
 * cluster, up to the end of its frame. Returns QCOW2_E_COMPRESSED, QCOW2_E_TRUNCATED and
 * QCOW2_E_ARGUMENT as above, or the status of fill.
 *
 * It accepts what QEMU accepts, except for frames that the format forbids: see src/README.md.
 */
extern const struct qcow2_codec qcow2_zstd_fast;

/* Upper limit of qcow2_zstd_fast.work_len. */
#define QCOW2_ZSTD_FAST_WORK 10240

#ifdef __cplusplus
}
#endif
#endif
