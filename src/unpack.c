/* SPDX-License-Identifier: MIT */
/*
 * Compressed clusters: from the packed bytes in the file, through a codec, to the caller.
 *
 * A request for a whole cluster is decoded straight into the caller's buffer. Otherwise, with
 * enough memory, the cluster is decoded once into the window and kept there. With little memory it
 * passes through a window smaller than itself: the first request decodes all of it, so that a
 * damaged cluster is refused as a whole; further requests in rising order go on where the last one
 * stopped.
 *
 * Nothing here is linked unless qcow2_reader_codecs is called.
 */
#include "q2.h"

enum { PIECE_MIN = 512, WINDOW_MIN = 4096, WINDOW_MAX = 32768 };

/* What the window holds of the cluster that window_image and window_pos name. */
enum {
	WINDOW_EMPTY = 0,
	WINDOW_WHOLE = 1, /* all of it */
	WINDOW_STREAM = 2 /* its part before source.stream.done; all of it is known to decode */
};

/* The memory that decoding takes, apart from slices. */
struct unpack_needs {
	size_t work;
	size_t cluster; /* the largest of the chain; 0: there is nothing to decode */
	bool whole;     /* a codec needs whole clusters */
};

static const struct qcow2_codec *codec_find(const struct qcow2_codec *const *codecs, unsigned type)
{
	for (; *codecs != NULL; codecs++)
		if ((*codecs)->type == type)
			return *codecs;
	return NULL;
}

static void needs_of(const struct qcow2_image *image, const struct qcow2_codec *const *codecs,
                     struct unpack_needs *needs)
{
	needs->work = 0;
	needs->cluster = 0;
	needs->whole = false;
	for (; image != NULL; image = image->backing) {
		const struct qcow2_codec *codec = codec_find(codecs, image->compression_type);

		if (!q2_is_qcow2(image) || codec == NULL)
			continue;
		if (needs->cluster < q2_cluster_len(image))
			needs->cluster = q2_cluster_len(image);
		if (needs->work < codec->work_len)
			needs->work = (codec->work_len + (size_t)7) & ~(size_t)7;
		needs->whole = needs->whole || codec->whole;
	}
}

/* Room for the longest packed cluster that a descriptor can tell, and for the cluster. */
static size_t needs_good(const struct unpack_needs *needs)
{
	return needs->work + 3u * needs->cluster;
}

static size_t needs_min(const struct unpack_needs *needs)
{
	size_t window = needs->cluster < WINDOW_MIN ? needs->cluster : WINDOW_MIN;

	if (needs->cluster == 0u || needs->whole)
		return needs_good(needs);
	return needs->work + PIECE_MIN + window;
}

/* Splits the end of the memory into work, input and window, each as large as fits. */
static void memory_split(struct qcow2_reader *reader, const struct unpack_needs *needs)
{
	size_t room = (reader->memory_len & ~(size_t)7) - QCOW2_READER_SLICE;
	size_t piece = PIECE_MIN;
	size_t window = needs->cluster;
	size_t slices;

	if (room >= needs_good(needs)) {
		piece = 2u * needs->cluster;
	} else if (room - needs->work - piece < window) {
		window = WINDOW_MIN;
		while (window < WINDOW_MAX && window <= (room - needs->work - piece) / 2u)
			window *= 2u;
	}
	slices = room + QCOW2_READER_SLICE - needs->work - piece - window;
	q2_slots_init(reader, slices);
	reader->work = (uint64_t *)(void *)(reader->memory + slices);
	reader->source.piece = reader->memory + slices + needs->work;
	reader->source.piece_len = (uint32_t)piece;
	reader->window = reader->source.piece + piece;
	reader->window_len = (uint32_t)window;
}

