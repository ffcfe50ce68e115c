/* SPDX-License-Identifier: MIT */
/*
 * The built-in decoder for raw deflate (RFC 1951), made to be small; the fast one is
 * inflate_fast.c.
 *
 * Output can stop anywhere and go on later; input is pulled when it is needed, so it never stops
 * half-way. What is between two output bytes is told by two fields. There may be `length` bytes
 * left to copy, from `dist` bytes before; with dist == 0 they come from the input, as those of
 * a stored block do, and a literal: it is put back there as a byte. Then it goes on as `head` says,
 * the three bits that a block begins with:
 *
 *   INFLATE_BLOCK   at the header of a block
 *   INFLATE_OVER    behind the final block
 *   anything else   in a compressed block, before a literal/length symbol
 *
 * A Huffman code is a part of `codes`: how many codes there are of each length from 1 to 15, then
 * all symbols in the order of their codes. That is all that decoding bit by bit takes: the codes of
 * a length are consecutive numbers, and the first of them is twice what comes after the last code
 * that is one bit shorter (RFC 1951 section 3.2.2). All codes are complete: a symbol that is none
 * fills a gap.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qcow2/codec.h"
#include "qcow2/status.h"

/* Of `head`: bit 0, this is the final block; bits 1-2, its type. RFC 1951 section 3.2.3. */
enum {
	INFLATE_BLOCK = 0,
	INFLATE_OVER = 1,
	INFLATE_FIXED = 2,   /* or 3 */
	INFLATE_DYNAMIC = 4, /* or 5 */
	INFLATE_RESERVED = 6 /* or 7 */
};

/* Where what is in `codes`. The code length code lies where that of the distances will be. */
enum {
	INFLATE_LENGTHS = 16, /* of a code, 0 unused; RFC 1951 section 3.2.7 */
	INFLATE_LIT_MAX = 288,
	INFLATE_DIST_MAX = 32,
	INFLATE_DIST = 0,
	INFLATE_LIT = INFLATE_DIST + INFLATE_LENGTHS + INFLATE_DIST_MAX,
	INFLATE_LENS = INFLATE_LIT + INFLATE_LENGTHS + INFLATE_LIT_MAX, /* bytes from here on */
	INFLATE_WORDS = INFLATE_LENS + (INFLATE_LIT_MAX + INFLATE_DIST_MAX) / 2,
	INFLATE_NONE = 0xffff /* no symbol */
};

enum inflate_code { INFLATE_COMPLETE, INFLATE_GAPS, INFLATE_WRONG };

struct inflate {
	struct qcow2_stream *stream;
	uint32_t buf; /* bits that were read ahead, the next one lowest; zeros above n_bits */
	uint32_t n_bits;
	uint32_t length;
	uint32_t dist;
	uint32_t head;
	int status; /* the first failure; then all bits that are read are zeros */
	bool fixed; /* the codes are the fixed ones: a second block need not make them */
	uint16_t codes[INFLATE_WORDS];
};

typedef char inflate_fits_work[sizeof(struct inflate) <= QCOW2_DEFLATE_SMALL_WORK ? 1 : -1];
/* So that an index can be masked, which costs less than to compare it. */
typedef char inflate_words_mask[(INFLATE_WORDS & (INFLATE_WORDS - 1)) == 0 ? 1 : -1];

/*@ predicate good_bits(struct inflate *s) =
      s->n_bits < 24 && s->buf < 1 << s->n_bits; */

/* One more byte of input into buf, which has room for it: n_bits < 16. */
static void inflate_pull(struct inflate *s)
{
	struct qcow2_stream *in = s->stream;
	int status = s->status;

	if (!(in->next < in->end) && status == QCOW2_OK) /* what failed once is not tried again */
		/*@ calls any_fill; */
		status = in->fill(in);
	if (in->next < in->end)
		s->buf |= (uint32_t)*in->next++ << s->n_bits;
	else if (status == QCOW2_OK)
		status = QCOW2_E_TRUNCATED;
	s->n_bits += 8;
	s->status = status;
}

