/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Decodes and executes the sequences of a block, for the fast decoder for zstd. Section numbers are
 * those of RFC 8878.
 */
#include "zstd_fast.h"

enum { ZFAST_MATCH_MIN = 3 }; /* 3.1.1.3.2.1.1 */

/* Copies n bytes forward, one after the other, so that a match may overlap what it makes. */
static void zfast_copy(uint8_t *to, const uint8_t *from, uint32_t n)
{
	/*@ loop invariant n <= \at(n, Pre) && to == \at(to, Pre) + (\at(n, Pre) - n);
	    loop invariant from == \at(from, Pre) + (\at(n, Pre) - n);
	    loop assigns n, to, from, \at(to, Pre)[0 .. \at(n, Pre) - 1];
	    loop variant n; */
	for (; n != 0; n--)
		*to++ = *from++;
}

void q2_zfast_move_literals(struct zfast *s, uint32_t n)
{
	if (s->room != 0)
		zfast_copy(s->out + s->at, s->out + s->lit, n);
	s->at += n;
	s->lit += n;
	s->n_lits -= n;
}

/* Returns the offsets after a match with this offset value. The first one is 0 if it is invalid. */
static inline struct zfast_repeats zfast_repeat(struct zfast_repeats r, uint32_t value,
                                                bool no_literals)
{
	struct zfast_repeats next = { value - 3, r.first, r.second };

	if (value > 3)
		return next;
	value += no_literals ? 1u : 0u;
	if (value == 1)
		return r;
	if (value == 2) {
		next.first = r.second;
		next.third = r.third;
	} else {
		next.first = value == 3 ? r.third : r.first - 1;
	}
	return next;
}

/* Takes the extra bits of a cell, and returns its value with them. */
static uint32_t zfast_value(struct zfast_bits *b, uint32_t cell)
{
	uint32_t n = cell & ZFAST_EXTRA;

	return (cell >> ZFAST_VALUE) << n | q2_zfast_take(b, n);
}

/* Returns the cell of the first state of a table: 4.1. */
static uint32_t zfast_first(struct zfast_bits *b, const uint32_t *cells, uint32_t log)
{
	return cells[q2_zfast_take(b, log)];
}

/* Goes on to the next state of a table: 4.1. */
static void zfast_next(struct zfast *s, uint32_t kind)
{
	uint32_t cell = s->state[kind];
	uint32_t bits = q2_zfast_take(&s->bits, cell >> ZFAST_STATE & 15u);

	s->state[kind] = q2_zfast_table(s, kind)[(cell >> ZFAST_NEXT & ZFAST_NEXT_MASK) + bits];
}

/* Is the offset inside what the frame made before the match, and inside its window? */
static inline bool zfast_reaches(uint32_t offset, uint32_t made, uint32_t window)
{
	return offset - 1 < (made < window ? made : window);
}

/* Executes a sequence of n literals and a match with this offset value: 3.1.1.4. */
static bool zfast_execute(struct zfast *s, uint32_t n, uint32_t match, uint32_t value)
{
	struct zfast_repeats next = zfast_repeat(s->repeats, value, n == 0);

	if (n > s->n_lits || match > s->room)
		return false;
	q2_zfast_move_literals(s, n);
	if (!zfast_reaches(next.first, s->at - s->start, s->window))
		return false;
	s->repeats = next;
	zfast_copy(s->out + s->at, s->out + s->at - next.first, match);
	s->at += match;
	s->room -= match;
	return true;
}

/* Decodes and executes one sequence: 3.1.1.3.2.1.2. */
static bool zfast_sequence(struct zfast *s, bool is_last)
{
	uint32_t value = zfast_value(&s->bits, s->state[ZFAST_OF]);
	uint32_t match = zfast_value(&s->bits, s->state[ZFAST_ML]) + ZFAST_MATCH_MIN;
	uint32_t n = zfast_value(&s->bits, s->state[ZFAST_LL]);

	if (!is_last) {
		zfast_next(s, ZFAST_LL);
		zfast_next(s, ZFAST_ML);
		zfast_next(s, ZFAST_OF);
	}
	return !s->bits.over && zfast_execute(s, n, match, value);
}

#if SIZE_MAX > 0xffffffff
/*
 * The main loop for 64-bit processors, zfast_run, decodes sequences as long as input and output
 * have room for a whole turn. It leaves errors, the last sequence, those near the end of the block,
 * and those with more bits than a word has to zfast_sequence, with the state as it was before the
 * sequence.
 */
enum {
	/* The extra bits that a word has besides the 9 + 9 + 8 bits of the states. */
	ZFAST_EXTRA_MAX = 31,
	/* A copy is of so many bytes at least, and may write 15 too many. */
	ZFAST_WILD = 16
};

/* Takes n <= 63 bits off the top of a word. */
static inline uint32_t zfast_word_take(uint64_t *word, uint32_t n)
{
	uint32_t bits = (uint32_t)(*word >> 1 >> (~n & 63u));

	*word <<= n & 63u;
	return bits;
}

