/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The fast decoder for raw deflate (RFC 1951). It needs all input in one piece, room for all
 * output, and 12 KiB of memory; inflate_small.c needs a tenth of that. unpack.c calls both through
 * struct qcow2_codec. What makes it fast:
 *
 *  - One table look-up decodes a symbol, unless its code is longer than the table's index.
 *  - On 64-bit processors, bits are read ahead 7 bytes at a time, and a turn of the main loop
 *    decodes up to three literals or a match without checking for the end of input or output.
 *  - A match is copied 16 bytes at a time. This may write up to 15 bytes too many, which the next
 *    symbols overwrite.
 *  - The fixed codes are made once for all blocks in a row that use them.
 *
 * The first call decodes everything, and also checks how the stream goes on. The call after the
 * last byte of the cluster only returns the result of that check.
 *
 * A Huffman code is an array of uint32_t:
 *
 *	| counts, 16 | root table, 1 << root_bits | symbols in the order of their codes |
 *
 * The next root_bits bits of the input are the index into the root table. Each entry of the table,
 * and of the list of symbols, has all that decoding needs:
 *
 *   bits 0-4    the number of bits to drop: those of the code and the extra bits
 *   bits 8-11   the number of bits of the code
 *   bits 12-15  FAST_LITERAL, FAST_END or FAST_BAD; or, in the root table, FAST_LONG: the code is
 *               longer than the index, and the value is the rank of this prefix: see fast_long
 *   bits 16-31  the value: a literal, a length or distance without what the extra bits add, or the
 *               length of a code
 */
#include "deflate.h"
#include "internal.h"
#include "load_store.h"

/*
 * Sizes of the codes. A larger root table decodes more symbols with one look-up, but takes longer
 * to make for each block, and takes more of the processor's cache. With 11 bits, three literals fit
 * into the 56 bits that a turn of the main loop has.
 */
enum {
	FAST_LIT_BITS = 11, /* of the index of the root table of the literal/length code */
	FAST_DIST_BITS = 9, /* the same for the distance code and the code length code */
	FAST_ROOT = 16,     /* index of the root table, after the counts */
	FAST_LIT_WORDS = FAST_ROOT + (1 << FAST_LIT_BITS) + DEFLATE_LIT_MAX,
	FAST_DIST_WORDS = FAST_ROOT + (1 << FAST_DIST_BITS) + DEFLATE_DIST_MAX
};

/* Parts of an entry, as described above. */
enum {
	FAST_DROP = 0x1f,      /* mask of bits 0-4 */
	FAST_LITERAL = 0x1000, /* the symbol is a literal */
	FAST_LONG = 0x2000,    /* the code is longer than the index of the root table */
	FAST_END = 0x4000,     /* the symbol ends the block */
	FAST_BAD = 0x8000,     /* no symbol, or one without a meaning */
	FAST_OF_CODE = 0x101,  /* times n: the code has n bits, and all of them are dropped */
	FAST_VALUE = 16
};

enum fast_kind { FAST_KIND_LENS, FAST_KIND_LIT, FAST_KIND_DIST };

struct fast {
	const uint8_t *in;     /* the next byte of input */
	const uint8_t *in_end; /* the end of the input */
	uint8_t *out;          /* the whole cluster */
	q2_word buf;           /* bits that were read ahead, the next one lowest */
	uint32_t n_bits; /* number of bits in buf; above them are zeros, or the bits that follow */
	uint32_t at;     /* the next byte of `out` to make */
	uint32_t stop;   /* the end of the bytes to make */
	int status;      /* QCOW2_OK, or why decoding ended: a status or FAST_OVER */
	int finish;      /* the status of the call after the last byte */
	bool fixed;      /* the codes are the fixed ones, so the next block need not make them */
	uint32_t lit[FAST_LIT_WORDS];    /* the literal/length code */
	uint32_t dists[FAST_DIST_WORDS]; /* the distance code; before it, the code length code */
	uint8_t lens[DEFLATE_LIT_MAX + DEFLATE_DIST_MAX]; /* lengths of the codes of both */
};

