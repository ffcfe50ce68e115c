/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The predicates and axioms that the contracts in tests/proof/contracts/ and the annotations in
 * src/ use. wp.sh includes this before each file. To a compiler, ACSL is comments. Its integers do
 * not wrap.
 */
#ifndef ACSL_H
#define ACSL_H

#include <string.h> /* the specifications of memcpy and memset */

#include "qcow2/block.h"
#include "qcow2/codec.h"
#include "qcow2/reader.h"

/* The callbacks: what the core may ask of them, and what they may do. */
/*@
  axiomatic Devices {
    logic integer file_size(void *ctx) reads \nothing;
    logic integer device_bits(void *ctx) reads \nothing;
    logic integer device_max(void *ctx) reads \nothing;
  }
*/

/*@ requires 0 < len && pos + len <= file_size(ctx);
    requires \valid((char *)buf + (0 .. len - 1));
    assigns ((char *)buf)[0 .. len - 1], \result \from ctx, pos; */
int any_read(void *ctx, uint64_t pos, void *buf, size_t len);

/*@ requires 0 < count && (device_max(ctx) == 0 || count <= device_max(ctx));
    requires \valid((uint8_t *)buf + (0 .. (count << device_bits(ctx)) - 1));
    assigns ((uint8_t *)buf)[0 .. (count << device_bits(ctx)) - 1], \result \from ctx, lba; */
int any_blocks(void *ctx, uint64_t lba, uint32_t count, void *buf);

/*
 * memcpy and memset in the fast decoder for zstd, which copies and sets bytes alone. At the end of
 * the memory, it may be no bytes; the specification of Frama-C's string.h asks for one there even
 * then.
 */
/*@ requires \valid(to + (0 .. n - 1)) && \valid_read(from + (0 .. n - 1));
    requires \separated(to + (0 .. n - 1), from + (0 .. n - 1));
    assigns to[0 .. n - 1]; */
void bytes_copy(uint8_t *to, const uint8_t *from, size_t n);

/*@ requires \valid(to + (0 .. n - 1));
    assigns to[0 .. n - 1]; */
void bytes_set(uint8_t *to, int value, size_t n);

/* The same for clearing an array of uint16_t in the small decoder for zstd. */
/*@ requires value == 0 && len % 2 == 0 && \valid(to + (0 .. len / 2 - 1));
    assigns to[0 .. len / 2 - 1];
    ensures \forall integer i; 0 <= i < len / 2 ==> to[i] == 0; */
void halves_clear(uint16_t *to, int value, size_t len);

/*@
  predicate good_input(struct qcow2_stream *stream) =
    stream->end - stream->next >= 0 && \base_addr(stream->end) == \base_addr(stream->next) &&
    \valid_read(stream->next + (0 .. stream->end - stream->next - 1));
*/

/*@ requires \valid(stream);
    assigns stream->next, stream->end, \result \from *stream;
    ensures good_input(stream); */
int any_fill(struct qcow2_stream *stream);

