/* SPDX-License-Identifier: MIT */
/*
 * The small decoder for zstd (RFC 8878). It needs the whole cluster as its window, because a match
 * may reach back to the beginning, but no other large memory: the input comes in pieces, and the
 * literals of a block are decoded into that end of the window which the block does not reach yet.
 *
 *	window   | made | made by this block |    room    |  literals left  | not for this block |
 *	                                    done     done + room
 *
 * A sequence copies literals from there to `done`, and then a match. Copying literals makes no
 * difference to the room between the two. A match takes as much of it as it is long, and is refused
 * if that is too much. So no literal is overwritten before it is copied.
 *
 * Only one bitstream is open at a time. It is the part [at, end) of the input: zstd writes the
 * headers for a reader that goes forwards, which advances `at`, and the bitstreams for one that
 * goes backwards, which takes back `end`.
 *
 * A failure does not interrupt anything. It is noted in `status`, from then on the input reads as
 * zeros, and the code that makes a part of the output checks the status.
 */
#include "internal.h"
#include "zstd_format.h"

/*
 * The tables for Finite State Entropy (FSE, RFC 8878 section 4.1). Each cell of a table stands for
 * a state. Its low 6 bits are the symbol; the others, x, say what the next state is. Among the
 * states of a symbol that occurs n times, x counts from n to 2n - 1. The next state has as many
 * bits from the input as x needs to become as large as the table, and x before them.
 */
enum {
	UNZSTD_LITERAL, /* in the order in which the format has them */
	UNZSTD_OFFSET,
	UNZSTD_MATCH,
	UNZSTD_WEIGHT,
	UNZSTD_TABLES
};

enum {
	/*
	 * The longest table is the last one. So no state of another table reaches past the end,
	 * wherever it is, which the proof sees without knowing which table it is.
	 */
	UNZSTD_WEIGHT_AT = 0,
	UNZSTD_OFFSET_AT = UNZSTD_WEIGHT_AT + (1 << ZSTD_FORMAT_WEIGHT_LOG),
	UNZSTD_LITERAL_AT = UNZSTD_OFFSET_AT + (1 << ZSTD_FORMAT_OFFSET_LOG),
	UNZSTD_MATCH_AT = UNZSTD_LITERAL_AT + (1 << ZSTD_FORMAT_LITERAL_LOG),
	UNZSTD_CELLS = UNZSTD_MATCH_AT + (1 << ZSTD_FORMAT_MATCH_LOG),

	UNZSTD_SYMBOLS = 64,   /* of a table, at most: what fits into a cell */
	UNZSTD_RARE = 0xffff,  /* instead of how often it occurs: "less than 1" */
	UNZSTD_NO_TABLE = 0xff /* instead of a log2 */
};

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

struct unzstd {
	struct qcow2_stream *stream;
	int status; /* the first failure; after it, the input reads as zeros */

	uint32_t at; /* the part of the input that is being read, as numbers of bytes */
	uint32_t end;
	/*
	 * Bits that were read ahead; those above n_bits mean nothing. Forwards the next bit is the
	 * lowest, backwards it is number n_bits - 1.
	 */
	uint32_t buf;
	uint32_t n_bits;
	bool over; /* more bits were taken from a bitstream than it has */

	/* The frame. */
	uint32_t begin;              /* the number of its first byte of output */
	uint32_t limit;              /* where its output ends at the latest */
	uint32_t reach;              /* how far matches may reach back: the "window" of the frame */
	uint32_t repeat[3];          /* the last three offsets, the latest first */
	uint32_t n_sorted;           /* symbols of the Huffman code, 0 if there is none */
	uint32_t depth;              /* bits of its longest code */
	uint8_t logs[UNZSTD_TABLES]; /* the log2 of the length of each table */

	/* The block. */
	uint32_t room;
	uint32_t literals;

	/* `counts`: how many symbols have this weight. `sorted`: by weight, and then by value. */
	uint16_t counts[16];
	uint8_t sorted[256];
	uint8_t weights[256];           /* of the symbols, while the code is made */
	uint16_t often[UNZSTD_SYMBOLS]; /* how often a symbol occurs, while a table is made */
	uint16_t cells[UNZSTD_CELLS];
};

