/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "zstd_fast.h"
#include "../../../src/zstd_fast_literals.c"

/*@ requires \valid(tree + (0 .. 2047)) && (len == 1 || len % 2 == 0);
    assigns tree[0 .. 2047]; */
static void zfast_fill(uint16_t *tree, uint32_t at, uint32_t len, uint32_t entry);

/*@ requires good_tree(tree) && \valid(sum) && \valid(out) && \separated(sum, out);
    requires \separated(sum, tree + (0 .. 2047)) && *sum <= 0xfffff;
    assigns *sum, *out;
    ensures *sum <= \old(*sum) + 0xffff;
    ensures \old(*sum) % 256 <= 240 ==> *sum % 256 <= \old(*sum) % 256 + 11; */
static inline q2_word zfast_literal(const uint16_t *tree, q2_word word, uint32_t *sum,
                                    uint8_t *out);

/*@ requires good_tree(tree) && good_backwards(b) && 64 <= b->left <= 0xfffffff8;
    requires \valid(out + (0 .. 4));
    requires \separated(b, out + (0 .. 4)) && \separated(tree + (0 .. 2047), out + (0 .. 4));
    assigns b->left, out[0 .. 4];
    ensures \old(b->left) - 55 <= b->left <= \old(b->left); */
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

/*@ requires \valid_read(s) && len < 0x1fffffff && \valid_read(s->in + (0 .. len - 1));
    requires \valid(out + (0 .. n - 1)) && good_tree(&s->tree[0]);
    requires \separated(s, out + (0 .. n - 1));
    assigns out[0 .. n - 1]; */
static bool zfast_one_stream(const struct zfast *s, uint8_t *out, uint32_t n, uint32_t len);

/*@ requires \valid_read(s) && len < 0x1fffffff && \valid_read(s->in + (0 .. len - 1));
    requires \valid(out + (0 .. n - 1)) && n < 0x1fffffff && good_tree(&s->tree[0]);
    requires \separated(s, out + (0 .. n - 1));
    assigns out[0 .. n - 1]; */
static bool zfast_four_streams(const struct zfast *s, uint8_t *out, uint32_t n, uint32_t len);

/*@ requires good_memory(s) && good_frame(s);
    assigns s->room, s->lit, s->n_lits;
    ensures \result != 0 ==> s->at + s->room == s->lit && s->lit + n <= s->end && s->n_lits == n; */
static bool zfast_place_literals(struct zfast *s, uint32_t n);
