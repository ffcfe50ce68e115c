/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads the disk of an image, or finds where its bytes are, in memory that the caller provides.
 *
 *	static uint64_t memory[QCOW2_READER_MEMORY_DEFLATE / 8];
 *
 *	qcow2_reader_init(&reader, &image, memory, sizeof memory);
 *	qcow2_reader_codecs(&reader, codecs);       // only to read compressed clusters
 *	qcow2_reader_read(&reader, 0, buf, 512);
 *
 * A reader holds all state that changes: the cached parts of tables and the last decoded cluster.
 * Only one thread at a time may use it; any number of readers may share an image. More memory makes
 * a reader faster, but never changes what it reads. Its memory looks like this:
 *
 *	memory                                                          memory + memory_len
 *	|                                                                                 |
 *	[slice 0][slice 1] ...  unused  ... [key 1][key 0][  work  ][  packed  ][ window  ]
 *	                                           |      |         |           |
 *	                                           keys   work      packed      window
 *
 *	slice i  512 bytes of an L1 or L2 table
 *	key i    8 bytes: which image of the chain, and which part of its file, is in slice i
 *	work     the working memory of the codec
 *	packed   compressed data from the file: 512 bytes of it, or all of a cluster
 *	window   decoded data: the last 4096 bytes or more, or a whole cluster
 *
 * Without codecs, slices and keys take all of it. The conventions are in image.h.
 */
#ifndef QCOW2_READER_H
#define QCOW2_READER_H

#include "qcow2/codec.h"
#include "qcow2/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a range of the disk is. */
enum qcow2_extent_kind {
	/* No image of the chain has it. It reads as zeros. */
	QCOW2_EXTENT_ABSENT = 0,
	/* An image records that it reads as zeros. */
	QCOW2_EXTENT_ZERO = 1,
	/* It is the bytes [pos, pos + len) of the file *io, and zeros past the end of *io. */
	QCOW2_EXTENT_DATA = 2,
	/* It is a part of a cluster that is compressed in at most packed_len bytes at pos. */
	QCOW2_EXTENT_COMPRESSED = 3,
	/*
	 * It is the bytes [pos, pos + len) of the file *io, but encrypted: see cipher.h. With
	 * QCOW2_OPEN_TRUNCATED, sectors that are not wholly in the file are zeros.
	 */
	QCOW2_EXTENT_ENCRYPTED = 4
};

/*
 * A range of the disk of one kind.
 *
 * An extent has a place in a file if io is not NULL. A zero or absent extent has one if its cluster
 * is preallocated. A compressed extent covers at most one cluster, and its pos is where the data of
 * the whole cluster begins, wherever in the cluster off is.
 */
struct qcow2_extent {
	uint64_t off;                    /* where in the disk it begins */
	uint64_t len;                    /* bytes of the disk */
	uint64_t pos;                    /* its position in the file *io */
	const struct qcow2_io *io;       /* the file, NULL if the extent has no place in one */
	const struct qcow2_image *image; /* the image of the chain that has it */
	uint32_t depth;                  /* of that image: 0 for the top */
	uint32_t kind;                   /* enum qcow2_extent_kind */
	uint32_t packed_len;             /* upper limit of the compressed length, otherwise 0 */
};

struct qcow2_reader;

/* Private: what slice i holds. `high` is UINT32_MAX if the slice is empty. */
struct q2_slice_key {
	uint32_t high; /* bits 0-9: depth of the image; above: bits 41-62 of the position */
	uint32_t low;  /* bits 9-40 of the position */
};

struct qcow2_reader {
	/* What is known about the last call, if it failed. */
	struct qcow2_error error;
	/* The top of the chain; NULL if the reader did not start. */
	const struct qcow2_image *image;

	/* Private: the cache of tables. */
	uint8_t *memory;           /* the caller's; slice 0 is at its beginning */
	size_t memory_len;         /* bytes, a multiple of 8 */
	struct q2_slice_key *keys; /* key 0; key i is keys[-i] */
	size_t spare;              /* bytes for slices and keys, divided by the slots in use */
	uint32_t mask;             /* slots (slices with keys) in use, a power of two, minus 1 */
	uint32_t misses;           /* since the slots were last doubled, plus the slots before */
	uint64_t want;             /* bytes that the caller of the map still wants */