/*
 * Copies [from, from + end - at) to [at, end), and up to 15 bytes more. If the source is before, it
 * is at least 8 bytes before, so that no load reads past what the store before it made.
 */
static inline void zfast_wild(uint8_t *out, uint32_t at, uint32_t end, uint32_t from)
{
	/*@ loop invariant \at(at, Pre) <= at && from - \at(from, Pre) == at - \at(at, Pre);
	    loop invariant at == \at(at, Pre) || at < end;
	    loop assigns at, from, out[\at(at, Pre) .. end + 15];
	    loop variant end - at; */
	do {
		q2_copy_16(out, at, from);
		at += 16;
		from += 16;
	} while (at < end);
}

/* Copies a match to [at, end) from `offset` bytes before, and up to 15 bytes more. */
static inline void zfast_wild_match(uint8_t *out, uint32_t at, uint32_t end, uint32_t offset)
{
	if (offset >= 8) {
		zfast_wild(out, at, end, at - offset);
		return;
	}
	/* The first `offset` bytes of a store are right; the next one replaces the others. */
	/*@ loop invariant \at(at, Pre) <= at <= end + 7;
	    loop assigns at, out[\at(at, Pre) .. end + 15];
	    loop variant end - at; */
	for (; at < end; at += offset)
		q2_word_store(out + at, q2_word_load(out + at - offset));
}

/* Takes the extra bits of a cell off a word, and returns its value with them. */
static inline uint32_t zfast_word_value(uint64_t *word, uint32_t cell)
{
	uint32_t n = cell & ZFAST_EXTRA;

	return (cell >> ZFAST_VALUE) << n | zfast_word_take(word, n);
}

/* Takes the bits of the next state off a word, and returns its cell. */
static inline uint32_t zfast_word_next(uint64_t *word, const uint32_t *table, uint32_t cell)
{
	uint32_t bits = zfast_word_take(word, cell >> ZFAST_STATE & ZFAST_EXTRA);

	return table[(cell >> ZFAST_NEXT & ZFAST_NEXT_MASK) + bits];
}

/* Adds three cells, which adds their numbers of extra bits, and those of bits of the next state. */
static inline uint32_t zfast_sum(uint32_t ll, uint32_t of, uint32_t ml)
{
	return ll + of + ml;
}

/* Decodes sequences, and returns how many of the n are left. */
static uint32_t zfast_run(struct zfast *s, uint32_t n)
{
	const uint32_t *lls = q2_zfast_table(s, ZFAST_LL);
	const uint32_t *ofs = q2_zfast_table(s, ZFAST_OF);
	const uint32_t *mls = q2_zfast_table(s, ZFAST_ML);
	uint32_t ll = s->state[ZFAST_LL], of = s->state[ZFAST_OF], ml = s->state[ZFAST_ML];
	struct zfast_repeats repeats = s->repeats;
	uint32_t left = s->bits.left;
	uint32_t at = s->at, lit = s->lit, n_lits = s->n_lits, room = s->room;
	uint8_t *out = s->out;

	/*@ loop invariant n <= \at(n, Pre) && (\at(n, Pre) != 0 ==> n != 0);
	    loop invariant left <= \at(s->bits.left, Pre);
	    loop invariant s->start <= at && at + room == lit && lit + n_lits <= s->end;
	    loop invariant good_cell(ll, \at(s->log[0], Pre));
	    loop invariant good_cell(of, \at(s->log[1], Pre));
	    loop invariant good_cell(ml, \at(s->log[2], Pre));
	    loop assigns n, ll, of, ml, repeats, left, at, lit, n_lits, room,
	                 out[0 .. s->stop - 1];
	    loop variant n; */
	for (; n > 1 && left >= 64 && room >= ZFAST_WILD; n--) {
		/*@ assert \valid_read(ofs + (first_of(of) .. end_of(of) - 1)); */
		uint32_t sum = zfast_sum(ll, of, ml);
		uint64_t word = q2_zfast_peek_word(s->bits.bytes, left);
		uint32_t value = zfast_word_value(&word, of);
		uint32_t match = zfast_word_value(&word, ml) + ZFAST_MATCH_MIN;
		uint32_t lits = zfast_word_value(&word, ll);
		struct zfast_repeats next = zfast_repeat(repeats, value, lits == 0);

		if ((sum & ZFAST_EXTRA) > ZFAST_EXTRA_MAX || lits > n_lits ||
		    match > room - ZFAST_WILD ||
		    !zfast_reaches(next.first, at - s->start + lits, s->window))
			break;
		/* Before the copies, so that the processor does both at the same time. */
		ll = zfast_word_next(&word, lls, ll);
		ml = zfast_word_next(&word, mls, ml);
		of = zfast_word_next(&word, ofs, of);
		left -= (sum & ZFAST_EXTRA) + (sum >> ZFAST_STATE & ZFAST_EXTRA);
		repeats = next;
		n_lits -= lits;
		if (n_lits >= ZFAST_WILD)
			zfast_wild(out, at, at + lits, lit);
		else
			zfast_copy(out + at, out + lit, lits);
		at += lits;
		lit += lits;
		zfast_wild_match(out, at, at + match, next.first);
		at += match;
		room -= match;
	}
	s->state[ZFAST_LL] = ll;
	s->state[ZFAST_OF] = of;
	s->state[ZFAST_ML] = ml;
	s->repeats = repeats;
	s->bits.left = left;
	s->at = at;
	s->lit = lit;
	s->n_lits = n_lits;
	s->room = room;
	return n;
}
#else
/* 32-bit processors have too few registers for such a loop, so zfast_sequence does everything. */
static uint32_t zfast_run(struct zfast *s, uint32_t n)
{
	(void)s;
	return n;
}
#endif