/* What callers must provide. */
/*@
  predicate good_io(struct qcow2_io *io) =
    \valid_read(io) && \valid_read(io->ops) && io->ops->read == &any_read &&
    io->size == file_size(io->ctx);

  // After QCOW2_E_TRUNCATED, q2_note reads the size of the file.
  predicate tells_file(struct qcow2_error *at) =
    \valid_read(at->io) && \separated(at, at->io);

  predicate good_shape(struct qcow2_image *image) =
    \valid_read(image) && 9 <= image->cluster_bits <= 21 &&
    image->cluster_len == 1 << image->cluster_bits;

  predicate is_extended(struct qcow2_image *image) =
    (image->incompatible & QCOW2_INCOMPATIBLE_EXTENDED_L2) != 0;

  predicate good_files(struct qcow2_image *image) =
    good_shape(image) && image->io.size <= INT64_MAX && (image->data == \null ||
    \valid_read(image->data) && image->data->size <= INT64_MAX);

  // Bits 9-55 of an entry of a table.
  logic integer entry_pos(integer high, integer low) =
    high % 0x1000000 * 0x100000000 + low - low % 512;

  // Which of the 32 parts of its cluster an extent begins in.
  logic integer part(struct qcow2_extent *e) =
    (e->off % e->image->cluster_len) >> (e->image->cluster_bits - 5);

  // The number of slots that the memory has room for, and the value of `spare` while mask + 1 of
  // them are in use. With memory of x bytes and mask + 1 == 1 << bits, these are x / 520 and
  // x >> bits.
  axiomatic Cache {
    logic integer room(struct q2_slice_key *keys) reads \nothing;
    logic integer spare(struct q2_slice_key *keys, integer mask) reads \nothing;
    axiom halved: \forall struct q2_slice_key *keys, integer mask; 0 <= mask ==>
      spare(keys, 2 * mask + 1) == spare(keys, mask) / 2;
    axiom enough: \forall struct q2_slice_key *keys, integer mask; 0 <= mask &&
      1040 <= spare(keys, mask) ==> 2 * (mask + 1) <= room(keys);
  }

  predicate good_cache(struct qcow2_reader *reader) =
    \valid(reader) && 520 <= reader->spare && reader->spare == spare(reader->keys, reader->mask) &&
    reader->mask < room(reader->keys) <= 0x80000000 &&
    \valid(reader->keys + (1 - room(reader->keys) .. 0)) &&
    \valid(reader->memory + (0 .. 512 * room(reader->keys) - 1)) &&
    \separated(reader, reader->keys + (1 - room(reader->keys) .. 0),
               reader->memory + (0 .. 512 * room(reader->keys) - 1));

  predicate apart_from_cache(struct qcow2_reader *reader, struct qcow2_io *io) =
    \separated(io, io->ops) &&
    \separated(reader, io, reader->keys + (1 - room(reader->keys) .. 0),
               reader->memory + (0 .. 512 * room(reader->keys) - 1)) &&
    \separated(reader, io->ops, reader->keys + (1 - room(reader->keys) .. 0),
               reader->memory + (0 .. 512 * room(reader->keys) - 1));

  predicate good_reader(struct qcow2_reader *reader) =
    good_cache(reader) && (reader->image == \null || \valid_read(reader->image) &&
    \separated(reader->image, reader, reader->keys + (1 - room(reader->keys) .. 0),
               reader->memory + (0 .. 512 * room(reader->keys) - 1)));

  // The buffer of a read, which does not overlap anything of the reader.
  predicate apart_buffer(struct qcow2_reader *reader, uint8_t *buf, integer len) =
    \valid(buf + (0 .. len - 1)) &&
    \separated(buf + (0 .. len - 1), reader, reader->image,
               reader->keys + (1 - room(reader->keys) .. 0),
               reader->memory + (0 .. 512 * room(reader->keys) - 1));

  // Data, compressed or not, has a file.
  predicate has_file(struct qcow2_extent *e) =
    e->kind == QCOW2_EXTENT_DATA || e->kind == QCOW2_EXTENT_COMPRESSED ||
    e->kind == QCOW2_EXTENT_ENCRYPTED ==> e->io != \null;

  logic integer slice(integer at) = at - at % 512;

  // raw is an entry in a slice of the reader's memory, and the whole slice can be read.
  predicate good_entry(struct qcow2_reader *reader, uint8_t *raw) =
    \base_addr(raw) == \base_addr(reader->memory) && 0 <= raw - reader->memory <= INT64_MAX &&
    (raw - reader->memory) % 8 == 0 &&
    \valid_read(reader->memory + slice(raw - reader->memory) + (0 .. 511));

  predicate inside(struct qcow2_image *image, integer pos, integer len) =
    (image->flags & QCOW2_OPEN_TRUNCATED) != 0 || pos + len <= image->io.size;

  predicate good_block(struct qcow2_block *block) =
    \valid(block) && \valid_read(block->ops) && block->ops->read == &any_blocks &&
    block->align > 0 && block->max_blocks == device_max(block->ctx) &&
    9 <= block->block_bits <= 16 && block->block_bits == device_bits(block->ctx) &&
    block->block_len == 1 << block->block_bits &&
    \valid((uint8_t *)block->bounce + (0 .. block->block_len - 1)) &&
    \separated((uint8_t *)block->bounce + (0 .. block->block_len - 1), block, block->ops) &&
    \separated(block, block->ops);

  // The buffer of a read, which does not overlap anything of the adapter.
  predicate apart(struct qcow2_block *block, uint8_t *buf, integer len) =
    \valid(buf + (0 .. len - 1)) &&
    \separated(buf + (0 .. len - 1), block, block->ops,
               (uint8_t *)block->bounce + (0 .. block->block_len - 1));

  predicate good_stream(struct qcow2_stream *stream) =
    \valid(stream) && stream->fill == &any_fill && good_input(stream);

  predicate good_window(struct qcow2_stream *stream) =
    0 < stream->window_len && \valid(stream->window + (0 .. stream->window_len - 1));
*/