Q2_STATIC_ASSERT(unzstd_fits_work, sizeof(struct unzstd) <= QCOW2_ZSTD_SMALL_WORK);

/* ---- Input ---- */

static void unzstd_fail(struct unzstd *s, int status)
{
	if (s->status == QCOW2_OK)
		s->status = status;
}

/* Fails if the condition for a valid stream does not hold. Returns whether all is well so far. */
static bool unzstd_check(struct unzstd *s, bool valid)
{
	if (!valid)
		unzstd_fail(s, QCOW2_E_COMPRESSED);
	return s->status == QCOW2_OK;
}

/* Returns byte number k of the input. */
static uint32_t unzstd_byte(struct unzstd *s, uint32_t k)
{
	struct qcow2_stream *in = s->stream;
	uint32_t len = (uint32_t)(in->end - in->next);
	uint32_t i = k + len - in->fill_at; /* the place of the byte in the piece */

	if (s->status != QCOW2_OK)
		return 0;
	if (i >= len) {
		in->fill_at = k;
		/*@ calls any_piece; */
		s->status = in->fill(in);
		len = (uint32_t)(in->end - in->next);
		i = k + len - in->fill_at;
		if (i >= len)
			unzstd_fail(s, QCOW2_E_TRUNCATED);
		if (s->status != QCOW2_OK)
			return 0;
	}
	return in->next[i];
}

/* Takes the next byte forwards. */
static uint32_t unzstd_next(struct unzstd *s)
{
	if (!unzstd_check(s, s->at < s->end))
		return 0;
	return unzstd_byte(s, s->at++);
}

/* Takes the next n <= 24 bits forwards, lowest first. */
static uint32_t unzstd_take(struct unzstd *s, uint32_t n)
{
	uint32_t buf;

	for (; s->n_bits < n; s->n_bits += 8)
		s->buf |= unzstd_next(s) << s->n_bits;
	buf = s->buf;
	s->buf = buf >> n;
	s->n_bits = (s->n_bits - n) & 7u; /* fewer than 8 are left: the mask is for the proof */
	return buf - (buf >> n << n);
}

/* Takes the next four bytes, a number. */
static uint32_t unzstd_take32(struct unzstd *s)
{
	uint32_t low = unzstd_take(s, 16);

	return low | unzstd_take(s, 16) << 16;
}

/* Goes to the part [at, end) of the input, forwards. */
static void unzstd_enter(struct unzstd *s, uint32_t at, uint32_t end)
{
	s->at = at;
	s->end = end;
	s->buf = 0;
	s->n_bits = 0;
}

/* Takes the next n <= 22 bits backwards, zeros after the end of the bitstream. */
static uint32_t unzstd_back(struct unzstd *s, uint32_t n)
{
	/*@ loop invariant s->n_bits < n + 8 || s->n_bits == \at(s->n_bits, Pre);
	    loop invariant good_pieces(s->stream) && s->stream == \at(s->stream, Pre);
	    loop invariant s->end <= \at(s->end, Pre);
	    loop invariant s->at <= \at(s->end, Pre) ==> s->at <= s->end;
	    loop assigns s->end, s->buf, s->n_bits, s->over, s->status,
	                 \at(s->stream, Pre)->next, \at(s->stream, Pre)->end,
	                 \at(s->stream, Pre)->fill_at;
	    loop variant 32 - s->n_bits; */
	while (s->n_bits < n) {
		s->buf <<= 8;
		if (s->at < s->end)
			s->buf |= unzstd_byte(s, --s->end);
		else
			s->over = true;
		s->n_bits += 8;
	}
	s->n_bits = (s->n_bits - n) & 7u; /* as above */
	return s->buf >> s->n_bits & ((1u << n) - 1u);
}

/*
 * Opens the part [at, end) as a bitstream, if all is well so far. The highest bit of its last byte
 * that is set only marks where it begins.
 */
static bool unzstd_open(struct unzstd *s)
{
	s->n_bits = 0;
	s->over = false;
	if (s->at < s->end)
		s->buf = unzstd_byte(s, --s->end);
	else
		s->buf = 0;
	if (!unzstd_check(s, s->buf != 0))
		return false;
	while (s->n_bits < 7 && s->buf >> s->n_bits != 1)
		s->n_bits++;
	return true;
}

