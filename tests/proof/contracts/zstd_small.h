/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Contracts of the functions in src/zstd_small.h, and the predicates for them. contracts/internal.h
 * explains such a file.
 */
#ifndef CONTRACTS_ZSTD_SMALL_H
#define CONTRACTS_ZSTD_SMALL_H

/*@
  // What the block has made, its room and the literals that are left are in the frame, which is in
  // the window.
  predicate good_output(struct unzstd *s) =
    \valid(s) && \valid(s->stream) && good_window(s->stream) &&
    \separated(s, s->stream, s->stream->window + (0 .. s->stream->window_len - 1)) &&
    s->begin <= s->stream->done && s->limit <= s->stream->window_len &&
    s->stream->done + s->room + s->literals <= s->limit;
*/

/*@ requires \valid(s);
    assigns s->status;
    ensures s->status == (\old(s->status) == 0 ? status : \old(s->status)); */
void q2_unzstd_fail(struct unzstd *s, int status);

/*@ requires \valid(s);
    assigns s->status;
    ensures \result != 0 <==> s->status == 0;
    ensures s->status == 0 <==> \old(s->status) == 0 && valid != 0; */
bool q2_unzstd_check(struct unzstd *s, bool valid);

/*@ requires \valid(s) && good_pieces(s->stream) && \separated(s, s->stream);
    assigns s->at, s->status, s->stream->next, s->stream->end, s->stream->fill_at;
    ensures \result <= 0xff && good_pieces(s->stream);
    ensures s->status != 0 ==> \result == 0;
    ensures s->at == \old(s->at) || s->at == \old(s->at) + 1 <= s->end;
    ensures s->status == 0 ==> s->at == \old(s->at) + 1; */
uint32_t q2_unzstd_next(struct unzstd *s);

/*@ requires n <= 22 && s->n_bits < 8;
    requires \valid(s) && good_pieces(s->stream) && \separated(s, s->stream);
    assigns s->end, s->buf, s->n_bits, s->over, s->status, s->stream->next, s->stream->end,
            s->stream->fill_at;
    ensures \result < 1 << n && s->n_bits < 8 && good_pieces(s->stream);
    ensures s->end <= \old(s->end);
    ensures s->at <= \old(s->end) ==> s->at <= s->end; */
uint32_t q2_unzstd_back(struct unzstd *s, uint32_t n);

/*@ requires \valid_read(s) && \valid_read(s->stream) && 0 < s->stream->window_len;
    assigns \result \from s->stream->window, s->stream->window_len, k;
    ensures \base_addr(\result) == \base_addr(s->stream->window);
    ensures 0 <= \result - s->stream->window < s->stream->window_len; */
static inline uint8_t *q2_unzstd_out(const struct unzstd *s, uint32_t k);

#endif