/* A value of `status`: all output is made, and the stream would make more. */
enum { FAST_OVER = 1 };

Q2_STATIC_ASSERT(fast_fits_work, sizeof(struct fast) <= QCOW2_DEFLATE_FAST_WORK);

/* Ends decoding with a status. If it has ended already, for lack of input, that status stays. */
static void fast_fail(struct fast *s, int status)
{
	if (s->status == QCOW2_OK)
		s->status = status;
}

/* Puts one more byte of input into buf, which has room for it as n_bits is below 16. */
static bool fast_pull(struct fast *s)
{
	if (!(s->in < s->in_end)) {
		fast_fail(s, QCOW2_E_TRUNCATED);
		return false;
	}
	s->buf |= (q2_word)*s->in++ << s->n_bits;
	s->n_bits += 8;
	return true;
}

/*
 * Takes the next n <= 16 bits, lowest first: RFC 1951 section 3.1.1. If the input ends before, sets
 * status and returns 0.
 */
static uint32_t fast_take(struct fast *s, uint32_t n)
{
	uint32_t value;

	while (s->n_bits < n) {
		if (!fast_pull(s))
			return 0;
	}
	value = (uint32_t)s->buf & ((1u << n) - 1u);
	s->buf >>= n;
	s->n_bits -= n;
	return value;
}

/*
 * Returns the entry of a code that is longer than the index of the root table, or FAST_BAD. Longer
 * codes come after all shorter ones (RFC 1951 section 3.2.2), so this goes on bit by bit from the
 * first code that is longer. Its index in `sorted` is code[0], and `entry` has the rank of the
 * prefix, counted from the prefix of that code.
 */
static uint32_t fast_long(const uint32_t *code, uint32_t root_bits, uint32_t n_sorted,
                          uint32_t entry, q2_word buf)
{
	const uint32_t *sorted = code + FAST_ROOT + (1u << root_bits);
	uint32_t index = code[0];
	uint32_t rank = entry >> FAST_VALUE;
	uint32_t found = n_sorted; /* no code matches */
	uint32_t n;

	buf >>= root_bits;
	for (n = root_bits + 1; n <= DEFLATE_CODE_MAX; n++) {
		rank = rank << 1 | (uint32_t)(buf & 1u);
		buf >>= 1;
		if (rank < code[n]) {
			found = index + rank;
			break;
		}
		rank -= code[n];
		index += code[n];
	}
	return found < n_sorted ? sorted[found] + n * FAST_OF_CODE : FAST_BAD | FAST_OF_CODE;
}

/*
 * Takes the next symbol and returns its entry. Reads no byte of input after the one in which the
 * code ends, so that a stream that ends there does not seem to be cut short.
 */
static uint32_t fast_symbol(struct fast *s, const uint32_t *code, uint32_t root_bits,
                            uint32_t n_sorted)
{
	for (;;) {
		uint32_t entry = code[FAST_ROOT + ((uint32_t)s->buf & ((1u << root_bits) - 1u))];
		uint32_t n;

		if ((entry & FAST_LONG) != 0)
			entry = fast_long(code, root_bits, n_sorted, entry, s->buf);
		n = entry >> 8 & 15u;
		if (n <= s->n_bits) {
			fast_take(s, n);
			return entry;
		}
		if (!fast_pull(s))
			return FAST_BAD;
	}
}

/* Takes a symbol of the distance code, or of the code length code, which is in the same place. */
static uint32_t fast_dist_symbol(struct fast *s)
{
	return fast_symbol(s, s->dists, FAST_DIST_BITS, DEFLATE_DIST_MAX);
}

/* Returns the value of an entry, plus the extra bits after the code, which this takes. */
static uint32_t fast_value(struct fast *s, uint32_t entry)
{
	return (entry >> FAST_VALUE) + fast_take(s, (entry - (entry >> 8)) & 15u);
}