/* The same for a decoder that takes its input at any place. */
#if defined FOR_zstd_small_bits || defined FOR_zstd_small_fse ||                                   \
	defined FOR_zstd_small_literals || defined FOR_zstd_small_sequences
/*@ requires \valid(stream);
    assigns stream->next, stream->end, stream->fill_at, \result \from *stream;
    ensures good_input(stream); */
int any_piece(struct qcow2_stream *stream);

/*@
  predicate good_pieces(struct qcow2_stream *stream) =
    \valid(stream) && stream->fill == &any_piece && good_input(stream);
*/
#endif

/*
 * Masking and shifting by a variable are remainders and quotients. WP's provers cannot derive that;
 *  proves each axiom, separately for each number of bits.
 */
/*@
  axiomatic Bits {
    axiom mask: \forall integer x, bits; 0 <= x <= 0xffffffffffffffff && 0 <= bits <= 63 ==>
      (x & ((1 << bits) - 1)) == x % (1 << bits);
    // The same once more: WP may write the operands of & in the other order.
    axiom mask_rest: \forall integer x, y, bits; 0 <= x % y <= 0xffffffffffffffff &&
      0 <= bits <= 63 ==> ((x % y) & ((1 << bits) - 1)) == x % y % (1 << bits);
    axiom mask32: \forall integer x, bits; 0 <= x <= 0xffffffffffffffff && 0 <= bits <= 31 ==>
      ((unsigned)x & (unsigned)((1 << bits) - 1)) == x % (1 << bits);
    axiom low32: \forall integer x; 0 <= x <= 0xffffffffffffffff ==>
      (unsigned)x == x % 0x100000000;
    axiom both: \forall integer x, y; 0 <= x <= 0xffffffffffffffff && 0 <= y <= 0xffffffffffffffff
      ==> 0 <= (x & y) <= y && (x & y) <= x;
    axiom either: \forall integer x, y; 0 <= x <= 0xffffffffffffffff && 0 <= y <= 0xffffffffffffffff
      ==> 0 <= (x | y) <= x + y;
    axiom left: \forall integer x, bits; 0 <= x <= 0xffffffffffffffff && 0 <= bits <= 63 ==>
      (x << bits) == x * (1 << bits) && x <= (x << bits);
    axiom right: \forall integer x, bits; 0 <= x <= 0xffffffffffffffff && 0 <= bits <= 63 ==>
      (x >> bits) == x / (1 << bits) && 0 <= (x >> bits) <= x;
    axiom reach: \forall integer x, bits; (1 << bits) <= x <= 0xffffffffffffffff && 0 <= bits <= 63
      ==> 1 <= (x >> bits);
    axiom down: \forall integer x, y, bits; 0 <= y <= (x >> bits) && 0 <= x <= 0xffffffffffffffff &&
      0 <= bits <= 63 ==> (y << bits) <= x;
    axiom rest: \forall integer x, bits; 0 <= x <= 0xffffffffffffffff && 0 <= bits <= 63 ==>
      x - ((x >> bits) << bits) == x % (1 << bits);
    axiom less: \forall integer x, bits, n; 0 <= x < (1 << bits) && 0 <= n <= bits <= 63 ==>
      (x >> n) < (1 << (bits - n));
    axiom fits: \forall integer y, bits; 0 <= y <= 0xff && 0 <= bits <= 24 ==>
      0 <= (y << bits) <= 0xff * (1 << bits) && (y << bits) <= 0xffffffff;
    axiom byte: \forall integer bits; 0 <= bits <= 24 ==> (1 << (bits + 8)) == 0x100 * (1 << bits);
    axiom by8: \forall integer x; 0 <= x <= 0xff ==> (x << 8) == x * 0x100;
    axiom by16: \forall integer x; 0 <= x <= 0xff ==> (x << 16) == x * 0x10000;
    axiom by24: \forall integer x; 0 <= x <= 0xff ==> (x << 24) == x * 0x1000000;
    axiom by32: \forall integer x; 0 <= x <= 0xffffffff ==> (x << 32) == x * 0x100000000;
    axiom high: \forall integer x; 0 <= x <= 0xffffffffffffffff ==> (x >> 32) == x / 0x100000000;
    axiom low30: \forall integer x; 0 <= x <= 0xffffffff ==> (x & 0x3fffffff) == x % 0x40000000;
    axiom slices: \forall integer x, y; 0 <= x <= 0xffffffffffffffff && x % 512 == 0 && 0 <= y < 512
      ==> (x + y) % 512 == y;
    axiom cluster: \forall integer bits; 9 <= bits <= 21 ==> 512 <= (1 << bits) <= 0x200000;
  }
*/

