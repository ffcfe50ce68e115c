/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Contracts of the functions in src/zstd_fast_bits.h and src/load_store.h. contracts/internal.h
 * explains such a file.
 */
#ifndef CONTRACTS_ZSTD_FAST_BITS_H
#define CONTRACTS_ZSTD_FAST_BITS_H

#include "../../../src/zstd_fast_bits.h"

/*@
  // The bits that are left are in memory, and so is the mark that was after them.
  predicate good_backwards(struct zfast_bits *b) =
    \valid(b) && \valid_read(b->bytes + (0 .. b->left / 8));
*/

/*@ requires n <= 4 && \valid_read(p + (0 .. n - 1));
    assigns \nothing; */
static inline uint32_t q2_zfast_le(const uint8_t *p, uint32_t n);

/*@ requires \valid(b) && len <= 0x1fffffff && \valid_read(bytes + (0 .. len - 1));
    requires \separated(b, bytes + (0 .. len - 1));
    assigns *b;
    ensures \result != 0 ==> good_backwards(b) && b->bytes == bytes && b->left < 8 * len; */
static inline bool q2_zfast_open(struct zfast_bits *b, const uint8_t *bytes, uint32_t len);

/*@ requires n <= 31 && at <= 0xffffffff - n && \valid_read(bytes + (0 .. at / 8));
    requires n != 0 ==> \valid_read(bytes + (0 .. (at + n - 1) / 8));
    assigns \nothing;
    ensures \result < 1 << n; */
static inline uint32_t q2_zfast_bits_at(const uint8_t *bytes, uint32_t at, uint32_t n);

/*@ requires n <= 31 && good_backwards(b);
    requires \separated(b, b->bytes + (0 .. b->left / 8));
    assigns b->left, b->over;
    ensures good_backwards(b) && \result < 1 << n;
    ensures b->left == (n <= \old(b->left) ? \old(b->left) - n : 0); */
static inline uint32_t q2_zfast_take(struct zfast_bits *b, uint32_t n);

/*@ requires \valid_read(p + (0 .. 7));
    assigns \nothing; */
static inline q2_word q2_word_load(const uint8_t *p);

/*@ requires \valid(p + (0 .. 7));
    assigns p[0 .. 7]; */
static inline void q2_word_store(uint8_t *p, q2_word value);

/*@ requires to <= 0xffffffff - 15 && from <= 0xffffffff - 15;
    requires \valid(out + (to .. to + 15)) && \valid_read(out + (from .. from + 15));
    assigns out[to .. to + 15]; */
static inline void q2_copy_16(uint8_t *out, uint32_t to, uint32_t from);

/*@ requires 64 <= left <= 0xfffffff8 && \valid_read(bytes + (0 .. left / 8));
    assigns \nothing; */
static inline q2_word q2_zfast_peek_word(const uint8_t *bytes, uint32_t left);

#endif
