/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The small decoder for raw deflate (RFC 1951). It decodes bit by bit, without look-up tables, in
 * 1 KiB of memory and with any window. inflate_fast.c is the fast one; unpack.c calls both through
 * struct qcow2_codec.
 *
 * Output can stop after any byte and go on in a later call. Input cannot: the decoder calls
 * stream->fill when it needs more. So all it has to remember between two bytes of output is how the
 * current copy goes on, and what comes after it:
 *
 *   length, dist   `length` bytes are still to be copied from `dist` bytes before. If dist is 0,
 *                  they come from the input: the bytes of a stored block, and literals, each of
 *                  which is put back into the input as a byte.
 *   head           The three bits at the beginning of a block say what follows the copy:
 *                    INFLATE_BLOCK   the header of a block
 *                    INFLATE_OVER    nothing, the final block has ended
 *                    anything else   a literal/length symbol of a compressed block
 *
 * A Huffman code is a part of `codes`: the number of codes of each length from 1 to 15, then all
 * symbols in the order of their codes. This is enough to decode bit by bit. The codes of one length
 * are consecutive numbers, and the first of them is twice the number after the last code that is
 * one bit shorter (RFC 1951 section 3.2.2). Every code is made complete: INFLATE_NONE, which stands
 * for no symbol, fills the gaps.
 */
#include "deflate.h"
#include "internal.h"

/*
 * Values of `head`, RFC 1951 section 3.2.3. Bit 0 is set in the final block; bits 1-2 are the type
 * of the block. Types 1 and 2 keep their `head` as long as the block goes on.
 */
enum {
	INFLATE_BLOCK = 0,   /* or a stored block whose header was just read */
	INFLATE_OVER = 1,    /* or the same for the final block */
	INFLATE_FIXED = 2,   /* 3 if final */
	INFLATE_DYNAMIC = 4, /* 5 if final */
	INFLATE_RESERVED = 6 /* 7 if final */
};

/*
 * The layout of `codes`:
 *
 *	INFLATE_DIST                   INFLATE_LIT                   INFLATE_LENS
 *	| counts | distance symbols    | counts | literals, lengths  | code lengths, in bytes |
 *
 * The code length code is needed only before the distance code, and is in its place.
 */
enum {
	INFLATE_LENGTHS = DEFLATE_CODE_MAX + 1, /* counts of a code; that of length 0 is not used */
	INFLATE_DIST = 0,
	INFLATE_LIT = INFLATE_DIST + INFLATE_LENGTHS + DEFLATE_DIST_MAX,
	INFLATE_LENS = INFLATE_LIT + INFLATE_LENGTHS + DEFLATE_LIT_MAX,
	INFLATE_WORDS = INFLATE_LENS + (DEFLATE_LIT_MAX + DEFLATE_DIST_MAX) / 2,
	INFLATE_NONE = 0xffff /* no symbol */
};

enum inflate_code { INFLATE_COMPLETE, INFLATE_GAPS, INFLATE_WRONG };

struct inflate {
	struct qcow2_stream *stream; /* that of the current call */
	uint32_t buf;    /* bits that were read ahead, the next one lowest; zeros above n_bits */
	uint32_t n_bits; /* number of bits in buf: below 24 */
	uint32_t length; /* bytes that are still to be copied */
	uint32_t dist;   /* from how many bytes before; 0 if from the input */
	uint32_t head;   /* what follows the copy */
	int status;      /* the first failure of this call; after it, the input reads as zeros */
	bool fixed; /* `codes` has the fixed codes, so that the next block need not make them */
	uint16_t codes[INFLATE_WORDS]; /* both codes and their lengths, as above */
};

Q2_STATIC_ASSERT(inflate_fits_work, sizeof(struct inflate) <= QCOW2_DEFLATE_SMALL_WORK);
/* The index of a symbol is bounded by a mask, which takes less code than a comparison. */
Q2_STATIC_ASSERT(inflate_words_mask, (INFLATE_WORDS & (INFLATE_WORDS - 1)) == 0);

/*@ predicate good_bits(struct inflate *s) =
      s->n_bits < 24 && s->buf < 1 << s->n_bits; */