/* The next n <= 16 bits, lowest first: RFC 1951 section 3.1.1. */
static uint32_t inflate_take(struct inflate *s, uint32_t n)
{
	uint32_t buf;

	/*@ loop invariant good_bits(s) && good_stream(s->stream);
	    loop invariant s->stream == \at(s->stream, Pre);
	    loop invariant \at(s->n_bits, Pre) >= n ==>
	                     s->buf == \at(s->buf, Pre) && s->n_bits == \at(s->n_bits, Pre);
	    loop assigns s->buf, s->n_bits, s->status, \at(s->stream, Pre)->next,
	                 \at(s->stream, Pre)->end;
	    loop variant 24 - s->n_bits; */
	while (s->n_bits < n)
		inflate_pull(s);
	buf = s->buf;
	s->buf = buf >> n;
	s->n_bits -= n;
	return buf - (buf >> n << n);
}

/* The next symbol of one of the codes. Only bits of the code itself are asked of the input. */
static uint32_t inflate_symbol(struct inflate *s, uint32_t code)
{
	uint32_t sorted = code + INFLATE_LENGTHS; /* the symbols with codes of this length */
	uint32_t rank = 0;                        /* of what was read, among these codes */
	uint32_t count = 0;
	uint32_t len = 0;

	do { /* at most 15 times: as the code is complete, the rank of ones is below the count */
		rank -= count;
		sorted += count;
		if (s->n_bits == len)
			inflate_pull(s);
		rank = rank << 1 | (s->buf >> len & 1u);
		len = (len + 1) % INFLATE_LENGTHS;
		count = s->codes[code + len];
	} while (rank >= count);
	inflate_take(s, len);
	return s->codes[(sorted + rank) % INFLATE_WORDS];
}

/*
 * Make a code from the lengths of its n codes: RFC 1951 section 3.2.2. One with gaps is as in zlib:
 * a single code of one bit, or none at all where the block has no matches (section 3.2.7).
 */
static enum inflate_code inflate_build(struct inflate *s, uint32_t code, const uint8_t *lens,
                                       uint32_t n)
{
	uint16_t *counts = s->codes + code;
	uint32_t end = code + INFLATE_LENGTHS;
	uint32_t space = 1; /* codes of this length that are free */
	uint32_t len, i;

	counts[INFLATE_LENGTHS] = INFLATE_NONE;
	counts[INFLATE_LENGTHS + 1] = INFLATE_NONE;
	for (len = 1; len < INFLATE_LENGTHS; len++) {
		uint32_t count = 0;

		for (i = 0; i < n; i++) {
			if (lens[i] == len) {
				s->codes[(end + count) % INFLATE_WORDS] = (uint16_t)i;
				count++;
			}
		}
		counts[len] = (uint16_t)count;
		end += count;
		space *= 2;
		if (space < count)
			return INFLATE_WRONG;
		space -= count;
	}
	if (space == 0)
		return INFLATE_COMPLETE;
	if (end != code + INFLATE_LENGTHS + counts[1])
		return INFLATE_WRONG;
	counts[1] = 2;
	return INFLATE_GAPS;
}

/* RFC 1951 section 3.2.7: the code for the lengths of codes. */
static bool inflate_lens_code(struct inflate *s, uint32_t more_than_4)
{
	static const uint8_t order[] = { 16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
		                         11, 4,  12, 3, 13, 2, 14, 1, 15 };
	uint8_t *lens = (uint8_t *)(s->codes + INFLATE_LENS);
	uint32_t i;

	for (i = 0; i < sizeof order; i++)
		lens[order[i]] = (uint8_t)inflate_take(s, i < 4 + more_than_4 ? 3 : 0);
	return inflate_build(s, INFLATE_DIST, lens, sizeof order) == INFLATE_COMPLETE;
}