/* Axioms for table entries only: without these, the provers are faster with all other files. */
#ifdef FOR_map
/*@
  axiomatic Entries {
    axiom low24: \forall integer x; 0 <= x <= 0xffffffff ==> (x & 0xffffff) == x % 0x1000000;
    axiom sectors: \forall integer x; 0 <= x <= 0xffffffff ==> (x & 0xfffffe00) == x - x % 512;
    axiom over32: \forall integer x, y, bits; 0 <= x <= 0xffffffff && 0 <= y <= 0xffffffff &&
      0 <= bits <= 31 ==> (x * 0x100000000 + y) % (1 << bits) == y % (1 << bits);
    axiom part: \forall integer x, len, bits; 0 <= x <= 0xffffffffffffffff && 4 <= bits <= 16 &&
      len == 32 << bits ==> ((unsigned)x >> bits) % 32 == (x % len) >> bits;
    axiom parts: \forall integer x, len, bits; 0 <= x <= 0xffffffffffffffff && 4 <= bits <= 16 &&
      len == 32 << bits ==> 0 <= ((x % len) >> bits) < 32 &&
      ((x % len) >> bits << bits) <= x % len < (((x % len) >> bits) + 1 << bits);
    axiom whole: \forall integer bits; 9 <= bits <= 21 ==> (32 << (bits - 5)) == 1 << bits;
    axiom scaled: \forall integer x, y, bits; 0 <= x <= y <= 0xffffffff && 0 <= bits <= 31 ==>
      (x << bits) <= (y << bits);
    axiom last: \forall integer x; 0 <= x <= 0xffffffffffffffff && x % 8 == 0 ==>
      (x | 504) == x - x % 512 + 504;
    axiom either_least: \forall integer x, y; 0 <= x <= 0xffffffffffffffff &&
      0 <= y <= 0xffffffffffffffff ==> (x | y) >= x && (x | y) >= y;
    axiom packed: \forall integer x, bits; 0 <= x < 0x40000000 && 17 <= bits <= 29 ==>
      0 <= x - (x >> bits << bits) < 0x20000000 && (x >> bits) < 0x2000;
  }
*/
#endif