/* A bitstream must end with its first bit, neither before nor after. */
static void unzstd_close(struct unzstd *s)
{
	unzstd_check(s, !s->over && s->n_bits == 0 && s->at == s->end);
}

/* ---- FSE tables ---- */

/*
 * Fills a table of 1 << log cells from how often each symbol occurs: section 4.1.1. The steps reach
 * every cell, because their length is odd.
 */
static void unzstd_build(struct unzstd *s, uint32_t table, uint32_t log)
{
	const struct unzstd_table *t = &unzstd_tables[table];
	uint16_t *cells = s->cells + t->cells;
	uint32_t size = UINT32_C(1) << log;
	uint32_t mask = (size - 1) & ((UINT32_C(1) << t->log) - 1);
	uint32_t top = size;
	uint32_t at = 0;
	uint32_t i;

	s->logs[table] = (uint8_t)log;
	/* Rare symbols have one cell each, at the top. */
	for (i = 0; i < UNZSTD_SYMBOLS; i++)
		if (s->often[i] == UNZSTD_RARE)
			cells[--top & mask] = (uint16_t)i;
	for (i = 0; i < UNZSTD_SYMBOLS; i++) {
		uint32_t left = s->often[i];

		if (left == UNZSTD_RARE) {
			s->often[i] = 1;
			left = 0;
		}
		for (; left != 0; left--) {
			cells[at] = (uint16_t)i;
			do
				at = (at + (size >> 1) + (size >> 3) + 3) & mask;
			while (at >= top);
		}
	}
	for (i = 0; i <= mask; i++) {
		uint32_t symbol = cells[i] % UNZSTD_SYMBOLS;

		cells[i] = (uint16_t)((uint32_t)s->often[symbol]++ << 6 | symbol);
	}
}

