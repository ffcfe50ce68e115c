/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "zstd_fast.h"
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

/*@ requires \valid_read(s) && 0 <= s->block_end - s->in && \valid(at) && \separated(s, at);
    requires \valid_read(s->in + (0 .. s->block_end - s->in - 1));
    requires \separated(at, s->in + (0 .. s->block_end - s->in - 1));
    assigns *at; */
static uint32_t zfast_read_value(const struct zfast *s, uint32_t n, uint32_t left, uint32_t *at);

/*@ requires value <= 511 && extra <= 31;
    assigns \nothing;
    ensures good_form(\result, 0); */
static inline uint32_t zfast_pack(uint32_t value, uint32_t extra);

/*@ requires kind <= 3 && symbol < n_symbols(kind);
    assigns \nothing;
    ensures good_form(\result, 0);
    ensures good_cell(\result, 0); */
static uint32_t zfast_meaning(uint32_t kind, uint32_t symbol);

/*@ requires \valid_read(s) && kind <= 3 && symbol <= 63 && log <= 9;
    assigns \nothing;
    ensures good_form(\result, log); */
static uint32_t zfast_form(const struct zfast *s, uint32_t kind, uint32_t symbol, uint32_t log);

/*@ requires \valid(s) && kind <= 3 && s->log[kind] <= log_max(kind);
    requires cells == &s->cells[first_cell(kind)];
    assigns s->counts[0 .. 63], cells[0 .. (1 << s->log[kind]) - 1]; */
static void zfast_spread(struct zfast *s, uint32_t kind, uint32_t *cells);

/*@ requires log <= 9 && good_form(form, log) && state < 2 * (1 << log);
    assigns \nothing;
    ensures good_cell(\result, log); */
static inline uint32_t zfast_cell(uint32_t form, uint32_t state, uint32_t log);

/*@ requires \valid(s) && log <= 9 && good_forms(s, 64, log);
    requires \valid(cells + (0 .. (1 << log) - 1));
    requires \separated(cells + (0 .. (1 << log) - 1), &s->forms[0 .. 63]);
    assigns s->counts[0 .. 63], cells[0 .. (1 << log) - 1];
    ensures good_table(cells, log); */
static void zfast_make_cells(struct zfast *s, uint32_t *cells, uint32_t log);

/*@ requires \valid(s) && good_part(s) && kind <= 2;
    requires \separated(s, s->in + (0 .. s->block_end - s->in - 1));
    assigns s->in, s->log[kind], s->cells[first_cell(kind)];
    ensures \result != 0 ==> good_part(s) && 0 <= s->in - \old(s->in);
    ensures \result != 0 ==> s->log[kind] == 0;
    ensures \result != 0 ==> good_table(&s->cells[first_cell(kind)], 0); */
static bool zfast_read_one(struct zfast *s, uint32_t kind);
