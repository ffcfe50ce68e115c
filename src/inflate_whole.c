/* SPDX-License-Identifier: MIT */
/*
 * The built-in decoder for raw deflate (RFC 1951) once more, made to be fast: with all the input
 * and room for all the output, and 12 KiB of tables. inflate.c takes a tenth of that.
 *
 * All is decoded in the first call, and judged: the call after the last byte only tells.
 *
 * A Huffman code is an array of uint32_t: 16 counts, a root table that is indexed with the next
 * bits of the input, 11 for literals and lengths, 9 for others, and all symbols in the order of
 * their codes. An entry says all that there is to know about a symbol:
 *
 *   bits 0-4    how many bits to drop: those of the code and the extra ones
 *   bits 8-11   how many of them are the code
 *   bits 12-15  WHOLE_LITERAL, WHOLE_END, WHOLE_BAD; in a root entry WHOLE_LONG: the code is longer
 *               than the root, and the value is the number of this prefix, see whole_long()
 *   bits 16-31  literal, length, distance, or length of a code; without what the extra bits add
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qcow2/codec.h"
#include "qcow2/status.h"

/* Bits that were read ahead. 32-bit processors have no cheap 64-bit shifts. */
#if SIZE_MAX > 0xffffffff
typedef uint64_t whole_word;
#else
typedef uint32_t whole_word;
#endif

enum {
	WHOLE_CODE_MAX = 15, /* bits of the longest code, RFC 1951 section 3.2.7 */
	WHOLE_LIT_BITS = 11, /* root of the literal/length code */
	WHOLE_DIST_BITS = 9, /* root of the distance code and of the code length code */
	WHOLE_LIT_MAX = 288,
	WHOLE_DIST_MAX = 32,
	WHOLE_LENS_MAX = 19, /* symbols of the code length code */
	WHOLE_ROOT = 16,     /* where the root table begins: after the counts */
	WHOLE_LIT_WORDS = WHOLE_ROOT + (1 << WHOLE_LIT_BITS) + WHOLE_LIT_MAX,
	WHOLE_DIST_WORDS = WHOLE_ROOT + (1 << WHOLE_DIST_BITS) + WHOLE_DIST_MAX
};

/* Parts of an entry. */
enum {
	WHOLE_DROP = 0x1f,
	WHOLE_LITERAL = 0x1000,
	WHOLE_LONG = 0x2000,
	WHOLE_END = 0x4000,
	WHOLE_BAD = 0x8000,
	WHOLE_OF_CODE = 0x101, /* times the length of the code */
	WHOLE_VALUE = 16
};

enum whole_kind { WHOLE_KIND_LENS, WHOLE_KIND_LIT, WHOLE_KIND_DIST };

struct whole {
	const uint8_t *in;
	const uint8_t *in_end;
	uint8_t *out;
	whole_word buf;  /* bits that were read ahead, the next one lowest */
	uint32_t n_bits; /* above them in `buf` there are zeros, or bits that come next */
	uint32_t at;     /* next byte of `out` to be made */
	uint32_t stop;   /* end of what is to be made */
	int status;      /* QCOW2_OK, or why no more is decoded */
	int finish;      /* what is to be said after all is made */
	bool fixed;      /* the codes are the fixed ones: a second block need not make them */
	uint32_t lit[WHOLE_LIT_WORDS];
	uint32_t dists[WHOLE_DIST_WORDS];
	uint8_t lens[WHOLE_LIT_MAX + WHOLE_DIST_MAX];
};

/* Of status: all is made, and the stream would make more. */
enum { WHOLE_OVER = 1 };

typedef char whole_fits_work[sizeof(struct whole) <= QCOW2_DEFLATE_WHOLE_WORK ? 1 : -1];

/* Give up. A reason that is there already (no input) stays. */
static void whole_fail(struct whole *s, int status)
{
	if (s->status == QCOW2_OK)
		s->status = status;
}

