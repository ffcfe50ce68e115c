/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads and makes the FSE tables of the fast decoder for zstd. zstd_fast.h describes their cells.
 * Section numbers are those of RFC 8878.
 *
 * Some masks and remainders change nothing: they show the proof that an index or a shift is in
 * range, which otherwise follows from what other cells and counts are.
 */
#include "zstd_fast.h"

/* Modes of a sequence table: 3.1.1.3.2.1. */
enum { ZFAST_PREDEFINED, ZFAST_ONE, ZFAST_FSE, ZFAST_REPEAT };

/*
 * What the symbols of each table mean (3.1.1.3.2.1.1), without what extra bits add. Those below
 * `direct` stand for themselves. Those from `ones` on have symbol - minus extra bits below a 1.
 * Those between are in zfast_listed. A match length is 3 more than that.
 */
static const struct zfast_kind {
	uint8_t n_symbols;
	uint8_t log_max; /* the greatest Accuracy_Log */
	uint8_t log;     /* of the predefined table */
	uint8_t counts;  /* index of the predefined table in zfast_predefined */
	uint8_t direct;
	uint8_t listed; /* index in zfast_listed */
	uint8_t ones;
	uint8_t minus;
} zfast_kinds[ZFAST_KINDS] = {
	{ 36, 9, 6, 0, 16, 0, 25, 19 },
	{ 32, 8, 5, 36, 0, 0, 0, 0 },
	{ 53, 9, 6, 68, 32, 9, 43, 36 },
	{ ZFAST_SYMBOLS_MAX, 6, 0, 0, ZFAST_SYMBOLS_MAX, 0, ZFAST_SYMBOLS_MAX, 0 },
};

/* The value in bits 0-4, the number of extra bits in bits 5-7: literal lengths, match lengths. */
static const uint8_t zfast_listed[20] = {
	8 | 1 << 5,  9 | 1 << 5, 10 | 1 << 5, 11 | 1 << 5, 6 | 2 << 5,  7 | 2 << 5,  4 | 3 << 5,
	5 | 3 << 5,  3 | 4 << 5, 16 | 1 << 5, 17 | 1 << 5, 18 | 1 << 5, 19 | 1 << 5, 10 | 2 << 5,
	11 | 2 << 5, 6 | 3 << 5, 7 | 3 << 5,  4 | 4 << 5,  5 | 4 << 5,  3 | 5 << 5,
};

/* 3.1.1.3.2.2: literal lengths, offsets, match lengths. */
static const int8_t zfast_predefined[36 + 32 + 53] = {
	4, 3, 2, 2, 2, 2, 2,  2,  2,  2,  2,  2,  2,  1,  1,  1,  2,  2,
	2, 2, 2, 2, 2, 2, 2,  3,  2,  1,  1,  1,  1,  1,  -1, -1, -1, -1,

	1, 1, 1, 1, 1, 1, 2,  2,  2,  1,  1,  1,  1,  1,  1,  1,  1,  1,
	1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, 0,  0,  0,

	1, 4, 3, 2, 2, 2, 2,  2,  2,  1,  1,  1,  1,  1,  1,  1,  1,  1,
	1, 1, 1, 1, 1, 1, 1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,  1,
	1, 1, 1, 1, 1, 1, 1,  1,  1,  1,  -1, -1, -1, -1, -1, -1, -1,
};

/*
 * Returns the 16 bits from bit number `at` of the input on. Those past the end of the block are 0.
 */
static uint32_t zfast_ahead(const struct zfast *s, uint32_t at)
{
	size_t left = (size_t)(s->block_end - s->in);
	uint32_t i = at >> 3;
	uint32_t value = 0;
	uint32_t n;

	for (n = 0; n < 24 && i < left; n += 8)
		value |= (uint32_t)s->in[i++] << n;
	return value >> (at & 7u);
}

/*
 * Reads from bit number *at on how many symbols after `symbol` do not occur either: 4.1.1, "Repeat
 * Flag", 2 bits each time. Returns false if there are not so many symbols. Moves *symbol to the
 * last of them.
 */
static bool zfast_read_zeros(struct zfast *s, uint32_t n_symbols, uint32_t *at, uint32_t *symbol)
{
	uint32_t n = 3;

	while (n == 3) {
		uint32_t i;

		n = zfast_ahead(s, *at) & 3u;
		*at += 2;
		if (n > n_symbols - 1 - *symbol)
			return false;
		for (i = 0; i < n; i++)
			s->counts[++*symbol % ZFAST_SYMBOLS_MAX] = 0;
	}
	return true;
}

/*
 * Reads a value from 0 to left + 1 from bit number *at on. 2^n is the highest bit of left + 1: the
 * lowest values take n bits, the others one more.
 */
static uint32_t zfast_read_value(const struct zfast *s, uint32_t n, uint32_t left, uint32_t *at)
{
	uint32_t half = 1u << (n & 15u);
	uint32_t n_short = 2 * half - 2 - left;
	uint32_t bits = zfast_ahead(s, *at);
	uint32_t value = bits & (half - 1);

	*at += n;
	if (value >= n_short) {
		value = bits & (2 * half - 1);
		if (value >= half)
			value -= n_short;
		++*at;
	}
	return value;
}