/* How often `value` comes next in the lengths: RFC 1951 section 3.2.7. */
static uint32_t inflate_run(struct inflate *s, uint32_t *value)
{
	uint32_t symbol = inflate_symbol(s, INFLATE_DIST);

	if (symbol < 16) {
		*value = symbol;
		return 1;
	}
	if (symbol == 16)
		return 3 + inflate_take(s, 2);
	*value = 0;
	return symbol == 17 ? 3 + inflate_take(s, 3) : 11 + inflate_take(s, 7);
}

/* The lengths of n codes: as the block says, or the fixed ones of RFC 1951 section 3.2.6. */
static bool inflate_lens(struct inflate *s, uint8_t *lens, uint32_t n, bool fixed)
{
	/* So many in a row are of one length; that, less 5, is in the lowest three bits. */
	static const uint8_t runs[8] = { 144 | 3, 112 | 4, 24 | 2, 8 | 3, 32 };
	uint32_t run = 0;
	uint32_t value = INFLATE_LENGTHS; /* nothing to repeat */
	uint32_t times = 0;
	uint32_t i;

	for (i = 0; i < n; i++) {
		if (times == 0 && fixed) {
			value = runs[run++ % 8];
			times = value & 0xf8u;
			value = (value & 7u) + 5;
		} else if (times == 0) {
			times = inflate_run(s, &value);
			if (value == INFLATE_LENGTHS)
				return false;
		}
		lens[i] = (uint8_t)value;
		times--;
	}
	return times == 0;
}

/* Both codes of a block. */
static bool inflate_codes(struct inflate *s, bool fixed)
{
	uint8_t *lens = (uint8_t *)(s->codes + INFLATE_LENS);
	uint32_t sizes = 0x3ff; /* of the fixed codes: 288 and 32 */
	uint32_t n_lit, n_dist;

	if (fixed && s->fixed)
		return true;
	s->fixed = fixed;
	if (!fixed)
		sizes = inflate_take(s, 14);
	n_lit = (sizes & 31u) + 257;
	n_dist = (sizes >> 5 & 31u) + 1;
	if (!fixed && (n_lit > 286 || n_dist > 30 || !inflate_lens_code(s, sizes >> 10)))
		return false;
	return inflate_lens(s, lens, n_lit + n_dist, fixed) &&
	       lens[256] != 0 && /* a block without an end is an error for zlib, too */
	       inflate_build(s, INFLATE_DIST, lens + n_lit, n_dist) != INFLATE_WRONG &&
	       inflate_build(s, INFLATE_LIT, lens, n_lit) != INFLATE_WRONG;
}

/* RFC 1951 section 3.2.4: the header of a stored block. */
static bool inflate_stored(struct inflate *s)
{
	inflate_take(s, s->n_bits & 7u);
	s->dist = 0;
	s->length = inflate_take(s, 16);
	return s->length == (uint16_t)~inflate_take(s, 16);
}

/* RFC 1951 section 3.2.3: the header of any block. */
static int inflate_block(struct inflate *s)
{
	bool good = false;

	if (s->head == INFLATE_OVER)
		return s->stream->done < s->stream->stop ? QCOW2_E_COMPRESSED : QCOW2_E_TRUNCATED;
	s->head = inflate_take(s, 3);
	if (s->head <= INFLATE_OVER)
		good = inflate_stored(s);
	else if (s->head < INFLATE_RESERVED)
		good = inflate_codes(s, s->head < INFLATE_DYNAMIC);
	return good ? QCOW2_OK : QCOW2_E_COMPRESSED;
}

/*
 * What a length or distance symbol and its extra bits stand for: RFC 1951 section 3.2.5. Symbols
 * are like floating-point numbers: an exponent, and `shift` bits of a fraction.
 */
static uint32_t inflate_number(struct inflate *s, uint32_t symbol, uint32_t shift)
{
	uint32_t extra = symbol >> shift;

	if (extra != 0)
		extra--;
	return ((symbol - (extra << shift)) << extra) + inflate_take(s, extra);
}

