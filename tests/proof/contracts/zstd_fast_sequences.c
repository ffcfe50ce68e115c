/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "zstd_fast.h"
#include "../../../src/zstd_fast_sequences.c"

/*@ requires \valid(to + (0 .. n - 1)) && \valid_read(from + (0 .. n - 1));
    assigns to[0 .. n - 1]; */
static void zfast_copy(uint8_t *to, const uint8_t *from, uint32_t n);

/*@ assigns \nothing; */
static inline struct zfast_repeats zfast_repeat(struct zfast_repeats r, uint32_t value,
                                                bool no_literals);

/*@ requires good_backwards(b) && cell % 256 <= 31;
    requires \separated(b, b->bytes + (0 .. b->left / 8));
    assigns b->left, b->over;
    ensures b->left <= \old(b->left); */
static uint32_t zfast_value(struct zfast_bits *b, uint32_t cell);

/*@ requires \valid(s) && kind < 3 && good_tables(s) && good_states{Here, Here}(s);
    requires good_backwards(&s->bits);
    requires \separated(s, s->bits.bytes + (0 .. s->bits.left / 8));
    assigns s->bits.left, s->bits.over, s->state[0 .. 2];
    ensures good_tables(s) && good_states{Here, Here}(s);
    ensures s->bits.left <= \old(s->bits.left); */
static void zfast_next(struct zfast *s, uint32_t kind);

/*@ assigns \nothing;
    ensures \result != 0 <==> 1 <= offset <= made && offset <= window; */
static inline bool zfast_reaches(uint32_t offset, uint32_t made, uint32_t window);

/*@ requires good_memory(s) && good_frame(s) && good_room(s);
    assigns s->repeats, s->at, s->room, s->lit, s->n_lits, s->out[0 .. s->stop - 1];
    ensures \result != 0 ==> \old(s->at) <= s->at && good_frame(s) && good_room(s); */
static bool zfast_execute(struct zfast *s, uint32_t n, uint32_t match, uint32_t value);

/*@ requires good_memory(s) && good_frame(s) && good_room(s) && good_tables(s);
    requires good_states{Here, Here}(s) && good_backwards(&s->bits);
    requires \separated(s, s->out + (0 .. s->stop - 1), s->bits.bytes + (0 .. s->bits.left / 8));
    assigns s->bits.left, s->bits.over, s->state[0 .. 2], s->repeats, s->at, s->room, s->lit,
            s->n_lits, s->out[0 .. s->stop - 1];
    ensures \result != 0 ==> good_frame(s) && good_room(s);
    ensures \result != 0 ==> good_states{Post, Pre}(s);
    ensures \result != 0 ==> s->bits.left <= \old(s->bits.left); */
static bool zfast_sequence(struct zfast *s, bool is_last);

/*@ requires at <= end <= 0xffffffff - 16 && from <= 0xffffffff - 16 - (end - at);
    requires \valid(out + (at .. end + 15));
    requires \valid_read(out + (from .. from + (end - at) + 15));
    assigns out[at .. end + 15]; */
static inline void zfast_wild(uint8_t *out, uint32_t at, uint32_t end, uint32_t from);

/*@ requires 1 <= offset <= at <= end <= 0xffffffff - 16;
    requires \valid(out + (at - offset .. end + 15));
    assigns out[at .. end + 15]; */
static inline void zfast_wild_match(uint8_t *out, uint32_t at, uint32_t end, uint32_t offset);

/*@ requires \valid(word) && n <= 31;
    assigns *word;
    ensures \result < 1 << n; */
static inline uint32_t zfast_word_take(uint64_t *word, uint32_t n);

/*@ requires \valid(word) && cell % 256 <= 31;
    assigns *word; */
static inline uint32_t zfast_word_value(uint64_t *word, uint32_t cell);

/*@ requires \valid(word) && cell / 256 % 64 <= 9;
    requires \valid_read(table + (first_of(cell) .. end_of(cell) - 1));
    requires \separated(word, table + (first_of(cell) .. end_of(cell) - 1));
    assigns *word;
    ensures \forall integer log; 0 <= log <= 9 && good_cell(cell, log) &&
              good_table(table, log) ==> good_cell(\result, log); */
static inline uint32_t zfast_word_next(uint64_t *word, const uint32_t *table, uint32_t cell);

/*@ requires ll % 256 <= 31 && of % 256 <= 31 && ml % 256 <= 31;
    requires ll / 256 % 64 <= 9 && of / 256 % 64 <= 9 && ml / 256 % 64 <= 9;
    assigns \nothing;
    ensures \result / 256 % 64 <= 27; */
static inline uint32_t zfast_sum(uint32_t ll, uint32_t of, uint32_t ml);

/*@ requires good_memory(s) && good_frame(s) && good_room(s) && good_tables(s);
    requires good_states{Here, Here}(s) && good_backwards(&s->bits) && s->bits.left <= 0xfffffff8;
    requires \separated(s, s->out + (0 .. s->stop - 1), s->bits.bytes + (0 .. s->bits.left / 8));
    assigns s->bits.left, s->state[0 .. 2], s->repeats, s->at, s->room, s->lit, s->n_lits,
            s->out[0 .. s->stop - 1];
    ensures good_frame(s) && good_room(s);
    ensures good_states{Post, Pre}(s);
    ensures s->bits.left <= \old(s->bits.left) && \result <= n && (n != 0 ==> \result != 0); */
static uint32_t zfast_run(struct zfast *s, uint32_t n);

/*@ requires \valid(s) && good_part(s) && \valid(n);
    requires \separated(s, n, s->in + (0 .. s->block_end - s->in - 1));
    assigns s->in, *n;
    ensures \result != 0 ==> good_part(s) && 0 <= s->in - \old(s->in); */
static bool zfast_read_count(struct zfast *s, uint32_t *n);

/*@ requires \valid(s) && good_part(s) && kept_tables(s);
    requires \separated(s, s->in + (0 .. s->block_end - s->in - 1));
    assigns s->in, s->bits, s->state[0 .. 2], s->has_tables, s->log[0 .. 2],
            s->cells[0 .. 1279], s->forms[0 .. 63], s->counts[0 .. 63];
    ensures \result != 0 ==> good_part(s) && 0 <= s->in - \old(s->in);
    ensures \result != 0 ==> good_tables(s);
    ensures \result != 0 ==> good_states{Here, Here}(s) && good_backwards(&s->bits);
    ensures \result != 0 ==> s->bits.bytes == s->in &&
              s->bits.left < 8 * (s->block_end - s->in); */
static bool zfast_begin_sequences(struct zfast *s);

/*@ requires good_backwards(b) && log <= 9 && good_table(cells, log);
    requires \valid_read(cells + (0 .. (1 << log) - 1));
    requires \separated(b, b->bytes + (0 .. b->left / 8));
    requires \separated(b, cells + (0 .. (1 << log) - 1));
    assigns b->left, b->over;
    ensures good_cell(\result, log) && good_backwards(b);
    ensures b->left <= \old(b->left); */
static uint32_t zfast_first(struct zfast_bits *b, const uint32_t *cells, uint32_t log);