bool q2_zfast_read_counts(struct zfast *s, uint32_t kind)
{
	uint32_t n_symbols = zfast_kinds[kind].n_symbols;
	uint32_t n = (zfast_ahead(s, 0) & 15u) + 5; /* Accuracy_Log */
	uint32_t left = 1u << n;                    /* cells that no symbol has yet */
	uint32_t half = left;                       /* the highest bit of left + 1 */
	uint32_t at = 4;
	uint32_t symbol = 0;

	if (n > zfast_kinds[kind].log_max)
		return false;
	s->log[kind] = (uint8_t)n;
	for (; left != 0 && symbol < n_symbols; symbol++) {
		uint32_t value;

		for (; half > left + 1; half >>= 1)
			n--;
		value = zfast_read_value(s, n, left, &at);
		s->counts[symbol] = (int16_t)((int16_t)value - 1);
		left -= value != 0 ? value - 1 : 1;
		if (value == 1 && !zfast_read_zeros(s, n_symbols, &at, &symbol))
			return false;
	}
	for (; symbol < n_symbols; symbol++)
		s->counts[symbol] = 0;
	at = (at + 7) >> 3;
	if (left != 0 || at > (size_t)(s->block_end - s->in))
		return false;
	s->in += at;
	return true;
}

/* Returns the cell of a symbol without the number of the next cell. */
static uint32_t zfast_form(uint32_t kind, uint32_t symbol)
{
	const struct zfast_kind *k = &zfast_kinds[kind];
	uint32_t listed;

	if (symbol < k->direct)
		return symbol << ZFAST_VALUE;
	if (symbol >= k->ones)
		return 1u << ZFAST_VALUE | (symbol - k->minus);
	listed = zfast_listed[k->listed + symbol - k->direct];
	return (listed & 31u) << ZFAST_VALUE | listed >> 5;
}

/*
 * Distributes the symbols over the cells: 4.1.1, "from normalized distribution to decoding tables".
 * Each cell becomes the number of its symbol, and counts the number of its first state.
 */
static void zfast_spread(struct zfast *s, uint32_t kind, uint32_t *cells)
{
	uint32_t n_symbols = zfast_kinds[kind].n_symbols;
	uint32_t mask = (1u << s->log[kind]) - 1u;
	uint32_t step = ((mask + 1) >> 1) + ((mask + 1) >> 3) + 3;
	uint32_t last = mask; /* the last cell that is not of a symbol with a probability below 1 */
	uint32_t at = 0;
	uint32_t symbol;
	int32_t n;

	for (symbol = 0; symbol < n_symbols; symbol++) {
		if (s->counts[symbol] < 0) {
			cells[last & mask] = symbol;
			last--;
		}
	}
	for (symbol = 0; symbol < n_symbols; symbol++) {
		for (n = s->counts[symbol]; n > 0; n--) {
			cells[at] = symbol;
			do
				at = (at + step) & mask;
			while (at > last);
		}
		if (s->counts[symbol] < 0)
			s->counts[symbol] = 1;
	}
}

void q2_zfast_build(struct zfast *s, uint32_t kind)
{
	uint32_t *cells = q2_zfast_table(s, kind);
	uint32_t log = s->log[kind];
	uint32_t size = 1u << log;
	uint32_t i, n;

	zfast_spread(s, kind, cells);
	for (i = 0; i < zfast_kinds[kind].n_symbols; i++) {
		if (s->counts[i] == 0)
			continue;
		/* The number of bits that a state needs to become at least the size. */
		for (n = 0; n < log && ((uint32_t)s->counts[i] << n) < size; n++) {
		}
		s->forms[i] = zfast_form(kind, i) | n << ZFAST_STATE;
	}
	for (i = 0; i < size; i++) {
		uint32_t symbol = cells[i] % ZFAST_SYMBOLS_MAX;
		uint32_t state = (uint32_t)s->counts[symbol]++;
		uint32_t form = s->forms[symbol];

		state <<= form >> ZFAST_STATE & 15u;
		if (state >= 2 * size) { /* from here on, one bit less */
			form -= 1u << ZFAST_STATE;
			s->forms[symbol] = form;
			state >>= 1;
		}
		cells[i] = form | (state - size) << ZFAST_NEXT;
	}
}

bool q2_zfast_read_table(struct zfast *s, uint32_t kind, uint32_t mode)
{
	const struct zfast_kind *k = &zfast_kinds[kind];

	if (mode == ZFAST_REPEAT)
		return s->has_tables;
	if (mode == ZFAST_ONE) {
		if (s->in == s->block_end || *s->in >= k->n_symbols)
			return false;
		s->log[kind] = 0;
		*q2_zfast_table(s, kind) = zfast_form(kind, *s->in++);
		return true;
	}
	if (mode == ZFAST_PREDEFINED) {
		uint32_t i;

		s->log[kind] = k->log;
		for (i = 0; i < k->n_symbols; i++)
			s->counts[i] = (int16_t)zfast_predefined[k->counts + i];
	} else if (!q2_zfast_read_counts(s, kind)) {
		return false;
	}
	q2_zfast_build(s, kind);
	return true;
}