/* One symbol of a compressed block: RFC 1951 section 3.2.3. */
static int inflate_coded(struct inflate *s)
{
	uint32_t symbol = inflate_symbol(s, INFLATE_LIT);
	uint32_t length = 1;
	uint32_t dist = 0;

	if (symbol < 256) { /* n_bits was below 16, or no byte would have been pulled */
		s->buf = s->buf << 8 | symbol;
		s->n_bits += 8;
	} else if (symbol == 256) {
		s->head &= INFLATE_OVER;
		length = 0;
	} else {
		symbol -= 257;
		if (symbol > 28)
			return QCOW2_E_COMPRESSED;
		length = symbol == 28 ? 258 : inflate_number(s, symbol, 2) + 3;
		dist = inflate_symbol(s, INFLATE_DIST);
		if (dist > 29)
			return QCOW2_E_COMPRESSED;
		dist = inflate_number(s, dist, 1) + 1;
	}
	s->length = length;
	s->dist = dist;
	return QCOW2_OK;
}

/* Copy what is to be copied; a match may overlap itself (RFC 1951 section 3.2.3). */
static int inflate_copy(struct inflate *s)
{
	struct qcow2_stream *stream = s->stream;
	uint32_t mask = stream->window_len - 1u;

	if (stream->done == stream->stop)
		return QCOW2_E_TRUNCATED;
	if (s->dist > stream->done)
		return QCOW2_E_COMPRESSED;
	if (s->dist > stream->window_len)
		return QCOW2_E_MEMORY;
	/*@ loop invariant 0 < s->length <= \at(s->length, Pre) && stream->done != stream->stop;
	    loop invariant good_bits(s) && good_stream(stream);
	    loop assigns s->buf, s->n_bits, s->status, s->length, stream->next, stream->end,
	                 stream->done, stream->window[0 .. stream->window_len - 1];
	    loop variant s->length; */
	do {
		uint32_t byte = s->dist == 0 ? inflate_take(s, 8)
		                             : stream->window[(stream->done - s->dist) & mask];

		if (s->status != QCOW2_OK)
			return s->status;
		stream->window[stream->done++ & mask] = (uint8_t)byte;
	} while (--s->length != 0 && stream->done != stream->stop);
	return QCOW2_OK;
}

static void inflate_begin(const struct qcow2_codec *self, void *work)
{
	struct inflate *s = work;

	(void)self;
	s->buf = 0;
	s->n_bits = 0;
	s->length = 0;
	s->head = INFLATE_BLOCK;
	s->fixed = false;
}

/*
 * Make what is asked for. If that is nothing, all is made: zlib goes on until it would have to make
 * a byte, and judges what it sees; so do we. It may be the end of the stream, or of the input, or
 * wrong. What cannot be told is QCOW2_E_TRUNCATED until the end of this function.
 */
static int inflate_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	struct inflate *s = work;
	uint32_t goal = stream->stop;
	int rc;

	(void)self;
	s->stream = stream;
	s->status = QCOW2_OK;
	if (stream->stop - stream->done > stream->window_len - stream->window_at)
		return QCOW2_E_ARGUMENT;
	if (goal == stream->done)
		goal++;
	do { /* no switch: Cortex-M0 needs a helper of libgcc for its table */
		if (s->length != 0)
			rc = inflate_copy(s);
		else if (s->head > INFLATE_OVER)
			rc = inflate_coded(s);
		else
			rc = inflate_block(s);
		if (s->status == QCOW2_OK)
			s->status = rc;
	} while (s->status == QCOW2_OK && stream->done != goal);
	stream->window_at = stream->done & (stream->window_len - 1u);
	if (s->status == QCOW2_E_TRUNCATED && stream->done == stream->stop)
		return QCOW2_OK;
	return s->status;
}

const struct qcow2_codec qcow2_deflate_small = {
	QCOW2_COMPRESSION_DEFLATE, false, sizeof(struct inflate), inflate_begin, inflate_decode,
};
