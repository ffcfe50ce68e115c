/* SPDX-License-Identifier: MIT */
/*
 * The built-in decoder for raw deflate (RFC 1951) once more, made to be fast: with all the input
 * and room for all the output, and 12 KiB of tables. inflate_small.c takes a tenth of that.
 *
 * All is decoded in the first call, and judged: the call after the last byte only tells.
 *
 * A Huffman code is an array of uint32_t: 16 counts, a root table that is indexed with the next
 * bits of the input, 11 for literals and lengths, 9 for others, and all symbols in the order of
 * their codes. An entry says all that there is to know about a symbol:
 *
 *   bits 0-4    how many bits to drop: those of the code and the extra ones
 *   bits 8-11   how many of them are the code
 *   bits 12-15  FAST_LITERAL, FAST_END, FAST_BAD; in a root entry FAST_LONG: the code is longer
 *               than the root, and the value is the number of this prefix, see fast_long()
 *   bits 16-31  literal, length, distance, or length of a code; without what the extra bits add
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qcow2/codec.h"
#include "qcow2/status.h"

/* Bits that were read ahead. 32-bit processors have no cheap 64-bit shifts. */
#if SIZE_MAX > 0xffffffff
typedef uint64_t fast_word;
#else
typedef uint32_t fast_word;
#endif

enum {
	FAST_CODE_MAX = 15, /* bits of the longest code, RFC 1951 section 3.2.7 */
	FAST_LIT_BITS = 11, /* root of the literal/length code */
	FAST_DIST_BITS = 9, /* root of the distance code and of the code length code */
	FAST_LIT_MAX = 288,
	FAST_DIST_MAX = 32,
	FAST_LENS_MAX = 19, /* symbols of the code length code */
	FAST_ROOT = 16,     /* where the root table begins: after the counts */
	FAST_LIT_WORDS = FAST_ROOT + (1 << FAST_LIT_BITS) + FAST_LIT_MAX,
	FAST_DIST_WORDS = FAST_ROOT + (1 << FAST_DIST_BITS) + FAST_DIST_MAX
};

/* Parts of an entry. */
enum {
	FAST_DROP = 0x1f,
	FAST_LITERAL = 0x1000,
	FAST_LONG = 0x2000,
	FAST_END = 0x4000,
	FAST_BAD = 0x8000,
	FAST_OF_CODE = 0x101, /* times the length of the code */
	FAST_VALUE = 16
};

enum fast_kind { FAST_KIND_LENS, FAST_KIND_LIT, FAST_KIND_DIST };

struct fast {
	const uint8_t *in;
	const uint8_t *in_end;
	uint8_t *out;
	fast_word buf;   /* bits that were read ahead, the next one lowest */
	uint32_t n_bits; /* above them in `buf` there are zeros, or bits that come next */
	uint32_t at;     /* next byte of `out` to be made */
	uint32_t stop;   /* end of what is to be made */
	int status;      /* QCOW2_OK, or why no more is decoded */
	int finish;      /* what is to be said after all is made */
	bool fixed;      /* the codes are the fixed ones: a second block need not make them */
	uint32_t lit[FAST_LIT_WORDS];
	uint32_t dists[FAST_DIST_WORDS];
	uint8_t lens[FAST_LIT_MAX + FAST_DIST_MAX];
};

/* Of status: all is made, and the stream would make more. */
enum { FAST_OVER = 1 };

typedef char fast_fits_work[sizeof(struct fast) <= QCOW2_DEFLATE_FAST_WORK ? 1 : -1];

/* Give up. A reason that is there already (no input) stays. */
static void fast_fail(struct fast *s, int status)
{
	if (s->status == QCOW2_OK)
		s->status = status;
}

/* One more byte of input into buf, which has room for it: n_bits < 16. */
static bool fast_pull(struct fast *s)
{
	if (!(s->in < s->in_end)) {
		fast_fail(s, QCOW2_E_TRUNCATED);
		return false;
	}
	s->buf |= (fast_word)*s->in++ << s->n_bits;
	s->n_bits += 8;
	return true;
}

/* The next n <= 16 bits, lowest first (RFC 1951 section 3.1.1); 0 when status is set. */
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
 * Find a code that is longer than the root. All codes that begin with one root index are above
 * all shorter ones (RFC 1951 section 3.2.2), so counting down from the first of them finds it.
 */