/* For the bits that the fast decoder for zstd reads backwards. */
#if defined FOR_zstd_fast_bits || defined FOR_zstd_fast_literals || defined FOR_zstd_fast_sequences
/*@
  axiomatic Backwards {
    axiom in_byte: \forall integer x; 0 <= x <= 0xffffffff ==> (x & 7) == x % 8;
    axiom bytes: \forall integer x; 0 <= x <= 0xffffffff ==> (x >> 3) == x / 8;
    axiom twice: \forall integer x; 0 <= x <= 0xffffffff ==> (x << 1) == 2 * x;
    axiom above: \forall integer x; 0 <= x < 0x200 && (x & 0x100) == 0 ==> x < 0x100;
  }
*/
#endif

/* For powers of two in the small decoder for zstd. */
#if defined FOR_zstd_small_bits || defined FOR_zstd_small_fse
/*@
  axiomatic Powers {
    axiom half: \forall integer x, n; 0 <= x <= 0xffff && 0 <= n <= 31 && 2 <= (x >> n) ==>
      (1 << (n + 1)) <= x;
  }
*/
#endif

/* For its tables. */
#ifdef FOR_zstd_small_fse
/*@
  axiomatic Tables {
    axiom powers: \forall integer m, n; 0 <= m <= n <= 9 ==> 1 <= (1 << m) <= (1 << n) <= 512;
    axiom doubled: \forall integer x, n; 0 <= x <= 1023 && 0 <= n <= 9 ==>
      0 <= (x << n) <= 0x7ffff && (x << (n + 1)) == 2 * (x << n);
    axiom low4: \forall integer x; 0 <= x <= 0xff ==> (x & 15) == x % 16;
    axiom masks: \forall integer x, y, m, n; 0 <= m <= n <= 9 && x == (1 << m) - 1 &&
      y == (1 << n) - 1 ==> (x & y) == x;
    axiom rare: \forall integer x; x == -1 ==> (unsigned short)x == 0xffff;
    axiom next_state: \forall integer x, n, log; 0 <= n <= log <= 9 && 0 <= x &&
      (x << n) < 2 * (1 << log) ==>
      0 <= ((x << n) & (unsigned)(~(1 << log))) <= (1 << log) - (1 << n);
  }
*/
#endif

/* For literals. */
#ifdef FOR_zstd_fast_literals
/*@
  axiomatic Literals {
    axiom word_top: \forall integer x, bits; 0 <= x <= 0xffffffffffffffff && bits == 53 ==>
      0 <= (x >> bits) < 2048;
    axiom to_64: \forall integer n; 0 <= n <= 6 ==> 1 <= (1 << n) <= 64;
    axiom pairs: \forall integer x, m, n; 1 <= m <= 15 && 0 <= n <= 11 && x == (1 << m) / 2 ==>
      (x << n) == 1 || (x << n) % 2 == 0;
    axiom index: \forall integer x, bits, n; 0 <= x < (1 << bits) && 0 <= n && 0 <= bits &&
      n + bits == 11 ==> 0 <= (x << n) < 2048;
  }
*/
#endif

