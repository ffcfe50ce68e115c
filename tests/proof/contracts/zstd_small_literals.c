/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "../../../src/zstd_small_literals.c"
#include "zstd_small.h"

/*@ requires good_output(s);
    assigns s->literals, s->room, s->status;
    ensures good_output(s) && s->room <= \old(s->room);
    ensures s->status == 0 ==> s->room == \old(s->room) - n && s->literals == n &&
              \result == s->stream->done + s->room; */
static uint32_t unzstd_place(struct unzstd *s, uint32_t n);