int qcow2_reader_codecs(struct qcow2_reader *reader, const struct qcow2_codec *const *codecs)
{
	struct unpack_needs needs;
	size_t least;

	if (reader == NULL || reader->image == NULL || codecs == NULL || reader->unpack != NULL)
		return QCOW2_E_ARGUMENT;
	needs_of(reader->image, codecs, &needs);
	least = needs_min(&needs) + QCOW2_READER_SLICE;
	if ((reader->memory_len & ~(size_t)7) < least)
		return q2_fail(&reader->error, QCOW2_E_MEMORY, NULL, 0, least);
	memory_split(reader, &needs);
	reader->codecs = codecs;
	reader->unpack = q2_unpack;
	return QCOW2_OK;
}

/* Slices enough for all tables of the chain, or what a disk of some 8 GiB takes. */
static size_t good_slices(const struct qcow2_image *image)
{
	uint64_t bytes = 4u * Q2_SLICE_LEN;
	size_t n = 4;
	size_t len = 4u * QCOW2_READER_SLICE; /* of n: not every processor multiplies */

	for (; image != NULL; image = image->backing)
		if (q2_is_qcow2(image))
			bytes += q2_shr64(image->size, image->cluster_bits - 4u);
	while (n < 4096u && n * Q2_SLICE_LEN < bytes) {
		n *= 2u;
		len *= 2u;
	}
	return len;
}

int qcow2_reader_memory(const struct qcow2_image *image, const struct qcow2_codec *const *codecs,
                        size_t *min, size_t *good)
{
	struct unpack_needs needs = { 0, 0, false };
	struct qcow2_error unseen;
	int rc = q2_chain_check(image, &unseen);

	if (rc != QCOW2_OK)
		return rc;
	if (min == NULL || good == NULL)
		return QCOW2_E_ARGUMENT;
	if (codecs != NULL)
		needs_of(image, codecs, &needs);
	*min = needs_min(&needs) + QCOW2_READER_SLICE;
	*good = needs_good(&needs) + good_slices(image);
	return QCOW2_OK;
}

/* stream->fill: the next piece of the packed bytes. */
static int source_fill(struct qcow2_stream *stream)
{
	struct qcow2_source *source = (struct qcow2_source *)(void *)stream;
	uint32_t len = source->left < source->piece_len ? source->left : source->piece_len;
	int rc;

	stream->next = source->piece;
	stream->end = source->piece;
	if (len == 0u)
		return QCOW2_OK;
	rc = q2_io_read(source->io, source->pos, source->piece, len, source->error);
	if (rc != QCOW2_OK)
		return rc;
	stream->end = source->piece + len;
	source->pos += len;
	source->left -= len;
	return QCOW2_OK;
}

/* Starts to decode the cluster of reader->memo through the given window. */
static void unpack_begin(struct qcow2_reader *reader, const struct qcow2_codec *codec,
                         uint8_t *window, uint32_t window_len)
{
	struct qcow2_source *source = &reader->source;
	const struct qcow2_extent *e = &reader->memo;
	struct qcow2_stream *stream = &source->stream;

	reader->window_state = WINDOW_EMPTY;
	source->io = e->io;
	source->pos = e->pos;
	source->left = e->packed_len;
	/* A descriptor may say too much: what lies past the end of the file is not there. */
	if (e->pos >= e->io->size)
		source->left = 0;
	else if (source->left > e->io->size - e->pos)
		source->left = (uint32_t)(e->io->size - e->pos);
	source->error = &reader->error;
	stream->next = source->piece;
	stream->end = source->piece;
	stream->fill = source_fill;
	stream->window = window;
	stream->window_len = window_len;
	stream->window_at = 0;
	stream->done = 0;
	codec->begin(codec, reader->work);
}

/* Notes why the cluster of reader->memo did not decode. */
static int unpack_fail(struct qcow2_reader *reader, int status)
{
	const struct qcow2_extent *e = &reader->memo;
	struct unpack_needs needs;
	uint64_t detail = 0;

	bool cut = e->pos > e->io->size || e->packed_len > e->io->size - e->pos;

	if (status == QCOW2_E_IO)
		return status;
	if (status == QCOW2_E_MEMORY) {
		needs_of(reader->image, reader->codecs, &needs);
		detail = QCOW2_READER_SLICE + needs.work + PIECE_MIN;
		detail += needs.cluster < WINDOW_MAX ? needs.cluster : WINDOW_MAX;
	} else if (status != QCOW2_E_TRUNCATED || !cut) {
		/* Over before its time, though the file is not: the stream is wrong. */
		status = QCOW2_E_COMPRESSED;
	}
	reader->error.io = e->io;
	reader->error.pos = e->pos;
	reader->error.detail = detail;
	return q2_note(&reader->error, status);
}

