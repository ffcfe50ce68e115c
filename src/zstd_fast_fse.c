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

	/*@ loop invariant n <= 24 && n % 8 == 0;
	    loop assigns n, i, value;
	    loop variant 24 - n; */
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

	/*@ loop invariant \at(*symbol, Pre) <= *symbol < n_symbols;
	    loop assigns n, *at, *symbol, s->counts[0 .. ZFAST_SYMBOLS_MAX - 1]; */
	while (n == 3) {
		uint32_t i;

		n = zfast_ahead(s, *at) & 3u;
		*at += 2;
		if (n > n_symbols - 1 - *symbol)
			return false;
		/*@ loop invariant i <= n && *symbol == \at(*symbol, LoopEntry) + i;
		    loop assigns i, *symbol, s->counts[0 .. ZFAST_SYMBOLS_MAX - 1];
		    loop variant n - i; */
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
	/*@ loop invariant symbol <= n_symbols;
	    loop assigns n, half, left, at, symbol, s->counts[0 .. ZFAST_SYMBOLS_MAX - 1];
	    loop variant n_symbols - symbol; */
	for (; left != 0 && symbol < n_symbols; symbol++) {
		uint32_t value;

		/*@ loop assigns n, half; */
		for (; half > left + 1; half >>= 1)
			n--;
		value = zfast_read_value(s, n, left, &at);
		s->counts[symbol] = (int16_t)((int16_t)value - 1);
		left -= value != 0 ? value - 1 : 1;
		if (value == 1 && !zfast_read_zeros(s, n_symbols, &at, &symbol))
			return false;
	}
	/*@ loop invariant symbol <= n_symbols;
	    loop assigns symbol, s->counts[0 .. ZFAST_SYMBOLS_MAX - 1];
	    loop variant n_symbols - symbol; */
	for (; symbol < n_symbols; symbol++)
		s->counts[symbol] = 0;
	at = (at + 7) >> 3;
	if (left != 0 || at > (size_t)(s->block_end - s->in))
		return false;
	s->in += at;
	return true;
}

/* Returns the cell of a value with this many extra bits, without its next states. */
static inline uint32_t zfast_pack(uint32_t value, uint32_t extra)
{
	return value << ZFAST_VALUE | extra;
}

/* Returns the cell of a symbol without its next states. */
static uint32_t zfast_meaning(uint32_t kind, uint32_t symbol)
{
	const struct zfast_kind *k = &zfast_kinds[kind];
	uint32_t listed;

	if (symbol < k->direct)
		return zfast_pack(symbol, 0);
	if (symbol >= k->ones)
		return zfast_pack(1, symbol - k->minus);
	listed = zfast_listed[k->listed + symbol - k->direct];
	return zfast_pack(listed & 31u, listed >> 5);
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

	/*@ loop invariant symbol <= n_symbols;
	    loop assigns symbol, last, cells[0 .. (1 << s->log[kind]) - 1];
	    loop variant n_symbols - symbol; */
	for (symbol = 0; symbol < n_symbols; symbol++) {
		if (s->counts[symbol] < 0) {
			cells[last & mask] = symbol;
			last--;
		}
	}
	/*@ loop invariant symbol <= n_symbols && at <= mask;
	    loop assigns symbol, at, n, cells[0 .. (1 << s->log[kind]) - 1],
	                 s->counts[0 .. ZFAST_SYMBOLS_MAX - 1];
	    loop variant n_symbols - symbol; */
	for (symbol = 0; symbol < n_symbols; symbol++) {
		/*@ loop invariant at <= mask;
		    loop assigns n, at, cells[0 .. (1 << s->log[kind]) - 1]; */
		for (n = s->counts[symbol]; n > 0; n--) {
			cells[at] = symbol;
			/*@ loop invariant at <= mask;
			    loop assigns at; */
			do
				at = (at + step) & mask;
			while (at > last);
		}
		if (s->counts[symbol] < 0)
			s->counts[symbol] = 1;
	}
}

/*
 * Returns the form of a symbol: its cell with the most bits that its states take, without its next
 * states. It is 0 if the symbol does not occur.
 */
static uint32_t zfast_form(const struct zfast *s, uint32_t kind, uint32_t symbol, uint32_t log)
{
	uint32_t n;

	if (symbol >= zfast_kinds[kind].n_symbols || s->counts[symbol] == 0)
		return 0;
	/* The number of bits that a state needs to become at least the size. */
	/*@ loop invariant n <= log;
	    loop assigns n;
	    loop variant log - n; */
	for (n = 0; n < log && ((uint32_t)s->counts[symbol] << n) < 1u << log; n++) {
	}
	return zfast_meaning(kind, symbol) | n << ZFAST_STATE;
}

