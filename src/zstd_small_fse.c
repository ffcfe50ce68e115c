/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Makes the FSE tables of the small decoder for zstd, and goes from state to state. zstd_small.h
 * describes the cells. Section numbers are those of RFC 8878.
 */
#include "zstd_small.h"

/* A table: the place of its cells, the log2 of their greatest number, the last symbol. */
static const struct unzstd_table {
	uint16_t cells;
	uint8_t log;
	uint8_t last;
} unzstd_tables[UNZSTD_TABLES] = {
	{ UNZSTD_LITERAL_AT, ZSTD_FORMAT_LITERAL_LOG, ZSTD_FORMAT_LITERAL_LAST },
	{ UNZSTD_OFFSET_AT, ZSTD_FORMAT_OFFSET_LOG, ZSTD_FORMAT_OFFSET_LAST },
	{ UNZSTD_MATCH_AT, ZSTD_FORMAT_MATCH_LOG, ZSTD_FORMAT_MATCH_LAST },
	{ UNZSTD_WEIGHT_AT, ZSTD_FORMAT_WEIGHT_LOG, UNZSTD_SYMBOLS - 1 },
};

/*
 * Distributes the symbols over the cells of a table, from how often each occurs: section 4.1.1. A
 * cell becomes its symbol. Rare symbols have one cell each, at the top. The steps reach every cell,
 * because their length is odd.
 */
static void unzstd_spread(struct unzstd *s, uint32_t first, uint32_t mask)
{
	uint16_t *cells = s->cells + first;
	uint32_t step = ((mask + 1) >> 1) + ((mask + 1) >> 3) + 3;
	uint32_t top = mask + 1;
	uint32_t at = 0;
	uint32_t i, left;

	/*@ loop invariant i <= 64;
	    loop assigns i, top, cells[0 .. mask];
	    loop variant 64 - i; */
	for (i = 0; i < UNZSTD_SYMBOLS; i++)
		if (s->often[i] == UNZSTD_RARE)
			cells[--top & mask] = (uint16_t)i;
	/*@ loop invariant i <= 64 && at <= mask;
	    loop invariant \forall integer k; 0 <= k < i ==> s->often[k] <= mask + 1;
	    loop invariant \forall integer k; i <= k < 64 ==>
	                     s->often[k] <= mask + 1 || s->often[k] == UNZSTD_RARE;
	    loop assigns i, left, at, cells[0 .. mask], s->often[0 .. 63];
	    loop variant 64 - i; */
	for (i = 0; i < UNZSTD_SYMBOLS; i++) {
		if (s->often[i] == UNZSTD_RARE) {
			s->often[i] = 1;
			continue;
		}
		/*@ loop invariant at <= mask;
		    loop assigns left, at, cells[0 .. mask];
		    loop variant left; */
		for (left = s->often[i]; left != 0; left--) {
			cells[at] = (uint16_t)i;
			/*@ loop invariant at <= mask;
			    loop assigns at; */
			do
				at = (at + step) & mask;
			while (at >= top);
		}
	}
}

/* Completes the cells. Among those of a symbol that occurs n times, x counts from n on. */
static void unzstd_number(struct unzstd *s, uint32_t first, uint32_t mask)
{
	uint16_t *cells = s->cells + first;
	uint32_t i;

	/*@ loop invariant i <= mask + 1;
	    loop invariant \forall integer k; 0 <= k < 64 ==> s->often[k] <= mask + 1 + i;
	    loop invariant \forall integer k; first <= k < first + i ==>
	                     s->cells[k] < 128 * (mask + 1);
	    loop assigns i, cells[0 .. mask], s->often[0 .. 63];
	    loop variant mask + 1 - i; */
	for (i = 0; i <= mask; i++) {
		uint32_t symbol = cells[i] % UNZSTD_SYMBOLS;

		cells[i] = (uint16_t)((uint32_t)s->often[symbol]++ << 6 | symbol);
	}
}

/* Makes a table of 1 << log cells from how often each symbol occurs: section 4.1.1. */
static void unzstd_build(struct unzstd *s, uint32_t table, uint32_t log)
{
	uint32_t first = unzstd_tables[table].cells;
	uint32_t mask = (1u << unzstd_tables[table].log) - 1u;

	/* This mask changes nothing: it shows the proof that the table is not longer. */
	/*@ assert log <= unzstd_tables[table].log <= 9; */
	mask &= (1u << log) - 1u;
	/*@ assert mask == (1 << log) - 1; */
	s->logs[table] = (uint8_t)log;
	unzstd_spread(s, first, mask);
	unzstd_number(s, first, mask);
}

/* Makes a table of one cell, whose next state is itself. */
static void unzstd_build_one(struct unzstd *s, uint32_t table, uint32_t symbol)
{
	if (!q2_unzstd_check(s, symbol <= unzstd_tables[table].last))
		return;
	s->logs[table] = 0;
	s->cells[unzstd_tables[table].cells] = (uint16_t)(1u << 6 | symbol);
}

