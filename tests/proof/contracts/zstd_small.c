/* SPDX-License-Identifier: MIT */
#include "../../../src/zstd_small.c"
#include "internal.h"

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
