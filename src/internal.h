/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the files of the core share. It is not installed. src/README.md draws who calls whom.
 *
 * `off` is a byte offset in the virtual disk, `pos` a byte position in a file, `len` a number of
 * bytes. A range is checked by subtraction only, so that no sum can wrap. Numbers of the file are
 * read through q2_be16, q2_be32 and q2_be64.
 *
 * Comments that begin with an @ are annotations for the proof (tests/proof/README.md).
 */
#ifndef QCOW2_INTERNAL_H
#define QCOW2_INTERNAL_H

#include "qcow2/cipher.h"
#include "qcow2/image.h"
#include "qcow2/reader.h"
#include "qcow2/types.h"

/* All that the core calls from outside. mem.c defines these for a program that has no libc. */
void *memcpy(void *restrict dest, const void *restrict src, size_t len);
void *memset(void *dest, int byte, size_t len);

/* Lengths from qcow2.txt "Header", and limits of QEMU. */
enum {
	Q2_CLUSTER_BITS_MIN = 9,
	Q2_CLUSTER_BITS_MAX = 21,
	Q2_HEADER_V2_LEN = 72,
	Q2_HEADER_V3_LEN = 104,
	Q2_L1_ENTRY_LEN = 8,
	Q2_L1_ENTRIES_MAX = 4194304, /* an L1 table of 32 MiB */
	Q2_SNAPSHOTS_MAX = 65536,
	Q2_SNAPSHOT_EXTRA_MAX = 1024,
	Q2_SLICE_LEN = 512, /* bytes of a table that are read at once; divides every cluster size */
	Q2_SUBCLUSTERS = 32
};

#define Q2_MAGIC UINT32_C(0x514649fb) /* "QFI\xfb": all versions begin with it */

/*
 * The error of a public call doubles as its cursor: while the call runs, it holds the file, the
 * position and the value that are being examined. A function that fails therefore just returns a
 * status. At the end of the public call, q2_note combines the two into the error that the caller
 * sees.
 */
typedef struct qcow2_error q2_cursor;

/* ---- io.c: reads inside files, and notes failures ---- */

/* Completes the error of a public call that returns this status. Returns the status. */
int q2_note(q2_cursor *at, int status);

/* The caller's error, or *unseen if the caller passed NULL. */
static inline struct qcow2_error *q2_err(struct qcow2_error *err, struct qcow2_error *unseen)
{
	return err != NULL ? err : unseen;
}

/*
 * Reads len > 0 bytes at at->pos of the file *at->io. Bytes past the end of the file become zeros.
 * Fails with QCOW2_E_IO if the callback does.
 */
int q2_io_read(q2_cursor *at, void *buf, size_t len);

/*
 * Is [pos, pos + len) inside the image file? Always true if the image was opened with
 * QCOW2_OPEN_TRUNCATED.
 */
bool q2_is_inside(const struct qcow2_image *image, uint32_t len, uint64_t pos);

/*
 * Reads the len > 0 bytes [pos, pos + len) of the image file. Fails with QCOW2_E_TRUNCATED unless
 * q2_is_inside, and with QCOW2_E_IO.
 */
int q2_image_read(const struct qcow2_image *image, uint64_t pos, void *buf, uint32_t len,
                  q2_cursor *at);

/*
 * Can a table of len bytes be at pos? Fails with QCOW2_E_L1 if pos is not a multiple of the cluster
 * size or too high for any table, and with QCOW2_E_TRUNCATED unless q2_is_inside.
 */
int q2_table_check(const struct qcow2_image *image, uint32_t len, uint64_t pos);

/*
 * Copies len bytes at pos of the image file to buf, for a public call: checks the arguments, and
 * notes the status in *err, which may be NULL. Fails with QCOW2_E_ARGUMENT, QCOW2_E_TRUNCATED,
 * QCOW2_E_IO.
 */
int q2_bytes(const struct qcow2_image *image, uint64_t pos, uint32_t len, void *buf,
             struct qcow2_error *err);

/* ---- header.c, extension.c: *at->io is the image file ---- */

/*
 * Reads the fixed header and checks what can be checked in it alone. Fills *image, which is all
 * zeros except for io and flags. Fails as qcow2_image_open does.
 */
int q2_header_read(struct qcow2_image *image, q2_cursor *at);

/*
 * Finds the header extensions and fills the spans of *image. Fails with QCOW2_E_EXTENSION,
 * QCOW2_E_TRUNCATED, QCOW2_E_IO.
 */
int q2_extensions_read(struct qcow2_image *image, q2_cursor *at);

/* ---- image.c ---- */

/* Clears *image, and copies *io into it. Fails with QCOW2_E_ARGUMENT; then *image is closed. */
int q2_image_reset(struct qcow2_image *image, const struct qcow2_io *io);

/*
 * Opens an image of any version, as qcow2_image_open does: header_read reads and checks the header,
 * and fills *image, as q2_header_read does.
 */
int q2_image_open(struct qcow2_image *image, const struct qcow2_io *io, unsigned flags,
                  struct qcow2_error *err, int (*header_read)(struct qcow2_image *, q2_cursor *));

/* ---- cache.c: slices of tables ---- */

/* `high` in the key of a slot that is empty. */
#define Q2_KEY_NONE UINT32_MAX