/*
 * Returns the entry for a symbol, without the length of its code: RFC 1951 section 3.2.5. Lengths
 * and distances are like floating-point numbers, with an exponent and a fraction of `shift` bits,
 * so this needs none of the tables of that section.
 */
static uint32_t fast_entry(enum fast_kind kind, uint32_t symbol)
{
	uint32_t shift = 1; /* for distances, which begin at 1 */
	uint32_t base = 1;
	uint32_t n = DEFLATE_DIST_USED;
	uint32_t extra;

	if (kind == FAST_KIND_LENS)
		return symbol << FAST_VALUE;
	if (kind == FAST_KIND_LIT) {
		if (symbol < DEFLATE_END)
			return symbol << FAST_VALUE | FAST_LITERAL;
		if (symbol == DEFLATE_END)
			return FAST_END;
		if (symbol == DEFLATE_LENGTH + DEFLATE_LENGTHS - 1)
			return (uint32_t)DEFLATE_LENGTH_LAST << FAST_VALUE;
		symbol -= DEFLATE_LENGTH;
		shift = 2; /* for lengths, which begin at 3 */
		base = 3;
		n = DEFLATE_LENGTHS;
	}
	if (symbol >= n)
		return FAST_BAD;
	extra = symbol >> shift;
	if (extra != 0)
		extra--;
	return (((symbol - (extra << shift)) << extra) + base) << FAST_VALUE | extra;
}

/*
 * Counts the codes of each length and sorts the symbols by code: RFC 1951 section 3.2.2. Returns
 * false if the lengths make no code. Like zlib, accepts two incomplete codes: one with a single
 * code of one bit, and one without any codes, for the distances of a block without matches (section
 * 3.2.7).
 */
static bool fast_sort(uint32_t *code, uint32_t *sorted, const uint8_t *lens, uint32_t n,
                      enum fast_kind kind)
{
	uint32_t next[DEFLATE_CODE_MAX + 1];
	uint32_t space = 1; /* codes of this length that are not taken by shorter ones */
	uint32_t sum = 0;
	uint32_t i;

	for (i = 0; i <= DEFLATE_CODE_MAX; i++)
		code[i] = 0;
	for (i = 0; i < n; i++)
		code[lens[i] & 15u]++;
	for (i = 1; i <= DEFLATE_CODE_MAX; i++) {
		next[i] = sum;
		sum += code[i];
		space <<= 1;
		if (space < code[i])
			return false;
		space -= code[i];
	}
	if (space != 0 && (kind == FAST_KIND_LENS || sum != code[1]))
		return false;
	next[0] = DEFLATE_LIT_MAX; /* past the end of `sorted`: no code, no place */
	for (i = 0; i < n; i++) {
		uint32_t len = lens[i] & 15u;

		if (next[len] < n)
			sorted[next[len]++] = fast_entry(kind, i);
	}
	return true;
}

/*
 * Returns the index of the root table after this one in the order of the codes. As the input has
 * the bits of a code from the highest to the lowest, the index is the code with its bits reversed,
 * and this adds 1 to the reversed number. `bit` is its lowest bit.
 */
static uint32_t fast_after(uint32_t index, uint32_t bit)
{
	while ((index & bit) != 0) {
		index ^= bit;
		bit >>= 1;
	}
	return index ^ bit;
}

/* Makes a code from the lengths of the codes of its n symbols. Returns false if they make none. */
static bool fast_build(uint32_t *code, uint32_t root_bits, const uint8_t *lens, uint32_t n,
                       enum fast_kind kind)
{
	uint32_t size = 1u << root_bits;
	uint32_t *root = code + FAST_ROOT;
	uint32_t *sorted = root + size;
	uint32_t index = 0;   /* into the root table: the code with its bits reversed */
	uint32_t left = size; /* entries of the root table that are not set */
	uint32_t len = 0;
	uint32_t end = 0; /* of the symbols with codes of this length, in `sorted` */
	uint32_t k, entry;

