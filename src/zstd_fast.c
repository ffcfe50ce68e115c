/* SPDX-License-Identifier: MIT */
/*
 * The fast decoder for zstd (RFC 8878). It needs all input in one piece, room for all output, and
 * 10 KiB of memory; zstd_small.c needs a third of that, and input in pieces. Section numbers are
 * those of the RFC. What makes it fast:
 *
 *  - One table look-up decodes a literal. The four streams of literals are decoded in turns,
 *    several symbols at a time, so that the processor works on all of them at once.
 *  - A cell of a sequence table has all that a sequence needs, so no table of baselines is read.
 *  - On 64-bit processors, a turn of the main loop, zfast_run, decodes a sequence with one load of
 *    input, and copies 16 bytes at a time. This may write up to 15 bytes too many, which the next
 *    sequences overwrite.
 *
 * The window of a frame is the cluster, so all output stays in memory. What is still free of it
 * also holds the literals of a block, so there is no buffer for them. They are decoded into the
 * end of the room that the block has, and its sequences move them to their places:
 *
 *	out    [ made before | of this block |    room    | literals left ]
 *	       0                             at           lit             lit + n_lits
 *
 * A copy of literals advances both `at` and `lit`, and so keeps the room. A match takes its length
 * off the room. So a sequence never overwrites literals that are still needed.
 *
 * A cell of a sequence table, which is an FSE decoding table (section 4.1.1), is a uint32_t:
 *
 *   bits 0-5    number of extra bits
 *   bits 8-13   number of bits to take for the next state
 *   bits 14-22  what to add to these bits, which makes the index of the next cell
 *   bits 23-31  the value without its extra bits, which follow it as its lowest bits
 *
 * The sum of three cells has the sums of the first two fields. The index into the Huffman table is
 * the next 11 bits of a stream. An entry has the length of the code in bits 0-7, and the literal in
 * bits 8-15.
 *
 * Streams of literals and sequences are read backwards, from the last byte to the first, and must
 * be used up exactly. The bits of a stream are numbered from the lowest bit of its first byte.
 * `left` is the number of those not yet taken, so the next one is left - 1.
 */
#include "internal.h"
#include "zstd_format.h"

/* Holds the bits that are loaded at once. On 32-bit processors, 64-bit shifts are slow. */
#if SIZE_MAX > 0xffffffff
typedef uint64_t zfast_word;
enum { ZFAST_WORD_BITS = 64 };
#else
typedef uint32_t zfast_word;
enum { ZFAST_WORD_BITS = 32 };
#endif

enum {
	ZFAST_MAGIC_LEN = 4,                      /* 3.1.1: Magic_Number */
	ZFAST_SIZE_LEN = 4,                       /* 3.1.2: Frame_Size of a skippable frame */
	ZFAST_BLOCK_LEN = 3,                      /* 3.1.1.2: Block_Header */
	ZFAST_CHECKSUM_LEN = 4,                   /* 3.1.1: Content_Checksum */
	ZFAST_TREE_BITS = ZSTD_FORMAT_WEIGHT_MAX, /* of the longest Huffman code */
	/* Of an FSE table. That of the weights may name symbols that are none, but not use them. */
	ZFAST_SYMBOLS_MAX = 64,
	ZFAST_MATCH_MIN = 3 /* 3.1.1.3.2.1.1 */
};

/* Parts of a Frame_Header_Descriptor: 3.1.1.1.1. */
enum { ZFAST_CHECKSUM = 4, ZFAST_RESERVED = 8, ZFAST_SINGLE = 0x20, ZFAST_SIZED = 0x40 };

/* Types of a block, 3.1.1.2.2, and of its literals, 3.1.1.3.1.1. */
enum { ZFAST_RAW, ZFAST_RLE, ZFAST_COMPRESSED, ZFAST_TREELESS };

/* Modes of a sequence table: 3.1.1.3.2.1. */
enum { ZFAST_PREDEFINED, ZFAST_ONE, ZFAST_FSE, ZFAST_REPEAT };

/* The FSE tables, in their order in a block, and that of the weights of a Huffman code. */
enum { ZFAST_LL, ZFAST_OF, ZFAST_ML, ZFAST_WEIGHTS, ZFAST_KINDS };
enum { ZFAST_TABLES = ZFAST_WEIGHTS }; /* those of a block */

/*
 * What the symbols of each table mean (3.1.1.3.2.1.1), without what extra bits add. Those below
 * `direct` stand for themselves. Those from `ones` on have symbol - minus extra bits below a 1.
 * Those between are in zfast_listed. A match length is 3 more than that.
 */
