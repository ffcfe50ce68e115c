/* SPDX-License-Identifier: MIT */
/*
 * What the files of the core share. Not installed.
 *
 * Conventions: `off` is a byte offset in the virtual disk, `pos` a byte position in a file, `len` a
 * number of bytes. Ranges are checked by subtraction only. File bytes are read through q2_be*.
 *
 * Comments that begin with an @ are contracts in ACSL, which `make proof` proves: what it takes to
 * call a function, and what comes of it. tests/proof/acsl.h has the words that they use.
 */
#ifndef QCOW2_INTERNAL_H
#define QCOW2_INTERNAL_H

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
	Q2_CRYPT_LUKS = 2, /* the last of the encryption methods that there are */
	Q2_L1_ENTRY_LEN = 8,
	Q2_L1_ENTRIES_MAX = 4194304, /* 32 MiB of them */
	Q2_SNAPSHOTS_MAX = 65536,
	Q2_SNAPSHOT_EXTRA_MAX = 1024,
	Q2_SLICE_LEN = 512, /* what is read of a table at a time; divides every cluster size */
	Q2_SUBCLUSTERS = 32
};

/*
 * The error of a public call doubles as its cursor: while the call runs, it holds the file, the
 * position and the value that are being examined. A function that fails therefore just returns a
 * status. At the end of the public call, q2_note combines the two into the error that the caller
 * sees.
 */
typedef struct qcow2_error q2_cursor;

/* io.c: reading a file within its bounds, and noting failures. */

/*@ requires \valid(at) && (status == QCOW2_E_TRUNCATED ==> tells_file(at));
    assigns at->io, at->io_code, at->pos, at->detail, at->status;
    ensures \result == status; */
int q2_note(q2_cursor *at, int status);

/* The caller's error, or one that nobody sees if the caller passed NULL. */
static inline struct qcow2_error *q2_err(struct qcow2_error *err, struct qcow2_error *unseen)
{
	return err != NULL ? err : unseen;
}

/*
 * Reads len > 0 bytes at at->pos of the file at->io; what lies past its end reads as zeros. Status:
 * IO if the callback fails.
 */
/*@ requires \valid(at) && good_io(at->io) && \separated(at, at->io, at->io->ops);
    requires 0 < len && \valid((char *)buf + (0 .. len - 1));
    requires \separated((char *)buf + (0 .. len - 1), at, at->io, at->io->ops);
    assigns ((char *)buf)[0 .. len - 1], at->io_code;
    ensures \result == 0 || \result == QCOW2_E_IO;
    ensures \forall integer k; \result == 0 && 0 <= k < len && at->pos + k >= at->io->size ==>
              ((char *)buf)[k] == 0; */
int q2_io_read(q2_cursor *at, void *buf, size_t len);

/* Does [pos, pos + len) lie in the image file? True, too, if the image is read as if it did. */
/*@ requires \valid_read(image);
    assigns \nothing;
    ensures \result != 0 <==> len == 0 || inside(image, pos, len); */
bool q2_is_inside(const struct qcow2_image *image, uint32_t len, uint64_t pos);

/*
 * Reads [pos, pos + len) of the image file, len > 0. What lies past its end is zeros if the image
 * was opened so, and otherwise QCOW2_E_TRUNCATED.
 */
/*@ requires \valid_read(image) && good_io(&image->io) && \valid(at) && 0 < len;
    requires \valid((char *)buf + (0 .. len - 1));
    requires \separated((char *)buf + (0 .. len - 1), image, image->io.ops, at);
    requires \separated(at, image, image->io.ops);
    assigns ((char *)buf)[0 .. len - 1], at->io, at->pos, at->detail, at->io_code;
    ensures \result == 0 ==> inside(image, pos, len); */
int q2_image_read(const struct qcow2_image *image, uint64_t pos, void *buf, uint32_t len,
                  q2_cursor *at);

