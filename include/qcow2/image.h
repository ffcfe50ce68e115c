/* SPDX-License-Identifier: MIT */
/*
 * What an image is: geometry, features, names, and the image below it.
 *
 * An image is filled once, by an open call, the one for extensions if they matter, and at most one
 * call of each attach function. It never changes after that: any number of readers (reader.h) on
 * any number of threads may share it without a lock. It owns nothing: the memory is the caller's,
 * the io and the image below must live as long as it does, and there is nothing to release. It may
 * be copied.
 *
 * "qcow2.txt" is QEMU's docs/interop/qcow2.txt, whose sections are cited in quotes.
 */
#ifndef QCOW2_IMAGE_H
#define QCOW2_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "qcow2/io.h"
#include "qcow2/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Some bytes of the image file itself; len 0: there are none. */
struct qcow2_span {
	uint32_t pos;
	uint32_t len;
};

/* qcow2.txt "Header", bytes 72-79, 80-87, 88-95. */
#define QCOW2_INCOMPATIBLE_DIRTY        UINT64_C(0x01)
#define QCOW2_INCOMPATIBLE_CORRUPT      UINT64_C(0x02)
#define QCOW2_INCOMPATIBLE_DATA_FILE    UINT64_C(0x04)
#define QCOW2_INCOMPATIBLE_COMPRESSION  UINT64_C(0x08)
#define QCOW2_INCOMPATIBLE_EXTENDED_L2  UINT64_C(0x10)
#define QCOW2_COMPATIBLE_LAZY_REFCOUNTS UINT64_C(0x01)
#define QCOW2_AUTOCLEAR_BITMAPS         UINT64_C(0x01)
#define QCOW2_AUTOCLEAR_DATA_FILE_RAW   UINT64_C(0x02)

enum {
	QCOW2_CHAIN_MAX = 1023, /* images in a backing chain */
	QCOW2_NAME_MAX = 1023   /* bytes of a backing file name */
};

/* Flags of qcow2_image_open. */
enum {
	/*
	 * Parts of tables, names and clusters that lie past the end of the file read as zeros, as
	 * QEMU has it, instead of failing with QCOW2_E_TRUNCATED. Compressed data never does.
	 */
	QCOW2_OPEN_TRUNCATED = 1,
	/* The image alone: what its backing file would serve reads as zeros. */
	QCOW2_OPEN_LAYER = 2,
	/*
	 * To look, not to read: an encrypted image opens too. No reader accepts it.
	 */
	QCOW2_OPEN_INSPECT = 4
};

/* All fields may be read; none may be written. */
struct qcow2_image {
	struct qcow2_io io;                /* the image file */
	const struct qcow2_io *data;       /* external data file; NULL: data is in io */
	const struct qcow2_image *backing; /* the image below; NULL: none */

	uint64_t size;   /* of the virtual disk in bytes, exactly as the header has it */
	uint64_t l1_pos; /* position of the L1 table in io */
	uint32_t l1_entries;
	uint32_t flags; /* QCOW2_OPEN_* it was opened with */

	uint8_t version;      /* 2 or 3; 0: a raw image, which has only io and size */
	uint8_t cluster_bits; /* 9 to 21 */
	uint8_t refcount_order;
	uint8_t compression_type; /* QCOW2_COMPRESSION_* of codec.h */
	uint8_t l2_entry_bits; /* log2 of the length of an L2 entry in bytes: 3, or 4 if extended */
	uint8_t l1_entry_bits; /* log2 of the bytes of the disk that an L1 entry stands for */
	uint32_t cluster_len;  /* in bytes */
	uint32_t crypt_method;

	uint64_t incompatible; /* feature bits; 0 in version 2 */
	uint64_t compatible;
	uint64_t autoclear;

	uint64_t refcount_table_pos; /* not validated: reading needs no refcounts */
	uint64_t snapshots_pos;
	uint32_t refcount_table_clusters;
	uint32_t n_snapshots;
	uint32_t header_len;

	/* Byte strings without terminator: fetch with qcow2_image_bytes, trust with care. */
	struct qcow2_span backing_name;

	/* Payload of header extensions, as qcow2_image_extensions finds them. */
	struct qcow2_span backing_format; /* 0xe2792aca: a name */
	struct qcow2_span data_file_name; /* 0x44415441 */
	struct qcow2_span feature_names;  /* 0x6803f857 */
	struct qcow2_span bitmaps;        /* 0x23852875 */
	struct qcow2_span crypto;         /* 0x0537be77 */
};