/* Makes a table of one cell, whose next state is itself. */
static void unzstd_build_one(struct unzstd *s, uint32_t table, uint32_t symbol)
{
	if (!unzstd_check(s, symbol <= unzstd_tables[table].last))
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
	for (i = 0; i < 9; i++) {
		uint32_t often = runs[table][i] & 7u;

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

	while (n < ZSTD_FORMAT_MATCH_LOG && most >> n > 1)
		n++;
	low = (2u << n) - 1 - most;
	value = unzstd_take(s, n);
	if (value >= low && unzstd_take(s, 1) != 0)
		value += (1u << n) - low;
	return value;
}

/* Makes a table from its description: section 4.1.1. */
static void unzstd_build_described(struct unzstd *s, uint32_t table)
{
	uint32_t log = unzstd_take(s, 4) + 5;
	uint32_t left = UINT32_C(1) << log; /* cells that are not given to a symbol yet */
	uint32_t n = 0;

	if (!unzstd_check(s, log <= unzstd_tables[table].log))
		return;
	memset(s->often, 0, sizeof(s->often));
	while (left != 0 && unzstd_check(s, n <= unzstd_tables[table].last)) {
		uint32_t value = unzstd_take_often(s, left + 1);
		uint32_t run = 3;

		s->often[n++ % UNZSTD_SYMBOLS] = (uint16_t)(value - 1);
		left -= value != 0 ? value - 1 : 1;
		/* More symbols that do not occur: 3 says that a number follows. */
		while (value == 1 && run == 3) {
			run = unzstd_take(s, 2);
			n += run;
		}
	}
	unzstd_enter(s, s->at, s->end);
	if (unzstd_check(s, true))
		unzstd_build(s, table, log);
}

/* Returns the cell of a state. */
static uint32_t unzstd_cell(const struct unzstd *s, uint32_t table, uint32_t state)
{
	uint32_t mask = (1u << unzstd_tables[table].log) - 1u;

	return s->cells[unzstd_tables[table].cells + (state & mask)];
}

/* Goes on to the next state. */
static uint32_t unzstd_advance(struct unzstd *s, uint32_t table, uint32_t state)
{
	uint32_t x = unzstd_cell(s, table, state) / UNZSTD_SYMBOLS;
	uint32_t log = s->logs[table] & 15u;
	uint32_t n = 0;

	while (n < log && x << n >> log == 0)
		n++;
	return (x << n) - (1u << log) + unzstd_back(s, n);
}

/* ---- The Huffman code of literals ---- */

/*
 * Makes the code from the weights of the first n symbols. The weight of one more is what makes it
 * complete: section 4.2.1.
 */
static void unzstd_code(struct unzstd *s, uint32_t n)
{
	uint32_t sum = 0;
	uint32_t depth = 0;
	uint32_t weight = 0;
	uint32_t sorted = 0;
	uint32_t i;

	memset(s->counts, 0, sizeof(s->counts));
	for (i = 0; i < n; i++) {
		uint32_t w = s->weights[i];

		if (w > ZSTD_FORMAT_WEIGHT_MAX) {
			unzstd_fail(s, QCOW2_E_COMPRESSED);
			return;
		}
		s->counts[w]++;
		sum += (1u << w) >> 1;
	}
	while (depth <= ZSTD_FORMAT_WEIGHT_MAX && sum >> depth != 0)
		depth++;
	if (!unzstd_check(s, depth != 0 && depth <= ZSTD_FORMAT_WEIGHT_MAX))
		return;
	sum = (1u << depth) - sum;
	while (weight < ZSTD_FORMAT_WEIGHT_MAX && sum >> weight != 0)
		weight++;
	s->counts[weight]++;
	s->weights[n & 255u] = (uint8_t)weight;
	if (!unzstd_check(s, sum == (1u << weight) >> 1 && s->counts[1] >= 2))
		return;
	for (weight = 1; weight <= depth; weight++)
		for (i = 0; i <= n; i++)
			if (s->weights[i & 255u] == weight)
				s->sorted[sorted++ % 256u] = (uint8_t)i;
	s->n_sorted = sorted;
	s->depth = depth;
}

/*
 * Takes weights, of which two bitstream states take turns in making one: section 4.2.1.2. They end
 * when a state would need more bits than there are. Returns how many there are.
 */
static uint32_t unzstd_weights(struct unzstd *s)
{
	uint32_t states[2];
	uint32_t n = 0;

	unzstd_build_described(s, UNZSTD_WEIGHT);
	if (!unzstd_open(s))
		return 0;
	states[0] = unzstd_back(s, s->logs[UNZSTD_WEIGHT] & 15u);
	states[1] = unzstd_back(s, s->logs[UNZSTD_WEIGHT] & 15u);
	if (!unzstd_check(s, !s->over))
		return 0;
	while (!s->over && unzstd_check(s, n < ZSTD_FORMAT_WEIGHTS_MAX - 1)) {
		uint32_t *state = &states[n & 1u];

		s->weights[n++ & 255u] =
			(uint8_t)(unzstd_cell(s, UNZSTD_WEIGHT, *state) % UNZSTD_SYMBOLS);
		*state = unzstd_advance(s, UNZSTD_WEIGHT, *state);
	}
	s->weights[n & 255u] =
		(uint8_t)(unzstd_cell(s, UNZSTD_WEIGHT, states[n & 1u]) % UNZSTD_SYMBOLS);
	return (n & 255u) + 1;
}

/* Takes the description of a code: section 4.2.1.1. */
static void unzstd_tree(struct unzstd *s)
{
	uint32_t n = unzstd_next(s);
	uint32_t end = s->end;

	if (n > ZSTD_FORMAT_DIRECT) {
		uint32_t i;

		n -= ZSTD_FORMAT_DIRECT;
		for (i = 0; i < n; i += 2) {
			uint32_t two = unzstd_next(s);

			s->weights[i] = (uint8_t)(two >> 4);
			s->weights[i + 1] = two & 15u;
		}
	} else if (unzstd_check(s, n <= end - s->at)) {
		uint32_t part = s->at + n;

		s->end = part;
		n = unzstd_weights(s);
		unzstd_enter(s, part, end);
	}
	if (unzstd_check(s, true))
		unzstd_code(s, n);
}

/*
 * Takes a literal. The codes of one length are consecutive, and those of the shortest length are
 * the highest, so counted from the highest down, this is the search of inflate_small.c.
 */
static uint8_t unzstd_symbol(struct unzstd *s)
{
	uint32_t end = s->n_sorted; /* `sorted` has the symbols with codes of this length before */
	uint32_t weight = s->depth;
	uint32_t rank = 0;
	uint32_t count = 0;

	do { /* at most `depth` times, because the code is complete */
		rank -= count;
		end -= count;
		rank = rank << 1 | (unzstd_back(s, 1) ^ 1u);
		count = s->counts[weight-- & 15u];
	} while (rank >= count);
	return s->sorted[(end - 1 - rank) & 255u];
}

/* ---- Blocks ---- */

/* Returns the place of byte number k of the output. */
static uint8_t *unzstd_out(struct unzstd *s, uint32_t k)
{
	return s->stream->window + (k & (s->stream->window_len - 1u));
}

/* Decodes n literals from the bitstream [at, end), to byte number `to` of the output on. */
static void unzstd_bitstream(struct unzstd *s, uint32_t to, uint32_t n)
{
	if (!unzstd_open(s))
		return;
	for (; n != 0; n--)
		*unzstd_out(s, to++) = unzstd_symbol(s);
	unzstd_close(s);
}

/* Decodes n literals from the part [at, end) of the input: section 3.1.1.3.1.6. */
static void unzstd_bitstreams(struct unzstd *s, uint32_t to, uint32_t n, bool four)
{
	uint32_t jumps = s->at;
	uint32_t end = s->end;
	uint32_t part = (n + 3) / 4;

	if (four) {
		uint32_t at = jumps + 6;
		uint32_t i;

		if (!unzstd_check(s, n >= 6))
			return;
		for (i = 0; i < 3; i++) {
			uint32_t len;

			unzstd_enter(s, jumps + 2 * i, end);
			len = unzstd_take(s, 16);
			if (!unzstd_check(s, at <= end && len <= end - at))
				return;
			unzstd_enter(s, at, at + len);
			unzstd_bitstream(s, to, part);
			at += len;
			to += part;
			n -= part;
		}
		unzstd_enter(s, at, end);
	}
	unzstd_bitstream(s, to, n);
}

/* Takes a size of 5, 12 or 20 bits: section 3.1.1.3.1.1. */
static uint32_t unzstd_plain_size(struct unzstd *s)
{
	if (unzstd_take(s, 1) == 0)
		return unzstd_take(s, 5);
	return unzstd_take(s, unzstd_take(s, 1) == 0 ? 12 : 20);
}

/* Puts n literals that are not coded, or are all the same, to byte number `to` on. */
static void unzstd_plain(struct unzstd *s, uint32_t to, uint32_t n, bool same)
{
	uint32_t byte = same ? unzstd_next(s) : 0;
	uint32_t i;

	for (i = 0; i < n && s->status == QCOW2_OK; i++) {
		if (!same)
			byte = unzstd_next(s);
		*unzstd_out(s, to + i) = (uint8_t)byte;
	}
}

/* Makes place for n literals at the end of the room, and returns where that begins. */
static uint32_t unzstd_place(struct unzstd *s, uint32_t n)
{
	if (!unzstd_check(s, n <= s->room))
		return 0;
	s->literals = n;
	s->room -= n;
	return s->stream->done + s->room;
}

/* Decodes the literals of a block: section 3.1.1.3.1. */
static void unzstd_literals(struct unzstd *s)
{
	uint32_t type = unzstd_take(s, 2); /* raw, RLE, compressed, treeless */
	uint32_t end = s->end;
	uint32_t form, bits, n, packed, to;

	if (type < 2) {
		n = unzstd_plain_size(s);
		to = unzstd_place(s, n);
		unzstd_plain(s, to, n, type == 1);
		return;
	}
	form = unzstd_take(s, 2);
	bits = form < 2 ? 10 : 6 + 4 * form;
	n = unzstd_take(s, bits);
	packed = unzstd_take(s, bits);
	to = unzstd_place(s, n);
	if (!unzstd_check(s, packed <= end - s->at))
		return;
	packed += s->at;
	s->end = packed;
	if (type == 2)
		unzstd_tree(s);
	if (unzstd_check(s, s->n_sorted != 0))
		unzstd_bitstreams(s, to, n, form != 0);
	unzstd_enter(s, packed, end);
}

/* Appends n of the literals to the output. */
static void unzstd_copy_literals(struct unzstd *s, uint32_t n)
{
	struct qcow2_stream *stream = s->stream;

	if (!unzstd_check(s, n <= s->literals))
		return;
	s->literals -= n;
	/*@ loop invariant n <= \at(n, Pre) && s->literals == \at(s->literals, Pre) - \at(n, Pre);
	    loop invariant stream->done == \at(s->stream->done, Pre) + \at(n, Pre) - n;
	    loop assigns n, stream->done, stream->window[0 .. stream->window_len - 1];
	    loop variant n; */
	for (; n != 0; n--) {
		*unzstd_out(s, stream->done) = *unzstd_out(s, stream->done + s->room);
		stream->done++;
	}
}

/* Appends n bytes from `offset` before. A byte at a time, because it may overlap what it makes. */
static void unzstd_copy_match(struct unzstd *s, uint32_t n, uint32_t offset)
{
	struct qcow2_stream *stream = s->stream;

	if (!unzstd_check(s,
	                  n <= s->room && offset <= s->reach && offset <= stream->done - s->begin))
		return;
	s->room -= n;
	/*@ loop invariant n <= \at(n, Pre) && s->room == \at(s->room, Pre) - \at(n, Pre);
	    loop invariant stream->done == \at(s->stream->done, Pre) + \at(n, Pre) - n;
	    loop assigns n, stream->done, stream->window[0 .. stream->window_len - 1];
	    loop variant n; */
	for (; n != 0; n--) {
		*unzstd_out(s, stream->done) = *unzstd_out(s, stream->done - offset);
		stream->done++;
	}
}

/*
 * Returns the length that a code stands for with its extra bits, which this takes: section
 * 3.1.1.3.2.1.1. Codes below `first` have none. A code begins where the one before it ends.
 */
static uint32_t unzstd_length(struct unzstd *s, uint32_t code, uint32_t first)
{
	/* The number of extra bits: of literal lengths from 16 on, of match lengths from 32 on. */
	static const uint8_t extra[2][32] = {
		{ 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
		{ 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
	};
	const uint8_t *bits = extra[first >> 5];
	uint32_t length = first;
	uint32_t i;

	if (code < first)
		return code;
	for (i = 0; i < code - first; i++)
		length += 1u << bits[i & 31u];
	return length + unzstd_back(s, bits[i & 31u]);
}

/*
 * Returns the offset that a value stands for, and remembers it: section 3.1.1.5. Values 1 to 3 are
 * offsets that are remembered, or the latest one less 1. Without literals before the match, the
 * latest one would make no sense, so the values begin with the one before it.
 */
static uint32_t unzstd_offset(struct unzstd *s, uint32_t value, bool no_literals)
{
	uint32_t *repeat = s->repeat;
	uint32_t offset = value - 3;

	if (value <= 3) {
		value -= no_literals ? 0 : 1;
		if (value == 0)
			return repeat[0];
		offset = value == 3 ? repeat[0] - 1 : repeat[value];
		unzstd_check(s, offset != 0);
	}
	if (value != 1)
		repeat[2] = repeat[1];
	repeat[1] = repeat[0];
	repeat[0] = offset;
	return offset;
}

/* Decodes a sequence and carries it out: sections 3.1.1.3.2.1.2 and 3.1.1.4. */
static void unzstd_sequence(struct unzstd *s, const uint32_t *states)
{
	uint32_t bits = unzstd_cell(s, UNZSTD_OFFSET, states[UNZSTD_OFFSET]) % UNZSTD_SYMBOLS;
	uint32_t value, match, literals;

	/* With more bits, the offset is longer than any cluster, so that this is not valid. */
	if (bits > 22) {
		unzstd_fail(s, QCOW2_E_COMPRESSED);
		return;
	}
	value = (1u << bits) + unzstd_back(s, bits);
	match = unzstd_cell(s, UNZSTD_MATCH, states[UNZSTD_MATCH]) % UNZSTD_SYMBOLS;
	match = unzstd_length(s, match, 32) + 3;
	literals = unzstd_cell(s, UNZSTD_LITERAL, states[UNZSTD_LITERAL]) % UNZSTD_SYMBOLS;
	literals = unzstd_length(s, literals, 16);
	unzstd_copy_literals(s, literals);
	unzstd_copy_match(s, match, unzstd_offset(s, value, literals == 0));
}

/* Decodes the bitstream [at, end) of n sequences. */
static void unzstd_sequences(struct unzstd *s, uint32_t n)
{
	static const uint8_t order[3] = { UNZSTD_LITERAL, UNZSTD_MATCH, UNZSTD_OFFSET };
	uint32_t states[3];
	uint32_t i;

	if (!unzstd_open(s))
		return;
	for (i = 0; i < 3; i++)
		states[i] = unzstd_back(s, s->logs[i] & 15u);
	while (s->status == QCOW2_OK) {
		unzstd_sequence(s, states);
		if (--n == 0)
			break;
		for (i = 0; i < 3; i++)
			states[order[i]] = unzstd_advance(s, order[i], states[order[i]]);
	}
	unzstd_close(s);
}

/* Takes the number of sequences: section 3.1.1.3.2.1. */
static uint32_t unzstd_n_sequences(struct unzstd *s)
{
	uint32_t n = unzstd_next(s);

	if (n == 255)
		return unzstd_take(s, 16) + 0x7f00;
	return n < 128 ? n : ((n - 128) << 8) + unzstd_next(s);
}

/* Prepares a table in one of the four ways: predefined, RLE, described, as in an earlier block. */
static void unzstd_prepare(struct unzstd *s, uint32_t table, uint32_t mode)
{
	if (mode == 0)
		unzstd_build_default(s, table);
	else if (mode == 1)
		unzstd_build_one(s, table, unzstd_next(s));
	else if (mode == 2)
		unzstd_build_described(s, table);
	else
		unzstd_check(s, s->logs[table] != UNZSTD_NO_TABLE);
}

/* Decodes a compressed block: section 3.1.1.3. */
static void unzstd_compressed(struct unzstd *s)
{
	uint32_t n;

	s->literals = 0;
	unzstd_literals(s);
	n = unzstd_n_sequences(s);
	if (n != 0) {
		uint32_t modes = unzstd_next(s);
		uint32_t i;

		unzstd_check(s, (modes & 3u) == 0);
		for (i = 0; i < 3; i++)
			unzstd_prepare(s, i, modes >> (6 - 2 * i) & 3u);
		unzstd_sequences(s, n);
	}
	if (unzstd_check(s, s->at == s->end))
		unzstd_copy_literals(s, s->literals);
}

/* Decodes a block: section 3.1.1.2. Returns whether it is the last one. */
static bool unzstd_block(struct unzstd *s)
{
	uint32_t head = unzstd_take(s, 16);
	uint32_t type, n, most;

	head |= unzstd_next(s) << 16;
	type = head >> 1 & 3u; /* raw, RLE, compressed, reserved */
	n = head >> 3;
	most = s->reach < ZSTD_FORMAT_BLOCK_MAX ? s->reach : ZSTD_FORMAT_BLOCK_MAX;
	if (!unzstd_check(s, n <= most && type != 3))
		return true;
	s->room = s->limit - s->stream->done;
	if (s->room > most)
		s->room = most;
	if (type == 2) {
		n += s->at;
		unzstd_enter(s, s->at, n);
		unzstd_compressed(s);
		unzstd_enter(s, n, UINT32_MAX);
	} else if (unzstd_check(s, n <= s->room)) {
		unzstd_plain(s, s->stream->done, n, type == 1);
		s->stream->done += n;
	}
	return (head & 1u) != 0 || s->status != QCOW2_OK;
}

/* ---- Frames ---- */

/* Takes the size of the window if the frame has one: section 3.1.1.1.2. */
static uint32_t unzstd_window(struct unzstd *s)
{
	uint32_t byte = unzstd_next(s);

	if (byte > ZSTD_FORMAT_WINDOW_MAX) {
		unzstd_fail(s, QCOW2_E_COMPRESSED);
		return 0;
	}
	return (8u + (byte & 7u)) << 7 << (byte >> 3);
}

/* Takes a number of 0, 1, 2, 4 or 8 bytes, of which the upper four must be 0. */
static uint32_t unzstd_field(struct unzstd *s, uint32_t len)
{
	uint32_t value;

	if (len < 4)
		return unzstd_take(s, 8 * len);
	value = unzstd_take32(s);
	if (len > 4)
		unzstd_check(s, unzstd_take32(s) == 0);
	return value;
}

/* Takes the header of a frame behind its magic number: section 3.1.1.1. Returns its first byte. */
static uint32_t unzstd_header(struct unzstd *s)
{
	uint32_t head = unzstd_next(s);
	uint32_t size_form = head >> 6;
	uint32_t left = s->stream->stop - s->stream->done;
	bool single = (head & 0x20u) != 0;

	s->reach = 0;
	if (!single)
		s->reach = unzstd_window(s);
	unzstd_check(s, (head & 8u) == 0);
	/* There are no dictionaries; number 0 means none. */
	unzstd_check(s, unzstd_field(s, (1u << (head & 3u)) >> 1) == 0);
	s->limit = s->stream->stop;
	if (single || size_form != 0) {
		uint32_t size = unzstd_field(s, 1u << size_form);

		if (size_form == 1)
			size += 256;
		unzstd_check(s, size <= left);
		s->limit = s->stream->done + size;
		if (single)
			s->reach = size;
	}
	return head;
}

/* Decodes a frame: section 3.1.1. */
static void unzstd_frame(struct unzstd *s)
{
	struct qcow2_stream *stream = s->stream;
	uint32_t head = unzstd_header(s);
	bool is_last = false;
	uint32_t i;

	s->begin = stream->done;
	for (i = 0; i < 3; i++) {
		static const uint8_t first[3] = { 1, 4, 8 };

		s->repeat[i] = first[i];
		s->logs[i] = UNZSTD_NO_TABLE;
	}
	s->n_sorted = 0;
	while (s->status == QCOW2_OK && !is_last)
		is_last = unzstd_block(s);
	/* A frame that states the size of its content must have that size. */
	unzstd_check(s, stream->done == s->limit || (head & 0xe0u) == 0);
	if ((head & 4u) != 0 && s->status == QCOW2_OK)
		unzstd_check(s, unzstd_take32(s) == (uint32_t)q2_xxh64(stream->window + s->begin,
		                                                       stream->done - s->begin));
}

/* Decodes the next frame, or skips it: section 3.1.2. */
static void unzstd_any_frame(struct unzstd *s)
{
	uint32_t magic = unzstd_take32(s);

	if ((magic & ~15u) == ZSTD_FORMAT_SKIP_MAGIC) {
		uint32_t len = unzstd_take32(s);

		if (unzstd_check(s, len < s->end - s->at))
			s->at += len;
	} else if (unzstd_check(s, magic == ZSTD_FORMAT_MAGIC)) {
		unzstd_frame(s);
	}
}

/* Nothing to do: unzstd_decode makes the cluster in one call, and sets all that it begins with. */
static void unzstd_begin(const struct qcow2_codec *self, void *work)
{
	(void)self;
	(void)work;
}

/*
 * Decodes frames until the cluster is full, which it must be at the end of a frame. What follows is
 * not looked at, as in QEMU, so the call after the last byte has nothing to do.
 */
static int unzstd_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	struct unzstd *s = work;

	(void)self;
	if (stream->done != 0 || stream->stop > stream->window_len)
		return stream->stop == stream->done ? QCOW2_OK : QCOW2_E_ARGUMENT;
	s->stream = stream;
	s->status = QCOW2_OK;
	unzstd_enter(s, 0, UINT32_MAX);
	while (s->status == QCOW2_OK && stream->done < stream->stop)
		unzstd_any_frame(s);
	stream->window_at = stream->done & (stream->window_len - 1u);
	return s->status;
}

const struct qcow2_codec qcow2_zstd_small = {
	QCOW2_COMPRESSION_ZSTD, true, sizeof(struct unzstd), unzstd_begin, unzstd_decode, true,
};