static const struct zfast_kind {
	uint8_t n_symbols;
	uint8_t log_max; /* the greatest Accuracy_Log */
	uint8_t first;   /* of its cells, divided by 256 */
	uint8_t log;     /* of the predefined table */
	uint8_t counts;  /* index of the predefined table in zfast_predefined */
	uint8_t direct;
	uint8_t listed; /* index in zfast_listed */
	uint8_t ones;
	uint8_t minus;
} zfast_kinds[ZFAST_KINDS] = {
	{ 36, 9, 0, 6, 0, 16, 0, 25, 19 },
	{ 32, 8, 2, 5, 36, 0, 0, 0, 0 },
	{ 53, 9, 3, 6, 68, 32, 9, 43, 36 },
	{ ZFAST_SYMBOLS_MAX, 6, 5, 0, 0, ZFAST_SYMBOLS_MAX, 0, ZFAST_SYMBOLS_MAX, 0 },
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

/* Parts of a cell, as described above. */
enum {
	ZFAST_EXTRA = 0x3f,
	ZFAST_STATE = 8,
	ZFAST_NEXT = 14,
	ZFAST_NEXT_MASK = 0x1ff,
	ZFAST_VALUE = 23
};

/* A stream that is read backwards. */
struct zfast_bits {
	const uint8_t *bytes;
	uint32_t left; /* bits not yet taken */
	bool over;     /* more bits were wanted than there are */
};

/* The offsets of the last three matches, the last one first: 3.1.1.5. */
struct zfast_repeats {
	uint32_t first, second, third;
};

struct zfast {
	const uint8_t *in;        /* the next byte of input */
	const uint8_t *in_end;    /* the end of the input */
	const uint8_t *block_end; /* the end of the block that `in` is in */
	uint8_t *out;             /* the whole cluster */
	uint32_t at;              /* the next byte of `out` to make */
	uint32_t stop;            /* the end of the cluster */
	uint32_t start;           /* the first byte that the frame made */
	uint32_t end;             /* the end of what the frame may make */
	uint32_t window;          /* 3.1.1.1.2: Window_Size */
	uint32_t block_max;       /* 3.1.1.2.4: Block_Maximum_Size */
	uint32_t room;            /* of the block, as described above */
	uint32_t lit;             /* the next literal in `out` */
	uint32_t n_lits;          /* literals not yet used */
	struct zfast_repeats repeats;
	struct zfast_bits bits;               /* of the sequences */
	uint32_t state[ZFAST_TABLES];         /* the current cells of the sequences */
	uint8_t log[ZFAST_KINDS];             /* log2 of the number of cells of each table */
	bool has_size;                        /* the frame states the size of its content */
	bool has_checksum;                    /* the frame ends with a checksum */
	bool has_tables;                      /* the frame had sequences already */
	bool has_tree;                        /* the frame had a Huffman code already */
	uint32_t cells[512 + 256 + 512 + 64]; /* the tables, in the order of zfast_kinds */
	uint32_t forms[ZFAST_SYMBOLS_MAX];    /* cells of each symbol, while a table is made */
	int16_t counts[ZFAST_SYMBOLS_MAX];    /* 4.1.1: probabilities of the symbols; -1: below 1 */
	uint8_t weights[ZSTD_FORMAT_WEIGHTS_MAX + 1]; /* 4.2.1 */
	uint16_t tree[1 << ZFAST_TREE_BITS];          /* the Huffman table */
};

Q2_STATIC_ASSERT(zfast_fits_work, sizeof(struct zfast) <= QCOW2_ZSTD_FAST_WORK);

/* Reads a number of n <= 4 bytes. */
static uint32_t zfast_le(const uint8_t *p, uint32_t n)
{
	uint32_t value = 0;

	while (n != 0)
		value = value << 8 | p[--n];
	return value;
}

/* ---- Streams that are read backwards ---- */

/* Returns the n <= 31 bits from bit number `at` on. */
static uint32_t zfast_bits_at(const uint8_t *bytes, uint32_t at, uint32_t n)
{
	const uint8_t *p = bytes + (at >> 3);
	uint32_t have = 8 - (at & 7u);
	uint32_t value = (uint32_t)*p >> (at & 7u);

	for (; have < n; have += 8)
		value |= (uint32_t)(*++p) << have;
	return value & ((1u << n) - 1u);
}

/* Begins a stream. Returns false if it has no last bit: 4.1, "the final bit". */
static bool zfast_open(struct zfast_bits *b, const uint8_t *bytes, uint32_t len)
{
	uint32_t last;

	if (len == 0 || bytes[len - 1] == 0)
		return false;
	b->bytes = bytes;
	b->left = len * 8;
	b->over = false;
	for (last = (uint32_t)bytes[len - 1] << 1; (last & 0x100u) == 0; last <<= 1)
		b->left--;
	b->left--;
	return true;
}

/* Takes the next n <= 31 bits. If there are not so many, returns 0 and sets `over`. */
static uint32_t zfast_take(struct zfast_bits *b, uint32_t n)
{
	if (n > b->left) {
		b->left = 0;
		b->over = true;
		return 0;
	}
	b->left -= n;
	return zfast_bits_at(b->bytes, b->left, n);
}

/* Compilers turn this into one load on processors that allow any alignment. */
static inline zfast_word zfast_load(const uint8_t *p)
{
#if SIZE_MAX > 0xffffffff
	return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
	       (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
	       (uint64_t)p[7] << 56;
#else
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
#endif
}

/*
 * Returns the next bits of a stream, the next one highest: all of the word but up to 7. There must
 * be ZFAST_WORD_BITS bits left.
 */
static inline zfast_word zfast_peek_word(const uint8_t *bytes, uint32_t left)
{
	return zfast_load(bytes + ((left + 7u) >> 3) - sizeof(zfast_word)) << ((0u - left) & 7u);
}

/* ---- FSE tables ---- */

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
			s->counts[++*symbol] = 0;
	}
	return true;
}

