/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "../../../src/zstd_small.h"
#include "zstd_small.h"
/*@
  // How often symbols occur in a table of `size` cells.
  predicate good_often(uint16_t *often, integer size) =
    \forall integer k; 0 <= k < 64 ==> often[k] <= size || often[k] == UNZSTD_RARE;
*/

#define memset halves_clear /* acsl.h says why */
#include "../../../src/zstd_small_fse.c"

/*@ requires mask <= 511 && \valid(s) && first + mask < UNZSTD_CELLS;
    requires good_often(&s->often[0], mask + 1);
    assigns s->cells[first .. first + mask], s->often[0 .. 63];
    ensures \forall integer k; 0 <= k < 64 ==> s->often[k] <= mask + 1; */
static void unzstd_spread(struct unzstd *s, uint32_t first, uint32_t mask);

/*@ requires mask <= 511 && \valid(s) && first + mask < UNZSTD_CELLS;
    requires \forall integer k; 0 <= k < 64 ==> s->often[k] <= mask + 1;
    assigns s->cells[first .. first + mask], s->often[0 .. 63];
    ensures \forall integer k; first <= k <= first + mask ==> s->cells[k] < 128 * (mask + 1); */
static void unzstd_number(struct unzstd *s, uint32_t first, uint32_t mask);

/*@ requires \valid(s) && table <= 3 && log <= log_max(table) && good_often(&s->often[0], 1 << log);
    assigns s->logs[table], s->often[0 .. 63];
    assigns s->cells[first_cell(table) .. first_cell(table) + (1 << log) - 1];
    ensures s->logs[table] == log && good_table(s, table); */
static void unzstd_build(struct unzstd *s, uint32_t table, uint32_t log);

/*@ requires \valid(s) && table <= 2;
    assigns s->status, s->logs[table], s->cells[first_cell(table)];
    ensures s->status == 0 ==> \old(s->status) == 0 && good_table(s, table); */
static void unzstd_build_one(struct unzstd *s, uint32_t table, uint32_t symbol);

/*@ requires \valid(s) && table <= 2;
    assigns s->logs[table], s->often[0 .. 63];
    assigns s->cells[first_cell(table) .. first_cell(table) + 63];
    ensures good_table(s, table); */
static void unzstd_build_default(struct unzstd *s, uint32_t table);

/*@ requires 2 <= most <= 513;
    requires \valid(s) && good_pieces(s->stream) && \separated(s, s->stream);
    assigns s->at, s->buf, s->n_bits, s->status, s->stream->next, s->stream->end,
            s->stream->fill_at;
    ensures \result <= most && good_pieces(s->stream);
    ensures \old(s->status) != 0 ==> s->status == \old(s->status); */
static uint32_t unzstd_take_often(struct unzstd *s, uint32_t most);
