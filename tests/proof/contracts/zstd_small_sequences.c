/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "../../../src/zstd_small_sequences.c"
#include "zstd_small.h"

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