/* Can a table of len bytes be at pos? Statuses: L1 if none can be there, TRUNCATED. */
/*@ requires good_shape(image);
    assigns \nothing;
    ensures \result == 0 ==> pos % image->cluster_len == 0 && pos + len <= INT64_MAX;
    ensures \result == 0 && len != 0 ==> inside(image, pos, len); */
int q2_table_check(const struct qcow2_image *image, uint32_t len, uint64_t pos);

/*
 * Copies len bytes at pos of the image file to buf, for a public call: checks its arguments, and
 * notes the status in *err, which may be NULL. Fails with QCOW2_E_ARGUMENT, QCOW2_E_IO,
 * QCOW2_E_TRUNCATED.
 */
int q2_bytes(const struct qcow2_image *image, uint64_t pos, uint32_t len, void *buf,
             struct qcow2_error *err);

/* header.c, extension.c. at->io is the file. */

/*
 * Reads the fixed header and checks what can be checked in it alone; fills *image, which is all
 * zeros but for its io and flags. Statuses: as qcow2_image_open.
 */
int q2_header_read(struct qcow2_image *image, q2_cursor *at);

/* Finds the header extensions, fills the spans of *image. Statuses: IO, EXTENSION, TRUNCATED. */
int q2_extensions_read(struct qcow2_image *image, q2_cursor *at);

/* image.c */

/* Makes *image a closed image on a copy of *io. Statuses: ARGUMENT. */
int q2_image_reset(struct qcow2_image *image, const struct qcow2_io *io);

/* cache.c: tables, in slices. */

/*
 * The entry `entry` bytes into the table at `table`, in the file of e->image, for which e->depth
 * stands: it and what follows, to the next multiple of Q2_SLICE_LEN, valid until the next call.
 * What lies past the end of the file is zeros. NULL: IO.
 */
/*@ requires good_cache(reader) && good_io(reader->error.io) && \valid_read(e);
    requires apart_from_cache(reader, reader->error.io) && \separated(reader, e);
    requires entry % 8 == 0 && table + entry <= UINT64_MAX;
    assigns reader->error.pos, reader->error.io_code, reader->misses, reader->spare, reader->mask,
            reader->memory[0 .. 512 * room(reader->keys) - 1],
            reader->keys[1 - room(reader->keys) .. 0];
    ensures good_cache(reader);
    ensures \result != \null ==> reader->error.pos == table + entry;
    ensures \result != \null ==> (\result - reader->memory) % 512 == entry % 512;
    ensures \result != \null ==> good_entry(reader, \result); */
const uint8_t *q2_table_entry(struct qcow2_reader *reader, const struct qcow2_extent *e,
                              uint64_t table, uint32_t entry);

/* Slices get the first len bytes of the memory, a multiple of 8, QCOW2_READER_SLICE at least. */
void q2_cache_init(struct qcow2_reader *reader, size_t len);

/* map.c */

/* What `image` alone says about e->off. *e is absent, and gets no longer than it is. */
int q2_layer_extent(struct qcow2_reader *reader, const struct qcow2_image *image,
                    struct qcow2_extent *e);

/* chain.c */

/*
 * Makes reader->extent the extent that begins at `off`, and that does not end before off + len
 * unless it must. Statuses: as qcow2_reader_map.
 */
/*@ requires good_reader(reader);
    assigns reader->error, reader->want, reader->extent, reader->misses, reader->spare,
   reader->mask, reader->memory[0 .. 512 * room(reader->keys) - 1], reader->keys[1 -
   room(reader->keys) .. 0]; ensures good_reader(reader); ensures \result == 0 ==> reader->image !=
   \null && off + len <= reader->image->size; ensures \result == 0 ==> 1 <= reader->extent.len &&
   has_file(&reader->extent); ensures \result == QCOW2_E_TRUNCATED ==> tells_file(&reader->error);
 */
int q2_map(struct qcow2_reader *reader, uint64_t off, uint64_t len);

/* reader.c */