/* One more byte of input into buf, which has room for it: n_bits < 16. */
static bool whole_pull(struct whole *s)
{
	if (!(s->in < s->in_end)) {
		whole_fail(s, QCOW2_E_TRUNCATED);
		return false;
	}
	s->buf |= (whole_word)*s->in++ << s->n_bits;
	s->n_bits += 8;
	return true;
}

/* The next n <= 16 bits, lowest first (RFC 1951 section 3.1.1); 0 when status is set. */
static uint32_t whole_take(struct whole *s, uint32_t n)
{
	uint32_t value;

	while (s->n_bits < n) {
		if (!whole_pull(s))
			return 0;
	}
	value = (uint32_t)s->buf & ((1u << n) - 1u);
	s->buf >>= n;
	s->n_bits -= n;
	return value;
}

/*
 * Find a code that is longer than the root. All codes that begin with one root index are above
 * all shorter ones (RFC 1951 section 3.2.2), so counting down from the first of them finds it.
 */
static uint32_t whole_long(const uint32_t *code, uint32_t root_bits, uint32_t n_sorted,
                           uint32_t entry, whole_word buf)
{
	const uint32_t *sorted = code + WHOLE_ROOT + (1u << root_bits);
	uint32_t index = code[0];
	uint32_t rank = entry >> WHOLE_VALUE;
	uint32_t found = n_sorted; /* none */
	uint32_t n;

	buf >>= root_bits;
	for (n = root_bits + 1; n <= WHOLE_CODE_MAX; n++) {
		rank = rank << 1 | (uint32_t)(buf & 1u);
		buf >>= 1;
		if (rank < code[n]) {
			found = index + rank;
			break;
		}
		rank -= code[n];
		index += code[n];
	}
	return found < n_sorted ? sorted[found] + n * WHOLE_OF_CODE : WHOLE_BAD | WHOLE_OF_CODE;
}

/* The next symbol, as its entry. Only bits of the code itself are asked of the input. */
static uint32_t whole_symbol(struct whole *s, const uint32_t *code, uint32_t root_bits,
                             uint32_t n_sorted)
{
	for (;;) {
		uint32_t entry = code[WHOLE_ROOT + ((uint32_t)s->buf & ((1u << root_bits) - 1u))];
		uint32_t n;

		if ((entry & WHOLE_LONG) != 0)
			entry = whole_long(code, root_bits, n_sorted, entry, s->buf);
		n = entry >> 8 & 15u;
		if (n <= s->n_bits) {
			whole_take(s, n);
			return entry;
		}
		if (!whole_pull(s))
			return WHOLE_BAD;
	}
}

static uint32_t whole_dist_symbol(struct whole *s)
{
	return whole_symbol(s, s->dists, WHOLE_DIST_BITS, WHOLE_DIST_MAX);
}

/* The value of an entry, with the extra bits that follow the code. */
static uint32_t whole_value(struct whole *s, uint32_t entry)
{
	return (entry >> WHOLE_VALUE) + whole_take(s, (entry - (entry >> 8)) & 15u);
}

/* The entry for a symbol, without the length of its code: RFC 1951 section 3.2.5. */
static uint32_t whole_entry(enum whole_kind kind, uint32_t symbol)
{
	uint32_t shift = 1; /* symbols are like floating-point numbers, with a fraction so long */
	uint32_t base = 1;
	uint32_t n = 30;
	uint32_t extra;

	if (kind == WHOLE_KIND_LENS)
		return symbol << WHOLE_VALUE;
	if (kind == WHOLE_KIND_LIT) {
		if (symbol < 256)
			return symbol << WHOLE_VALUE | WHOLE_LITERAL;
		if (symbol == 256)
			return WHOLE_END;
		if (symbol == 285)
			return 258u << WHOLE_VALUE;
		symbol -= 257;
		shift = 2;
		base = 3;
		n = 29;
	}
	if (symbol >= n)
		return WHOLE_BAD;
	extra = symbol >> shift;
	if (extra != 0)
		extra--;
	return (((symbol - (extra << shift)) << extra) + base) << WHOLE_VALUE | extra;
}

