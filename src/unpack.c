/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Compressed clusters: from the packed bytes in the file, through a codec and a window, to the
 * caller's buffer. reader.c calls this through reader->unpack, so nothing of it is linked unless a
 * program calls qcow2_reader_codecs, qcow2_reader_start or qcow2_reader_memory.
 *
 *	file     [ packed bytes of a cluster ..................... ]
 *	                                   |
 *	                                   | packed_fill: a piece at a time
 *	                                   v
 *	memory   [ slices, keys ][ work ][ packed ][    window    ]
 *	                                   |           ^      |
 *	                                   +-- codec --+      | memcpy
 *	                                   |                  v
 *	buffer                             +-- codec --> [ bytes that are wanted ]
 *
 * If a whole cluster is wanted, the caller's buffer is the window. Otherwise the window is in the
 * reader's memory. If a cluster fits into it, the cluster is decoded once and stays there. If not,
 * the cluster passes through it in parts that are as long as the window:
 *
 *	cluster    | part 0 | part 1 | part 2 | part 3 |
 *	window              [ part 1 ]                     while bytes of part 1 are copied
 *	window                       [ part 2 ]            after that; part 1 is overwritten
 *
 * The first read of a cluster decodes all of it, so that a damaged cluster fails whatever part of
 * it is wanted. A later read goes on where the one before it stopped. Only if it wants an earlier
 * part does it decode from the beginning again.
 */
#include "internal.h"

enum {
	PACKED_MIN = 512,   /* bytes of input at a time: most devices read no less */
	WINDOW_MIN = 4096,  /* QEMU compresses with a history of 4 KiB: windowBits is -12 */
	HISTORY_MAX = 32768 /* of deflate, the codec that works in parts: RFC 1951 section 2 */
};

/* Memory that decoding needs in addition to slices, in bytes. */
struct unpack_needs {
	size_t work;    /* for the codec that needs most */
	size_t cluster; /* the longest cluster of the chain, 0 if there is nothing to decode */
	size_t least;   /* the least for packed bytes and the window */
};

/*
 * Returns the most that is useful for packed bytes and the window: the longest packed cluster that
 * a descriptor can state, which is 2 clusters, and a cluster.
 */
static size_t needs_good(const struct unpack_needs *needs)
{
	return 3u * needs->cluster;
}

/* Returns the codec for the clusters of an image, or NULL. */
static const struct qcow2_codec *codec_find(const struct qcow2_codec *const *codecs,
                                            const struct qcow2_image *image)
{
	while (*codecs != NULL && (*codecs)->type != image->compression_type)
		codecs++;
	return *codecs;
}

/* Fills *needs for a chain of images and the codecs that it is read with. */
static void needs_of(const struct qcow2_image *image, const struct qcow2_codec *const *codecs,
                     struct unpack_needs *needs)
{
	size_t work = 0;
	size_t cluster = 0;
	size_t window = 0; /* the shortest that is possible */

	for (; image != NULL; image = image->backing) {
		const struct qcow2_codec *codec = codec_find(codecs, image);
		size_t least = image->cluster_len;

		if (codec == NULL || !q2_has_tables(image))
			continue;
		if (cluster < least)
			cluster = least;
		if (work < codec->work_len)
			work = codec->work_len;
		if (!codec->whole && least > WINDOW_MIN)
			least = WINDOW_MIN;
		if (codec->whole && !codec->pieces)
			least = SIZE_MAX / 2u; /* no less than what is useful */
		if (window < least)
			window = least;
	}
	needs->work = (work + 7u) & ~(size_t)7; /* aligns it, and the keys before it */
	needs->cluster = cluster;
	needs->least = PACKED_MIN + window;
	if (needs->least > needs_good(needs))
		needs->least = needs_good(needs);
}