/* The first len bytes of the extent reader->extent to buf. */
/*@ requires good_reader(reader) && has_file(&reader->extent);
    requires 0 < len <= reader->extent.len && apart_buffer(reader, buf, len);
    assigns reader->error, reader->packed_left, reader->stream, reader->window_image,
            reader->window_off, buf[0 .. len - 1];
    ensures good_reader(reader);
    ensures \result == QCOW2_E_TRUNCATED ==> tells_file(&reader->error); */
int q2_extent_read(struct qcow2_reader *reader, uint8_t *buf, size_t len);

/* unpack.c */

/* reader->unpack: len bytes from the beginning of reader->extent, which is compressed, to buf. */
int q2_unpack(struct qcow2_reader *reader, uint8_t *buf, uint32_t len);

/*
 * Big-endian loads, qcow2.txt: "All numbers in qcow2 are stored in Big Endian byte order". Where
 * there is an instruction for it, it is shorter than a call; compilers find that out too late.
 */
#ifdef __GNUC__
#define Q2_INLINE static inline __attribute__((always_inline))
#else
#define Q2_INLINE static inline
#endif

/*@ requires \valid_read(p + (0 .. 1));
    assigns \nothing;
    ensures \result == p[0] * 0x100 + p[1]; */
static inline uint32_t q2_be16(const uint8_t *p)
{
	return ((uint32_t)p[0] << 8) + p[1];
}

/*@ requires \valid_read(p + (0 .. 3));
    assigns \nothing;
    ensures \result == p[0] * 0x1000000 + p[1] * 0x10000 + p[2] * 0x100 + p[3]; */
Q2_INLINE uint32_t q2_be32(const uint8_t *p)
{
	return ((uint32_t)p[0] << 24) + ((uint32_t)p[1] << 16) + ((uint32_t)p[2] << 8) + p[3];
}

/*@ requires \valid_read(p + (0 .. 7));
    assigns \nothing;
    ensures \result == p[0] * 0x100000000000000 + p[1] * 0x1000000000000 +
              p[2] * 0x10000000000 + p[3] * 0x100000000 +
              p[4] * 0x1000000 + p[5] * 0x10000 + p[6] * 0x100 + p[7]; */
Q2_INLINE uint64_t q2_be64(const uint8_t *p)
{
	return ((uint64_t)q2_be32(p) << 32) + q2_be32(p + 4);
}

/* wide.c: 64-bit arithmetic. */

/* How many bytes a file of that size has from pos on. */
/*@ assigns \nothing;
    ensures \result == (pos < size ? size - pos : 0); */
uint64_t q2_left(uint64_t size, uint64_t pos);

/*
 * Ends an extent after len bytes if it is longer. A call here is 72 bytes of Thumb-2 less than what
 * compilers make of it in the six places of map.c that need it.
 */
/*@ requires \valid(e);
    assigns e->len;
    ensures e->len == \min(\old(e->len), len); */
void q2_extent_clip(struct qcow2_extent *e, uint64_t len);

/*
 * Shift right by 0 to 63. A shift of 64 bits by a variable is a call to a compiler's helper where
 * registers have 32, and a firmware may have no such helper: there it is a call to ours.
 */
#if UINTPTR_MAX > UINT32_MAX
/*@ requires bits <= 63;
    assigns \nothing;
    ensures \result == value >> bits; */
static inline uint64_t q2_shr64(uint64_t value, unsigned bits)
{
	return value >> bits;
}
#else
/*@ requires bits <= 63;
    assigns \nothing;
    ensures \result == value >> bits; */
uint64_t q2_shr64(uint64_t value, unsigned bits);
#endif

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

/*@ requires \valid_read(image);
    assigns \nothing;
    ensures \result != 0 <==> is_extended(image); */
static inline bool q2_has_extended_l2(const struct qcow2_image *image)
{
	return (image->incompatible & QCOW2_INCOMPATIBLE_EXTENDED_L2) != 0u;
}

#endif