/* Decodes on, up to byte number `stop` of the cluster; at its end, looks at how the stream ends. */
static int unpack_to(struct qcow2_reader *reader, const struct qcow2_codec *codec, uint32_t stop)
{
	int rc;

	reader->source.stream.stop = stop;
	rc = codec->decode(codec, reader->work, &reader->source.stream);
	if (rc == QCOW2_OK && stop == q2_cluster_len(reader->memo.image))
		rc = codec->decode(codec, reader->work, &reader->source.stream);
	return rc == QCOW2_OK ? rc : unpack_fail(reader, rc);
}

static int unpack_whole(struct qcow2_reader *reader, const struct qcow2_codec *codec, uint8_t *to)
{
	uint32_t cluster = q2_cluster_len(reader->memo.image);

	unpack_begin(reader, codec, to, cluster);
	return unpack_to(reader, codec, cluster);
}

static bool window_is(const struct qcow2_reader *reader, unsigned state)
{
	const struct qcow2_extent *e = &reader->memo;

	return reader->window_state == state && reader->window_pos == e->pos &&
	       reader->window_packed == e->packed_len && reader->window_image == e->image;
}

static void window_set(struct qcow2_reader *reader, unsigned state)
{
	reader->window_state = (uint8_t)state;
	reader->window_pos = reader->memo.pos;
	reader->window_packed = reader->memo.packed_len;
	reader->window_image = reader->memo.image;
}

/* The part [at, end) of the cluster, through a window smaller than the cluster. */
static int unpack_part(struct qcow2_reader *reader, const struct qcow2_codec *codec, uint32_t at,
                       uint32_t end, uint8_t *buf)
{
	struct qcow2_stream *stream = &reader->source.stream;
	bool known = window_is(reader, WINDOW_STREAM);
	uint32_t goal = known ? end : q2_cluster_len(reader->memo.image);
	int rc;

	if (!known || stream->done > at)
		unpack_begin(reader, codec, reader->window, reader->window_len);
	reader->window_state = WINDOW_EMPTY; /* until it has gone well */
	while (stream->done < goal) {
		uint32_t start = stream->done;
		uint32_t window_at = stream->window_at;
		uint32_t room = stream->window_len - window_at;
		uint32_t stop = goal - start < room ? goal : start + room;
		uint32_t from = start > at ? start : at;
		uint32_t to = stop < end ? stop : end;

		rc = unpack_to(reader, codec, stop);
		if (rc != QCOW2_OK)
			return rc;
		if (from < to)
			memcpy(buf + (from - at), stream->window + window_at + (from - start),
			       to - from);
	}
	window_set(reader, WINDOW_STREAM);
	return QCOW2_OK;
}

int q2_unpack(struct qcow2_reader *reader, uint8_t *buf, uint32_t len)
{
	const struct qcow2_extent *e = &reader->memo;
	const struct qcow2_codec *codec = codec_find(reader->codecs, e->image->compression_type);
	uint32_t cluster = q2_cluster_len(e->image);
	uint32_t at = (uint32_t)e->off & (cluster - 1u);
	int rc;

	if (codec == NULL)
		return q2_fail(&reader->error, QCOW2_E_CODEC, e->io, e->pos,
		               e->image->compression_type);
	if (!window_is(reader, WINDOW_WHOLE)) {
		if (len == cluster)
			return unpack_whole(reader, codec, buf);
		if (reader->window_len < cluster)
			return unpack_part(reader, codec, at, at + len, buf);
		rc = unpack_whole(reader, codec, reader->window);
		if (rc != QCOW2_OK)
			return rc;
		window_set(reader, WINDOW_WHOLE);
	}
	memcpy(buf, reader->window + at, len);
	return QCOW2_OK;
}
