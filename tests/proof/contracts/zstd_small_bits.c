/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "../../../src/zstd_small_bits.c"
#include "zstd_small.h"

/*@ requires \valid(s) && good_pieces(s->stream) && \separated(s, s->stream);
    assigns s->status, s->stream->next, s->stream->end, s->stream->fill_at;
    ensures \result <= 0xff && good_pieces(s->stream);
    ensures s->status != 0 ==> \result == 0;
    ensures \old(s->status) != 0 ==> s->status == \old(s->status); */
static uint32_t unzstd_byte(struct unzstd *s, uint32_t k);
