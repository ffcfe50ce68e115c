/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Contracts of the functions in src/zstd_small.h, and the predicates for them. contracts/internal.h
 * explains such a file.
 */
#ifndef CONTRACTS_ZSTD_SMALL_H
#define CONTRACTS_ZSTD_SMALL_H

/*@
  // What the block has made, its room and the literals that are left are in the frame, which is in
  // the window.
  predicate good_output(struct unzstd *s) =
    \valid(s) && \valid(s->stream) && good_window(s->stream) &&
    \separated(s, s->stream, s->stream->window + (0 .. s->stream->window_len - 1)) &&
    s->begin <= s->stream->done && s->limit <= s->stream->window_len &&
    s->stream->done + s->room + s->literals <= s->limit;

  // The tables: the first cell, the log2 of the most cells, the last symbol.
  logic integer first_cell(integer table) =
    table == UNZSTD_LITERAL ? UNZSTD_LITERAL_AT : table == UNZSTD_OFFSET ? UNZSTD_OFFSET_AT :
    table == UNZSTD_MATCH ? UNZSTD_MATCH_AT : UNZSTD_WEIGHT_AT;
  logic integer log_max(integer table) =
    table == UNZSTD_OFFSET ? 8 : table == UNZSTD_WEIGHT ? 6 : 9;
  logic integer last_symbol(integer table) =
    table == UNZSTD_LITERAL ? 35 : table == UNZSTD_OFFSET ? 31 : table == UNZSTD_MATCH ? 52 : 63;

  // The next state of a cell is below 1 << log if x, which is the cell / 64, is below twice that.
  predicate good_cells(struct unzstd *s, integer from, integer to, integer log) =
    \forall integer i; from <= i < to ==> s->cells[i] < 128 * (1 << log);

  predicate good_table(struct unzstd *s, integer table) =
    s->logs[table] <= log_max(table) &&
    good_cells(s, first_cell(table), first_cell(table) + (1 << s->logs[table]), s->logs[table]);

  // A block may use the tables of the one before it.
  predicate kept_table(struct unzstd *s, integer table) =
    s->logs[table] != UNZSTD_NO_TABLE ==> good_table(s, table);
*/

/*@ requires \valid(s);
    assigns s->status;
    ensures s->status == (\old(s->status) == 0 ? status : \old(s->status)); */
void q2_unzstd_fail(struct unzstd *s, int status);

/*@ requires \valid(s);
    assigns s->status;
    ensures \result != 0 <==> s->status == 0;
    ensures s->status == 0 <==> \old(s->status) == 0 && valid != 0;
    ensures \old(s->status) != 0 ==> s->status == \old(s->status); */
bool q2_unzstd_check(struct unzstd *s, bool valid);

/*@ requires \valid(s) && good_pieces(s->stream) && \separated(s, s->stream);
    assigns s->at, s->status, s->stream->next, s->stream->end, s->stream->fill_at;
    ensures \result <= 0xff && good_pieces(s->stream);
    ensures s->status != 0 ==> \result == 0;
    ensures \old(s->status) != 0 ==> s->status == \old(s->status);
    ensures s->at == \old(s->at) || s->at == \old(s->at) + 1 <= s->end;
    ensures s->status == 0 ==> s->at == \old(s->at) + 1; */
uint32_t q2_unzstd_next(struct unzstd *s);

/*@ requires n <= 24 && \valid(s) && good_pieces(s->stream) && \separated(s, s->stream);
    assigns s->at, s->buf, s->n_bits, s->status, s->stream->next, s->stream->end,
            s->stream->fill_at;
    ensures \result < 1 << n && s->n_bits < 8 && good_pieces(s->stream);
    ensures \old(s->status) != 0 ==> s->status == \old(s->status);
    ensures \old(s->at) <= s->at;
    ensures \old(s->at) <= s->end ==> s->at <= s->end; */
uint32_t q2_unzstd_take(struct unzstd *s, uint32_t n);

/*@ requires \valid(s);
    assigns s->at, s->end, s->buf, s->n_bits;
    ensures s->at == at && s->end == end && s->n_bits == 0; */