int qcow2_reader_codecs(struct qcow2_reader *reader, const struct qcow2_codec *const *codecs)
{
	struct unpack_needs needs;
	size_t len, least, room, packed, window;

	if (reader == NULL || reader->image == NULL || codecs == NULL || reader->unpack != NULL)
		return QCOW2_E_ARGUMENT;
	needs_of(reader->image, codecs, &needs);
	len = reader->memory_len;
	least = QCOW2_READER_SLICE + needs.work + needs.least;
	if (len < least) {
		reader->error.io = NULL;
		reader->error.detail = least;
		return q2_note(&reader->error, QCOW2_E_MEMORY);
	}
	/* As much as is useful, or else the longest window that leaves room for a slice. */
	room = len - QCOW2_READER_SLICE - needs.work;
	packed = 2u * needs.cluster;
	window = needs.cluster;
	if (room < needs_good(&needs)) {
		packed = PACKED_MIN;
		while (window > room - packed)
			window /= 2u;
	}
	reader->window_len = (uint32_t)window;
	reader->window = reader->memory + len - window;
	reader->packed = reader->window - packed;
	reader->work = (uint64_t *)(void *)(reader->packed - needs.work);
	q2_cache_init(reader, len - window - packed - needs.work);
	reader->codecs = codecs;
	reader->unpack = q2_unpack;
	return QCOW2_OK;
}

int qcow2_reader_start(struct qcow2_reader *reader, const struct qcow2_image *image,
                       const struct qcow2_codec *const *codecs, void *memory, size_t len)
{
	int rc = qcow2_reader_init(reader, image, memory, len);

	return rc == QCOW2_OK ? qcow2_reader_codecs(reader, codecs) : rc;
}

/*
 * Returns the length of the slots that keep all tables of the chain, but of at most 4096 slots:
 * 2 MiB of tables, for a disk of 8 GiB with clusters of 64 KiB. Each cluster counts as 16 bytes.
 * That is an extended entry, or twice a standard one, because the sets of the cache fill unevenly.
 */
static size_t good_slices(const struct qcow2_image *image)
{
	uint64_t bytes = 4u * Q2_SLICE_LEN;
	size_t n = 4;
	size_t len = 4u * QCOW2_READER_SLICE; /* of n slots; not every processor can multiply */

	for (; image != NULL; image = image->backing)
		if (q2_has_tables(image))
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
	static const struct qcow2_codec *const none[] = { NULL };
	struct unpack_needs needs;
	int rc = qcow2_image_ready(image, NULL);

	if (rc != QCOW2_OK)
		return rc;
	if (min == NULL || good == NULL)
		return QCOW2_E_ARGUMENT;
	needs_of(image, codecs != NULL ? codecs : none, &needs);
	*min = needs.work + needs.least + QCOW2_READER_SLICE;
	*good = needs.work + needs_good(&needs) + good_slices(image);
	return QCOW2_OK;
}

/* stream->fill: reads the piece of the packed cluster of reader->extent that has byte fill_at. */
static int packed_fill(struct qcow2_stream *stream)
{
	/* The codec passes on only the stream, which is a member of the reader. */
	struct qcow2_reader *reader =
		(void *)((uint8_t *)stream - offsetof(struct qcow2_reader, stream));
	const struct qcow2_extent *e = &reader->extent;
	uint64_t there = q2_left(e->io->size, e->pos);
	uint32_t len = (uint32_t)(reader->window - reader->packed); /* a power of two */
	uint32_t from = stream->fill_at & ~(len - 1u);
	uint32_t left = e->packed_len;

	/* The packed length is an upper limit, so the file may end before. */
	if (left > there)
		left = (uint32_t)there;
	left = stream->fill_at < left ? left - from : 0u;
	if (len > left)
		len = left;
	stream->next = reader->packed;
	stream->end = reader->packed + len;
	if (len == 0u)
		return QCOW2_OK;
	stream->fill_at = from + len;
	reader->error.pos = e->pos + from;
	return q2_io_read(&reader->error, reader->packed, len);
}

/* Starts on the cluster of reader->extent. The window is not longer than the cluster. */
static void unpack_begin(struct qcow2_reader *reader, const struct qcow2_codec *codec,
                         uint8_t *window, uint32_t window_len)
{
	struct qcow2_stream *stream = &reader->stream;

	stream->next = reader->packed;
	stream->end = reader->packed;
	stream->fill = packed_fill;
	stream->window = window;
	stream->window_len = window_len;
	stream->window_at = 0;
	stream->done = 0;
	stream->fill_at = 0;
	codec->begin(codec, reader->work);
}

