/* SPDX-License-Identifier: MIT */
/*
 * Decompressors for compressed clusters.
 *
 * The caller registers codecs by pointer (reader.h); the core names none, so that a program
 * links only those that it uses. QCOW2 knows two types: deflate (0) and zstd (1), qcow2.txt
 * "compression_type". A raw deflate decoder is built in: qcow2_deflate_small.
 */
#ifndef QCOW2_CODEC_H
#define QCOW2_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { QCOW2_COMPRESSION_DEFLATE = 0, QCOW2_COMPRESSION_ZSTD = 1 };

/*
 * One cluster on its way from compressed to plain. The reader owns it; a codec uses it as said.
 */
struct qcow2_stream {
	/*
	 * Input: the bytes [next, end) are there to be taken, by advancing next. When they are
	 * used up, fill() puts the next piece there; it returns QCOW2_OK with next < end,
	 * QCOW2_OK with next == end when the input is over, or a status to be handed on.
	 * After the end it may be called again, with the same answer. Both point into one object,
	 * never NULL.
	 */
	const uint8_t *next;
	const uint8_t *end;
	int (*fill)(struct qcow2_stream *stream);

	/*
	 * Output: byte number k of the cluster goes to window[k % window_len]. Bytes
	 * [done, stop) are to be made now, and done is advanced; stop never lies past the end
	 * of the window: stop - done <= window_len - done % window_len.
	 * window_len is a power of two: the cluster size, or smaller and at least 4096, and then
	 * bytes older than window_len are gone.
	 */
	uint8_t *window;
	uint32_t window_len;
	uint32_t window_at; /* done % window_len, kept by the codec together with done */
	uint32_t done;
	uint32_t stop;
};

struct qcow2_codec {
	uint8_t type; /* QCOW2_COMPRESSION_* */
	/*
	 * True: decode() must be given the whole input at once (or the first 2 clusters of it: no
	 * descriptor can say more), makes the whole cluster in one call, and cannot work through
	 * a smaller window.
	 */
	bool whole;
	uint32_t work_len; /* bytes of working memory, aligned to 8, that the calls below use */

	/* Start on a new cluster. work may hold anything. */
	void (*begin)(const struct qcow2_codec *self, void *work);

	/*
	 * Make output until stream->done == stream->stop. Statuses:
	 *   QCOW2_OK            done == stop; a later call with a larger stop goes on from there
	 *   QCOW2_E_COMPRESSED  the data is not a valid stream, or makes less than was asked for
	 *   QCOW2_E_TRUNCATED   the input was over before the output was
	 *   QCOW2_E_MEMORY      the stream reaches back further than the window
	 *   QCOW2_E_ARGUMENT    stop lies before done, or past the end of the window
	 *   what fill() returned
	 * After a failure only begin() may follow. When all of the cluster is made, there is one
	 * more call with stop == done: it says whether the stream goes on as it may, without making
	 * anything. What comes after the end of the stream is padding and not looked at.
	 */
	int (*decode)(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream);
};

/*
 * The built-in decoder for raw deflate (RFC 1951), any history up to 32 KiB.
 * Works through any window and with input in any pieces. Thread-safe: it has no state but work.
 */
extern const struct qcow2_codec qcow2_deflate_small;

#define QCOW2_DEFLATE_SMALL_WORK                                                                   \
	1088 /* upper limit of qcow2_deflate_small.work_len, for static buffers */

/*
 * The same for machines with memory: as fast as it can be, the same bytes and the same statuses. It
 * is `whole`: the first call of decode() takes the input in one piece, the first that it sees, and
 * makes all that will be asked for; a later call with a larger stop is QCOW2_E_ARGUMENT. It never
 * answers QCOW2_E_MEMORY. Thread-safe, too.
 */
extern const struct qcow2_codec qcow2_deflate_fast;

#define QCOW2_DEFLATE_FAST_WORK 12160 /* upper limit of qcow2_deflate_fast.work_len */

#ifdef __cplusplus
}
#endif
#endif