	/*
	 * A hook for ports, not private. Reads a slice of a table: len bytes at at->pos of the file
	 * *at->io, zeros past its end. Returns QCOW2_OK, or sets at->io_code to what the io
	 * callback returned and returns QCOW2_E_IO.
	 *
	 * qcow2_reader_init sets it. A port that reads tables ahead keeps this pointer, puts its
	 * own function here, and calls the kept one for what it has not read ahead.
	 *
	 * It is after the members of the cache because WP does not prove cache_grow with a pointer
	 * to a function before them (tests/proof/README.md).
	 */
	int (*fetch)(struct qcow2_error *at, void *buf, size_t len);

	/* Private: decoding. */
	const struct qcow2_codec *const *codecs; /* the caller's; NULL-terminated */
	/* Decodes the first len bytes of `extent`; NULL before qcow2_reader_codecs. */
	int (*unpack)(struct qcow2_reader *reader, uint8_t *buf, uint32_t len);
	struct qcow2_extent extent; /* the last answer of the map; its len is 0 if none */

	uint64_t *work;             /* the codec's part of the memory */
	uint8_t *packed;            /* the part for compressed data; it ends at the window */
	uint8_t *window;            /* the part for decoded data */
	uint32_t window_len;        /* bytes of that part: a power of two */
	struct qcow2_stream stream; /* the cluster that is being decoded */
	const struct qcow2_image *window_image; /* whose cluster the window has, NULL if none */
	uint64_t window_off; /* an offset in that cluster: where the read that decoded it began */
};

/*
 * Bytes of memory for a reader, at compile time. The memory must be aligned to 8.
 *
 *	QCOW2_READER_MEMORY                 the least, for any image without compressed clusters
 *	 + n * QCOW2_READER_SLICE           n more slices; two in all save most reads of tables
 *	QCOW2_READER_MEMORY_DEFLATE         to read what QEMU compresses with deflate, at any
 *	                                    cluster size, with qcow2_deflate_small
 *	QCOW2_READER_MEMORY_ZSTD(bits)      to read what is compressed with zstd, in clusters of at
 *	                                    most 1 << bits bytes, with qcow2_zstd_small
 *	QCOW2_READER_MEMORY_CLUSTER(bits,   for any codec, with room for the longest compressed
 *	    work)                           cluster, which takes 2 clusters, and the decoded one:
 *	                                    each cluster is decoded only once. bits is cluster_bits,
 *	                                    work the codec's work_len.
 */
#define QCOW2_READER_SLICE  (512u + 8u)
#define QCOW2_READER_MEMORY QCOW2_READER_SLICE
#define QCOW2_READER_MEMORY_DEFLATE                                                                \
	(2u * QCOW2_READER_SLICE + QCOW2_DEFLATE_SMALL_WORK + 512u + 4096u)
#define QCOW2_READER_MEMORY_ZSTD(bits)                                                             \
	(2u * QCOW2_READER_SLICE + QCOW2_ZSTD_SMALL_WORK + 512u + ((size_t)1 << (bits)))
#define QCOW2_READER_MEMORY_CLUSTER(bits, work)                                                    \
	(QCOW2_READER_SLICE + (size_t)(work) + ((size_t)3 << (bits)))

/*
 * Starts a reader on a chain of images. memory has len bytes and is aligned to 8; it belongs to the
 * reader as long as the caller uses the reader. The images must not change meanwhile.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   reader, image or memory is NULL, image is closed, memory is misaligned
 *	QCOW2_E_MEMORY     len is less than QCOW2_READER_MEMORY
 *	QCOW2_E_ENCRYPTED, QCOW2_E_BACKING, QCOW2_E_DATA_FILE, QCOW2_E_DEPTH
 *	                   the chain is not ready: see qcow2_image_ready
 * reader->error has the details, unless reader is NULL.
 *
 * Cost: no io call.
 */
int qcow2_reader_init(struct qcow2_reader *reader, const struct qcow2_image *image, void *memory,
                      size_t len);

/*
 * Registers codecs: an array of pointers that ends with NULL, and is not copied. They take a part
 * of the reader's memory, so call this once, right after qcow2_reader_init. Without it, reading a
 * compressed cluster fails with QCOW2_E_CODEC, and no code for decoding is linked.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT  an argument is NULL, the reader did not start, or it has codecs already;
 *	                  reader->error does not change
 *	QCOW2_E_MEMORY    the memory is too small; reader->error.detail is the length that is needed
 * After QCOW2_E_MEMORY the reader still works, without codecs.
 *
 * Cost: no io call.
 */