/* Puts one more byte of input into buf, which has room for it as n_bits is below 16. */
static void inflate_pull(struct inflate *s)
{
	struct qcow2_stream *in = s->stream;
	int status = s->status;

	if (!(in->next < in->end) && status == QCOW2_OK) /* a failed fill is not repeated */
		/*@ calls any_fill; */
		status = in->fill(in);
	if (in->next < in->end)
		s->buf |= (uint32_t)*in->next++ << s->n_bits;
	else if (status == QCOW2_OK)
		status = QCOW2_E_TRUNCATED;
	s->n_bits += 8;
	s->status = status;
}

/* Takes the next n <= 16 bits, lowest first: RFC 1951 section 3.1.1. */
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

/*
 * Takes the next symbol of the code at codes[code]. Reads no byte of input after the one in which
 * the symbol ends, so that a stream that ends there does not seem to be cut short.
 */
static uint32_t inflate_symbol(struct inflate *s, uint32_t code)
{
	uint32_t sorted = code + INFLATE_LENGTHS; /* the symbols with codes of this length */
	uint32_t rank = 0;  /* the bits so far, as a number that counts from the first of these */
	uint32_t count = 0; /* how many codes have this length */
	uint32_t len = 0;

	do { /* at most 15 times: the code is complete, so one of its codes matches */
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
 * Makes a code at codes[code] from the lengths of the codes of its n symbols: RFC 1951 section
 * 3.2.2. Like zlib, accepts two codes with gaps: one with a single code of one bit, and one without
 * any codes, for the distances of a block without matches (section 3.2.7).
 */
static enum inflate_code inflate_build(struct inflate *s, uint32_t code, const uint8_t *lens,
                                       uint32_t n)
{
	uint16_t *counts = s->codes + code;
	uint32_t end = code + INFLATE_LENGTHS;
	uint32_t space = 1; /* codes of this length that are not taken by shorter ones */
	uint32_t len, i;

	/* A code with gaps has two codes of one bit, which have no symbols unless set below. */
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
	/* Fill the gaps: two codes of one bit are complete. */
	counts[1] = 2;
	return INFLATE_GAPS;
}

/* Reads and makes the code length code, which has 4 + more_than_4 lengths: section 3.2.7. */
static bool inflate_lens_code(struct inflate *s, uint32_t more_than_4)
{
	uint8_t *lens = (uint8_t *)(s->codes + INFLATE_LENS);
	uint32_t i;

	for (i = 0; i < DEFLATE_LENS_MAX; i++)
		lens[deflate_order[i]] = (uint8_t)inflate_take(s, i < 4 + more_than_4 ? 3 : 0);
	return inflate_build(s, INFLATE_DIST, lens, DEFLATE_LENS_MAX) == INFLATE_COMPLETE;
}

/*
 * Takes a symbol of the code length code. Returns how often *value, which the symbol may change,
 * comes next in the lengths: RFC 1951 section 3.2.7.
 */
static uint32_t inflate_run(struct inflate *s, uint32_t *value)
{
	uint32_t symbol = inflate_symbol(s, INFLATE_DIST);

	if (symbol < DEFLATE_REPEAT) {
		*value = symbol;
		return 1;
	}
	if (symbol == DEFLATE_REPEAT)
		return 3 + inflate_take(s, 2);
	*value = 0;
	return symbol == 17 ? 3 + inflate_take(s, 3) : 11 + inflate_take(s, 7);
}

/*
 * Sets the lengths of the codes of n symbols: those of the block, or the fixed ones of RFC 1951
 * section 3.2.6. Returns false if they are invalid.
 */
static bool inflate_lens(struct inflate *s, uint8_t *lens, uint32_t n, bool fixed)
{
	/*
	 * The fixed lengths: how many in a row are equal, all multiples of 8, plus the length less
	 * 5 in the low three bits. A table of runs is shorter than code, and than all lengths.
	 */
	static const uint8_t runs[8] = { 144 | 3, 112 | 4, 24 | 2, 8 | 3, 32 };
	uint32_t run = 0;
	uint32_t value = INFLATE_LENGTHS; /* no length yet that could be repeated */
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

/* Makes both codes of a block: the fixed ones, or those that its header describes. */
static bool inflate_codes(struct inflate *s, bool fixed)
{
	uint8_t *lens = (uint8_t *)(s->codes + INFLATE_LENS);
	uint32_t sizes = 0x3ff; /* of the fixed codes: 288 and 32 symbols */
	uint32_t n_lit, n_dist;

	if (fixed && s->fixed)
		return true;
	s->fixed = fixed;
	if (!fixed)
		sizes = inflate_take(s, 14);
	n_lit = (sizes & 31u) + 257; /* HLIT, HDIST and HCLEN of section 3.2.7: 5, 5 and 4 bits */
	n_dist = (sizes >> 5 & 31u) + 1;
	if (!fixed && (n_lit > DEFLATE_LIT_USED || n_dist > DEFLATE_DIST_USED ||
	               !inflate_lens_code(s, sizes >> 10)))
		return false;
	return inflate_lens(s, lens, n_lit + n_dist, fixed) &&
	       lens[DEFLATE_END] != 0 && /* zlib also refuses a block that cannot end */
	       inflate_build(s, INFLATE_DIST, lens + n_lit, n_dist) != INFLATE_WRONG &&
	       inflate_build(s, INFLATE_LIT, lens, n_lit) != INFLATE_WRONG;
}

/* Reads the header of a stored block, RFC 1951 section 3.2.4, and starts to copy its bytes. */
static bool inflate_stored(struct inflate *s)
{
	inflate_take(s, s->n_bits & 7u);
	s->dist = 0;
	s->length = inflate_take(s, 16);
	return s->length == (uint16_t)~inflate_take(s, 16);
}

/* Reads the header of the next block: RFC 1951 section 3.2.3. */
static int inflate_block(struct inflate *s)
{
	bool good = false;

	/* The stream has ended, which is right if nothing more is wanted. */
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
 * Returns the number that a length or distance symbol stands for with its extra bits, which this
 * takes: RFC 1951 section 3.2.5. The symbols in its tables are like floating-point numbers, with an
 * exponent and a fraction of `shift` bits, so the tables are not needed.
 */
static uint32_t inflate_number(struct inflate *s, uint32_t symbol, uint32_t shift)
{
	uint32_t extra = symbol >> shift;

	if (extra != 0)
		extra--;
	return ((symbol - (extra << shift)) << extra) + inflate_take(s, extra);
}

/* Decodes one symbol of a compressed block, RFC 1951 section 3.2.3, and starts to copy. */
static int inflate_coded(struct inflate *s)
{
	uint32_t symbol = inflate_symbol(s, INFLATE_LIT);
	uint32_t length = 1;
	uint32_t dist = 0;

	if (symbol < DEFLATE_END) {
		/* A literal goes back into buf. There is room: a symbol leaves n_bits below 16. */
		s->buf = s->buf << 8 | symbol;
		s->n_bits += 8;
	} else if (symbol == DEFLATE_END) {
		s->head &= INFLATE_OVER;
		length = 0;
	} else {
		symbol -= DEFLATE_LENGTH;
		if (symbol >= DEFLATE_LENGTHS)
			return QCOW2_E_COMPRESSED;
		length = symbol == DEFLATE_LENGTHS - 1 ? DEFLATE_LENGTH_LAST
		                                       : inflate_number(s, symbol, 2) + 3;
		dist = inflate_symbol(s, INFLATE_DIST);
		if (dist >= DEFLATE_DIST_USED)
			return QCOW2_E_COMPRESSED;
		dist = inflate_number(s, dist, 1) + 1;
	}
	s->length = length;
	s->dist = dist;
	return QCOW2_OK;
}

/*
 * Copies until `length` bytes are copied or `stop` is reached. It copies one byte at a time,
 * because a match may overlap the bytes that it makes (RFC 1951 section 3.2.3).
 */
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

/* Does not set dist, status and codes, which are set before they are used. */
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
 * Makes the output that is wanted. If none is, this is the call after the last byte of the cluster,
 * which checks how the stream goes on. Like zlib, it decodes until it would have to make a byte. It
 * succeeds if it gets there, or to the end of the stream or of the input, without an error. In each
 * of these cases, the functions above return QCOW2_E_TRUNCATED.
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
	/* A goal that is never reached, as inflate_copy stops at `stop`. */
	if (goal == stream->done)
		goal++;
	do { /* not a switch: on Cortex-M0, its table needs a helper from libgcc */
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
	QCOW2_COMPRESSION_DEFLATE,
	false,
	sizeof(struct inflate),
	inflate_begin,
	inflate_decode,
	false,
};
