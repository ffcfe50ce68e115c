/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "../../../src/zstd_fast_fse.c"

/*@ requires \valid_read(s) && 0 <= s->block_end - s->in;
    requires \valid_read(s->in + (0 .. s->block_end - s->in - 1));
    assigns \nothing; */
static uint32_t zfast_ahead(const struct zfast *s, uint32_t at);

/*@ requires \valid(s) && \valid(at) && \valid(symbol) && \separated(s, at, symbol);
    requires 0 <= s->block_end - s->in && \valid_read(s->in + (0 .. s->block_end - s->in - 1));
    requires *symbol < n_symbols <= ZFAST_SYMBOLS_MAX;
    assigns *at, *symbol, s->counts[0 .. ZFAST_SYMBOLS_MAX - 1];
    ensures \old(*symbol) <= *symbol < n_symbols; */
static bool zfast_read_zeros(struct zfast *s, uint32_t n_symbols, uint32_t *at, uint32_t *symbol);
