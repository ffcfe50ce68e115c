/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Predicates for the files of src/zstd_fast.h, and contracts of the functions in it.
 * contracts/internal.h explains such a file.
 */
#ifndef CONTRACTS_ZSTD_FAST_H
#define CONTRACTS_ZSTD_FAST_H

#include "../../../src/zstd_fast.h"
#include "zstd_fast_bits.h"

/* What a block changes of the decoder. The preprocessor also reads annotations. */
#define BLOCK_STATE                                                                                \
	s->in, s->block_end, s->at, s->room, s->lit, s->n_lits, s->repeats, s->bits,               \
		s->state[0..2], s->log[0..3], s->has_tables, s->has_tree, s->cells[0..1343],       \
		s->forms[0..63], s->counts[0..63], s->weights[0..255], s->tree[0..2047]

/*@
  // What is left of the input.
  predicate good_rest(struct zfast *s) =
    0 <= s->in_end - s->in && \base_addr(s->in_end) == \base_addr(s->in) &&
    \valid_read(s->in + (0 .. s->in_end - s->in - 1));

  // The same of a block.
  predicate good_part(struct zfast *s) =
    0 <= s->block_end - s->in < 0x20000000 && \base_addr(s->block_end) == \base_addr(s->in) &&
    \valid_read(s->in + (0 .. s->block_end - s->in - 1));

  // The frame has made the bytes from `start` to `at`, and may make those up to `end`.
  predicate good_frame(struct zfast *s) =
    s->start <= s->at <= s->end <= s->stop && s->block_max <= ZSTD_FORMAT_BLOCK_MAX;

  // The next states of a cell of a sequence table: the first one, and behind the last one.
  logic integer first_of(integer cell) = cell / 16384 % 512;
  logic integer end_of(integer cell) = first_of(cell) + (1 << (cell / 256 % 64));
*/

/*
 * Functions that only pass cells on are proved with OPAQUE. Then nothing is known about what a good
 * cell is: the arithmetic of its parts makes goals about arrays of cells too hard for the provers.
 */
#ifdef OPAQUE
/*@
  axiomatic Cell {
    predicate good_cell(integer cell, integer log) reads \nothing;
    predicate good_form(integer form, integer log) reads \nothing;
  }
*/
#else
/*@
  // A cell of a sequence table with 1 << log cells: the next state is one of them.
  predicate good_cell(integer cell, integer log) =
    0 <= cell <= 0xffffffff && cell % 256 <= 31 && cell / 256 % 64 <= log <= 9 &&
    end_of(cell) <= (1 << log);

  // A cell without the number of its next state.
  predicate good_form(integer form, integer log) =
    0 <= form <= 0xffffffff && form % 256 <= 31 && form / 256 % 64 <= log &&
    form / 16384 % 512 == 0;
*/
#endif

/*@
  predicate good_forms(struct zfast *s, integer n, integer log) =
    \forall integer i; 0 <= i < n ==> good_form(s->forms[i], log);

  // The tables: their symbols, the log2 of the most cells, and the first cell.
  logic integer n_symbols(integer kind) =
    kind == 0 ? 36 : kind == 1 ? 32 : kind == 2 ? 53 : 64;
  logic integer log_max(integer kind) = kind == 1 ? 8 : kind == 3 ? 6 : 9;
  logic integer first_cell(integer kind) =
    kind == 0 ? 0 : kind == 1 ? 512 : kind == 2 ? 768 : 1280;

  predicate good_table(uint32_t *cells, integer log) =
    \forall integer i; 0 <= i < (1 << log) ==> good_cell(cells[i], log);

  predicate good_table_of(struct zfast *s, integer kind) =
    s->log[kind] <= log_max(kind) && good_table(&s->cells[first_cell(kind)], s->log[kind]);

  predicate good_tables(struct zfast *s) =
    s->log[0] <= 9 && s->log[1] <= 8 && s->log[2] <= 9 && good_table(&s->cells[0], s->log[0]) &&
    good_table(&s->cells[512], s->log[1]) && good_table(&s->cells[768], s->log[2]);

  // A block may use the tables of the one before it.
  predicate kept_tables(struct zfast *s) = s->has_tables != 0 ==> good_tables(s);

  // The states now, for the tables as they were.
  predicate good_states{Now, Then}(struct zfast *s) =
    good_cell(\at(s->state[0], Now), \at(s->log[0], Then)) &&
    good_cell(\at(s->state[1], Now), \at(s->log[1], Then)) &&
    good_cell(\at(s->state[2], Now), \at(s->log[2], Then));

  // The literals that are left are behind the room for the rest of the block.
  predicate good_room(struct zfast *s) =
    s->at + s->room == s->lit && s->lit + s->n_lits <= s->end;

  predicate good_memory(struct zfast *s) =
    \valid(s) && \valid(s->out + (0 .. s->stop - 1)) && \separated(s, s->out + (0 .. s->stop - 1));
*/