/* Reads Number_of_Sequences: 3.1.1.3.2.1. Returns false if the block ends before. */
static bool zfast_read_count(struct zfast *s, uint32_t *n)
{
	size_t left = (size_t)(s->block_end - s->in);
	uint32_t len;

	if (left == 0)
		return false;
	*n = *s->in;
	len = *n < 128 ? 1 : *n < 255 ? 2 : 3;
	if (left < len)
		return false;
	if (len == 2)
		*n = (*n - 128) << 8 | s->in[1];
	else if (len == 3)
		*n = q2_zfast_le(s->in + 1, 2) + 0x7f00;
	s->in += len;
	return true;
}

/* Reads the tables of a block, and begins its stream of sequences. */
static bool zfast_begin_sequences(struct zfast *s)
{
	uint32_t modes, kind;

	if (s->in == s->block_end)
		return false;
	modes = *s->in++;
	if ((modes & 3u) != 0) /* reserved */
		return false;
	/*@ loop invariant kind <= 3 && good_part(s) && 0 <= s->in - \at(s->in, Pre);
	    loop invariant \forall integer k; 0 <= k < kind ==> good_table_of(s, k);
	    loop invariant s->has_tables != 0 ==>
	                     \forall integer k; kind <= k < 3 ==> good_table_of(s, k);
	    loop assigns kind, s->in, s->log[0 .. 2], s->cells[0 .. 1279], s->counts[0 .. 63],
	                 s->forms[0 .. 63];
	    loop variant 3 - kind; */
	for (kind = 0; kind < ZFAST_TABLES; kind++)
		if (!q2_zfast_read_table(s, kind, modes >> (6 - 2 * kind) & 3u))
			return false;
	/*@ assert good_table_of(s, 0) && good_table_of(s, 1) && good_table_of(s, 2); */
	/*@ assert good_tables(s); */
	s->has_tables = true;
	if (!q2_zfast_open(&s->bits, s->in, (uint32_t)(s->block_end - s->in)))
		return false;
	/*@ loop invariant kind <= 3 && good_backwards(&s->bits);
	    loop invariant s->bits.left <= \at(s->bits.left, LoopEntry);
	    loop invariant \forall integer k; 0 <= k < kind ==> good_cell(s->state[k], s->log[k]);
	    loop assigns kind, s->bits.left, s->bits.over, s->state[0 .. 2];
	    loop variant 3 - kind; */
	for (kind = 0; kind < ZFAST_TABLES; kind++)
		s->state[kind] = zfast_first(&s->bits, q2_zfast_table(s, kind), s->log[kind]);
	return !s->bits.over;
}

bool q2_zfast_sequences(struct zfast *s)
{
	uint32_t n;

	if (!zfast_read_count(s, &n))
		return false;
	if (n == 0)
		return s->in == s->block_end;
	if (!zfast_begin_sequences(s))
		return false;
	/*@ loop invariant good_frame(s) && good_room(s);
	    loop invariant good_table(&s->cells[0], s->log[0]);
	    loop invariant good_table(&s->cells[512], s->log[1]);
	    loop invariant good_table(&s->cells[768], s->log[2]);
	    loop invariant good_states{Here, Here}(s) && good_backwards(&s->bits);
	    loop invariant s->bits.left <= \at(s->bits.left, LoopEntry);
	    loop assigns n, s->bits.left, s->bits.over, s->state[0 .. 2], s->repeats, s->at;
	    loop assigns s->room, s->lit, s->n_lits, s->out[0 .. s->stop - 1];
	    loop variant n; */
	while (n != 0) {
		n = zfast_run(s, n) - 1;
		/*@ assert good_table(&s->cells[0], s->log[0]); */
		/*@ assert good_table(&s->cells[512], s->log[1]); */
		/*@ assert good_table(&s->cells[768], s->log[2]); */
		if (!zfast_sequence(s, n == 0))
			return false;
	}
	return s->bits.left == 0;
}