/*
 * Reads a value from 0 to left + 1 from bit number *at on. 2^n is the highest bit of left + 1: the
 * lowest values take n bits, the others one more.
 */
static uint32_t zfast_read_value(const struct zfast *s, uint32_t n, uint32_t left, uint32_t *at)
{
	uint32_t half = 1u << n;
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

/*
 * Reads the probabilities of the symbols of a table: 4.1.1, "FSE Table Description". Returns false
 * if they do not make a table.
 */
static bool zfast_read_counts(struct zfast *s, uint32_t kind)
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
		s->counts[symbol] = (int16_t)((int32_t)value - 1);
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

/* Returns the place of a table. */
static uint32_t *zfast_table(struct zfast *s, uint32_t kind)
{
	return s->cells + ((uint32_t)zfast_kinds[kind].first << 8);
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

/* Makes a table from the probabilities of its symbols: 4.1.1. */
static void zfast_build(struct zfast *s, uint32_t kind)
{
	uint32_t *cells = zfast_table(s, kind);
	uint32_t size = 1u << s->log[kind];
	uint32_t i, n;

	zfast_spread(s, kind, cells);
	for (i = 0; i < zfast_kinds[kind].n_symbols; i++) {
		/* The number of bits that a state needs to become at least the size. */
		for (n = 0; s->counts[i] != 0 && ((uint32_t)s->counts[i] << n) < size; n++) {
		}
		s->forms[i] = zfast_form(kind, i) | n << ZFAST_STATE;
	}
	for (i = 0; i < size; i++) {
		uint32_t symbol = cells[i];
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

/* Reads or makes the table of a kind, in one of the modes of 3.1.1.3.2.1. */
static bool zfast_read_table(struct zfast *s, uint32_t kind, uint32_t mode)
{
	const struct zfast_kind *k = &zfast_kinds[kind];
	uint32_t i;

	if (mode == ZFAST_REPEAT)
		return s->has_tables;
	if (mode == ZFAST_ONE) {
		if (s->in == s->block_end || *s->in >= k->n_symbols)
			return false;
		s->log[kind] = 0;
		*zfast_table(s, kind) = zfast_form(kind, *s->in++);
		return true;
	}
	if (mode == ZFAST_PREDEFINED) {
		s->log[kind] = k->log;
		for (i = 0; i < k->n_symbols; i++)
			s->counts[i] = (int16_t)zfast_predefined[k->counts + i];
	} else if (!zfast_read_counts(s, kind)) {
		return false;
	}
	zfast_build(s, kind);
	return true;
}

/* ---- Huffman codes and literals ---- */

/*
 * Reads weights that are coded by FSE, in the next len bytes: 4.2.1.2. Returns their number, or 0
 * if they are invalid.
 */
static uint32_t zfast_fse_weights(struct zfast *s, uint32_t len)
{
	const uint8_t *block_end = s->block_end;
	const uint32_t *cells = zfast_table(s, ZFAST_WEIGHTS);
	struct zfast_bits bits;
	uint32_t cell[2];
	uint32_t n = 0;
	bool good;

	s->block_end = s->in + len;
	good = zfast_read_counts(s, ZFAST_WEIGHTS) &&
	       zfast_open(&bits, s->in, (uint32_t)(s->block_end - s->in));
	s->in = s->block_end;
	s->block_end = block_end;
	if (!good)
		return 0;
	zfast_build(s, ZFAST_WEIGHTS);
	cell[0] = cells[zfast_take(&bits, s->log[ZFAST_WEIGHTS])];
	cell[1] = cells[zfast_take(&bits, s->log[ZFAST_WEIGHTS])];
	if (bits.over)
		return 0;
	/*
	 * The two states take turns. Where one cannot go on, the other one makes the last weight.
	 */
	while (n < ZSTD_FORMAT_WEIGHTS_MAX - 1) {
		uint32_t *now = &cell[n & 1u];

		s->weights[n++] = (uint8_t)(*now >> ZFAST_VALUE);
		*now = cells[(*now >> ZFAST_NEXT & ZFAST_NEXT_MASK) +
		             zfast_take(&bits, *now >> ZFAST_STATE & 15u)];
		if (bits.over) {
			s->weights[n] = (uint8_t)(cell[n & 1u] >> ZFAST_VALUE);
			return n + 1;
		}
	}
	return 0; /* too many */
}

/* Reads the weights of the literals: 4.2.1. Returns their number, or 0 if they are invalid. */
static uint32_t zfast_read_weights(struct zfast *s)
{
	uint32_t head, n, i;

	if (s->in == s->block_end)
		return 0;
	head = *s->in++;
	if (head <= ZSTD_FORMAT_DIRECT)
		return head <= (size_t)(s->block_end - s->in) ? zfast_fse_weights(s, head) : 0;
	n = head - ZSTD_FORMAT_DIRECT;
	if ((n + 1) / 2 > (size_t)(s->block_end - s->in))
		return 0;
	for (i = 0; i < n; i += 2) {
		s->weights[i] = *s->in >> 4;
		s->weights[i + 1] = *s->in++ & 15u;
	}
	return n;
}

/*
 * Checks the weights, and adds the last one, which makes the code complete: 4.2.1. Counts the
 * entries of all symbols of a weight in first[weight]. Returns the length of the longest code, or 0
 * if the weights are invalid.
 */
static uint32_t zfast_complete(struct zfast *s, uint32_t n, uint32_t *first)
{
	uint32_t sum = 0, bits = 0, last = 0, i;

	for (i = 0; i <= ZFAST_TREE_BITS; i++)
		first[i] = 0;
	for (i = 0; i < n; i++) {
		uint32_t weight = s->weights[i];

		if (weight > ZFAST_TREE_BITS)
			return 0;
		first[weight] += 1u << weight >> 1;
		sum += 1u << weight >> 1;
	}
	while (sum >> bits != 0)
		bits++;
	if (sum == 0 || bits > ZFAST_TREE_BITS)
		return 0;
	sum = (1u << bits) - sum; /* what is left for the last symbol: a power of two */
	while (sum >> last != 0)
		last++;
	if (sum != 1u << last >> 1)
		return 0;
	s->weights[n] = (uint8_t)last;
	first[last] += sum;
	return first[1] >= 2 ? bits : 0;
}

/* Fills `len` entries. */
static void zfast_fill(uint16_t *entries, uint32_t len, uint32_t entry)
{
	for (; len != 0; len--)
		*entries++ = (uint16_t)entry;
}

/*
 * Reads a Huffman code and makes its table: 4.2.1. Codes of more bits come first in the table,
 * those of the same number of bits in the order of their symbols.
 */
static bool zfast_read_tree(struct zfast *s)
{
	uint32_t first[ZFAST_TREE_BITS + 1];
	uint32_t n = zfast_read_weights(s);
	uint32_t bits = n != 0 ? zfast_complete(s, n, first) : 0;
	uint32_t at = 0, scale, i;

	if (bits == 0)
		return false;
	scale = ZFAST_TREE_BITS - bits;
	for (i = 1; i <= bits; i++) {
		uint32_t len = first[i];

		first[i] = at;
		at += len;
	}
	for (i = 0; i <= n; i++) {
		uint32_t weight = s->weights[i];
		uint32_t len = 1u << weight >> 1;

		if (weight == 0)
			continue;
		zfast_fill(s->tree + (first[weight] << scale), len << scale,
		           i << 8 | (bits + 1 - weight));
		first[weight] += len;
	}
	s->has_tree = true;
	return true;
}

/* Decodes one literal, and returns what remains of the word. Adds the entry to *sum. */
static inline zfast_word zfast_literal(const uint16_t *tree, zfast_word word, uint32_t *sum,
                                       uint8_t *out)
{
	uint32_t entry = tree[word >> (ZFAST_WORD_BITS - ZFAST_TREE_BITS)];

	*out = (uint8_t)(entry >> 8);
	*sum += entry;
	return word << (entry & 63u);
}

/* A turn decodes as many literals as a word certainly has. */
enum { ZFAST_TURN = (ZFAST_WORD_BITS - 7) / ZFAST_TREE_BITS };

static inline void zfast_turn(const uint16_t *tree, struct zfast_bits *b, uint8_t *out)
{
	zfast_word word = zfast_peek_word(b->bytes, b->left);
	uint32_t sum = 0; /* of the entries; so its low bits are the number of bits used */

	word = zfast_literal(tree, word, &sum, out);
	word = zfast_literal(tree, word, &sum, out + 1);
#if SIZE_MAX > 0xffffffff
	word = zfast_literal(tree, word, &sum, out + 2);
	word = zfast_literal(tree, word, &sum, out + 3);
	word = zfast_literal(tree, word, &sum, out + 4);
#endif
	(void)word;
	b->left -= sum & 0xffu;
}

/* Decodes the last n literals of a stream. Returns false unless this uses it up exactly. */
static bool zfast_stream_end(const struct zfast *s, struct zfast_bits *b, uint8_t *out, uint32_t n)
{
	for (; n != 0; n--) {
		uint32_t entry, index;

		if (b->left >= ZFAST_TREE_BITS)
			index = zfast_bits_at(b->bytes, b->left - ZFAST_TREE_BITS, ZFAST_TREE_BITS);
		else
			index = zfast_bits_at(b->bytes, 0, b->left) << (ZFAST_TREE_BITS - b->left);
		entry = s->tree[index];
		if ((entry & 0xffu) > b->left)
			return false;
		b->left -= entry & 0xffu;
		*out++ = (uint8_t)(entry >> 8);
	}
	return b->left == 0;
}

/* Decodes a stream of n literals, which has the bytes up to the end of the literals. */
static bool zfast_one_stream(const struct zfast *s, uint8_t *out, uint32_t n, uint32_t len)
{
	struct zfast_bits b;

	if (!zfast_open(&b, s->in, len))
		return false;
	while (n >= ZFAST_TURN && b.left >= ZFAST_WORD_BITS) {
		zfast_turn(s->tree, &b, out);
		out += ZFAST_TURN;
		n -= ZFAST_TURN;
	}
	return zfast_stream_end(s, &b, out, n);
}

/*
 * Returns how many turns all streams certainly have: a turn uses less than ZFAST_WORD_BITS - 8
 * bits, and makes at most 8 literals. n is the number of literals of the shortest stream.
 */
static uint32_t zfast_turns(const struct zfast_bits *b, uint32_t n)
{
	uint32_t least = n / 8 * ZFAST_WORD_BITS;
	uint32_t i;

	for (i = 0; i < 4; i++)
		if (least > b[i].left)
			least = b[i].left;
	return least / ZFAST_WORD_BITS;
}

/* Decodes n literals in four streams of len bytes: 3.1.1.3.1.6. */
static bool zfast_four_streams(const struct zfast *s, uint8_t *out, uint32_t n, uint32_t len)
{
	struct zfast_bits b[4];
	const uint8_t *p = s->in;
	uint32_t part = (n + 3) / 4; /* literals of each stream but the last */
	uint32_t done = 0, turns, size, i;

	if (n < 6 || len < 6)
		return false;
	len -= 6;
	p += 6;
	for (i = 0; i < 4; i++) {
		size = i < 3 ? zfast_le(s->in + 2 * i, 2) : len;
		if (size > len || !zfast_open(&b[i], p, size))
			return false;
		p += size;
		len -= size;
	}
	n -= 3 * part;
	while ((turns = zfast_turns(b, n - done)) != 0) {
		for (; turns != 0; turns--) {
			zfast_turn(s->tree, &b[0], out + done);
			zfast_turn(s->tree, &b[1], out + part + done);
			zfast_turn(s->tree, &b[2], out + 2 * part + done);
			zfast_turn(s->tree, &b[3], out + 3 * part + done);
			done += ZFAST_TURN;
		}
	}
	for (i = 0; i < 4; i++)
		if (!zfast_stream_end(s, &b[i], out + i * part + done, (i < 3 ? part : n) - done))
			return false;
	return true;
}

/* Decodes n literals, which take len bytes: 3.1.1.3.1. */
static bool zfast_coded_literals(struct zfast *s, uint32_t type, bool four, uint32_t n,
                                 uint32_t len)
{
	const uint8_t *block_end = s->block_end;
	uint8_t *out = s->out + s->lit;
	bool good;

	if (len > (size_t)(block_end - s->in))
		return false;
	s->block_end = s->in + len;
	good = type == ZFAST_COMPRESSED ? zfast_read_tree(s) : s->has_tree;
	len = (uint32_t)(s->block_end - s->in);
	if (good)
		good = four ? zfast_four_streams(s, out, n, len) : zfast_one_stream(s, out, n, len);
	s->in += len;
	s->block_end = block_end;
	return good;
}

/* Makes room for n literals at the end of what the block may make. */
static bool zfast_place_literals(struct zfast *s, uint32_t n)
{
	s->room = s->end - s->at;
	if (s->room > s->block_max)
		s->room = s->block_max;
	if (n > s->room)
		return false;
	s->room -= n;
	s->lit = s->at + s->room;
	s->n_lits = n;
	return true;
}

/* Decodes the literals of a block: 3.1.1.3.1. */
static bool zfast_literals(struct zfast *s)
{
	uint32_t left = (uint32_t)(s->block_end - s->in);
	uint32_t type, format, head, len, n, n_bits;

	if (left == 0)
		return false;
	type = *s->in & 3u;
	format = *s->in >> 2 & 3u;
	if (type < ZFAST_COMPRESSED) {
		/* One size, in 5, 12 or 20 bits. */
		head = format == 3 ? 3 : format == 1 ? 2 : 1;
		if (left < head)
			return false;
		n = zfast_le(s->in, head) >> ((format & 1u) != 0 ? 4 : 3);
		s->in += head;
		len = type == ZFAST_RAW ? n : 1;
		if (!zfast_place_literals(s, n) || len > left - head)
			return false;
		if (type == ZFAST_RAW)
			memcpy(s->out + s->lit, s->in, n);
		else
			memset(s->out + s->lit, *s->in, n);
		s->in += len;
		return true;
	}
	/* Two sizes, in 10, 14 or 18 bits each, after 4 bits. */
	head = format < 2 ? 3 : format + 2;
	n_bits = format < 2 ? 10 : format * 4 + 6;
	if (left < head)
		return false;
	n = zfast_le(s->in, 4 > head ? head : 4) >> 4;
	len = zfast_bits_at(s->in, 4 + n_bits, n_bits);
	n &= (1u << n_bits) - 1u;
	s->in += head;
	return zfast_place_literals(s, n) && zfast_coded_literals(s, type, format != 0, n, len);
}

/* ---- Sequences ---- */

/* Copies n bytes forward, one after the other, so that a match may overlap what it makes. */
static void zfast_copy(uint8_t *to, const uint8_t *from, uint32_t n)
{
	for (; n != 0; n--)
		*to++ = *from++;
}

/* Moves the next n literals to where they belong. */
static void zfast_move_literals(struct zfast *s, uint32_t n)
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

	return (cell >> ZFAST_VALUE) << n | zfast_take(b, n);
}

/* Goes on to the next state of a table: 4.1. */
static void zfast_next(struct zfast *s, uint32_t kind)
{
	uint32_t cell = s->state[kind];
	uint32_t bits = zfast_take(&s->bits, cell >> ZFAST_STATE & 15u);

	s->state[kind] = zfast_table(s, kind)[(cell >> ZFAST_NEXT & ZFAST_NEXT_MASK) + bits];
}

/* Decodes and executes one sequence: 3.1.1.3.2.1.2 and 3.1.1.4. */
static bool zfast_sequence(struct zfast *s, bool is_last)
{
	uint32_t value = zfast_value(&s->bits, s->state[ZFAST_OF]);
	uint32_t match = zfast_value(&s->bits, s->state[ZFAST_ML]) + ZFAST_MATCH_MIN;
	uint32_t n = zfast_value(&s->bits, s->state[ZFAST_LL]);
	struct zfast_repeats next;
	uint32_t offset;

	if (!is_last) {
		zfast_next(s, ZFAST_LL);
		zfast_next(s, ZFAST_ML);
		zfast_next(s, ZFAST_OF);
	}
	if (s->bits.over || n > s->n_lits || match > s->room)
		return false;
	zfast_move_literals(s, n);
	next = zfast_repeat(s->repeats, value, n == 0);
	offset = next.first;
	if (offset == 0 || offset > s->window || offset > s->at - s->start)
		return false;
	s->repeats = next;
	zfast_copy(s->out + s->at, s->out + s->at - offset, match);
	s->at += match;
	s->room -= match;
	return true;
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

static inline void zfast_store(uint8_t *p, uint64_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
	p[2] = (uint8_t)(value >> 16);
	p[3] = (uint8_t)(value >> 24);
	p[4] = (uint8_t)(value >> 32);
	p[5] = (uint8_t)(value >> 40);
	p[6] = (uint8_t)(value >> 48);
	p[7] = (uint8_t)(value >> 56);
}

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
	do {
		zfast_store(out + at, zfast_load(out + from));
		zfast_store(out + at + 8, zfast_load(out + from + 8));
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
	for (; at < end; at += offset)
		zfast_store(out + at, zfast_load(out + at - offset));
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

/* Decodes sequences, and returns how many of the n are left. */
static uint32_t zfast_run(struct zfast *s, uint32_t n)
{
	const uint32_t *lls = zfast_table(s, ZFAST_LL);
	const uint32_t *ofs = zfast_table(s, ZFAST_OF);
	const uint32_t *mls = zfast_table(s, ZFAST_ML);
	uint32_t ll = s->state[ZFAST_LL], of = s->state[ZFAST_OF], ml = s->state[ZFAST_ML];
	struct zfast_repeats repeats = s->repeats;
	uint32_t left = s->bits.left;
	uint32_t at = s->at, lit = s->lit, n_lits = s->n_lits, room = s->room;
	uint8_t *out = s->out;

	for (; n > 1 && left >= 64 && room >= ZFAST_WILD; n--) {
		uint32_t sum = ll + of + ml; /* of each field */
		uint64_t word = zfast_peek_word(s->bits.bytes, left);
		uint32_t value = zfast_word_value(&word, of);
		uint32_t match = zfast_word_value(&word, ml) + ZFAST_MATCH_MIN;
		uint32_t lits = zfast_word_value(&word, ll);
		struct zfast_repeats next = zfast_repeat(repeats, value, lits == 0);
		uint32_t made = at - s->start + lits; /* before the match */

		if (made > s->window)
			made = s->window;
		if ((sum & ZFAST_EXTRA) > ZFAST_EXTRA_MAX || lits > n_lits ||
		    match > room - ZFAST_WILD || next.first - 1 >= made)
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
		*n = zfast_le(s->in + 1, 2) + 0x7f00;
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
	for (kind = 0; kind < ZFAST_TABLES; kind++)
		if (!zfast_read_table(s, kind, modes >> (6 - 2 * kind) & 3u))
			return false;
	s->has_tables = true;
	if (!zfast_open(&s->bits, s->in, (uint32_t)(s->block_end - s->in)))
		return false;
	for (kind = 0; kind < ZFAST_TABLES; kind++)
		s->state[kind] = zfast_table(s, kind)[zfast_take(&s->bits, s->log[kind])];
	return !s->bits.over;
}

/* Decodes the sequences of a block: 3.1.1.3.2. */
static bool zfast_sequences(struct zfast *s)
{
	uint32_t n;

	if (!zfast_read_count(s, &n))
		return false;
	if (n == 0)
		return s->in == s->block_end;
	if (!zfast_begin_sequences(s))
		return false;
	while (n != 0) {
		n = zfast_run(s, n) - 1;
		if (!zfast_sequence(s, n == 0))
			return false;
	}
	return s->bits.left == 0;
}

/* ---- Blocks and frames ---- */

/* Decodes a block that has `size` bytes of input: 3.1.1.3. */
static bool zfast_compressed(struct zfast *s, uint32_t size)
{
	s->block_end = s->in + size;
	if (!zfast_literals(s) || !zfast_sequences(s))
		return false;
	zfast_move_literals(s, s->n_lits); /* those that no sequence used */
	s->in = s->block_end;
	return true;
}

/* Decodes a block: 3.1.1.2. Sets *is_last to whether it is the last one of the frame. */
static int zfast_block(struct zfast *s, bool *is_last)
{
	size_t left = (size_t)(s->in_end - s->in);
	uint32_t head, type, size, len;

	if (left < ZFAST_BLOCK_LEN)
		return QCOW2_E_TRUNCATED;
	head = zfast_le(s->in, ZFAST_BLOCK_LEN);
	s->in += ZFAST_BLOCK_LEN;
	left -= ZFAST_BLOCK_LEN;
	*is_last = (head & 1u) != 0;
	type = head >> 1 & 3u;
	size = head >> 3;
	len = type == ZFAST_RLE ? 1 : size;
	if (type == ZFAST_TREELESS || size > s->block_max)
		return QCOW2_E_COMPRESSED;
	if (left < len)
		return QCOW2_E_TRUNCATED;
	if (type == ZFAST_COMPRESSED)
		return zfast_compressed(s, size) ? QCOW2_OK : QCOW2_E_COMPRESSED;
	if (size > s->end - s->at)
		return QCOW2_E_COMPRESSED;
	if (type == ZFAST_RAW)
		memcpy(s->out + s->at, s->in, size);
	else
		memset(s->out + s->at, *s->in, size);
	s->at += size;
	s->in += len;
	return QCOW2_OK;
}

/*
 * Sets the limits of a frame from the fields of its header, which are at p: 3.1.1.1. Returns false
 * if the frame needs a dictionary, a window that is too large, or more room than the cluster has.
 */
static bool zfast_limits(struct zfast *s, const uint8_t *p, uint32_t window_len, uint32_t id_len,
                         uint32_t size_len)
{
	const uint8_t *id = p + window_len;
	uint32_t room = s->stop - s->at;
	uint32_t size = zfast_le(id + id_len, size_len < 4 ? size_len : 4);

	if (zfast_le(id, id_len) != 0) /* Dictionary_ID: 0 is the same as none */
		return false;
	if (size_len == 2)
		size += 256;
	s->has_size = size_len != 0;
	if (!s->has_size)
		size = room;
	if (size > room || (size_len == 8 && zfast_le(id + id_len + 4, 4) != 0))
		return false;
	s->end = s->at + size;
	s->window = size; /* that of a single segment */
	if (window_len != 0) {
		if (*p > ZSTD_FORMAT_WINDOW_MAX)
			return false;
		s->window = (8u + (*p & 7u)) << (7 + (*p >> 3));
	}
	s->block_max = s->window < ZSTD_FORMAT_BLOCK_MAX ? s->window : ZSTD_FORMAT_BLOCK_MAX;
	return true;
}

/* Reads the header of a frame, after its magic number: 3.1.1.1. */
static int zfast_header(struct zfast *s)
{
	static const uint8_t lens[4] = { 0, 1, 2, 4 }; /* of a Dictionary_ID */
	size_t left = (size_t)(s->in_end - s->in);
	uint32_t descriptor, window_len, id_len, size_len;

	if (left == 0)
		return QCOW2_E_TRUNCATED;
	descriptor = *s->in++;
	if ((descriptor & ZFAST_RESERVED) != 0)
		return QCOW2_E_COMPRESSED;
	s->has_checksum = (descriptor & ZFAST_CHECKSUM) != 0;
	window_len = (descriptor & ZFAST_SINGLE) != 0 ? 0 : 1;
	id_len = lens[descriptor & 3u];
	size_len = descriptor < ZFAST_SIZED ? 1 - window_len : 1u << (descriptor >> 6);
	if (left - 1 < window_len + id_len + size_len)
		return QCOW2_E_TRUNCATED;
	if (!zfast_limits(s, s->in, window_len, id_len, size_len))
		return QCOW2_E_COMPRESSED;
	s->in += window_len + id_len + size_len;
	return QCOW2_OK;
}

/* Checks what follows the last block of a frame. */
static int zfast_check(struct zfast *s)
{
	uint32_t checksum;

	if (s->has_size && s->at != s->end)
		return QCOW2_E_COMPRESSED;
	if (!s->has_checksum)
		return QCOW2_OK;
	if ((size_t)(s->in_end - s->in) < ZFAST_CHECKSUM_LEN)
		return QCOW2_E_TRUNCATED;
	checksum = zfast_le(s->in, ZFAST_CHECKSUM_LEN);
	s->in += ZFAST_CHECKSUM_LEN;
	if (checksum != (uint32_t)q2_xxh64(s->out + s->start, s->at - s->start))
		return QCOW2_E_COMPRESSED;
	return QCOW2_OK;
}

/* Decodes a frame, whose magic number is taken: 3.1.1. */
static int zfast_data_frame(struct zfast *s)
{
	static const struct zfast_repeats repeats = { 1, 4, 8 };
	bool is_last = false;
	int rc = zfast_header(s);

	s->start = s->at;
	s->repeats = repeats;
	s->has_tables = false;
	s->has_tree = false;
	while (rc == QCOW2_OK && !is_last)
		rc = zfast_block(s, &is_last);
	return rc == QCOW2_OK ? zfast_check(s) : rc;
}

/* Skips a skippable frame, whose magic number is taken: 3.1.2. */
static int zfast_skip(struct zfast *s)
{
	size_t left = (size_t)(s->in_end - s->in);
	uint32_t len;

	if (left < ZFAST_SIZE_LEN)
		return QCOW2_E_TRUNCATED;
	len = zfast_le(s->in, ZFAST_SIZE_LEN);
	s->in += ZFAST_SIZE_LEN;
	if (len > left - ZFAST_SIZE_LEN)
		return QCOW2_E_TRUNCATED;
	s->in += len;
	return QCOW2_OK;
}

/* Decodes or skips the next frame: 3.1. */
static int zfast_frame(struct zfast *s)
{
	uint32_t magic;

	if ((size_t)(s->in_end - s->in) < ZFAST_MAGIC_LEN)
		return QCOW2_E_TRUNCATED;
	magic = zfast_le(s->in, ZFAST_MAGIC_LEN);
	s->in += ZFAST_MAGIC_LEN;
	if (magic == ZSTD_FORMAT_MAGIC)
		return zfast_data_frame(s);
	return (magic & ~15u) == ZSTD_FORMAT_SKIP_MAGIC ? zfast_skip(s) : QCOW2_E_COMPRESSED;
}

static void zfast_begin(const struct qcow2_codec *self, void *work)
{
	(void)self;
	(void)work; /* zfast_decode sets everything */
}

/*
 * The first call for a cluster decodes it, together with the end of the frame that makes its last
 * byte. So the call after the last byte has nothing to do.
 */
static int zfast_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	struct zfast *s = work;
	int rc = QCOW2_OK;

	(void)self;
	if (stream->done == stream->stop)
		return QCOW2_OK;
	if (stream->done != 0 || stream->stop > stream->window_len)
		return QCOW2_E_ARGUMENT;
	if (!(stream->next < stream->end))
		rc = stream->fill(stream);
	s->in = stream->next;
	s->in_end = stream->end;
	s->out = stream->window;
	s->at = 0;
	s->stop = stream->stop;
	while (rc == QCOW2_OK && s->at < s->stop)
		rc = zfast_frame(s);
	stream->next = s->in;
	stream->done = s->at;
	stream->window_at = s->at == stream->window_len ? 0 : s->at;
	return rc;
}

const struct qcow2_codec qcow2_zstd_fast = {
	QCOW2_COMPRESSION_ZSTD, true, sizeof(struct zfast), zfast_begin, zfast_decode, false,
};