/*
 * Count the codes of each length and sort the symbols by code (RFC 1951 section 3.2.2). False: the
 * lengths are no code. One that is incomplete is as in zlib: a single code of one bit, or none at
 * all where the block has no matches (section 3.2.7).
 */
static bool whole_sort(uint32_t *code, uint32_t *sorted, const uint8_t *lens, uint32_t n,
                       enum whole_kind kind)
{
	uint32_t next[WHOLE_CODE_MAX + 1];
	uint32_t space = 1; /* codes of this length that are free */
	uint32_t sum = 0;
	uint32_t i;

	for (i = 0; i <= WHOLE_CODE_MAX; i++)
		code[i] = 0;
	for (i = 0; i < n; i++)
		code[lens[i] & 15u]++;
	for (i = 1; i <= WHOLE_CODE_MAX; i++) {
		next[i] = sum;
		sum += code[i];
		space <<= 1;
		if (space < code[i])
			return false;
		space -= code[i];
	}
	if (space != 0 && (kind == WHOLE_KIND_LENS || sum != code[1]))
		return false;
	next[0] = WHOLE_LIT_MAX; /* a symbol without a code goes nowhere */
	for (i = 0; i < n; i++) {
		uint32_t len = lens[i] & 15u;

		if (next[len] < n)
			sorted[next[len]++] = whole_entry(kind, i);
	}
	return true;
}

/* The root index after this one, in the order of the codes: add 1 to the reversed bits. */
static uint32_t whole_after(uint32_t index, uint32_t bit)
{
	while ((index & bit) != 0) {
		index ^= bit;
		bit >>= 1;
	}
	return index ^ bit;
}

/* Make a code from the lengths of its n codes. */
static bool whole_build(uint32_t *code, uint32_t root_bits, const uint8_t *lens, uint32_t n,
                        enum whole_kind kind)
{
	uint32_t size = 1u << root_bits;
	uint32_t *root = code + WHOLE_ROOT;
	uint32_t *sorted = root + size;
	uint32_t index = 0; /* of the root, the bits of the code in reverse */
	uint32_t left = size;
	uint32_t len = 0;
	uint32_t end = 0; /* of the symbols of this length */
	uint32_t k, entry;

	if (!whole_sort(code, sorted, lens, n, kind))
		return false;
	for (k = 0; k < n; k++) {
		uint32_t i;

		while (k == end && len <= root_bits)
			end += code[++len];
		if (len > root_bits)
			break;
		entry = sorted[k] + len * WHOLE_OF_CODE;
		for (i = index; i < size; i += 1u << len)
			root[i] = entry;
		index = whole_after(index, 1u << (len - 1));
		left -= size >> len;
	}
	code[0] = k;
	/* What is left begins longer codes, in their order; or none, as whole_long() will find. */
	for (entry = WHOLE_LONG; left != 0; left--) {
		root[index & (size - 1)] = entry;
		entry += 1u << WHOLE_VALUE;
		index = whole_after(index, size >> 1);
	}
	return true;
}

/* Both codes of a block, from lengths that lie one after the other. */
static bool whole_codes(struct whole *s, uint32_t n_lit, uint32_t n_dist)
{
	return whole_build(s->dists, WHOLE_DIST_BITS, s->lens + n_lit, n_dist, WHOLE_KIND_DIST) &&
	       whole_build(s->lit, WHOLE_LIT_BITS, s->lens, n_lit, WHOLE_KIND_LIT);
}

