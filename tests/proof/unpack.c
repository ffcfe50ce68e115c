/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Compressed clusters: any codec that does as codec.h says, any packed bytes at any position, any
 * failure of the storage or the codec, any order of reads, from a chain of two images with clusters
 * of different sizes. BITS is log2 of the larger one. PACKED and WINDOW are the exact lengths of
 * these parts of the reader's memory. WHOLE is true if the codec needs whole clusters; if PACKED
 * has no room for a packed one, it takes its input in pieces.
 */
#include "proof.h"
#include "../../src/internal.h"

#ifndef BITS
#define BITS   13
#define PACKED 512
#define WINDOW 4096
#define WHOLE  false
#endif

enum { CLUSTER = 1 << BITS, SMALL_BITS = 9, SMALL = 1 << SMALL_BITS, WORK = 16 };

static uint64_t memory[(QCOW2_READER_SLICE + WORK + PACKED + WINDOW) / 8];
static struct qcow2_io file;
static struct qcow2_image top, base;
static struct qcow2_reader reader;

/* Checks that packed bytes are read to their place, and no more of them than fit there. */
static int packed_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	/*@ assert buf == reader.packed; */
	/*@ assert 0 < len <= PACKED; */
	return any_read(ctx, pos, buf, len);
}

static const struct qcow2_io_ops packed_ops = { packed_read };

static void model_begin(const struct qcow2_codec *self, void *work)
{
	Frama_C_make_unknown(work, self->work_len);
}

/* Takes any input, makes any output, and returns any status. */
static int model_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	uint32_t len = stream->stop - stream->done;
	uint32_t cluster = reader.extent.image->cluster_len;

	/*@ assert stream->window_len <= cluster; */
	/*@ assert stream->window == reader.window ==> stream->window_len <= WINDOW; */
	/*@ assert stream->done <= stream->stop; */
	/*@ assert stream->window_at == stream->done % stream->window_len; */
	/*@ assert len <= stream->window_len - stream->window_at; */
	/*@ assert self->whole ==> len == 0 || len == stream->window_len; */
	Frama_C_make_unknown(work, self->work_len);
	while (Frama_C_interval(0, 1)) {
		int rc;

		if (Frama_C_interval(0, 1))
			stream->fill_at = Frama_C_unsigned_int_interval(0, UINT32_MAX);
		rc = stream->fill(stream);
		if (rc != QCOW2_OK)
			return rc;
		if (stream->next < stream->end) {
			Frama_C_interval(0, stream->next[0]);
			Frama_C_interval(0, stream->end[-1]);
		}
		stream->next = stream->end;
	}
	if (len > 0u)
		Frama_C_make_unknown((char *)stream->window + stream->window_at, len);
	if (Frama_C_interval(0, 1))
		return Frama_C_interval(-128, -1);
	stream->done = stream->stop;
	stream->window_at = stream->done % stream->window_len;
	return QCOW2_OK;
}

static const struct qcow2_codec models[] = {
	{ .type = 0,
	  .whole = WHOLE,
	  .work_len = WORK - 3,
	  .begin = model_begin,
	  .decode = model_decode,
	  .pieces = PACKED < 2 * CLUSTER },
	{ .type = 1, .work_len = 8, .begin = model_begin, .decode = model_decode },
};
static const struct qcow2_codec *const codecs[] = { &models[1], &models[0], NULL };

static void any_image(struct qcow2_image *image, unsigned bits, int type)
{
	image->version = 3;
	image->cluster_bits = (uint8_t)bits;
	image->cluster_len = UINT32_C(1) << bits;
	image->compression_type = (uint8_t)type;
	image->io = file;
}

static void any_extent(const struct qcow2_image *image)
{
	reader.extent.image = image;
	reader.extent.io = &image->io;
	reader.extent.kind = QCOW2_EXTENT_COMPRESSED;
	reader.extent.pos = any64();
	reader.extent.packed_len = Frama_C_unsigned_int_interval(1, 2 * image->cluster_len);
}

/*
 * Clears what a read leaves behind and the next one does not use, so that Eva soon recognises a
 * state that it has analysed already. If the window has no cluster, the stream is such a part.
 */
static void forget(void)
{
	struct qcow2_error no_error;
	struct qcow2_extent no_memo;
	struct qcow2_stream no_stream;

	reader.error = no_error;
	reader.extent = no_memo;
	reader.window_off &= UINT64_MAX << BITS; /* any offset in the cluster is as good */
	if (reader.window_image == NULL)
		reader.stream = no_stream;
}

/*
 * Reads `length` bytes from byte number `at` of a cluster on, which may be the cluster of the read
 * before or another one, into a buffer of exactly that length. It is a macro, so that Eva keeps the
 * results of different reads apart.
 */
#define ASK(from, at, length)                                                                      \
	do {                                                                                       \
		uint8_t out[length];                                                               \
                                                                                                   \
		any_extent(from);                                                                  \
		reader.extent.len = length;                                                        \
		reader.error.io = reader.extent.io;                                                \
		reader.extent.off = at;                                                            \
		if (Frama_C_interval(0, 1))                                                        \
			reader.extent.off += UINT64_MAX << BITS;                                   \
		(void)q2_unpack(&reader, out, length);                                             \
		forget();                                                                          \
	} while (0)

/* Reads whole clusters, ends of clusters, and around the ends of the window's parts. */
int main(void)
{
	any_io(&file);
	file.ops = &packed_ops;
	any_image(&top, BITS, 0);
	any_image(&base, SMALL_BITS, Frama_C_interval(1, 2));
	top.backing = &base;
	Frama_C_make_unknown((char *)memory, sizeof memory);
	if (qcow2_reader_init(&reader, &top, memory, sizeof memory) != QCOW2_OK)
		return 1;
	if (qcow2_reader_codecs(&reader, codecs) != QCOW2_OK)
		return 1;
	/*@ assert reader.window_len == WINDOW; */
	/*@ assert reader.window - reader.packed == PACKED; */
	/*@ slevel 5000; */
	while (Frama_C_interval(0, 1)) {
		switch (Frama_C_interval(0, 17)) {
		case 0: ASK(&top, 0, CLUSTER); break;
		case 1: ASK(&top, 0, 1); break;
		case 2: ASK(&top, 0, CLUSTER / 2 - 1); break;
		case 3: ASK(&top, 0, CLUSTER / 2); break;
		case 4: ASK(&top, 0, CLUSTER / 2 + 1); break;
		case 5: ASK(&top, 0, CLUSTER - 1); break;
		case 6: ASK(&top, 1, CLUSTER - 2); break;
		case 7: ASK(&top, 1, CLUSTER - 1); break;
		case 8: ASK(&top, 100, CLUSTER / 2); break;
		case 9: ASK(&top, CLUSTER / 2 - 1, 1); break;
		case 10: ASK(&top, CLUSTER / 2 - 1, 2); break;
		case 11: ASK(&top, CLUSTER / 2, 1); break;
		case 12: ASK(&top, CLUSTER / 2, CLUSTER / 2); break;
		case 13: ASK(&top, CLUSTER - 1, 1); break;
		case 14: ASK(&base, 0, SMALL); break;
		case 15: ASK(&base, 0, 1); break;
		case 16: ASK(&base, 1, SMALL - 1); break;
		default: ASK(&base, SMALL - 1, 1); break;
		}
	}
	return 0;
}
