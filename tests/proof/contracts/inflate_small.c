/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "../../../src/inflate_small.c"
#include "internal.h"

/*@ requires \valid(s) && s->n_bits < 16 && good_bits(s);
    requires good_stream(s->stream) && \separated(s, s->stream);
    assigns s->buf, s->n_bits, s->status, s->stream->next, s->stream->end;
    ensures s->n_bits == \old(s->n_bits) + 8 && good_bits(s) && good_stream(s->stream); */
static void inflate_pull(struct inflate *s);

/*@ requires n <= 16;
    requires \valid(s) && good_bits(s);
    requires good_stream(s->stream) && \separated(s, s->stream);
    assigns s->buf, s->n_bits, s->status, s->stream->next, s->stream->end;
    ensures \result < 1 << n;
    ensures good_bits(s) && good_stream(s->stream);
    ensures \old(s->n_bits) >= n ==> \result == \old(s->buf) % (1 << n) &&
              s->buf == \old(s->buf) / (1 << n) && s->n_bits == \old(s->n_bits) - n; */
static uint32_t inflate_take(struct inflate *s, uint32_t n);

/*@ requires \valid(s) && s->length > 0 && good_bits(s);
    requires good_stream(s->stream) && good_window(s->stream) && \separated(s, s->stream);
    requires \separated(s->stream->window + (0 .. s->stream->window_len - 1), s, s->stream);
    assigns s->buf, s->n_bits, s->status, s->length, s->stream->next, s->stream->end,
            s->stream->done, s->stream->window[0 .. s->stream->window_len - 1];
    ensures good_stream(s->stream) && s->length <= \old(s->length);
    ensures \result == 0 ==> s->length == 0 || s->stream->done == s->stream->stop; */
static int inflate_copy(struct inflate *s);