/*
 * Returns the table entry at position pos of the image e->image, which is number e->depth of its
 * chain. The entry and what follows it up to the next multiple of Q2_SLICE_LEN in the file are
 * valid until the next call. Bytes past the end of the file are zeros. Returns NULL if the callback
 * fails (QCOW2_E_IO).
 */
const uint8_t *q2_table_entry(struct qcow2_reader *reader, const struct qcow2_extent *e,
                              uint64_t pos);

/*
 * Gives the first len bytes of the reader's memory to slices and keys. len is a multiple of 8, and
 * at least QCOW2_READER_SLICE.
 */
void q2_cache_init(struct qcow2_reader *reader, size_t len);

/* ---- map.c ---- */

/*
 * Sets *e to what `image` alone has at e->off. On entry the kind of *e is QCOW2_EXTENT_ABSENT, and
 * its len is the most that the answer may have; the call only shortens it. Fails as
 * qcow2_reader_map does.
 */
int q2_layer_extent(struct qcow2_reader *reader, const struct qcow2_image *image,
                    struct qcow2_extent *e);

/*
 * Checks that each cluster of data begins inside its file, and ends *e before the first one that
 * does not. The last cluster of a file need not be complete: QEMU does not pad the file.
 *
 * Encrypted data becomes an extent of that kind. It is checked by sectors instead, and each must be
 * complete, because a part of a sector cannot be decrypted. Fails with QCOW2_E_TRUNCATED.
 */
int q2_data_check(struct qcow2_reader *reader, struct qcow2_extent *e);

/* ---- bitmap.c ---- */

struct qcow2_bitmap;

/*
 * Fails with QCOW2_E_BITMAP if the entry of the directory describes a bitmap whose bits are not
 * understood. Extra data and unknown flags could change what they mean; QEMU refuses them as well.
 * With must_fit, fails also unless the bitmap table has the entries that the disk needs. This
 * reveals most wrong granularities.
 */
int q2_bitmap_check(const struct qcow2_image *image, const struct qcow2_bitmap *bitmap,
                    bool must_fit);

/* ---- chain.c ---- */

/*
 * Makes reader->extent the extent that begins at `off`. It reaches to off + len or farther, unless
 * another one begins before. Fails as qcow2_reader_map does.
 */
int q2_map(struct qcow2_reader *reader, uint64_t off, uint64_t len);

/* ---- reader.c ---- */

/* Reads the first len bytes of reader->extent to buf. Fails as qcow2_reader_read does. */
int q2_extent_read(struct qcow2_reader *reader, uint8_t *buf, size_t len);

/* ---- unpack.c ---- */

/*
 * Decodes the first len bytes of reader->extent, which is compressed, to buf. Fails as
 * qcow2_reader_read does. reader->unpack points here.
 */
int q2_unpack(struct qcow2_reader *reader, uint8_t *buf, uint32_t len);

/* Fails to compile if the condition is false. `name` says what must hold. */
/* A name in parentheses would be no declaration. NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define Q2_STATIC_ASSERT(name, condition) typedef char name[(condition) ? 1 : -1]

/* ---- Loads: "All numbers in qcow2 are stored in Big Endian byte order" ---- */

/*
 * A load is one or two instructions on most processors, so it is shorter than a call. Compilers
 * decide about inlining before they find that out, so the attribute forces them.
 */
#ifdef __GNUC__
#define Q2_INLINE static inline __attribute__((always_inline))
#else
#define Q2_INLINE static inline
#endif

static inline uint32_t q2_be16(const uint8_t *p)
{
	return ((uint32_t)p[0] << 8) + p[1];
}

Q2_INLINE uint32_t q2_be32(const uint8_t *p)
{
	return ((uint32_t)p[0] << 24) + ((uint32_t)p[1] << 16) + ((uint32_t)p[2] << 8) + p[3];
}

Q2_INLINE uint64_t q2_be64(const uint8_t *p)
{
	return ((uint64_t)q2_be32(p) << 32) + q2_be32(p + 4);
}

/* ---- wide.c: 64-bit arithmetic that is cheaper as a call where registers have 32 bits ---- */

/* The number of bytes that a file of this size has from pos on. */
uint64_t q2_left(uint64_t size, uint64_t pos);

/* Ends an extent after len bytes if it is longer. */
void q2_extent_clip(struct qcow2_extent *e, uint64_t len);

/*
 * Shifts right by 0 to 63. Where registers have 32 bits, compilers turn a 64-bit shift by a
 * variable into a call of a helper in their runtime library, which firmware may not have. This
 * replaces it.
 */
#if UINTPTR_MAX > UINT32_MAX
static inline uint64_t q2_shr64(uint64_t value, unsigned bits)
{
	return value >> bits;
}
#else
uint64_t q2_shr64(uint64_t value, unsigned bits);
#endif

/* ---- Questions about an image ---- */

static inline bool q2_is_qcow2(const struct qcow2_image *image)
{
	return image->version >= 2u;
}

/* Is it a qcow image of any version? The other open images are raw disks. */
static inline bool q2_has_tables(const struct qcow2_image *image)
{
	return image->version != 0u;
}

static inline bool q2_is_open(const struct qcow2_image *image)
{
	return image->io.ops != NULL;
}

static inline bool q2_has_external_data(const struct qcow2_image *image)
{
	return (image->incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) != 0u;
}

static inline bool q2_has_extended_l2(const struct qcow2_image *image)
{
	return (image->incompatible & QCOW2_INCOMPATIBLE_EXTENDED_L2) != 0u;
}

#endif
