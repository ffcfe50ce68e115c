/* SPDX-License-Identifier: MIT */
/*
 * What the files of the core share. Not installed.
 *
 * Conventions: `off` is a byte offset in the virtual disk, `pos` a byte position in a file, `len` a
 * number of bytes. Ranges are checked by subtraction only. File bytes are read through q2_be*.
 */
#ifndef Q2_H
#define Q2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qcow2/image.h"
#include "qcow2/reader.h"

/* All that the core needs from outside; mem.c has them for a firmware that has not. */
void *memcpy(void *restrict dest, const void *restrict src, size_t len);
void *memset(void *dest, int byte, size_t len);

/* qcow2.txt "Header" and the limits of the reference implementation. */
enum {
	Q2_CLUSTER_BITS_MIN = 9,
	Q2_CLUSTER_BITS_MAX = 21,
	Q2_HEADER_V2_LEN = 72,
	Q2_HEADER_V3_LEN = 104,
	Q2_CRYPT_LUKS = 2,           /* the last of the encryption methods that there are */
	Q2_L1_ENTRIES_MAX = 4194304, /* 32 MiB of them */
	Q2_SNAPSHOTS_MAX = 65536,
	Q2_SNAPSHOT_EXTRA_MAX = 1024,
	Q2_SLICE_LEN = 512, /* what is read of a table at a time; divides every cluster size */
	Q2_SUBCLUSTERS = 32
};

/* io.c: reading a file, and noting what went wrong. */

/* Notes a failure in *err and returns the status, for `return q2_fail(...)`. */
int q2_fail(struct qcow2_error *err, int status, const struct qcow2_io *io, uint64_t pos,
            uint64_t detail);

/* The same where there is nothing to say but the status. */
int q2_refuse(struct qcow2_error *err, int status);

/*
 * The same where *err has been kept up to date on the way: io, pos and detail are those of what was
 * being looked at. IO is noted by the read that failed, TRUNCATED at the end of the file.
 */
int q2_note(struct qcow2_error *err, int status);

/*
 * Reads [pos, pos + len) of the file, len > 0; what lies past its end reads as zeros. Status: IO if
 * the callback fails.
 */
int q2_io_read(const struct qcow2_io *io, uint64_t pos, void *buf, size_t len,
               struct qcow2_error *err);

/*
 * header.c, extension.c: the parts of opening. They keep err->pos and err->detail up to date and
 * return a status; q2_note is up to the caller.
 */

/*
 * Reads the fixed header and checks what can be checked in it alone; fills *image, which is all
 * zeros but for its io and flags. Statuses: as qcow2_image_open.
 */
int q2_header_read(struct qcow2_image *image, struct qcow2_error *err);

/* Finds the header extensions, and fills the spans of *image. */
int q2_extensions_read(struct qcow2_image *image, struct qcow2_error *err);

/* image.c */

/* Makes *image a closed image on a copy of *io. Statuses: ARGUMENT, ABI. */
int q2_image_reset(struct qcow2_image *image, uint32_t abi, const struct qcow2_io *io);

/* Does [pos, pos + len) lie in the image file? True, too, if the image is read as if it did. */
bool q2_is_inside(const struct qcow2_image *image, uint64_t pos, uint32_t len);

/*
 * Reads [pos, pos + len) of the image file, len > 0. What lies past its end is zeros if the image
 * was opened so, and otherwise QCOW2_E_TRUNCATED.
 */
int q2_image_read(const struct qcow2_image *image, uint64_t pos, void *buf, uint32_t len,
                  struct qcow2_error *err);

/* Can a table of len bytes be at pos? Statuses: L1 if none can be there, TRUNCATED. */
int q2_table_check(const struct qcow2_image *image, uint32_t len, uint64_t pos);

/* The same for the L1 table, of at most Q2_L1_ENTRIES_MAX entries. */
int q2_l1_check(const struct qcow2_image *image);

/* cache.c: tables, in slices. */

/* A slice of a table: which, and then where it is and what it says. */
struct q2_slice {
	uint64_t key; /* tells the slices of an image apart */
	uint64_t pos; /* in the image's file, a multiple of Q2_SLICE_LEN; or Q2_SLICE_NOWHERE */
	const uint8_t *bytes; /* Q2_SLICE_LEN of them, valid until the next call */
};

#define Q2_SLICE_NOWHERE UINT64_MAX
#define Q2_SLICE_OF_L1   (UINT64_C(1) << 63) /* added to the keys of slices of L1 */

