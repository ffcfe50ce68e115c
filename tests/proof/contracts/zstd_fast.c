/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "zstd_fast.h"
#include "../../../src/zstd_fast.c"

/*@ requires \valid(s) && good_rest(s);
    requires \separated(s, s->in + (0 .. s->in_end - s->in - 1));
    assigns s->in;
    ensures good_rest(s); */
static int zfast_skip(struct zfast *s);

/*@ requires \valid(s) && window_len <= 1;
    requires id_len <= 4;
    requires size_len <= 8;
    requires \valid_read(p + (0 .. window_len + id_len + size_len - 1));
    requires \separated(s, p + (0 .. window_len + id_len + size_len - 1)) && s->at <= s->stop;
    assigns s->has_size, s->end, s->window, s->block_max;
    ensures \result != 0 ==> s->at <= s->end <= s->stop && s->block_max <= ZSTD_FORMAT_BLOCK_MAX; */
static bool zfast_limits(struct zfast *s, const uint8_t *p, uint32_t window_len, uint32_t id_len,
                         uint32_t size_len);

/*@ requires \valid(s) && good_rest(s) && s->at <= s->stop;
    requires \separated(s, s->in + (0 .. s->in_end - s->in - 1));
    assigns s->in, s->has_checksum, s->has_size, s->end, s->window, s->block_max;
    ensures good_rest(s) && 0 <= s->in - \old(s->in);
    ensures \result == 0 ==> s->at <= s->end <= s->stop && s->block_max <= ZSTD_FORMAT_BLOCK_MAX; */
static int zfast_header(struct zfast *s);

/*@ requires good_memory(s) && good_rest(s) && s->start <= s->at;
    requires s->at <= s->stop && \separated(s, s->in + (0 .. s->in_end - s->in - 1));
    assigns s->in;
    ensures good_rest(s); */
static int zfast_check(struct zfast *s);

/*@ requires good_memory(s) && good_frame(s) && good_rest(s) && size <= s->in_end - s->in;
    requires size <= ZSTD_FORMAT_BLOCK_MAX;
    requires \separated(s, s->in + (0 .. s->in_end - s->in - 1), s->out + (0 .. s->stop - 1));
    assigns BLOCK_STATE, s->out[0 .. s->stop - 1];
    ensures \result != 0 ==> good_frame(s) && s->in == \old(s->in) + size; */
static bool zfast_compressed(struct zfast *s, uint32_t size);

/*@ requires good_memory(s) && good_frame(s) && good_rest(s) && \valid(is_last);
    requires \separated(s, s->in + (0 .. s->in_end - s->in - 1), s->out + (0 .. s->stop - 1),
                        is_last);
    assigns BLOCK_STATE, *is_last, s->out[0 .. s->stop - 1];
    ensures \result == 0 ==> good_frame(s) && good_rest(s) && 0 <= s->in - \old(s->in); */
static int zfast_block(struct zfast *s, bool *is_last);

/*@ requires good_memory(s) && good_rest(s) && s->at <= s->stop;
    requires \separated(s, s->in + (0 .. s->in_end - s->in - 1), s->out + (0 .. s->stop - 1));
    assigns BLOCK_STATE, s->start, s->end, s->window, s->block_max, s->has_size, s->has_checksum,
            s->out[0 .. s->stop - 1];
    ensures \result == 0 ==> good_rest(s) && s->at <= s->stop; */
static int zfast_data_frame(struct zfast *s);

/*@ requires good_memory(s) && good_rest(s) && s->at <= s->stop;
    requires \separated(s, s->in + (0 .. s->in_end - s->in - 1), s->out + (0 .. s->stop - 1));
    assigns BLOCK_STATE, s->start, s->end, s->window, s->block_max, s->has_size, s->has_checksum,
            s->out[0 .. s->stop - 1];
    ensures \result == 0 ==> good_rest(s) && s->at <= s->stop; */
static int zfast_frame(struct zfast *s);