/* WP does not show that nothing changes the tables between two blocks: README.md says so. */
#ifdef FOR_zstd_fast
#define KEPT_TABLES(s) 0 == 0
#else
#define KEPT_TABLES(s) kept_tables(s)
#endif

/*@ requires \valid_read(bytes + (0 .. len - 1));
    assigns \nothing; */
uint64_t q2_xxh64(const uint8_t *bytes, uint32_t len);

#ifdef OPAQUE
/*@ requires kind <= 3;
    assigns \nothing;
    ensures \result == &s->cells[first_cell(kind)]; */
static inline uint32_t *q2_zfast_table(struct zfast *s, uint32_t kind);
#else
/*@ requires kind <= 3;
    assigns \nothing;
    ensures kind == ZFAST_LL ==> \result == &s->cells[0];
    ensures kind == ZFAST_OF ==> \result == &s->cells[512];
    ensures kind == ZFAST_ML ==> \result == &s->cells[768];
    ensures kind == ZFAST_WEIGHTS ==> \result == &s->cells[1280]; */
static inline uint32_t *q2_zfast_table(struct zfast *s, uint32_t kind);
#endif

/*@ requires \valid(s) && good_part(s) && kind <= 3;
    requires \separated(s, s->in + (0 .. s->block_end - s->in - 1));
    assigns s->in, s->log[kind], s->counts[0 .. 63];
    ensures \result != 0 ==> good_part(s) && 0 <= s->in - \old(s->in);
    ensures \result != 0 ==> s->log[kind] <= log_max(kind); */
bool q2_zfast_read_counts(struct zfast *s, uint32_t kind);

/*@ requires \valid(s) && kind <= 3 && s->log[kind] <= log_max(kind);
    assigns s->cells[first_cell(kind) .. first_cell(kind) + (1 << s->log[kind]) - 1],
            s->counts[0 .. 63], s->forms[0 .. 63];
    ensures good_table(&s->cells[first_cell(kind)], s->log[kind]); */
void q2_zfast_build(struct zfast *s, uint32_t kind);

/*@ requires \valid(s) && good_part(s) && kind <= 2 && mode <= 3;
    requires \separated(s, s->in + (0 .. s->block_end - s->in - 1));
    requires s->has_tables != 0 ==> s->log[kind] <= log_max(kind) &&
               good_table(&s->cells[first_cell(kind)], s->log[kind]);
    assigns s->in, s->log[kind], s->counts[0 .. 63], s->forms[0 .. 63];
    assigns s->cells[first_cell(kind) .. first_cell(kind) + (1 << log_max(kind)) - 1];
    ensures \result != 0 ==> good_part(s) && 0 <= s->in - \old(s->in);
    ensures \result != 0 ==> s->log[kind] <= log_max(kind) &&
              good_table(&s->cells[first_cell(kind)], s->log[kind]); */
bool q2_zfast_read_table(struct zfast *s, uint32_t kind, uint32_t mode);

/*@ requires good_memory(s) && good_part(s) && good_frame(s);
    requires \separated(s, s->in + (0 .. s->block_end - s->in - 1), s->out + (0 .. s->stop - 1));
    assigns s->in, s->block_end, s->room, s->lit, s->n_lits, s->has_tree, s->log[0 .. 3],
            s->cells[0 .. 1343], s->forms[0 .. 63], s->counts[0 .. 63], s->weights[0 .. 255],
            s->tree[0 .. 2047], s->out[0 .. s->stop - 1];
    ensures \result != 0 ==> good_part(s) && good_room(s) && 0 <= s->in - \old(s->in);
    ensures \result != 0 ==> s->block_end == \old(s->block_end); */
bool q2_zfast_literals(struct zfast *s);

/*@ requires good_memory(s) && good_part(s) && good_frame(s) && good_room(s) && KEPT_TABLES(s);
    requires \separated(s, s->in + (0 .. s->block_end - s->in - 1), s->out + (0 .. s->stop - 1));
    assigns s->in, s->at, s->room, s->lit, s->n_lits, s->repeats, s->bits, s->state[0 .. 2],
            s->has_tables, s->log[0 .. 2], s->cells[0 .. 1279], s->forms[0 .. 63],
            s->counts[0 .. 63], s->out[0 .. s->stop - 1];
    ensures \result != 0 ==> good_frame(s) && good_room(s) && KEPT_TABLES(s); */
bool q2_zfast_sequences(struct zfast *s);

/*@ requires good_memory(s) && good_frame(s) && good_room(s) && n <= s->n_lits;
    assigns s->at, s->lit, s->n_lits, s->out[0 .. s->stop - 1];
    ensures s->at == \old(s->at) + n && s->lit == \old(s->lit) + n;
    ensures s->n_lits == \old(s->n_lits) - n; */
void q2_zfast_move_literals(struct zfast *s, uint32_t n);

/* acsl.h says why. */
#define memcpy bytes_copy
#define memset bytes_set

#endif