/*
 * Finds the slice with slice->key of the image e->image; fills in pos and bytes. If the reader does
 * not have it, it is read from slice->pos, and what lies past the end of the file is zeros.
 * Statuses: IO, or NOT_FOUND if pos is Q2_SLICE_NOWHERE.
 */
int q2_slice(struct qcow2_reader *reader, const struct qcow2_extent *e, struct q2_slice *slice);

/* Gives the first len bytes (QCOW2_READER_SLICE at least) of the reader's memory to slices. */
void q2_slots_init(struct qcow2_reader *reader, size_t len);

/* map.c */

/*
 * Makes reader->memo the extent that begins at `off`, and that does not end before off + len unless
 * it must. The caller has checked that the range is not empty and lies on the disk.
 */
int q2_map(struct qcow2_reader *reader, uint64_t off, uint64_t len);

/* reader.c */

/* Is each image of the chain there, with all that it needs? Statuses: as qcow2_reader_init. */
int q2_chain_check(const struct qcow2_image *image, struct qcow2_error *err);

/*
 * Reads one extent, or as much of it as is asked for: *len > 0 bytes at most, and *len says how
 * many. The caller has checked that the range lies on the disk. Reading is a loop over this.
 */
int q2_read_step(struct qcow2_reader *reader, uint64_t off, uint8_t *buf, size_t *len);

/* unpack.c */

/* reader->unpack: len bytes from the beginning of reader->memo, which is compressed, to buf. */
int q2_unpack(struct qcow2_reader *reader, uint8_t *buf, uint32_t len);

/* Big-endian loads, qcow2.txt: "All numbers in qcow2 are stored in Big Endian byte order". */

static inline uint32_t q2_be16(const uint8_t *p)
{
	return ((uint32_t)p[0] << 8) + p[1];
}

static inline uint32_t q2_be32(const uint8_t *p)
{
	return ((uint32_t)p[0] << 24) + ((uint32_t)p[1] << 16) + ((uint32_t)p[2] << 8) + p[3];
}

static inline uint64_t q2_be64(const uint8_t *p)
{
	return ((uint64_t)q2_be32(p) << 32) + q2_be32(p + 4);
}

/*
 * Shift right by 0 to 63. A shift of 64 bits by a variable is a call to a compiler's helper where
 * registers have 32, and a firmware may have no such helper: there it is a call to ours, in io.c.
 */
#if UINTPTR_MAX > UINT32_MAX
static inline uint64_t q2_shr64(uint64_t value, unsigned bits)
{
	return value >> bits;
}
#else
uint64_t q2_shr64(uint64_t value, unsigned bits);
#endif

static inline uint32_t q2_cluster_len(const struct qcow2_image *image)
{
	return UINT32_C(1) << image->cluster_bits;
}

/* Can a table be there? They are aligned to clusters. */
static inline bool q2_is_table_pos(const struct qcow2_image *image, uint64_t pos)
{
	return pos <= INT64_MAX && ((uint32_t)pos & (q2_cluster_len(image) - 1u)) == 0u;
}

static inline bool q2_is_qcow2(const struct qcow2_image *image)
{
	return image->version >= 2u;
}

static inline bool q2_is_open(const struct qcow2_image *image)
{
	return image->io.ops != NULL;
}

static inline bool q2_has_external_data(const struct qcow2_image *image)
{
	return (image->incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) != 0u;
}

/* The file that clusters are in. An external data file is there once a reader has started. */
static inline const struct qcow2_io *q2_data_io(const struct qcow2_image *image)
{
	return image->data != NULL ? image->data : &image->io;
}

static inline bool q2_has_extended_l2(const struct qcow2_image *image)
{
	return (image->incompatible & QCOW2_INCOMPATIBLE_EXTENDED_L2) != 0u;
}

/* log2 of the length of an L2 entry, and of the number of entries in a table of one cluster. */
static inline unsigned q2_l2_entry_bits(const struct qcow2_image *image)
{
	return q2_has_extended_l2(image) ? 4u : 3u;
}

static inline unsigned q2_l2_bits(const struct qcow2_image *image)
{
	return image->cluster_bits - q2_l2_entry_bits(image);
}

/* log2 of the bytes of the disk that one L1 entry stands for. */
static inline unsigned q2_l1_entry_bits(const struct qcow2_image *image)
{
	return image->cluster_bits + q2_l2_bits(image);
}

#endif