int qcow2_reader_codecs(struct qcow2_reader *reader, const struct qcow2_codec *const *codecs);

/*
 * Calls qcow2_reader_init and, if that succeeds, qcow2_reader_codecs. Fails as they do.
 *
 * Cost: no io call.
 */
int qcow2_reader_start(struct qcow2_reader *reader, const struct qcow2_image *image,
                       const struct qcow2_codec *const *codecs, void *memory, size_t len);

/*
 * Computes how much memory a reader of this chain needs at least, *min, and how much it can make
 * good use of, *good: enough to decode each compressed cluster only once, and to keep all tables of
 * a disk of moderate size. *good is at most QCOW2_READER_MEMORY_CLUSTER and 4096 slices. If codecs
 * is NULL, the result is for a reader without codecs.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   image, min or good is NULL, or image is closed
 *	QCOW2_E_ENCRYPTED, QCOW2_E_BACKING, QCOW2_E_DATA_FILE, QCOW2_E_DEPTH
 *	                   the chain is not ready: see qcow2_image_ready
 *
 * Cost: no io call.
 */
int qcow2_reader_memory(const struct qcow2_image *image, const struct qcow2_codec *const *codecs,
                        size_t *min, size_t *good);

/*
 * Finds what the disk is at off: an extent of one kind, which ends at off + len at the latest. An
 * extent is merged with the next one if that continues it, across clusters and tables; the caller
 * may still get two extents where one would do. An extent ends before a damaged table entry, and
 * the call fails only if the entry for off itself is damaged.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   reader or extent is NULL, or the reader did not start
 *	QCOW2_E_RANGE      len is 0, or off + len is past the end of the disk
 *	QCOW2_E_L2_ENTRY   the table entry at reader->error.pos is invalid
 *	QCOW2_E_TRUNCATED  a table or a cluster is past the end of its file, and the image was
 *	                   opened without QCOW2_OPEN_TRUNCATED
 *	QCOW2_E_IO         the io callback failed
 *
 * Cost: for each image of the chain, and each 64 clusters of the extent (32 with extended L2
 * entries), at most 2 io calls of 512 bytes; and at most as many to see what follows the extent. A
 * reader with fewer than 2 slices for each image makes that many for each cluster, or subcluster,
 * of the image that has the smallest ones. So does any reader at first: it begins with one slice,
 * and takes more into use as it needs them.
 */
int qcow2_reader_map(struct qcow2_reader *reader, uint64_t off, uint64_t len,
                     struct qcow2_extent *extent);

/*
 * Copies all bytes [off, off + len) of the disk to buf. If the call fails, buf may contain
 * anything. If len is 0, it succeeds for any off, and buf may be NULL.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT    reader is NULL, the reader did not start, or buf is NULL and len
 *	                    is not 0
 *	QCOW2_E_RANGE       off + len is past the end of the disk
 *	QCOW2_E_L2_ENTRY    the table entry at reader->error.pos is invalid
 *	QCOW2_E_TRUNCATED   a table, a cluster or compressed data is past the end of its file;
 *	                    except for compressed data, only if the image was opened without
 *	                    QCOW2_OPEN_TRUNCATED
 *	QCOW2_E_CODEC       a cluster is compressed, and the reader has no codec for its type
 *	QCOW2_E_COMPRESSED  compressed data is corrupt
 *	QCOW2_E_MEMORY      compressed data needs a longer window than the reader has memory for;
 *	                    reader->error.detail is the memory that is enough
 *	QCOW2_E_CRYPTO      a cipher failed
 *	QCOW2_E_IO          the io callback failed
 *
 * Cost: that of qcow2_reader_map for each extent. An extent of data costs one more io call,
 * straight into buf; zeros cost none. Each time that a compressed cluster is decoded costs one call
 * for each 512 bytes of its input, or one in all with QCOW2_READER_MEMORY_CLUSTER; a codec may read
 * some of its input twice, as codec.h says of qcow2_zstd_small. An extent of encrypted data costs
 * one call for its whole sectors, and one for each end that is inside a sector; each of these two
 * takes a slice of tables out of the cache.
 */
int qcow2_reader_read(struct qcow2_reader *reader, uint64_t off, void *buf, size_t len);

#ifdef __cplusplus
}
#endif
#endif