/* Returns the cell of a state, which is below twice the number of cells. */
static inline uint32_t zfast_cell(uint32_t form, uint32_t state, uint32_t log)
{
	uint32_t size = 1u << log;
	uint32_t n = form >> ZFAST_STATE & 15u;

	/*@ assert n == form / 256 % 64; */
	state <<= n;
	/*@ assert state == (\at(state, Pre) << n); */
	if (state >= 2 * size) { /* one bit less is enough */
		/*@ assert 1 <= n && form == form / 16384 * 16384 + n * 256 + form % 256; */
		form -= 1u << ZFAST_STATE;
		/*@ assert form == \at(form, Pre) - 256 && good_form(form, log) &&
		           form / 256 % 64 == n - 1; */
		state >>= 1;
		/*@ assert state == (\at(state, Pre) << (n - 1)); */
	}
	/*@ assert good_form(form, log) && state == (\at(state, Pre) << (form / 256 % 64)); */
	/*@ assert 0 <= state % size && state % size + (1 << (form / 256 % 64)) <= size; */
	/*@ assert (state & (unsigned)(size - 1)) == state % size; */
	/* The mask takes off the size, which is the highest bit of the state. */
	return form | (state & (size - 1)) << ZFAST_NEXT;
}

/* Makes the cells of a table, which have the numbers of their symbols. */
static void zfast_make_cells(struct zfast *s, uint32_t *cells, uint32_t log)
{
	uint32_t size = 1u << log;
	uint32_t i;

	/*@ loop invariant i <= size;
	    loop invariant \forall integer k; 0 <= k < i ==> good_cell(cells[k], log);
	    loop assigns i, s->counts[0 .. 63], cells[0 .. (1 << log) - 1];
	    loop variant size - i; */
	for (i = 0; i < size; i++) {
		uint32_t symbol = cells[i] % ZFAST_SYMBOLS_MAX;
		/* The mask changes nothing. It tells the proof how small a state is. */
		uint32_t state = (uint32_t)s->counts[symbol]++ & (2 * size - 1);

		cells[i] = zfast_cell(s->forms[symbol], state, log);
	}
}

void q2_zfast_build(struct zfast *s, uint32_t kind)
{
	uint32_t *cells = q2_zfast_table(s, kind);
	uint32_t log = s->log[kind];
	uint32_t i;

	zfast_spread(s, kind, cells);
	/*@ loop invariant i <= 64 && good_forms(s, i, log);
	    loop assigns i, s->forms[0 .. 63];
	    loop variant 64 - i; */
	for (i = 0; i < ZFAST_SYMBOLS_MAX; i++)
		s->forms[i] = zfast_form(s, kind, i, log);
	zfast_make_cells(s, cells, log);
}

/* Makes a table of one cell, of the symbol in the next byte: 3.1.1.3.2.1, "RLE_Mode". */
static bool zfast_read_one(struct zfast *s, uint32_t kind)
{
	uint32_t *cells = q2_zfast_table(s, kind);

	if (s->in == s->block_end || *s->in >= zfast_kinds[kind].n_symbols)
		return false;
	s->log[kind] = 0;
	cells[0] = zfast_meaning(kind, *s->in++);
	/*@ assert \forall integer k; 0 <= k < (1 << s->log[kind]) ==> k == 0; */
	/*@ assert good_cell(cells[0], s->log[kind]); */
	return true;
}

bool q2_zfast_read_table(struct zfast *s, uint32_t kind, uint32_t mode)
{
	const struct zfast_kind *k = &zfast_kinds[kind];

	if (mode == ZFAST_REPEAT)
		return s->has_tables;
	if (mode == ZFAST_ONE)
		return zfast_read_one(s, kind);
	if (mode == ZFAST_PREDEFINED) {
		uint32_t i;

		s->log[kind] = k->log;
		/*@ loop invariant i <= k->n_symbols;
		    loop assigns i, s->counts[0 .. ZFAST_SYMBOLS_MAX - 1];
		    loop variant k->n_symbols - i; */
		for (i = 0; i < k->n_symbols; i++)
			s->counts[i] = (int16_t)zfast_predefined[k->counts + i];
	} else if (!q2_zfast_read_counts(s, kind)) {
		return false;
	}
	q2_zfast_build(s, kind);
	return true;
}
