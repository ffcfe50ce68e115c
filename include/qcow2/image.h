/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What an image is: its geometry, features and names, and the image below it.
 *
 * An image is a struct of the caller. One call fills it: qcow2_image_open, qcow2_image_raw,
 * qcow2_snapshot_image or qcow2_snapshot_state_image. qcow2_image_extensions and the attach calls
 * may add to it, each at most once. After that it never changes: any number of readers (reader.h)
 * on any number of threads can share it without a lock. The caller may copy it.
 *
 * A raw disk is an image, a snapshot is one (snapshot.h), and a backing chain is a list of images.
 * What an image does not have is read from the image below; what no image has reads as zeros:
 *
 *	                       0                           size
 *	top,    depth 0        ####....0000....####........        #  data
 *	  | backing                                                0  zeros
 *	middle, depth 1        ..########....####..                .  absent
 *	  | backing
 *	base,   depth 2        ################
 *	  | backing
 *	NULL
 *	                       ttttmmmm0000bbmmtttt00000000        the disk that a program reads
 *
 * The disk is as long as the top image. If an image below is shorter, the search ends at it: what
 * is past its end reads as zeros, even if a lower image has it.
 *
 * Conventions of all headers in qcow2/:
 *
 *  - Memory belongs to the caller. The core allocates nothing, has no global state, and holds
 *    nothing that a program would have to release. An object that a call stores a pointer to must
 *    live, at the same address, as long as the object that holds the pointer is used.
 *  - A pointer must not be NULL unless the comment allows it; if it is, the call fails with
 *    QCOW2_E_ARGUMENT. An err argument may always be NULL.
 *  - A call returns QCOW2_OK or a negative status (status.h). It writes its results on success
 *    only, unless the comment says otherwise.
 *  - The caller may read all members of a struct except those marked private, and writes only those
 *    that it has to fill in. (reader.h has one hook that it may replace.)
 *  - Calls on different objects may run at the same time. An object that a call changes belongs to
 *    one thread at a time.
 *  - `off` is a byte offset in the virtual disk, `pos` a byte position in a file, `len` a number of
 *    bytes, `*_bits` a binary logarithm, `n_*` a count.
 *  - The cost of a call is its number of io calls: calls of qcow2_io_ops.read.
 *  - qcow2.txt is QEMU's docs/interop/qcow2.txt. Its sections and fields are cited in quotes.
 */
#ifndef QCOW2_IMAGE_H
#define QCOW2_IMAGE_H

#include "qcow2/io.h"
#include "qcow2/status.h"
#include "qcow2/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A range of bytes of the image file. It is absent if len is 0. */
struct qcow2_span {
	uint32_t pos;
	uint32_t len;
};

/* Feature bits: qcow2.txt "Header", bytes 72-79, 80-87, 88-95. */
#define QCOW2_INCOMPATIBLE_DIRTY        UINT64_C(0x01)
#define QCOW2_INCOMPATIBLE_CORRUPT      UINT64_C(0x02)
#define QCOW2_INCOMPATIBLE_DATA_FILE    UINT64_C(0x04)
#define QCOW2_INCOMPATIBLE_COMPRESSION  UINT64_C(0x08)
#define QCOW2_INCOMPATIBLE_EXTENDED_L2  UINT64_C(0x10)
#define QCOW2_COMPATIBLE_LAZY_REFCOUNTS UINT64_C(0x01)
#define QCOW2_AUTOCLEAR_BITMAPS         UINT64_C(0x01)
#define QCOW2_AUTOCLEAR_DATA_FILE_RAW   UINT64_C(0x02)

enum {
	QCOW2_CHAIN_MAX = 1023, /* images in a backing chain; a depth must fit in 10 bits */
	QCOW2_NAME_MAX = 1023   /* bytes of the name of a backing file: "Header", bytes 16-19 */
};

/* Flags of qcow2_image_open. */
enum {
	/*
	 * Tables, names and clusters past the end of the file read as zeros, as in QEMU. Without
	 * this flag, reading them fails with QCOW2_E_TRUNCATED, unless only the end of a cluster of
	 * data is missing. A compressed cluster that is cut short always fails.
	 */
	QCOW2_OPEN_TRUNCATED = 1,
	/* The image may be read without its backing file, whose data then reads as zeros. */
	QCOW2_OPEN_LAYER = 2,
	/*
	 * An encrypted image opens as well: to inspect it, or to attach a cipher (cipher.h). No
	 * reader starts on it without one.
	 */
	QCOW2_OPEN_INSPECT = 4
};

struct qcow2_cipher;
struct qcow2_reader;
struct qcow2_extent;

/* All members that are not private may be read; only the calls below write them. */
struct qcow2_image {
	struct qcow2_io io;                /* the image file */
	const struct qcow2_io *data;       /* external data file, NULL if the data is in io */
	const struct qcow2_image *backing; /* the image below, NULL if there is none */

