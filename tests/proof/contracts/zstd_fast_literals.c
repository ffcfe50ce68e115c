/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "zstd_fast.h"
#include "../../../src/zstd_fast_literals.c"

/*@ requires \valid(tree + (0 .. 2047)) && (len == 1 || len % 2 == 0);
    assigns tree[0 .. 2047]; */
static void zfast_fill(uint16_t *tree, uint32_t at, uint32_t len, uint32_t entry);

/*@ requires \valid_read(tree + (0 .. 2047)) && \valid(sum) && \valid(out);
    assigns *sum, *out; */
static inline q2_word zfast_literal(const uint16_t *tree, q2_word word, uint32_t *sum,
                                    uint8_t *out);

/*@ requires \valid_read(tree + (0 .. 2047)) && good_backwards(b) && 64 <= b->left <= 0xfffffff8;
    requires \valid(out + (0 .. 4));
    requires \separated(b, out + (0 .. 4)) && \separated(tree + (0 .. 2047), out + (0 .. 4));
    assigns b->left, out[0 .. 4];
    ensures \old(b->left) - 63 <= b->left <= \old(b->left) && good_backwards(b); */
static inline void zfast_turn(const uint16_t *tree, struct zfast_bits *b, uint8_t *out);

/*@ requires \valid_read(s) && good_backwards(b) && \valid(out + (0 .. n - 1));
    requires \separated(b, out + (0 .. n - 1)) && \separated(s, b, out + (0 .. n - 1));
    assigns b->left, out[0 .. n - 1];
    ensures b->left <= \old(b->left); */
static bool zfast_stream_end(const struct zfast *s, struct zfast_bits *b, uint8_t *out, uint32_t n);

/*@ requires \valid_read(b + (0 .. 3));
    assigns \nothing;
    ensures \forall integer i; 0 <= i < 4 ==> 64 * \result <= b[i].left;
    ensures 8 * \result <= n; */
static uint32_t zfast_turns(const struct zfast_bits *b, uint32_t n);

/*@ requires \valid_read(s) && len < 0x20000000 && \valid_read(s->in + (0 .. len - 1));
    requires \valid(out + (0 .. n - 1));
    requires \separated(s, out + (0 .. n - 1));
    assigns out[0 .. n - 1]; */
static bool zfast_one_stream(const struct zfast *s, uint8_t *out, uint32_t n, uint32_t len);

/*@ requires \valid_read(s) && len < 0x20000000 && \valid_read(s->in + (0 .. len - 1));
    requires \valid(out + (0 .. n - 1)) && n < 0x1fffffff;
    requires \separated(s, out + (0 .. n - 1));
    assigns out[0 .. n - 1]; */
static bool zfast_four_streams(const struct zfast *s, uint8_t *out, uint32_t n, uint32_t len);

/*@ requires good_memory(s) && good_frame(s);
    assigns s->room, s->lit, s->n_lits;
    ensures \result != 0 ==> s->at + s->room == s->lit && s->lit + n <= s->end && s->n_lits == n;
    ensures \result != 0 ==> n <= ZSTD_FORMAT_BLOCK_MAX; */
static bool zfast_place_literals(struct zfast *s, uint32_t n);

/*@ requires \valid(s) && good_part(s) && len <= s->block_end - s->in;
    requires \separated(s, s->in + (0 .. s->block_end - s->in - 1));
    assigns s->in, s->block_end, s->log[3], s->cells[1280 .. 1343], s->forms[0 .. 63],
            s->counts[0 .. 63], s->weights[0 .. 255];
    ensures \result <= 255 && s->in == \old(s->in) + len && s->block_end == \old(s->block_end); */
static uint32_t zfast_fse_weights(struct zfast *s, uint32_t len);

/*@ requires \valid(s) && good_part(s);
    requires \separated(s, s->in + (0 .. s->block_end - s->in - 1));
    assigns s->in, s->block_end, s->log[3], s->cells[1280 .. 1343], s->forms[0 .. 63],
            s->counts[0 .. 63], s->weights[0 .. 255];
    ensures \result <= 255 && s->block_end == \old(s->block_end);
    ensures good_part(s) && 0 <= s->in - \old(s->in); */
static uint32_t zfast_read_weights(struct zfast *s);

/*@ requires \valid(s) && n <= 255 && \valid(first + (0 .. 15));
    requires \separated(s, first + (0 .. 15));
    assigns s->weights[0 .. 255], first[0 .. 15];
    ensures \result <= 11; */
static uint32_t zfast_complete(struct zfast *s, uint32_t n, uint32_t *first);

/*@ requires \valid(s) && good_part(s);
    requires \separated(s, s->in + (0 .. s->block_end - s->in - 1));
    assigns s->in, s->block_end, s->has_tree, s->log[3], s->cells[1280 .. 1343],
            s->forms[0 .. 63], s->counts[0 .. 63], s->weights[0 .. 255], s->tree[0 .. 2047];
    ensures s->block_end == \old(s->block_end);
    ensures good_part(s) && 0 <= s->in - \old(s->in); */
static bool zfast_read_tree(struct zfast *s);

/*@ requires good_memory(s) && good_part(s) && n <= ZSTD_FORMAT_BLOCK_MAX && s->lit + n <= s->stop;
    requires \separated(s, s->in + (0 .. s->block_end - s->in - 1), s->out + (0 .. s->stop - 1));
    assigns s->in, s->block_end, s->has_tree, s->log[3], s->cells[1280 .. 1343],
            s->forms[0 .. 63], s->counts[0 .. 63], s->weights[0 .. 255], s->tree[0 .. 2047],
            s->out[0 .. s->stop - 1];
    ensures \result != 0 ==> good_part(s) && s->block_end == \old(s->block_end) &&
              0 <= s->in - \old(s->in); */
static bool zfast_coded_literals(struct zfast *s, uint32_t type, bool four, uint32_t n,
                                 uint32_t len);

/*@ requires good_memory(s) && good_part(s) && good_frame(s) && type <= 1 && s->in != s->block_end;
    requires \separated(s, s->in + (0 .. s->block_end - s->in - 1), s->out + (0 .. s->stop - 1));
    assigns s->in, s->room, s->lit, s->n_lits, s->out[0 .. s->stop - 1];
    ensures \result != 0 ==> good_part(s) && good_room(s) && 0 <= s->in - \old(s->in); */
static bool zfast_plain_literals(struct zfast *s, uint32_t type);

/*@ requires good_memory(s) && good_part(s) && good_frame(s) && s->in != s->block_end;
    requires \separated(s, s->in + (0 .. s->block_end - s->in - 1), s->out + (0 .. s->stop - 1));
    assigns s->in, s->block_end, s->room, s->lit, s->n_lits, s->has_tree, s->log[3],
            s->cells[1280 .. 1343], s->forms[0 .. 63], s->counts[0 .. 63], s->weights[0 .. 255],
            s->tree[0 .. 2047], s->out[0 .. s->stop - 1];
    ensures \result != 0 ==> good_part(s) && good_room(s) && 0 <= s->in - \old(s->in);
    ensures \result != 0 ==> s->block_end == \old(s->block_end); */
static bool zfast_packed_literals(struct zfast *s, uint32_t type);