/* Makes a table of those that need no description: section 3.1.1.3.2.2. */
static void unzstd_build_default(struct unzstd *s, uint32_t table)
{
	/* Runs of symbols: their number times 8, plus how often each occurs, or 7 if rare. */
	static const uint8_t runs[UNZSTD_WEIGHT][9] = {
		{ 1 << 3 | 4, 1 << 3 | 3, 11 << 3 | 2, 3 << 3 | 1, 9 << 3 | 2, 1 << 3 | 3,
		  1 << 3 | 2, 5 << 3 | 1, 4 << 3 | 7 },
		{ 6 << 3 | 1, 3 << 3 | 2, 15 << 3 | 1, 5 << 3 | 7 },
		{ 1 << 3 | 1, 1 << 3 | 4, 1 << 3 | 3, 6 << 3 | 2, 31 << 3 | 1, 6 << 3 | 1,
		  7 << 3 | 7 },
	};
	uint32_t n = 0;
	uint32_t i, left;

	memset(s->often, 0, sizeof(s->often));
	/*@ loop invariant i <= 9 && good_often(&s->often[0], 32);
	    loop assigns i, left, n, s->often[0 .. 63];
	    loop variant 9 - i; */
	for (i = 0; i < 9; i++) {
		uint32_t often = runs[table][i] & 7u;

		/*@ loop invariant good_often(&s->often[0], 32);
		    loop assigns left, n, s->often[0 .. 63];
		    loop variant left; */
		for (left = runs[table][i] >> 3; left != 0; left--)
			s->often[n++ % UNZSTD_SYMBOLS] =
				(uint16_t)(often == 7 ? UNZSTD_RARE : often);
	}
	unzstd_build(s, table, table == UNZSTD_OFFSET ? 5 : 6);
}

/*
 * Takes how often a symbol occurs, plus 1, of at most `most`: section 4.1.1. With the n bits that
 * are enough for a half of these numbers, the lowest ones are complete.
 */
static uint32_t unzstd_take_often(struct unzstd *s, uint32_t most)
{
	uint32_t n = 0;
	uint32_t low, value;

	/*@ loop invariant n <= 9 && 1 << n <= most;
	    loop assigns n;
	    loop variant 9 - n; */
	while (n < ZSTD_FORMAT_MATCH_LOG && most >> n > 1)
		n++;
	low = (2u << n) - 1 - most;
	value = q2_unzstd_take(s, n);
	if (value >= low && q2_unzstd_take(s, 1) != 0)
		value += (1u << n) - low;
	return value;
}

void q2_unzstd_build_described(struct unzstd *s, uint32_t table)
{
	uint32_t log = q2_unzstd_take(s, 4) + 5;
	uint32_t left = UINT32_C(1) << log; /* cells that are not given to a symbol yet */
	uint32_t n = 0;

	if (!q2_unzstd_check(s, log <= unzstd_tables[table].log))
		return;
	memset(s->often, 0, sizeof(s->often));
	/*@ loop invariant left <= 1 << log;
	    loop invariant good_often(&s->often[0], 1 << log);
	    loop invariant \at(s->status, Pre) != 0 ==> s->status != 0;
	    loop invariant \forall integer k; last_symbol(table) < k < 64 ==> s->often[k] == 0;
	    loop invariant good_pieces(s->stream) && s->stream == \at(s->stream, Pre);
	    loop assigns left, n, s->at, s->buf, s->n_bits, s->status, s->often[0 .. 63],
	                 \at(s->stream, Pre)->next, \at(s->stream, Pre)->end,
	                 \at(s->stream, Pre)->fill_at; */
	while (left != 0 && q2_unzstd_check(s, n <= unzstd_tables[table].last)) {
		uint32_t value = unzstd_take_often(s, left + 1);
		uint32_t run = 3;

		s->often[n++ % UNZSTD_SYMBOLS] = (uint16_t)(value - 1);
		left -= value != 0 ? value - 1 : 1;
		/* More symbols that do not occur: 3 says that a number follows. */
		/*@ loop invariant \at(s->status, Pre) != 0 ==> s->status != 0;
		    loop invariant good_pieces(s->stream) && s->stream == \at(s->stream, Pre);
		    loop assigns run, n, s->at, s->buf, s->n_bits, s->status,
		                 \at(s->stream, Pre)->next, \at(s->stream, Pre)->end,
		                 \at(s->stream, Pre)->fill_at; */
		while (value == 1 && run == 3) {
			run = q2_unzstd_take(s, 2);
			n += run;
		}
	}
	q2_unzstd_enter(s, s->at, s->end);
	if (q2_unzstd_check(s, true))
		unzstd_build(s, table, log);
}

void q2_unzstd_prepare(struct unzstd *s, uint32_t table, uint32_t mode)
{
	if (mode == 0)
		unzstd_build_default(s, table);
	else if (mode == 1)
		unzstd_build_one(s, table, q2_unzstd_next(s));
	else if (mode == 2)
		q2_unzstd_build_described(s, table);
	else
		q2_unzstd_check(s, s->logs[table] != UNZSTD_NO_TABLE);
}

uint32_t q2_unzstd_cell(const struct unzstd *s, uint32_t table, uint32_t state)
{
	uint32_t mask = (1u << unzstd_tables[table].log) - 1u;

	/*@ assert unzstd_tables[table].cells == first_cell(table); */
	/*@ assert mask == (1 << log_max(table)) - 1; */
	/*@ assert (state & mask) == state % (1 << log_max(table)); */
	return s->cells[unzstd_tables[table].cells + (state & mask)];
}

uint32_t q2_unzstd_advance(struct unzstd *s, uint32_t table, uint32_t state)
{
	uint32_t x = q2_unzstd_cell(s, table, state) / UNZSTD_SYMBOLS;
	uint32_t log = s->logs[table] & 15u;
	uint32_t n = 0;

	/*@ loop invariant n <= log && (x << n) < 2 * (1 << log);
	    loop assigns n;
	    loop variant log - n; */
	while (n < log && x << n >> log == 0)
		n++;
	/* The mask takes off the size, which is the highest bit. */
	return ((x << n) & ~(1u << log)) + q2_unzstd_back(s, n);
}