	if (!fast_sort(code, sorted, lens, n, kind))
		return false;
	for (k = 0; k < n; k++) {
		uint32_t i;

		while (k == end && len <= root_bits)
			end += code[++len];
		if (len > root_bits)
			break;
		/* The bits of the index after a short code may be any, so it has many entries. */
		entry = sorted[k] + len * FAST_OF_CODE;
		for (i = index; i < size; i += 1u << len)
			root[i] = entry;
		index = fast_after(index, 1u << (len - 1));
		left -= size >> len;
	}
	code[0] = k; /* the first longer code; the count of length 0 is not needed */
	/* The other entries are for prefixes of longer codes, in their order, or of no code. */
	for (entry = FAST_LONG; left != 0; left--) {
		root[index & (size - 1)] = entry;
		entry += 1u << FAST_VALUE;
		index = fast_after(index, size >> 1);
	}
	return true;
}

/* Makes both codes of a block from s->lens, which has the lengths one after the other. */
static bool fast_codes(struct fast *s, uint32_t n_lit, uint32_t n_dist)
{
	return fast_build(s->dists, FAST_DIST_BITS, s->lens + n_lit, n_dist, FAST_KIND_DIST) &&
	       fast_build(s->lit, FAST_LIT_BITS, s->lens, n_lit, FAST_KIND_LIT);
}