/* For making the tables of sequences. */
#ifdef FOR_zstd_fast_fse
/*@
  axiomatic Forms {
    axiom low4: \forall integer x; 0 <= x <= 0xffffffff ==> (x & 15) == x % 16;
    axiom same: \forall integer x; 0 <= x <= 0xffffffff && x % 64 <= 9 ==> x % 16 == x % 64;
    axiom by_256: \forall integer x, bits; 0 <= x <= 0xffffffff && bits == 8 ==>
      (x >> bits) == x / 256;
    axiom powers: \forall integer m, n; 0 <= m <= n <= 9 ==> 1 <= (1 << m) <= (1 << n) <= 512;
    axiom by_2_23: \forall integer x, bits; 0 <= x <= 0x1ff && bits == 23 ==>
      (x << bits) == x * 0x800000;
    axiom by_2_14: \forall integer x, bits; 0 <= x <= 0x1ff && bits == 14 ==>
      (x << bits) == x * 16384;
    // WP gives the operands of | an order, so that each of these is there with both.
    axiom form_1: \forall integer a, b; 0 <= a <= 31 && 0 <= b <= 0xff800000 &&
      b % 0x800000 == 0 ==> 0 <= (a | b) <= 0xffffffff && (a | b) % 256 == a &&
      (a | b) / 256 % 64 == 0 && (a | b) / 16384 % 512 == 0;
    axiom form_2: \forall integer a, b; 0 <= b <= 31 && 0 <= a <= 0xff800000 &&
      a % 0x800000 == 0 ==> 0 <= (a | b) <= 0xffffffff && (a | b) % 256 == b &&
      (a | b) / 256 % 64 == 0 && (a | b) / 16384 % 512 == 0;
    axiom with_bits_1: \forall integer a, b; 0 <= a <= 0xffffffff && a / 256 % 64 == 0 &&
      0 <= b <= 0x3f00 && b % 256 == 0 ==> 0 <= (a | b) <= 0xffffffff &&
      (a | b) % 256 == a % 256 && (a | b) / 256 % 64 == b / 256 &&
      (a | b) / 16384 % 512 == a / 16384 % 512;
    axiom with_bits_2: \forall integer a, b; 0 <= b <= 0xffffffff && b / 256 % 64 == 0 &&
      0 <= a <= 0x3f00 && a % 256 == 0 ==> 0 <= (a | b) <= 0xffffffff &&
      (a | b) % 256 == b % 256 && (a | b) / 256 % 64 == a / 256 &&
      (a | b) / 16384 % 512 == b / 16384 % 512;
    axiom with_next_1: \forall integer a, b; 0 <= a <= 0xffffffff && a / 16384 % 512 == 0 &&
      0 <= b <= 0x7fc000 && b % 16384 == 0 ==> 0 <= (a | b) <= 0xffffffff &&
      (a | b) % 256 == a % 256 && (a | b) / 256 % 64 == a / 256 % 64 &&
      (a | b) / 16384 % 512 == b / 16384;
    axiom with_next_2: \forall integer a, b; 0 <= b <= 0xffffffff && b / 16384 % 512 == 0 &&
      0 <= a <= 0x7fc000 && a % 16384 == 0 ==> 0 <= (a | b) <= 0xffffffff &&
      (a | b) % 256 == b % 256 && (a | b) / 256 % 64 == b / 256 % 64 &&
      (a | b) / 16384 % 512 == a / 16384;
    axiom not_moved: \forall integer x, n; n == 0 ==> (x << n) == x;
    axiom halves: \forall integer x, n, one; 0 <= x <= 1023 && 1 <= n <= 9 && one == 1 ==>
      ((x << n) >> one) == (x << (n - 1));
    axiom aligned: \forall integer x, n, log; 0 <= x <= 1023 && 0 <= n <= log <= 9 ==>
      0 <= (x << n) % (1 << log) && (x << n) % (1 << log) + (1 << n) <= (1 << log);
    axiom moved: \forall integer x, n; 0 <= x <= 1023 && 0 <= n <= 9 ==> 0 <= (x << n) <= 0x7ffff;
  }
*/
#endif