	uint64_t size;       /* of the virtual disk in bytes, exactly as in the header */
	uint64_t l1_pos;     /* position of the L1 table in io */
	uint32_t l1_entries; /* number of entries of the L1 table */
	uint32_t flags;      /* QCOW2_OPEN_*: the flags that the image was opened with */

	uint8_t version;          /* 2, 3, 1 (version1.h), or 0: raw, with only io and size */
	uint8_t cluster_bits;     /* 9 to 21 */
	uint8_t refcount_order;   /* log2 of the bits of a refcount: 0 to 6 */
	uint8_t compression_type; /* QCOW2_COMPRESSION_* of codec.h */
	uint8_t l2_entry_bits;    /* log2 of the bytes of an L2 entry: 3, or 4 if extended */
	uint8_t l1_entry_bits;    /* log2 of the bytes of the disk that an L1 entry maps */
	uint8_t crypt_method;     /* 0: not encrypted, 1: AES, 2: LUKS */
	uint32_t cluster_len;     /* 1 << cluster_bits */
	uint32_t header_len;      /* bytes of the header, without its extensions */

	uint64_t incompatible; /* feature bits, QCOW2_INCOMPATIBLE_*; 0 in version 2 */
	uint64_t compatible;   /* feature bits, QCOW2_COMPATIBLE_*; 0 in version 2 */
	uint64_t autoclear;    /* feature bits, QCOW2_AUTOCLEAR_*; 0 in version 2 */

	uint64_t refcount_table_pos;      /* not validated: reading needs no refcounts */
	uint64_t snapshots_pos;           /* position of the snapshot table in io */
	uint32_t refcount_table_clusters; /* length of the refcount table; not validated */
	uint32_t n_snapshots;             /* at most 65536 */

	/*
	 * Where the strings of the image are. They have no terminator. qcow2_image_bytes reads
	 * them. They may contain any bytes, so check them before you show or use them.
	 */
	struct qcow2_span backing_name; /* name of the backing file */

	/* Payloads of header extensions; absent until qcow2_image_extensions finds them. */
	struct qcow2_span backing_format; /* 0xe2792aca: name of the format of the backing file */
	struct qcow2_span data_file_name; /* 0x44415441: name of the external data file */
	struct qcow2_span feature_names;  /* 0x6803f857: see qcow2_feature_name */
	struct qcow2_span bitmaps;        /* 0x23852875: see bitmap.h */
	struct qcow2_span crypto;         /* 0x0537be77: place of the LUKS header; see luks.h */

	const struct qcow2_cipher *cipher; /* of the data, NULL if none is attached: cipher.h */

	/* Private: maps a raw image, or one of version 1; NULL for qcow2 images. */
	int (*layer_extent)(struct qcow2_reader *reader, const struct qcow2_image *image,
	                    struct qcow2_extent *extent);
};

/*
 * Opens a qcow2 image: reads and checks the header, qcow2.txt "Header". Opens no other file, and
 * does not read the L1 table.
 *
 * flags is 0 or a combination of QCOW2_OPEN_*. *io is copied, so it need not stay; its ops and ctx
 * must. On failure *image is a closed image that no other call accepts.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT      image or io is NULL, or *io has no callback
 *	QCOW2_E_NOT_QCOW2     the file does not begin with the magic number
 *	QCOW2_E_VERSION       the version is neither 2 nor 3
 *	QCOW2_E_CLUSTER_BITS  the cluster size is not supported, or too small for extended L2
 *	                      entries
 *	QCOW2_E_HEADER        a header field is invalid; err->pos is its position
 *	QCOW2_E_COMPRESSION   the compression type is unknown
 *	QCOW2_E_FEATURE       incompatible features are unknown; qcow2_feature_name may name them
 *	QCOW2_E_ENCRYPTED     the image is encrypted and flags has no QCOW2_OPEN_INSPECT, or the
 *	                      encryption method is unknown
 *	QCOW2_E_TOO_BIG       the disk, the L1 table or the number of snapshots exceeds the limits
 *	                      of QEMU
 *	QCOW2_E_L1            the L1 table is misplaced, or too short for the size of the disk
 *	QCOW2_E_TRUNCATED     the file ends before the header does, or, without
 *	                      QCOW2_OPEN_TRUNCATED, before the L1 table or the name of the backing
 *	                      file does
 *	QCOW2_E_IO            the io callback failed
 *
 * Cost: one io call.
 */
int qcow2_image_open(struct qcow2_image *image, const struct qcow2_io *io, unsigned flags,
                     struct qcow2_error *err);