/* RFC 1951 section 3.2.6: the fixed codes. */
static bool whole_fixed(struct whole *s)
{
	uint32_t i;

	for (i = 0; i < WHOLE_LIT_MAX + WHOLE_DIST_MAX; i++)
		s->lens[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : i < 288 ? 8 : 5;
	return whole_codes(s, WHOLE_LIT_MAX, WHOLE_DIST_MAX);
}

/* Read n code lengths with the code length code: RFC 1951 section 3.2.7. */
static bool whole_lens(struct whole *s, uint32_t n)
{
	uint32_t value = 16; /* nothing to repeat */
	uint32_t i = 0;

	while (i < n) {
		uint32_t symbol = whole_dist_symbol(s) >> WHOLE_VALUE;
		uint32_t end = i + 1;

		if (symbol < 16) {
			value = symbol;
		} else if (symbol == 16) {
			end = i + 3 + whole_take(s, 2);
		} else if (symbol == 17) {
			value = 0;
			end = i + 3 + whole_take(s, 3);
		} else {
			value = 0;
			end = i + 11 + whole_take(s, 7);
		}
		if (s->status != QCOW2_OK || value == 16 || end > n)
			return false;
		for (; i < end; i++)
			s->lens[i] = (uint8_t)value;
	}
	return true;
}

/* RFC 1951 section 3.2.7: the header of a block with codes of its own. */
static bool whole_dynamic(struct whole *s)
{
	static const uint8_t order[WHOLE_LENS_MAX] = { 16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
		                                       11, 4,  12, 3, 13, 2, 14, 1, 15 };
	uint32_t sizes = whole_take(s, 14);
	uint32_t n_lit = (sizes & 31u) + 257;
	uint32_t n_dist = (sizes >> 5 & 31u) + 1;
	uint32_t n_lens = (sizes >> 10) + 4;
	uint32_t i;

	if (n_lit > 286 || n_dist > 30)
		return false;
	for (i = 0; i < WHOLE_LENS_MAX; i++)
		s->lens[order[i]] = (uint8_t)whole_take(s, i < n_lens ? 3 : 0);
	return s->status == QCOW2_OK &&
	       whole_build(s->dists, WHOLE_DIST_BITS, s->lens, WHOLE_LENS_MAX, WHOLE_KIND_LENS) &&
	       whole_lens(s, n_lit + n_dist) &&
	       s->lens[256] != 0 && /* a block without an end is an error for zlib, too */
	       whole_codes(s, n_lit, n_dist);
}

#if SIZE_MAX > 0xffffffff
/*
 * Symbols of a compressed block on 64-bit processors, as long as there is plenty of input and of
 * room, and for what is plain. The rest - the end of a block, errors, a match that ends near the
 * end of the output - is left as it was found to whole_coded().
 */
enum {
	/* A turn takes at most two times 7 bytes in, and the last load reads 8. */
	WHOLE_IN_ROOM = 16,
	/* A turn makes three literals, or two and a match and up to 15 bytes behind it. */
	WHOLE_OUT_ROOM = 16
};

/* What changes with each symbol, in registers. */
struct whole_fast {
	uint8_t *out;
	const uint8_t *in;
	uint64_t buf;
	uint32_t n_bits;
	uint32_t at;
};

/* Compilers make one load and one store of these two, on any processor that has them. */
static inline uint64_t whole_load(const uint8_t *p)
{
	return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
	       (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
	       (uint64_t)p[7] << 56;
}

static inline void whole_store(uint8_t *p, uint64_t value)
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

/* At least 56 bits ahead: three literals of 11 bits, or a match of 48. */
static inline void whole_refill(struct whole_fast *f)
{
	uint32_t n = f->n_bits & 63u; /* it is always below 64 */

	f->buf |= whole_load(f->in) << n;
	f->in += (63 - n) >> 3;
	f->n_bits = n | 56;
}

static inline void whole_drop(struct whole_fast *f, uint32_t entry)
{
	f->buf >>= entry & WHOLE_DROP;
	f->n_bits -= entry & WHOLE_DROP;
}

/* The value of an entry, which is dropped, with the extra bits. */
static inline uint32_t whole_sum(struct whole_fast *f, uint32_t entry)
{
	uint32_t bits = (uint32_t)f->buf & ((1u << (entry & WHOLE_DROP)) - 1u);

	whole_drop(f, entry);
	return (entry >> WHOLE_VALUE) + (bits >> (entry >> 8 & 15u));
}

static inline uint32_t whole_peek(const struct whole *s, const struct whole_fast *f)
{
	return s->lit[WHOLE_ROOT + (f->buf & ((1u << WHOLE_LIT_BITS) - 1u))];
}

/* A literal, and the entry after it. */
static inline uint32_t whole_literal(const struct whole *s, struct whole_fast *f, uint32_t entry)
{
	f->out[f->at++] = (uint8_t)(entry >> WHOLE_VALUE);
	whole_drop(f, entry);
	return whole_peek(s, f);
}

/*
 * Copy to [at, end) and up to 15 bytes more, from before it. False, and nothing done: that lies
 * before the beginning, so that `from` is huge.
 */
static inline bool whole_copy(uint8_t *out, uint32_t at, uint32_t end, uint32_t from,
                              uint32_t at_end)
{
	uint32_t dist = at - from;

	if (dist >= 8) {
		for (; at < end && from < at_end; at += 16, from += 16) {
			whole_store(out + at, whole_load(out + from));
			whole_store(out + at + 8, whole_load(out + from + 8));
		}
	} else if (dist == 1 && from < at_end) {
		uint64_t value = out[from] * 0x0101010101010101u;

		for (; at < end; at += 8)
			whole_store(out + at, value);
	} else { /* of each 8 bytes, the first `dist` are right, and stay */
		for (; at < end && from < at_end; at += dist, from += dist)
			whole_store(out + at, whole_load(out + from));
	}
	return at >= end;
}

/* A match. The entry after it, or WHOLE_BAD: nothing more can be done here. */
static inline uint32_t whole_fast_match(struct whole *s, struct whole_fast *f, uint32_t entry,
                                        uint32_t at_end)
{
	struct whole_fast before = *f;
	uint32_t end = f->at + whole_sum(f, entry);
	uint32_t from;

	entry = s->dists[WHOLE_ROOT + (f->buf & ((1u << WHOLE_DIST_BITS) - 1u))];
	if ((entry & WHOLE_LONG) != 0)
		entry = whole_long(s->dists, WHOLE_DIST_BITS, WHOLE_DIST_MAX, entry, f->buf);
	from = f->at - whole_sum(f, entry);
	if ((entry & WHOLE_BAD) == 0 && end <= at_end) {
		whole_refill(f);
		entry = whole_peek(s, f);
		if (whole_copy(f->out, f->at, end, from, at_end)) {
			f->at = end;
			return entry;
		}
	}
	*f = before;
	return WHOLE_BAD;
}

static void whole_fast(struct whole *s)
{
	struct whole_fast f = { s->out, s->in, s->buf, s->n_bits, s->at };
	const uint8_t *in_end;
	uint32_t at_end, entry;

	if ((size_t)(s->in_end - f.in) < WHOLE_IN_ROOM || s->stop < WHOLE_OUT_ROOM)
		return;
	in_end = s->in_end - (WHOLE_IN_ROOM - 1);
	at_end = s->stop - (WHOLE_OUT_ROOM - 1);
	whole_refill(&f);
	entry = whole_peek(s, &f);
	while (f.in < in_end && f.at < at_end) {
		if ((entry & WHOLE_LITERAL) != 0) {
			entry = whole_literal(s, &f, entry);
			if ((entry & WHOLE_LITERAL) != 0) {
				entry = whole_literal(s, &f, entry);
				if ((entry & WHOLE_LITERAL) != 0) {
					entry = whole_literal(s, &f, entry);
					whole_refill(&f);
					continue;
				}
			}
			whole_refill(&f);
		}
		if ((entry & WHOLE_LONG) != 0) {
			entry = whole_long(s->lit, WHOLE_LIT_BITS, WHOLE_LIT_MAX, entry, f.buf);
			if ((entry & WHOLE_LITERAL) != 0) {
				entry = whole_literal(s, &f, entry);
				whole_refill(&f);
				continue;
			}
		}
		if ((entry & (WHOLE_END | WHOLE_BAD)) != 0)
			break;
		entry = whole_fast_match(s, &f, entry, at_end);
		if (entry == WHOLE_BAD)
			break;
	}
	s->in = f.in;
	s->n_bits = f.n_bits & 63u;
	s->buf = f.buf;
	s->at = f.at;
}
#else
/* There are no registers for it. */
static void whole_fast(struct whole *s)
{
	(void)s;
}
#endif

/* A match, whose length is `entry`, as far as there is room for it. */
static void whole_match(struct whole *s, uint32_t entry)
{
	uint32_t length = whole_value(s, entry);
	uint32_t from;

	entry = whole_dist_symbol(s);
	if ((entry & WHOLE_BAD) != 0)
		whole_fail(s, QCOW2_E_COMPRESSED);
	from = s->at - whole_value(s, entry);
	if (s->status != QCOW2_OK)
		return;
	for (; length != 0 && s->at < s->stop && from < s->stop; length--)
		s->out[s->at++] = s->out[from++];
	if (length != 0)
		s->status = s->at < s->stop ? QCOW2_E_COMPRESSED : WHOLE_OVER;
}

/* The symbols of a compressed block: RFC 1951 section 3.2.3. */
static void whole_coded(struct whole *s)
{
	while (s->status == QCOW2_OK) {
		uint32_t entry;

		whole_fast(s);
		entry = whole_symbol(s, s->lit, WHOLE_LIT_BITS, WHOLE_LIT_MAX);
		if ((entry & WHOLE_END) != 0)
			return;
		if ((entry & WHOLE_BAD) != 0)
			whole_fail(s, QCOW2_E_COMPRESSED);
		else if ((entry & WHOLE_LITERAL) == 0)
			whole_match(s, entry);
		else if (s->at < s->stop)
			s->out[s->at++] = (uint8_t)(entry >> WHOLE_VALUE);
		else
			s->status = WHOLE_OVER;
	}
}

/* RFC 1951 section 3.2.4: a stored block. False: it is none. */
static bool whole_stored(struct whole *s)
{
	uint32_t length;

	whole_take(s, s->n_bits & 7u);
	length = whole_take(s, 16);
	if ((length ^ whole_take(s, 16)) != 0xffff)
		return false;
	for (; length != 0; length--) {
		if (!(s->at < s->stop)) {
			whole_fail(s, WHOLE_OVER);
			break;
		}
		s->out[s->at] = (uint8_t)whole_take(s, 8);
		if (s->status != QCOW2_OK)
			break;
		s->at++;
	}
	return true;
}

/* RFC 1951 section 3.2.3: any block. */
static void whole_block(struct whole *s, uint32_t type)
{
	bool good = false;

	if (type == 0) {
		good = whole_stored(s);
	} else if (type == 1) {
		if (!s->fixed)
			s->fixed = whole_fixed(s);
		good = s->fixed;
	} else if (type == 2) {
		s->fixed = false;
		good = whole_dynamic(s);
	}
	if (!good)
		whole_fail(s, QCOW2_E_COMPRESSED);
	else if (type != 0)
		whole_coded(s);
}

/*
 * All that the stream makes, up to `stop`. zlib goes on then until it would have to make a byte,
 * and judges what it sees; so do we.
 */
static void whole_stream(struct whole *s)
{
	uint32_t head = 0;

	while (s->status == QCOW2_OK && (head & 1u) == 0) {
		head = whole_take(s, 3);
		if (s->status == QCOW2_OK)
			whole_block(s, head >> 1);
	}
	if (s->at < s->stop) /* the stream is over */
		whole_fail(s, QCOW2_E_COMPRESSED);
}

static void whole_begin(const struct qcow2_codec *self, void *work)
{
	struct whole *s = work;

	(void)self;
	s->finish = QCOW2_OK;
}

static int whole_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	struct whole *s = work;

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
	whole_stream(s);
	stream->next = s->in;
	stream->done = s->at;
	stream->window_at = s->at == stream->window_len ? 0 : s->at;
	if (s->at < s->stop)
		return s->status;
	if (s->status == QCOW2_E_COMPRESSED)
		s->finish = s->status;
	return QCOW2_OK;
}

const struct qcow2_codec qcow2_deflate_whole = {
	QCOW2_COMPRESSION_DEFLATE, true, sizeof(struct whole), whole_begin, whole_decode,
};