void q2_unzstd_enter(struct unzstd *s, uint32_t at, uint32_t end);

/*@ requires n <= 22 && s->n_bits < 8;
    requires \valid(s) && good_pieces(s->stream) && \separated(s, s->stream);
    assigns s->end, s->buf, s->n_bits, s->over, s->status, s->stream->next, s->stream->end,
            s->stream->fill_at;
    ensures \result < 1 << n && s->n_bits < 8 && good_pieces(s->stream);
    ensures s->end <= \old(s->end);
    ensures s->at <= \old(s->end) ==> s->at <= s->end; */
uint32_t q2_unzstd_back(struct unzstd *s, uint32_t n);

/*@ requires \valid(s) && good_pieces(s->stream) && \separated(s, s->stream);
    assigns s->end, s->buf, s->n_bits, s->over, s->status, s->stream->next, s->stream->end,
            s->stream->fill_at;
    ensures s->n_bits < 8 && good_pieces(s->stream) && s->end <= \old(s->end);
    ensures s->at <= \old(s->end) ==> s->at <= s->end;
    ensures \result != 0 ==> s->status == 0;
    ensures \result != 0 ==> 1 << s->n_bits <= s->buf < 2 * (1 << s->n_bits); */
bool q2_unzstd_open(struct unzstd *s);

/*@ requires \valid(s);
    assigns s->status;
    ensures s->status == 0 <==> \old(s->status) == 0 && s->over == 0 && s->n_bits == 0 &&
              s->at == s->end; */
void q2_unzstd_close(struct unzstd *s);

/*@ requires \valid(s) && table <= 3;
    requires good_pieces(s->stream) && \separated(s, s->stream);
    assigns s->at, s->end, s->buf, s->n_bits, s->status, s->stream->next, s->stream->end,
            s->stream->fill_at, s->logs[table], s->often[0 .. 63];
    assigns s->cells[first_cell(table) .. first_cell(table) + (1 << log_max(table)) - 1];
    ensures good_pieces(s->stream);
    ensures s->status == 0 ==> \old(s->status) == 0 && good_table(s, table); */
void q2_unzstd_build_described(struct unzstd *s, uint32_t table);

/*@ requires \valid(s) && table <= 2 && kept_table(s, table);
    requires good_pieces(s->stream) && \separated(s, s->stream);
    assigns s->at, s->end, s->buf, s->n_bits, s->status, s->stream->next, s->stream->end,
            s->stream->fill_at, s->logs[table], s->often[0 .. 63];
    assigns s->cells[first_cell(table) .. first_cell(table) + (1 << log_max(table)) - 1];
    ensures good_pieces(s->stream);
    ensures s->status == 0 ==> good_table(s, table); */
void q2_unzstd_prepare(struct unzstd *s, uint32_t table, uint32_t mode);

/*@ requires \valid_read(s) && table <= 3;
    assigns \nothing;
    ensures state < 1 << log_max(table) ==> \result == s->cells[first_cell(table) + state]; */
uint32_t q2_unzstd_cell(const struct unzstd *s, uint32_t table, uint32_t state);

/*@ requires \valid(s) && table <= 3 && good_table(s, table) && state < 1 << s->logs[table];
    requires s->n_bits < 8 && good_pieces(s->stream) && \separated(s, s->stream);
    assigns s->end, s->buf, s->n_bits, s->over, s->status, s->stream->next, s->stream->end,
            s->stream->fill_at;
    ensures \result < 1 << s->logs[table];
    ensures s->n_bits < 8 && good_pieces(s->stream) && s->end <= \old(s->end);
    ensures s->at <= \old(s->end) ==> s->at <= s->end; */
uint32_t q2_unzstd_advance(struct unzstd *s, uint32_t table, uint32_t state);

/*@ requires \valid_read(s) && \valid_read(s->stream) && 0 < s->stream->window_len;
    assigns \result \from s->stream->window, s->stream->window_len, k;
    ensures \base_addr(\result) == \base_addr(s->stream->window);
    ensures 0 <= \result - s->stream->window < s->stream->window_len; */
static inline uint8_t *q2_unzstd_out(const struct unzstd *s, uint32_t k);

#endif