static uint32_t fast_long(const uint32_t *code, uint32_t root_bits, uint32_t n_sorted,
                          uint32_t entry, fast_word buf)
{
	const uint32_t *sorted = code + FAST_ROOT + (1u << root_bits);
	uint32_t index = code[0];
	uint32_t rank = entry >> FAST_VALUE;
	uint32_t found = n_sorted; /* none */
	uint32_t n;

	buf >>= root_bits;
	for (n = root_bits + 1; n <= FAST_CODE_MAX; n++) {
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

/* The next symbol, as its entry. Only bits of the code itself are asked of the input. */
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

static uint32_t fast_dist_symbol(struct fast *s)
{
	return fast_symbol(s, s->dists, FAST_DIST_BITS, FAST_DIST_MAX);
}

/* The value of an entry, with the extra bits that follow the code. */
static uint32_t fast_value(struct fast *s, uint32_t entry)
{
	return (entry >> FAST_VALUE) + fast_take(s, (entry - (entry >> 8)) & 15u);
}

/* The entry for a symbol, without the length of its code: RFC 1951 section 3.2.5. */
static uint32_t fast_entry(enum fast_kind kind, uint32_t symbol)
{
	uint32_t shift = 1; /* symbols are like floating-point numbers, with a fraction so long */
	uint32_t base = 1;
	uint32_t n = 30;
	uint32_t extra;

	if (kind == FAST_KIND_LENS)
		return symbol << FAST_VALUE;
	if (kind == FAST_KIND_LIT) {
		if (symbol < 256)
			return symbol << FAST_VALUE | FAST_LITERAL;
		if (symbol == 256)
			return FAST_END;
		if (symbol == 285)
			return 258u << FAST_VALUE;
		symbol -= 257;
		shift = 2;
		base = 3;
		n = 29;
	}
	if (symbol >= n)
		return FAST_BAD;
	extra = symbol >> shift;
	if (extra != 0)
		extra--;
	return (((symbol - (extra << shift)) << extra) + base) << FAST_VALUE | extra;
}

/*
 * Count the codes of each length and sort the symbols by code (RFC 1951 section 3.2.2). False: the
 * lengths are no code. One that is incomplete is as in zlib: a single code of one bit, or none at
 * all where the block has no matches (section 3.2.7).
 */
static bool fast_sort(uint32_t *code, uint32_t *sorted, const uint8_t *lens, uint32_t n,
                      enum fast_kind kind)
{
	uint32_t next[FAST_CODE_MAX + 1];
	uint32_t space = 1; /* codes of this length that are free */
	uint32_t sum = 0;
	uint32_t i;

	for (i = 0; i <= FAST_CODE_MAX; i++)
		code[i] = 0;
	for (i = 0; i < n; i++)
		code[lens[i] & 15u]++;
	for (i = 1; i <= FAST_CODE_MAX; i++) {
		next[i] = sum;
		sum += code[i];
		space <<= 1;
		if (space < code[i])
			return false;
		space -= code[i];
	}
	if (space != 0 && (kind == FAST_KIND_LENS || sum != code[1]))
		return false;
	next[0] = FAST_LIT_MAX; /* a symbol without a code goes nowhere */
	for (i = 0; i < n; i++) {
		uint32_t len = lens[i] & 15u;

		if (next[len] < n)
			sorted[next[len]++] = fast_entry(kind, i);
	}
	return true;
}

/* The root index after this one, in the order of the codes: add 1 to the reversed bits. */
static uint32_t fast_after(uint32_t index, uint32_t bit)
{
	while ((index & bit) != 0) {
		index ^= bit;
		bit >>= 1;
	}
	return index ^ bit;
}

/* Make a code from the lengths of its n codes. */
static bool fast_build(uint32_t *code, uint32_t root_bits, const uint8_t *lens, uint32_t n,
                       enum fast_kind kind)
{
	uint32_t size = 1u << root_bits;
	uint32_t *root = code + FAST_ROOT;
	uint32_t *sorted = root + size;
	uint32_t index = 0; /* of the root, the bits of the code in reverse */
	uint32_t left = size;
	uint32_t len = 0;
	uint32_t end = 0; /* of the symbols of this length */
	uint32_t k, entry;

	if (!fast_sort(code, sorted, lens, n, kind))
		return false;
	for (k = 0; k < n; k++) {
		uint32_t i;

		while (k == end && len <= root_bits)
			end += code[++len];
		if (len > root_bits)
			break;
		entry = sorted[k] + len * FAST_OF_CODE;
		for (i = index; i < size; i += 1u << len)
			root[i] = entry;
		index = fast_after(index, 1u << (len - 1));
		left -= size >> len;
	}
	code[0] = k;
	/* What is left begins longer codes, in their order; or none, as fast_long() will find. */
	for (entry = FAST_LONG; left != 0; left--) {
		root[index & (size - 1)] = entry;
		entry += 1u << FAST_VALUE;
		index = fast_after(index, size >> 1);
	}
	return true;
}

/* Both codes of a block, from lengths that lie one after the other. */
static bool fast_codes(struct fast *s, uint32_t n_lit, uint32_t n_dist)
{
	return fast_build(s->dists, FAST_DIST_BITS, s->lens + n_lit, n_dist, FAST_KIND_DIST) &&
	       fast_build(s->lit, FAST_LIT_BITS, s->lens, n_lit, FAST_KIND_LIT);
}

/* RFC 1951 section 3.2.6: the fixed codes. */
static bool fast_fixed(struct fast *s)
{
	uint32_t i;

	for (i = 0; i < FAST_LIT_MAX + FAST_DIST_MAX; i++)
		s->lens[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : i < 288 ? 8 : 5;
	return fast_codes(s, FAST_LIT_MAX, FAST_DIST_MAX);
}

/* Read n code lengths with the code length code: RFC 1951 section 3.2.7. */
static bool fast_lens(struct fast *s, uint32_t n)
{
	uint32_t value = 16; /* nothing to repeat */
	uint32_t i = 0;

	while (i < n) {
		uint32_t symbol = fast_dist_symbol(s) >> FAST_VALUE;
		uint32_t end = i + 1;

		if (symbol < 16) {
			value = symbol;
		} else if (symbol == 16) {
			end = i + 3 + fast_take(s, 2);
		} else if (symbol == 17) {
			value = 0;
			end = i + 3 + fast_take(s, 3);
		} else {
			value = 0;
			end = i + 11 + fast_take(s, 7);
		}
		if (s->status != QCOW2_OK || value == 16 || end > n)
			return false;
		for (; i < end; i++)
			s->lens[i] = (uint8_t)value;
	}
	return true;
}

/* RFC 1951 section 3.2.7: the header of a block with codes of its own. */
static bool fast_dynamic(struct fast *s)
{
	static const uint8_t order[FAST_LENS_MAX] = { 16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
		                                      11, 4,  12, 3, 13, 2, 14, 1, 15 };
	uint32_t sizes = fast_take(s, 14);
	uint32_t n_lit = (sizes & 31u) + 257;
	uint32_t n_dist = (sizes >> 5 & 31u) + 1;
	uint32_t n_lens = (sizes >> 10) + 4;
	uint32_t i;

	if (n_lit > 286 || n_dist > 30)
		return false;
	for (i = 0; i < FAST_LENS_MAX; i++)
		s->lens[order[i]] = (uint8_t)fast_take(s, i < n_lens ? 3 : 0);
	return s->status == QCOW2_OK &&
	       fast_build(s->dists, FAST_DIST_BITS, s->lens, FAST_LENS_MAX, FAST_KIND_LENS) &&
	       fast_lens(s, n_lit + n_dist) &&
	       s->lens[256] != 0 && /* a block without an end is an error for zlib, too */
	       fast_codes(s, n_lit, n_dist);
}

#if SIZE_MAX > 0xffffffff
/*
 * Symbols of a compressed block on 64-bit processors, as long as there is plenty of input and of
 * room, and for what is plain. The rest - the end of a block, errors, a match that ends near the
 * end of the output - is left as it was found to fast_coded().
 */
enum {
	/* A turn takes at most two times 7 bytes in, and the last load reads 8. */
	FAST_IN_ROOM = 16,
	/* A turn makes three literals, or two and a match and up to 15 bytes behind it. */
	FAST_OUT_ROOM = 16
};

/* What changes with each symbol, in registers. */
struct fast_run {
	uint8_t *out;
	const uint8_t *in;
	uint64_t buf;
	uint32_t n_bits;
	uint32_t at;
};

/* Compilers make one load and one store of these two, on any processor that has them. */
static inline uint64_t fast_load(const uint8_t *p)
{
	return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
	       (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
	       (uint64_t)p[7] << 56;
}

static inline void fast_store(uint8_t *p, uint64_t value)
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
static inline void fast_refill(struct fast_run *f)
{
	uint32_t n = f->n_bits & 63u; /* it is always below 64 */

	f->buf |= fast_load(f->in) << n;
	f->in += (63 - n) >> 3;
	f->n_bits = n | 56;
}

static inline void fast_drop(struct fast_run *f, uint32_t entry)
{
	f->buf >>= entry & FAST_DROP;
	f->n_bits -= entry & FAST_DROP;
}

/* The value of an entry, which is dropped, with the extra bits. */
static inline uint32_t fast_sum(struct fast_run *f, uint32_t entry)
{
	uint32_t bits = (uint32_t)f->buf & ((1u << (entry & FAST_DROP)) - 1u);

	fast_drop(f, entry);
	return (entry >> FAST_VALUE) + (bits >> (entry >> 8 & 15u));
}

static inline uint32_t fast_peek(const struct fast *s, const struct fast_run *f)
{
	return s->lit[FAST_ROOT + (f->buf & ((1u << FAST_LIT_BITS) - 1u))];
}

/* A literal, and the entry after it. */
static inline uint32_t fast_literal(const struct fast *s, struct fast_run *f, uint32_t entry)
{
	f->out[f->at++] = (uint8_t)(entry >> FAST_VALUE);
	fast_drop(f, entry);
	return fast_peek(s, f);
}

/*
 * Copy to [at, end) and up to 15 bytes more, from before it. False, and nothing done: that lies
 * before the beginning, so that `from` is huge.
 */
static inline bool fast_copy(uint8_t *out, uint32_t at, uint32_t end, uint32_t from,
                             uint32_t at_end)
{
	uint32_t dist = at - from;

	if (dist >= 8) {
		for (; at < end && from < at_end; at += 16, from += 16) {
			fast_store(out + at, fast_load(out + from));
			fast_store(out + at + 8, fast_load(out + from + 8));
		}
	} else if (dist == 1 && from < at_end) {
		uint64_t value = out[from] * 0x0101010101010101u;

		for (; at < end; at += 8)
			fast_store(out + at, value);
	} else { /* of each 8 bytes, the first `dist` are right, and stay */
		for (; at < end && from < at_end; at += dist, from += dist)
			fast_store(out + at, fast_load(out + from));
	}
	return at >= end;
}

/* A match. The entry after it, or FAST_BAD: nothing more can be done here. */
static inline uint32_t fast_run_match(struct fast *s, struct fast_run *f, uint32_t entry,
                                      uint32_t at_end)
{
	struct fast_run before = *f;
	uint32_t end = f->at + fast_sum(f, entry);
	uint32_t from;

	entry = s->dists[FAST_ROOT + (f->buf & ((1u << FAST_DIST_BITS) - 1u))];
	if ((entry & FAST_LONG) != 0)
		entry = fast_long(s->dists, FAST_DIST_BITS, FAST_DIST_MAX, entry, f->buf);
	from = f->at - fast_sum(f, entry);
	if ((entry & FAST_BAD) == 0 && end <= at_end) {
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
			entry = fast_long(s->lit, FAST_LIT_BITS, FAST_LIT_MAX, entry, f.buf);
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
/* There are no registers for it. */
static void fast_run(struct fast *s)
{
	(void)s;
}
#endif

/* A match, whose length is `entry`, as far as there is room for it. */
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
	for (; length != 0 && s->at < s->stop && from < s->stop; length--)
		s->out[s->at++] = s->out[from++];
	if (length != 0)
		s->status = s->at < s->stop ? QCOW2_E_COMPRESSED : FAST_OVER;
}

/* The symbols of a compressed block: RFC 1951 section 3.2.3. */
static void fast_coded(struct fast *s)
{
	while (s->status == QCOW2_OK) {
		uint32_t entry;

		fast_run(s);
		entry = fast_symbol(s, s->lit, FAST_LIT_BITS, FAST_LIT_MAX);
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

/* RFC 1951 section 3.2.4: a stored block. False: it is none. */
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

/* RFC 1951 section 3.2.3: any block. */
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
 * All that the stream makes, up to `stop`. zlib goes on then until it would have to make a byte,
 * and judges what it sees; so do we.
 */
static void fast_stream(struct fast *s)
{
	uint32_t head = 0;

	while (s->status == QCOW2_OK && (head & 1u) == 0) {
		head = fast_take(s, 3);
		if (s->status == QCOW2_OK)
			fast_block(s, head >> 1);
	}
	if (s->at < s->stop) /* the stream is over */
		fast_fail(s, QCOW2_E_COMPRESSED);
}

static void fast_begin(const struct qcow2_codec *self, void *work)
{
	struct fast *s = work;

	(void)self;
	s->finish = QCOW2_OK;
}

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
	QCOW2_COMPRESSION_DEFLATE, true, sizeof(struct fast), fast_begin, fast_decode,
};