/* Returns the end of the part of the cluster that byte number `at` is in. */
static uint32_t part_end(const struct qcow2_stream *stream, uint32_t at)
{
	return (at | (stream->window_len - 1u)) + 1u;
}

/*
 * Decodes len bytes of the cluster of reader->extent to buf. If this is not the cluster that was
 * last decoded through the window, decodes all of it, to see that it is good.
 *
 * `at` is the next byte to copy to buf, and `goal` is where decoding may end.
 */
static int unpack(struct qcow2_reader *reader, const struct qcow2_codec *codec, uint8_t *buf,
                  uint32_t len)
{
	const struct qcow2_extent *e = &reader->extent;
	struct qcow2_stream *stream = &reader->stream;
	uint32_t cluster = e->image->cluster_len;
	uint32_t at = (uint32_t)e->off & (cluster - 1u);
	uint32_t goal = at + len;
	/* Is this the cluster that was last decoded through the window? Then all of it is good. */
	bool known = reader->window_image == e->image && (reader->window_off ^ e->off) < cluster;

	if (!known)
		goal = cluster;
	/* If the window has gone past the part that is wanted, decode from the beginning again. */
	if (!known || stream->done > part_end(stream, at)) {
		uint8_t *window = reader->window;
		uint32_t window_len = reader->window_len;

		reader->window_image = e->image;
		reader->window_off = e->off;
		if (window_len > cluster)
			window_len = cluster;
		if (len == cluster) {
			reader->window_image = NULL;
			window = buf;
			window_len = cluster;
			len = 0; /* nothing to copy: the codec writes to buf */
		}
		unpack_begin(reader, codec, window, window_len);
	}
	for (;;) {
		/* The number of bytes in the window that are still to be copied. */
		uint32_t n = stream->done > at ? stream->done - at : 0u;
		int rc;

		if (n > len)
			n = len;
		if (n != 0u) {
			memcpy(buf, stream->window + (at & (stream->window_len - 1u)), n);
			buf += n;
			at += n;
			len -= n;
		}
		if (stream->done >= goal) {
			if (known)
				return QCOW2_OK;
			known = true; /* after one more call, which checks the end of the stream */
		}
		stream->stop = part_end(stream, stream->done);
		if (stream->stop > goal)
			stream->stop = goal;
		rc = codec->decode(codec, reader->work, stream);
		if (rc != QCOW2_OK)
			return rc;
	}
}

/* Completes the error after the cluster of reader->extent did not decode. Returns the status. */
static int unpack_fail(struct qcow2_reader *reader, int status)
{
	uint32_t history = reader->extent.image->cluster_len;

	reader->window_image = NULL;
	if (status != QCOW2_E_IO)
		reader->error.pos = reader->extent.pos;
	if (status == QCOW2_E_MEMORY) {
		if (history > HISTORY_MAX)
			history = HISTORY_MAX;
		reader->error.detail = QCOW2_READER_SLICE + PACKED_MIN + history +
		                       (size_t)(reader->packed - (uint8_t *)reader->work);
	} else if (status != QCOW2_E_IO && status != QCOW2_E_CODEC &&
	           (status != QCOW2_E_TRUNCATED ||
	            reader->stream.fill_at >= reader->extent.packed_len)) {
		/*
		 * The stream ended early although the file goes on: that is corruption as well.
		 * QCOW2_E_TRUNCATED stays only if the file ended first.
		 */
		status = QCOW2_E_COMPRESSED;
	}
	return q2_note(&reader->error, status);
}

int q2_unpack(struct qcow2_reader *reader, uint8_t *buf, uint32_t len)
{
	const struct qcow2_codec *codec = codec_find(reader->codecs, reader->extent.image);
	int rc = QCOW2_E_CODEC;

	if (codec != NULL)
		rc = unpack(reader, codec, buf, len);
	return rc == QCOW2_OK ? rc : unpack_fail(reader, rc);
}