/*
 * Reads and checks the header extensions, qcow2.txt "Header extensions": names and formats of other
 * files, and where to find feature names, bitmaps and the LUKS header. Sets the spans in *image;
 * those of extensions that the image does not have stay absent.
 *
 * The disk can be read without this. QEMU refuses an image whose extensions are damaged; call this
 * after qcow2_image_open to do the same. On failure the image stays open, with the extensions that
 * were found before the damage.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   image is NULL, closed, raw or of version 1
 *	QCOW2_E_EXTENSION  an extension has an impossible length, or does not fit the image;
 *	                   err->pos is its position
 *	QCOW2_E_TRUNCATED  the file ends in the middle of an extension's type and length, and the
 *	                   image was opened without QCOW2_OPEN_TRUNCATED
 *	QCOW2_E_IO         the io callback failed
 *
 * Cost: one io call of 8 bytes for each extension, at most cluster_len / 8.
 */
int qcow2_image_extensions(struct qcow2_image *image, struct qcow2_error *err);

/*
 * Makes *image a raw disk, which is all bytes of the file. The size of the file need not be a
 * multiple of anything. A raw disk can be read, and can be at the bottom of a chain. *io is copied
 * as by qcow2_image_open.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT  image or io is NULL, or *io has no callback
 *
 * Cost: no io call.
 */
int qcow2_image_raw(struct qcow2_image *image, const struct qcow2_io *io);

/*
 * Attaches the image below: what `image` does not have is read there. The image need not name a
 * backing file, and the name is not checked. Build chains from the bottom up, before a reader
 * starts. *below is not copied.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT  image is NULL, closed or raw, or has an image below it already; below is
 *	                  NULL or closed
 *
 * Cost: no io call.
 */
int qcow2_image_attach_backing(struct qcow2_image *image, const struct qcow2_image *below);

/*
 * Attaches the external data file, qcow2.txt "External data file". *data is not copied.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT  image is NULL, closed or raw, has its data in the image file, or has its
 *	                  data file attached already; data is NULL or has no callback
 *
 * Cost: no io call.
 */
int qcow2_image_attach_data(struct qcow2_image *image, const struct qcow2_io *data);

/*
 * Checks that an image can be read: that it and each image below it have all files attached that
 * they need, and a cipher if they are encrypted. Every call that starts a reader does this check.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   image is NULL or closed
 *	QCOW2_E_ENCRYPTED  an image of the chain is encrypted and has no cipher attached;
 *	                   err->detail is its crypt_method
 *	QCOW2_E_BACKING    an image names a backing file, has none attached, and was opened without
 *	                   QCOW2_OPEN_LAYER
 *	QCOW2_E_DATA_FILE  an image has its data in an external file that is not attached
 *	QCOW2_E_DEPTH      the chain has more than QCOW2_CHAIN_MAX images, or is a loop
 * Except with QCOW2_E_ARGUMENT, err->io is the file of the image in question.
 *
 * Cost: no io call.
 */
int qcow2_image_ready(const struct qcow2_image *image, struct qcow2_error *err);

/*
 * Copies a range of the image file to buf, which has room for span.len bytes.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   image or buf is NULL, or the image is closed
 *	QCOW2_E_TRUNCATED  the file ends before the range does, and the image was opened without
 *	                   QCOW2_OPEN_TRUNCATED
 *	QCOW2_E_IO         the io callback failed
 *
 * Cost: one io call, none if span.len is 0.
 */
int qcow2_image_bytes(const struct qcow2_image *image, struct qcow2_span span, void *buf,
                      struct qcow2_error *err);

/* Kinds of feature: qcow2.txt "Feature name table". */
enum { QCOW2_FEATURE_INCOMPATIBLE = 0, QCOW2_FEATURE_COMPATIBLE = 1, QCOW2_FEATURE_AUTOCLEAR = 2 };

/* A name has at most 46 bytes; one more is for the terminator. */
enum { QCOW2_FEATURE_NAME_ROOM = 47 };

/*
 * Finds the name that the image in *io gives to a feature, for a message after qcow2_image_open
 * failed with QCOW2_E_FEATURE. kind is QCOW2_FEATURE_*, bit is 0 to 63.
 *
 * name becomes a string with a terminator. The image chose its bytes, so check them before you show
 * them.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   io or name is NULL, or *io has no callback
 *	QCOW2_E_NOT_FOUND  the image has no name for this feature, or the header cannot be read
 *	QCOW2_E_IO         the io callback failed
 *
 * Cost: that of qcow2_image_open and qcow2_image_extensions, and one io call for each name in the
 * table, at most cluster_len / 48.
 */
int qcow2_feature_name(const struct qcow2_io *io, unsigned kind, unsigned bit,
                       char name[QCOW2_FEATURE_NAME_ROOM]);

#ifdef __cplusplus
}
#endif
#endif