/* For the cells of the tables of sequences. */
#ifdef FOR_zstd_fast_sequences
/*@
  axiomatic Cells {
    axiom by_256: \forall integer x, bits; 0 <= x <= 0xffffffff && bits == 8 ==>
      (x >> bits) == x / 256;
    axiom by_16384: \forall integer x, bits; 0 <= x <= 0xffffffff && bits == 14 ==>
      (x >> bits) == x / 16384;
    axiom low4: \forall integer x; 0 <= x <= 0xffffffff ==> (x & 15) == x % 16;
    axiom same: \forall integer x; 0 <= x <= 0xffffffff && x % 64 <= 9 ==> x % 16 == x % 64;
    axiom low6: \forall integer x; 0 <= x <= 0xffffffff ==> (x & 63) == x % 64;
    axiom low9: \forall integer x; 0 <= x <= 0xffffffff ==> (x & 511) == x % 512;
    axiom taken: \forall integer x, n, one; 0 <= x <= 0xffffffffffffffff && 0 <= n <= 31 &&
      one == 1 ==> 0 <= ((x >> one) >> (63 & (unsigned)(~n))) < (1 << n);
    axiom table: \forall integer x, bits; 0 <= x <= 3 && bits == 8 ==> (x << bits) == 256 * x;
    axiom powers: \forall integer m, n; 0 <= m <= n <= 9 ==> 1 <= (1 << m) <= (1 << n) <= 512;
    axiom eight: \forall integer n; 0 <= n <= 8 ==> (1 << n) <= 256;
    axiom wraps: \forall integer x; -0x100000000 <= x < 0 ==> (unsigned)x == x + 0x100000000;
    axiom sums: \forall integer x, y, z; 0 <= x <= 0xffffffff && 0 <= y <= 0xffffffff &&
      0 <= z <= 0xffffffff && x % 256 <= 31 && y % 256 <= 31 && z % 256 <= 31 &&
      x / 256 % 64 <= 9 && y / 256 % 64 <= 9 && z / 256 % 64 <= 9 ==>
      (unsigned)(z + (unsigned)(x + y)) / 256 % 64 <= 27;
  }
*/
#endif

/* For the header of a frame and that of a block. */
#ifdef FOR_zstd_fast
/*@
  axiomatic Headers {
    // WP makes a division of some shifts by a constant, and not of others.
    axiom eighth: \forall integer x, bits; 0 <= x <= 0xffffffff && bits == 3 ==>
      (x >> bits) == x / 8;
    axiom top: \forall integer x, bits; 0 <= x <= 0xff && bits == 6 ==> 0 <= (x >> bits) <= 3;
    axiom power: \forall integer bits; 0 <= bits <= 3 ==> 1 <= (1 << bits) <= 8;
  }
*/
#endif

#if defined FOR_check || defined FOR_check_count || defined FOR_check_map || defined FOR_check_walk
#include "qcow2/check.h"

/* The clusters of the window have counters: of one byte, or of four. */
/*@
  predicate good_memory(struct qcow2_check *c) =
    \valid(c) && 4 <= c->n_counters <= 0x7fffffffffffffff &&
    \valid(c->counters + (0 .. c->n_counters - 1)) &&
    \valid((uint32_t *)c->counters + (0 .. c->n_counters / 4 - 1)) &&
    \separated(c, c->counters + (0 .. c->n_counters - 1)) &&
    \separated(c, (uint32_t *)c->counters + (0 .. c->n_counters / 4 - 1));

  predicate good_counters(struct qcow2_check *c) =
    good_memory(c) && c->first <= c->window_end && 0 < c->window_end &&
    (c->wide == 0 ? c->window_end - c->first <= c->n_counters
                  : c->window_end - c->first <= c->n_counters / 4);

  predicate same_window{A, B}(struct qcow2_check *c) =
    \at(c->first == \at(c->first, A) && c->window_end == \at(c->window_end, A) &&
         c->settled == \at(c->settled, A) && c->wide == \at(c->wide, A), B);

  predicate good_error(struct qcow2_check *c) =
    \valid(c->error) && \separated(c->error, c, c->counters + (0 .. c->n_counters - 1)) &&
    \separated(c->error, (uint32_t *)c->counters + (0 .. c->n_counters / 4 - 1));

  predicate good_buffer(struct qcow2_check *c) =
    512 <= c->l2.piece_len <= 65536 &&
    \valid((uint64_t *)c->l2.piece + (0 .. c->l2.piece_len / 8 - 1)) &&
    \separated((uint64_t *)c->l2.piece + (0 .. c->l2.piece_len / 8 - 1), c, c->error,
               c->counters + (0 .. c->n_counters - 1)) &&
    \separated((uint64_t *)c->l2.piece + (0 .. c->l2.piece_len / 8 - 1),
               (uint32_t *)c->counters + (0 .. c->n_counters / 4 - 1)) &&
    good_error(c);
*/
#endif

#endif