/*
 * Opens a qcow2 image: reads and checks the header ("Header"), and that the L1 table lies inside
 * the file. Opens no other file.
 *
 * *io is copied; its ctx must live as long as the image. flags: QCOW2_OPEN_*. err (may be NULL)
 * means something on failure only. On failure *image is a closed image that no other call accepts.
 *
 * Statuses: ARGUMENT, IO, NOT_QCOW2, VERSION, CLUSTER_BITS, HEADER, COMPRESSION, FEATURE
 * (qcow2_feature_name names the bits), ENCRYPTED, TOO_BIG, L1, TRUNCATED.
 * Cost: one io call; the L1 table is not read.
 */
int qcow2_image_open(struct qcow2_image *image, const struct qcow2_io *io, unsigned flags,
                     struct qcow2_error *err);

/*
 * Reads and checks the header extensions ("Header extensions"), which reading the disk needs not:
 * names and formats of further files, what else there is. Fills the spans of them in *image; those
 * of extensions that are not there stay empty. An image that is damaged there can be read, but
 * QEMU would not: who wants the same images to be refused calls this after open, as the POSIX
 * library does. On failure the image stays open, with what was found until then.
 *
 * Statuses: ARGUMENT (NULL, a closed or raw image), IO, EXTENSION, TRUNCATED.
 * Cost: one io call of 8 bytes for each extension. Never more than cluster size / 8 calls.
 */
int qcow2_image_extensions(struct qcow2_image *image, struct qcow2_error *err);

/*
 * Makes an image of a raw disk: all of io, to the byte. For the bottom of a chain.
 * Statuses: ARGUMENT. No io.
 */
int qcow2_image_raw(struct qcow2_image *image, const struct qcow2_io *io);

/*
 * Puts `below` under the image: what the image does not hold is read there, zeros past its end.
 * Whether the image names a backing file plays no role, nor what it is called: the core never
 * looks behind a name. Build chains from the bottom up, before any reader is made.
 * Statuses: ARGUMENT (NULL, a closed or raw image, or one that has a backing image already).
 */
int qcow2_image_attach_backing(struct qcow2_image *image, const struct qcow2_image *below);

/*
 * Gives the image its external data file ("External data file", incompatible bit 2). *data must
 * live as long as the image.
 * Statuses: ARGUMENT (NULL, or an image that has no external data file, or has it already).
 */
int qcow2_image_attach_data(struct qcow2_image *image, const struct qcow2_io *data);

/*
 * Checks that an image can be read: that it and each image below it has all files attached that it
 * needs, and that none is encrypted. Every call that starts a reader does this check. err may be
 * NULL.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   image is NULL or closed
 *	QCOW2_E_ENCRYPTED  an image of the chain is encrypted; err->detail is its crypt_method
 *	QCOW2_E_BACKING    an image names a backing file, has none attached, and was not opened with
 *	                   QCOW2_OPEN_LAYER
 *	QCOW2_E_DATA_FILE  an image has its data in an external file that is not attached
 *	QCOW2_E_DEPTH      the chain has more than QCOW2_CHAIN_MAX images, or is a loop
 * and err->io is the file of the image in question. No io call.
 */
int qcow2_image_ready(const struct qcow2_image *image, struct qcow2_error *err);

/*
 * Copies the bytes of a span of the image file to buf, which has room for span.len of them.
 * Statuses: ARGUMENT, IO, TRUNCATED. Cost: one io call, none for len 0.
 */
int qcow2_image_bytes(const struct qcow2_image *image, struct qcow2_span span, void *buf,
                      struct qcow2_error *err);

/* Kinds of feature, qcow2.txt "Feature name table". */
enum { QCOW2_FEATURE_INCOMPATIBLE = 0, QCOW2_FEATURE_COMPATIBLE = 1, QCOW2_FEATURE_AUTOCLEAR = 2 };

enum { QCOW2_FEATURE_NAME_ROOM = 47 }; /* for the 46 bytes of the longest name, and a NUL */

/*
 * The name that the image in *io itself gives to a feature bit, for the message when
 * qcow2_image_open refused it. name gets a byte string of the image's making, to be shown with
 * care, and a NUL.
 * Statuses: ARGUMENT, NOT_FOUND (no name there, or no readable header), IO.
 * Cost: like open and extensions, then one io call for each name; at most cluster size / 48.
 */
int qcow2_feature_name(const struct qcow2_io *io, unsigned kind, unsigned bit,
                       char name[QCOW2_FEATURE_NAME_ROOM]);

#ifdef __cplusplus
}
#endif
#endif
