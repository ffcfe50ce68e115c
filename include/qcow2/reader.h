/* SPDX-License-Identifier: MIT */
/*
 * Map and read an image, in memory that the caller gives.
 *
 * A reader holds all state that changes: cached parts of tables, the last decoded cluster. It must
 * be used by one thread at a time; any number of readers may share an image. It owns nothing and
 * needs no release. More memory makes it faster, never different.
 *
 *	static uint64_t memory[QCOW2_READER_MEMORY_DEFLATE / 8];
 *	qcow2_reader_init(&reader, &image, memory, sizeof memory);
 *	qcow2_reader_codecs(&reader, codecs);       // only if compressed clusters are to be read
 *	qcow2_reader_read(&reader, 0, buf, 512);
 */
#ifndef QCOW2_READER_H
#define QCOW2_READER_H

#include "qcow2/codec.h"
#include "qcow2/image.h"

#ifdef __cplusplus
extern "C" {
#endif

enum qcow2_extent_kind {
	QCOW2_EXTENT_ABSENT = 0, /* no image of the chain holds it: reads as zeros */
	QCOW2_EXTENT_ZERO = 1,   /* an image says that it is zeros */
	QCOW2_EXTENT_DATA = 2,   /* the bytes [pos, pos + len) of *io, zeros past the end of *io */
	QCOW2_EXTENT_COMPRESSED = 3 /* part of the cluster packed in packed_len bytes at pos */
};

/* From `off` on, for `len` bytes, the disk is this. */
struct qcow2_extent {
	uint64_t off;
	uint64_t len;
	/*
	 * Where it lies in the file *io. io is NULL if no place in a file belongs to it, and then
	 * pos means nothing. A zero or absent extent can have one (preallocated). A compressed
	 * extent covers at most one cluster, and pos is where the data of the whole cluster starts,
	 * whatever off is.
	 */
	uint64_t pos;
	const struct qcow2_io *io;
	const struct qcow2_image *image; /* the image of the chain that answered */
	uint32_t depth;                  /* of that image: 0 is the top */
	uint32_t kind;                   /* enum qcow2_extent_kind */
	uint32_t packed_len; /* upper limit for the bytes of compressed data at pos; else 0 */
};

struct qcow2_reader;

/* Which slice is in memory: depth of its image and high bits of its position, low bits of that. */
struct q2_slice_key {
	uint32_t high;
	uint32_t low;
};

struct qcow2_reader {
	/* What the last call saw, if it failed; after one that did not, it means nothing. */
	struct qcow2_error error;
	const struct qcow2_image *image;

	/*
	 * Reads a slice of a table: len bytes at at->pos of the file *at->io, zeros past its end.
	 * Returns QCOW2_OK or QCOW2_E_IO, as the callback of the io does. qcow2_reader_init sets
	 * it; a port that reads ahead keeps that pointer, puts a function of its own here, and
	 * calls the kept one for what it has not read ahead.
	 */
	int (*fetch)(struct qcow2_error *at, void *buf, size_t len);

	/* Private. */
	uint8_t *memory; /* it begins with slices of the tables */
	size_t memory_len;
	struct q2_slice_key *keys; /* that of the first slice; the others are before it */
	size_t spare; /* the length of the slices' part, halved when the slots in use are doubled */
	uint32_t mask;   /* slots in use, a power of two, less 1 */
	uint32_t misses; /* since they were doubled, and how many they were before */
	uint64_t want;   /* bytes that a question is about */

	const struct qcow2_codec *const *codecs;
	int (*unpack)(struct qcow2_reader *reader, uint8_t *buf, uint32_t len);
	struct qcow2_extent extent; /* the last answer; len 0: none */

	uint64_t *work;  /* the codec's part of the memory, */
	uint8_t *packed; /* that for packed bytes, up to the window, */
	uint8_t *window; /* and that for a cluster or a part of it */
	uint32_t window_len;
	uint32_t packed_left; /* bytes of the packed cluster that may follow */
	struct qcow2_stream stream;
	const struct qcow2_image *window_image; /* whose cluster is in the window; NULL: none's */
	uint64_t window_off;                    /* which one: where it was asked for */
};

/*
 * Memory, in bytes, aligned to 8. QCOW2_READER_MEMORY is enough for images without compressed
 * clusters, of any size and cluster size; each further SLICE holds 512 more bytes of tables, and
 * two save most of the reading of them. _DEFLATE is enough for all that QEMU writes with the
 * built-in deflate, at any cluster size; _CLUSTER(bits) keeps a whole cluster, and decodes each but
 * once.
 */
#define QCOW2_READER_SLICE  (512u + 8u)
#define QCOW2_READER_MEMORY QCOW2_READER_SLICE
#define QCOW2_READER_MEMORY_DEFLATE                                                                \
	(2u * QCOW2_READER_SLICE + QCOW2_DEFLATE_SMALL_WORK + 512u + 4096u)
#define QCOW2_READER_MEMORY_CLUSTER(bits, work)                                                    \
	(QCOW2_READER_SLICE + (size_t)(work) + ((size_t)3 << (bits)))

/*
 * Starts to read an image. The whole chain must be there: each image that names a backing file has
 * one attached (or was opened with QCOW2_OPEN_LAYER), as has each with external data.
 * memory: the caller's, at least QCOW2_READER_MEMORY bytes, aligned to 8; left to the reader as
 * long as that is used.
 * Statuses: ARGUMENT (NULL, closed image, misaligned memory), MEMORY, BACKING, DATA_FILE,
 * ENCRYPTED, DEPTH; reader->error tells the file. No io.
 */
int qcow2_reader_init(struct qcow2_reader *reader, const struct qcow2_image *image, void *memory,
                      size_t len);

/*
 * Registers decompressors: a NULL-terminated array, which must live as long as the reader is used.
 * Takes part of the reader's memory for them. Call it right after init, once. Not called,
 * compressed clusters answer QCOW2_E_CODEC and no decompression code is linked.
 * Statuses: ARGUMENT (NULL, init failed, called twice; reader->error is as it was), MEMORY
 * (detail = what is needed at least). No io.
 */
int qcow2_reader_codecs(struct qcow2_reader *reader, const struct qcow2_codec *const *codecs);

/*
 * Calls qcow2_reader_init, and if that succeeds qcow2_reader_codecs: for a caller who has both the
 * memory and the decoders at hand. Fails as they do.
 */
int qcow2_reader_start(struct qcow2_reader *reader, const struct qcow2_image *image,
                       const struct qcow2_codec *const *codecs, void *memory, size_t len);

/*
 * How much memory a reader of this image needs at least (*min: what init and codecs accept), and
 * how much lets it decode each compressed cluster once and keep all tables of a disk of moderate
 * size (*good): at most QCOW2_READER_MEMORY_CLUSTER and 4096 slices. codecs may be NULL. The chain
 * must be complete. On failure nothing is written.
 * Statuses: ARGUMENT (NULL, closed image), BACKING, DATA_FILE, ENCRYPTED, DEPTH. No io.
 */
int qcow2_reader_memory(const struct qcow2_image *image, const struct qcow2_codec *const *codecs,
                        size_t *min, size_t *good);

/*
 * What is at `off`, as far as it runs, but not further than off + len. Neighbouring extents are
 * merged where they continue each other, over clusters and tables; the answer may still end where
 * nothing changes, and always ends before an entry that is damaged.
 * len 0 or off + len past the end of the disk: QCOW2_E_RANGE. *extent is written on success only.
 * Statuses: ARGUMENT, RANGE, IO, L2_ENTRY, TRUNCATED; reader->error tells the rest.
 * Cost: an extent is found with at most 2 io calls of 512 bytes for each image of the chain and
 * each 64 clusters (32 with extended L2 entries) that it covers, and as many for a look at what
 * follows. Tables push each other out while the reader uses few slices (it takes more of its memory
 * into use as they are missed), and always with memory for fewer than two for each image: then it
 * is so many for each image and each cluster, or subcluster, of the image of the chain that has the
 * smallest.
 */
int qcow2_reader_map(struct qcow2_reader *reader, uint64_t off, uint64_t len,
                     struct qcow2_extent *extent);

/*
 * Copies the bytes [off, off + len) of the disk to buf: all of them, or fails, and then buf may
 * hold anything. len 0 is fine anywhere. Past the end of the disk: QCOW2_E_RANGE.
 * Statuses: ARGUMENT, RANGE, IO, L2_ENTRY, TRUNCATED, CODEC, COMPRESSED, MEMORY (compressed data
 * that reaches back further than the memory given; detail = the memory that will do);
 * reader->error tells the rest.
 * Cost: as map for each extent, and one io call for each that is data, straight into
 * buf; zeros cost none; a compressed cluster costs one call for each piece of input: of 512 bytes,
 * each time that it is decoded, or in the _CLUSTER memory one call for all of it.
 */
int qcow2_reader_read(struct qcow2_reader *reader, uint64_t off, void *buf, size_t len);

#ifdef __cplusplus
}
#endif
#endif
