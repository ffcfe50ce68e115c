/* SPDX-License-Identifier: MIT */
#include "../../../src/zstd_small.c"
#include "internal.h"

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
static void unzstd_fail(struct unzstd *s, int status);

/*@ requires \valid(s);
    assigns s->status;
    ensures \result != 0 <==> s->status == 0;
    ensures s->status == 0 <==> \old(s->status) == 0 && valid != 0; */
static bool unzstd_check(struct unzstd *s, bool valid);

/*@ requires \valid(s) && good_pieces(s->stream) && \separated(s, s->stream);
    assigns s->status, s->stream->next, s->stream->end, s->stream->fill_at;
    ensures \result <= 0xff && good_pieces(s->stream);
    ensures s->status != 0 ==> \result == 0;
    ensures \old(s->status) != 0 ==> s->status == \old(s->status); */
static uint32_t unzstd_byte(struct unzstd *s, uint32_t k);

/*@ requires \valid(s) && good_pieces(s->stream) && \separated(s, s->stream);
    assigns s->at, s->status, s->stream->next, s->stream->end, s->stream->fill_at;
    ensures \result <= 0xff && good_pieces(s->stream);
    ensures s->status != 0 ==> \result == 0;
    ensures s->at == \old(s->at) || s->at == \old(s->at) + 1 <= s->end;
    ensures s->status == 0 ==> s->at == \old(s->at) + 1; */
static uint32_t unzstd_next(struct unzstd *s);

/*@ requires n <= 22 && s->n_bits < 8;
    requires \valid(s) && good_pieces(s->stream) && \separated(s, s->stream);
    assigns s->end, s->buf, s->n_bits, s->over, s->status, s->stream->next, s->stream->end,
            s->stream->fill_at;
    ensures \result < 1 << n && s->n_bits < 8 && good_pieces(s->stream);
    ensures s->end <= \old(s->end);
    ensures s->at <= \old(s->end) ==> s->at <= s->end; */
static uint32_t unzstd_back(struct unzstd *s, uint32_t n);

/* The output: a window, and in it what a block has made, room, and its literals that are left. */

/*@ requires \valid_read(s) && \valid_read(s->stream) && 0 < s->stream->window_len;
    assigns \result \from s->stream->window, s->stream->window_len, k;
    ensures \base_addr(\result) == \base_addr(s->stream->window);
    ensures 0 <= \result - s->stream->window < s->stream->window_len; */
static uint8_t *unzstd_out(struct unzstd *s, uint32_t k);

/*@ requires good_output(s);
    assigns s->literals, s->room, s->status;
    ensures good_output(s) && s->room <= \old(s->room);
    ensures s->status == 0 ==> s->room == \old(s->room) - n && s->literals == n &&
              \result == s->stream->done + s->room; */
static uint32_t unzstd_place(struct unzstd *s, uint32_t n);

/*@ requires good_output(s);
    assigns s->literals, s->status, s->stream->done,
            s->stream->window[0 .. s->stream->window_len - 1];
    ensures good_output(s);
    ensures s->status == 0 ==> s->stream->done == \old(s->stream->done) + n &&
              s->literals == \old(s->literals) - n; */
static void unzstd_copy_literals(struct unzstd *s, uint32_t n);

/*@ requires good_output(s);
    assigns s->room, s->status, s->stream->done,
            s->stream->window[0 .. s->stream->window_len - 1];
    ensures good_output(s);
    ensures s->status == 0 ==> s->stream->done == \old(s->stream->done) + n &&
              s->room == \old(s->room) - n && offset <= \old(s->stream->done) - s->begin; */
static void unzstd_copy_match(struct unzstd *s, uint32_t n, uint32_t offset);