/* Makes the fixed codes: RFC 1951 section 3.2.6. */
static bool fast_fixed(struct fast *s)
{
	uint32_t i;

	for (i = 0; i < DEFLATE_LIT_MAX + DEFLATE_DIST_MAX; i++)
		s->lens[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : i < 288 ? 8 : 5;
	return fast_codes(s, DEFLATE_LIT_MAX, DEFLATE_DIST_MAX);
}

/* Reads n code lengths with the code length code: RFC 1951 section 3.2.7. */
static bool fast_lens(struct fast *s, uint32_t n)
{
	uint32_t value = DEFLATE_REPEAT; /* no length yet that could be repeated */
	uint32_t i = 0;

	while (i < n) {
		uint32_t symbol = fast_dist_symbol(s) >> FAST_VALUE;
		uint32_t end = i + 1;

		if (symbol < DEFLATE_REPEAT) {
			value = symbol;
		} else if (symbol == DEFLATE_REPEAT) {
			end = i + 3 + fast_take(s, 2);
		} else if (symbol == 17) {
			value = 0;
			end = i + 3 + fast_take(s, 3);
		} else {
			value = 0;
			end = i + 11 + fast_take(s, 7);
		}
		if (s->status != QCOW2_OK || value == DEFLATE_REPEAT || end > n)
			return false;
		for (; i < end; i++)
			s->lens[i] = (uint8_t)value;
	}
	return true;
}

/* Reads the header of a block with codes of its own, and makes them: RFC 1951 section 3.2.7. */
static bool fast_dynamic(struct fast *s)
{
	uint32_t sizes = fast_take(s, 14); /* HLIT, HDIST and HCLEN: 5, 5 and 4 bits */
	uint32_t n_lit = (sizes & 31u) + 257;
	uint32_t n_dist = (sizes >> 5 & 31u) + 1;
	uint32_t n_lens = (sizes >> 10) + 4;
	uint32_t i;

	if (n_lit > DEFLATE_LIT_USED || n_dist > DEFLATE_DIST_USED)
		return false;
	for (i = 0; i < DEFLATE_LENS_MAX; i++)
		s->lens[deflate_order[i]] = (uint8_t)fast_take(s, i < n_lens ? 3 : 0);
	return s->status == QCOW2_OK &&
	       fast_build(s->dists, FAST_DIST_BITS, s->lens, DEFLATE_LENS_MAX, FAST_KIND_LENS) &&
	       fast_lens(s, n_lit + n_dist) &&
	       s->lens[DEFLATE_END] != 0 && /* zlib also refuses a block that cannot end */
	       fast_codes(s, n_lit, n_dist);
}

#if SIZE_MAX > 0xffffffff
/*
 * The main loop for 64-bit processors, fast_run, decodes symbols of a compressed block as long as
 * input and output have room for a whole turn, so that it need not check for their ends. It leaves
 * the end of a block, errors, and a match that ends near the end of the output to fast_coded, with
 * the state as it was before the symbol.
 */
enum {
	/*
	 * A turn refills at most twice. Each refill reads 8 bytes and advances by at most 7, so a
	 * turn reads at most 7 + 8 bytes.
	 */
	FAST_IN_ROOM = 16,
	/*
	 * A turn makes at most three literals, or two and a match. fast_run_match checks where the
	 * match ends; this is room for the up to 15 bytes that the copy writes after it.
	 */
	FAST_OUT_ROOM = 16
};

/* The part of struct fast that changes with each symbol. A copy of it stays in registers. */
struct fast_run {
	uint8_t *out;
	const uint8_t *in;
	uint64_t buf;
	uint32_t n_bits;
	uint32_t at;
};

/*
 * Fills buf with at least 56 bits. That is enough for three literals of 11 bits, or for a match: 15
 * bits of length code and 5 extra bits, 15 bits of distance code and 13 extra bits make 48.
 */
static inline void fast_refill(struct fast_run *f)
{
	uint32_t n = f->n_bits & 63u; /* the other bits have no meaning: see fast_drop */

	/*
	 * Loads 8 bytes, and advances by as many as fit as a whole. The bits above n_bits are those
	 * of the next byte, and loading it again changes nothing.
	 */
	f->buf |= q2_word_load(f->in) << n;
	f->in += (63 - n) >> 3;
	f->n_bits = n | 56;
}

/*
 * Drops the bits of an entry. Only the lower 6 bits of n_bits count, of the entry the lower 5, and
 * bit 5 of an entry is 0; so this subtracts all of the entry.
 */
static inline void fast_drop(struct fast_run *f, uint32_t entry)
{
	f->buf >>= entry & 63u;
	f->n_bits -= entry;
}

/* Drops an entry with its extra bits. Returns the value plus the extra bits. */
static inline uint32_t fast_sum(struct fast_run *f, uint32_t entry)
{
	uint32_t bits = (uint32_t)f->buf & ((1u << (entry & FAST_DROP)) - 1u);

	fast_drop(f, entry);
	return (entry >> FAST_VALUE) + (bits >> (entry >> 8 & 15u));
}

/* Returns the entry of the root table for the next literal or length. */
static inline uint32_t fast_peek(const struct fast *s, const struct fast_run *f)
{
	return s->lit[FAST_ROOT + (f->buf & ((1u << FAST_LIT_BITS) - 1u))];
}

/* Makes a literal, and returns the entry after it. */
static inline uint32_t fast_literal(const struct fast *s, struct fast_run *f, uint32_t entry)
{
	f->out[f->at++] = (uint8_t)(entry >> FAST_VALUE);
	fast_drop(f, entry);
	return fast_peek(s, f);
}

/*
 * Copies a match to [at, end) from `from`, and up to 15 bytes more. at_end is where the output no
 * longer has room for a whole turn. Returns false, and has done nothing, if the match begins before
 * the output does: then `from` has wrapped and is huge.
 */
static inline bool fast_copy(uint8_t *out, uint32_t at, uint32_t end, uint32_t from,
                             uint32_t at_end)
{
	uint32_t dist = at - from;

	/* With 8 and more, no load reads past what the store before it made. */
	if (dist >= 8) {
		for (; at < end && from < at_end; at += 16, from += 16)
			q2_copy_16(out, at, from);
	} else if (dist == 1 && from < at_end) {
		uint64_t value = out[from] * 0x0101010101010101u;

		for (; at < end; at += 8)
			q2_word_store(out + at, value);
	} else { /* the first `dist` bytes of a store are right; the next one replaces the others */
		for (; at < end && from < at_end; at += dist, from += dist)
			q2_word_store(out + at, q2_word_load(out + from));
	}
	return at >= end;
}

/* Makes a match, and returns the entry after it. If it returns FAST_BAD, *f is as it was. */
static inline uint32_t fast_run_match(struct fast *s, struct fast_run *f, uint32_t entry,
                                      uint32_t at_end)
{
	struct fast_run before = *f;
	uint32_t end = f->at + fast_sum(f, entry);
	uint32_t from;

	entry = s->dists[FAST_ROOT + (f->buf & ((1u << FAST_DIST_BITS) - 1u))];
	if ((entry & FAST_LONG) != 0)
		entry = fast_long(s->dists, FAST_DIST_BITS, DEFLATE_DIST_MAX, entry, f->buf);
	from = f->at - fast_sum(f, entry);
	if ((entry & FAST_BAD) == 0 && end <= at_end) {
		/* Before the copy, so that the processor does both at the same time. */
		fast_refill(f);
		entry = fast_peek(s, f);
		if (fast_copy(f->out, f->at, end, from, at_end)) {
			f->at = end;
			return entry;
		}
	}
	*f = before;
	return FAST_BAD;
}

/* The main loop, as described at FAST_IN_ROOM. Each turn begins with 56 bits in buf. */
static void fast_run(struct fast *s)
{
	struct fast_run f = { s->out, s->in, s->buf, s->n_bits, s->at };
	const uint8_t *in_end;
	uint32_t at_end, entry;

	if ((size_t)(s->in_end - f.in) < FAST_IN_ROOM || s->stop < FAST_OUT_ROOM)
		return;
	in_end = s->in_end - (FAST_IN_ROOM - 1);
	at_end = s->stop - (FAST_OUT_ROOM - 1);
	fast_refill(&f);
	entry = fast_peek(s, &f);
	while (f.in < in_end && f.at < at_end) {
		if ((entry & FAST_LITERAL) != 0) {
			entry = fast_literal(s, &f, entry);
			if ((entry & FAST_LITERAL) != 0) {
				entry = fast_literal(s, &f, entry);
				if ((entry & FAST_LITERAL) != 0) {
					entry = fast_literal(s, &f, entry);
					fast_refill(&f);
					continue;
				}
			}
			fast_refill(&f);
		}
		if ((entry & FAST_LONG) != 0) {
			entry = fast_long(s->lit, FAST_LIT_BITS, DEFLATE_LIT_MAX, entry, f.buf);
			if ((entry & FAST_LITERAL) != 0) {
				entry = fast_literal(s, &f, entry);
				fast_refill(&f);
				continue;
			}
		}
		if ((entry & (FAST_END | FAST_BAD)) != 0)
			break;
		entry = fast_run_match(s, &f, entry, at_end);
		if (entry == FAST_BAD)
			break;
	}
	s->in = f.in;
	s->n_bits = f.n_bits & 63u;
	s->buf = f.buf;
	s->at = f.at;
}
#else
/* 32-bit processors have too few registers for such a loop, so fast_coded does everything. */
static void fast_run(struct fast *s)
{
	(void)s;
}
#endif

/* Makes the match whose length is in `entry`, as far as the output has room for it. */
static void fast_match(struct fast *s, uint32_t entry)
{
	uint32_t length = fast_value(s, entry);
	uint32_t from;

	entry = fast_dist_symbol(s);
	if ((entry & FAST_BAD) != 0)
		fast_fail(s, QCOW2_E_COMPRESSED);
	from = s->at - fast_value(s, entry);
	if (s->status != QCOW2_OK)
		return;
	/* If the match begins before the output does, `from` has wrapped and is huge. */
	for (; length != 0 && s->at < s->stop && from < s->stop; length--)
		s->out[s->at++] = s->out[from++];
	if (length != 0)
		s->status = s->at < s->stop ? QCOW2_E_COMPRESSED : FAST_OVER;
}

/* Decodes the symbols of a compressed block: RFC 1951 section 3.2.3. */
static void fast_coded(struct fast *s)
{
	while (s->status == QCOW2_OK) {
		uint32_t entry;

		fast_run(s);
		entry = fast_symbol(s, s->lit, FAST_LIT_BITS, DEFLATE_LIT_MAX);
		if ((entry & FAST_END) != 0)
			return;
		if ((entry & FAST_BAD) != 0)
			fast_fail(s, QCOW2_E_COMPRESSED);
		else if ((entry & FAST_LITERAL) == 0)
			fast_match(s, entry);
		else if (s->at < s->stop)
			s->out[s->at++] = (uint8_t)(entry >> FAST_VALUE);
		else
			s->status = FAST_OVER;
	}
}

/* Copies a stored block, RFC 1951 section 3.2.4. Returns false if its header is invalid. */
static bool fast_stored(struct fast *s)
{
	uint32_t length;

	fast_take(s, s->n_bits & 7u);
	length = fast_take(s, 16);
	if ((length ^ fast_take(s, 16)) != 0xffff)
		return false;
	for (; length != 0; length--) {
		if (!(s->at < s->stop)) {
			fast_fail(s, FAST_OVER);
			break;
		}
		s->out[s->at] = (uint8_t)fast_take(s, 8);
		if (s->status != QCOW2_OK)
			break;
		s->at++;
	}
	return true;
}

/* Decodes a block, whose type is that of RFC 1951 section 3.2.3. */
static void fast_block(struct fast *s, uint32_t type)
{
	bool good = false;

	if (type == 0) {
		good = fast_stored(s);
	} else if (type == 1) {
		if (!s->fixed)
			s->fixed = fast_fixed(s);
		good = s->fixed;
	} else if (type == 2) {
		s->fixed = false;
		good = fast_dynamic(s);
	}
	if (!good)
		fast_fail(s, QCOW2_E_COMPRESSED);
	else if (type != 0)
		fast_coded(s);
}

/*
 * Decodes the stream up to `stop`. After that, like zlib, it goes on until it would have to make a
 * byte, to find out whether what follows is valid.
 */
static void fast_stream(struct fast *s)
{
	uint32_t head = 0;

	while (s->status == QCOW2_OK && (head & 1u) == 0) {
		head = fast_take(s, 3);
		if (s->status == QCOW2_OK)
			fast_block(s, head >> 1);
	}
	if (s->at < s->stop) /* the stream has ended too early */
		fast_fail(s, QCOW2_E_COMPRESSED);
}

/* fast_decode sets everything else. */
static void fast_begin(const struct qcow2_codec *self, void *work)
{
	struct fast *s = work;

	(void)self;
	s->finish = QCOW2_OK;
}

/* The first call for a cluster decodes it; the second one returns whether its end is valid. */
static int fast_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	struct fast *s = work;

	(void)self;
	if (stream->done != 0 && stream->stop == stream->done)
		return s->finish;
	if (stream->done != 0 || stream->stop > stream->window_len)
		return QCOW2_E_ARGUMENT;
	if (!(stream->next < stream->end)) {
		int rc = stream->fill(stream);

		if (rc != QCOW2_OK)
			return rc;
	}
	s->in = stream->next;
	s->in_end = stream->end;
	s->out = stream->window;
	s->buf = 0;
	s->n_bits = 0;
	s->at = 0;
	s->stop = stream->stop;
	s->status = QCOW2_OK;
	s->fixed = false;
	fast_stream(s);
	stream->next = s->in;
	stream->done = s->at;
	stream->window_at = s->at == stream->window_len ? 0 : s->at;
	if (s->at < s->stop)
		return s->status;
	if (s->status == QCOW2_E_COMPRESSED)
		s->finish = s->status;
	return QCOW2_OK;
}

const struct qcow2_codec qcow2_deflate_fast = {
	QCOW2_COMPRESSION_DEFLATE, true, sizeof(struct fast), fast_begin, fast_decode, false,
};
