/* SPDX-License-Identifier: MIT */
/*
 * The built-in decoder for raw deflate (RFC 1951).
 *
 * Output can stop anywhere and go on later; input is pulled when it is needed, so it never stops
 * half-way. What is between two output bytes is therefore one of four states:
 *
 *   INFLATE_BLOCK   at the header of a block (or after the final one)
 *   INFLATE_STORED  in a stored block, `length` bytes of it are still to come
 *   INFLATE_CODES   in a compressed block, before a literal/length symbol
 *   INFLATE_MATCH   in a compressed block, `length` bytes of a match are still to be copied
 *
 * A Huffman code is an array of uint16_t: 16 counts, a root table that is indexed with the next
 * 10 (literal/length) or 7 (others) bits of the input, and all symbols in the order of their
 * codes. An entry says all that there is to know about a symbol, so that no other table is needed:
 *
 *   bits 0-3   length of the code; in a root entry 0: the code is longer than the root
 *   bits 4-6   number of extra bits; for a literal/length symbol also INFLATE_EOB,
 *              and 7: no symbol
 *   bit  7     0: a literal; distance symbols: the fourth bit of the number of extra bits
 *   bits 8-15  literal, length - 3, distance before it is shifted by the extra bits, length of a
 *              code length code; where the code is longer: number of this prefix, see below
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qcow2/codec.h"
#include "qcow2/status.h"

/* Bits that were read ahead. 32-bit processors have no cheap 64-bit shifts. */
#if SIZE_MAX > 0xffffffff
#define INFLATE_FAST 1
typedef uint64_t inflate_word;
#else
#define INFLATE_FAST 0
typedef uint32_t inflate_word;
#endif

enum {
	INFLATE_BITS_MAX = 15, /* the longest code, RFC 1951 section 3.2.7 */
	INFLATE_LIT_BITS = 10, /* root of the literal/length code */
	INFLATE_DIST_BITS = 7, /* root of the distance code and of the code length code */
	INFLATE_LIT_MAX = 288,
	INFLATE_DIST_MAX = 32,
	INFLATE_LENS_MAX = 19, /* symbols of the code length code */
	INFLATE_ROOT = 16,     /* where the root table begins: after the counts */
	INFLATE_LIT_WORDS = INFLATE_ROOT + (1 << INFLATE_LIT_BITS) + INFLATE_LIT_MAX,
	INFLATE_DIST_WORDS = INFLATE_ROOT + (1 << INFLATE_DIST_BITS) + INFLATE_DIST_MAX
};

/* Parts of an entry. */
enum {
	INFLATE_LEN = 0x0f,
	INFLATE_MATCHES = 0x80, /* not a literal */
	INFLATE_EOB = 6,
	INFLATE_EXTRA_MAX = 13, /* of a distance */
	INFLATE_EOB_ENTRY = 0x00e0,
	/* No symbol: as a length it is neither, as a distance it is 8 MiB and so too far. */
	INFLATE_BAD_ENTRY = 0xfff0
};

enum inflate_kind { INFLATE_KIND_LENS, INFLATE_KIND_LIT, INFLATE_KIND_DIST };

enum inflate_state { INFLATE_BLOCK, INFLATE_STORED, INFLATE_CODES, INFLATE_MATCH };

struct inflate {
	struct qcow2_stream *stream;
	inflate_word buf; /* bits that were read ahead, the next one lowest; zeros above n_bits */
	uint32_t n_bits;
	int status;
	enum inflate_state state;
	uint32_t length; /* INFLATE_STORED, INFLATE_MATCH: what is left */
	uint32_t dist;
	uint32_t at;     /* next byte of the window to be made */
	uint32_t stop;   /* end of what is to be made now; at <= stop <= window_len */
	uint32_t before; /* bytes of the cluster before window[0] of this lap */
	bool final;      /* this is the last block */
	bool full;       /* all is made; see inflate_finish */
	bool fixed;      /* the codes are the fixed ones: a second block need not make them */
	uint16_t lit[INFLATE_LIT_WORDS];
	uint16_t dists[INFLATE_DIST_WORDS];
};

typedef char inflate_fits_work[sizeof(struct inflate) <= QCOW2_DEFLATE_WORK ? 1 : -1];

/* Give up. A reason that is there already (no input) stays. */
static void inflate_fail(struct inflate *s, int status)
{
	if (s->status == QCOW2_OK)
		s->status = status;
}

/* One more byte of input into buf, which has room for it: n_bits < 16. */
static bool inflate_pull(struct inflate *s)
{
	struct qcow2_stream *in = s->stream;

	if (!(in->next < in->end)) {
		int status = s->status; /* what failed once is not tried again */

		if (status == QCOW2_OK)
			status = in->fill(in);
		if (status == QCOW2_OK && !(in->next < in->end))
			status = QCOW2_E_TRUNCATED;
		if (status != QCOW2_OK) {
			s->status = status;
			return false;
		}
	}
	s->buf |= (inflate_word)*in->next << s->n_bits;
	s->n_bits += 8;
	in->next++;
	return true;
}

/* The next n <= 16 bits, lowest first (RFC 1951 section 3.1.1); 0 when status is set. */
static uint32_t inflate_take(struct inflate *s, uint32_t n)
{
	uint32_t value;

	while (s->n_bits < n) {
		if (!inflate_pull(s))
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
static uint32_t inflate_long(const uint16_t *code, uint32_t root_bits, uint32_t n_sorted,
                             uint32_t entry, inflate_word buf)
{
	const uint16_t *sorted = code + INFLATE_ROOT + (1u << root_bits);
	uint32_t index = code[0];
	uint32_t rank = entry >> 8;
	uint32_t found = n_sorted; /* none */
	uint32_t n;

	buf >>= root_bits;
	for (n = root_bits + 1; n <= INFLATE_BITS_MAX; n++) {
		rank = rank << 1 | (uint32_t)(buf & 1u);
		buf >>= 1;
		if (rank < code[n]) {
			found = index + rank;
			break;
		}
		rank -= code[n];
		index += code[n];
	}
	return found < n_sorted ? sorted[found] | n : INFLATE_BAD_ENTRY | 1;
}

/* The next symbol, as its entry. Only bits of the code itself are asked of the input. */
static uint32_t inflate_symbol(struct inflate *s, const uint16_t *code, uint32_t root_bits,
                               uint32_t n_sorted)
{
	for (;;) {
		uint32_t index = (uint32_t)s->buf & ((1u << root_bits) - 1u);
		uint32_t entry = code[INFLATE_ROOT + index];

		if ((entry & INFLATE_LEN) == 0)
			entry = inflate_long(code, root_bits, n_sorted, entry, s->buf);
		if ((entry & INFLATE_LEN) <= s->n_bits) {
			inflate_take(s, entry & INFLATE_LEN);
			return entry;
		}
		if (!inflate_pull(s))
			return INFLATE_BAD_ENTRY;
	}
}

static uint32_t inflate_dist_symbol(struct inflate *s)
{
	return inflate_symbol(s, s->dists, INFLATE_DIST_BITS, INFLATE_DIST_MAX);
}

/* The entry for a symbol, without the length of its code: RFC 1951 section 3.2.5. */
static uint32_t inflate_entry(enum inflate_kind kind, uint32_t symbol)
{
	uint32_t value = symbol;
	uint32_t extra = 0;

	if (kind == INFLATE_KIND_DIST) {
		if (symbol >= 30)
			return INFLATE_BAD_ENTRY;
		if (symbol >= 4) {
			extra = symbol / 2 - 1;
			value = 2 + symbol % 2;
		}
	} else if (symbol >= 256) {
		if (symbol == 256)
			return INFLATE_EOB_ENTRY;
		if (symbol > 285)
			return INFLATE_BAD_ENTRY;
		value = symbol - 257;
		if (value == 28) {
			value = 255;
		} else if (value >= 8) {
			extra = value / 4 - 1;
			value = (4 + value % 4) << extra;
		}
		extra |= INFLATE_MATCHES >> 4;
	}
	return value << 8 | extra << 4;
}

/*
 * Count the codes of each length and sort the symbols by code (RFC 1951 section 3.2.2). False: the
 * lengths are no code. One that is incomplete is as in zlib: a single code of one bit, or none at
 * all where the block has no matches (section 3.2.7).
 */
static bool inflate_sort(uint16_t *code, uint16_t *sorted, const uint16_t *lens, uint32_t n,
                         enum inflate_kind kind)
{
	uint16_t next[INFLATE_BITS_MAX + 1];
	uint32_t space = 1; /* codes of this length that are free */
	uint32_t sum = 0;
	uint32_t i;

	for (i = 0; i <= INFLATE_BITS_MAX; i++)
		code[i] = 0;
	for (i = 0; i < n; i++)
		code[lens[i] & INFLATE_LEN]++;
	for (i = 1; i <= INFLATE_BITS_MAX; i++) {
		next[i] = (uint16_t)sum;
		sum += code[i];
		space <<= 1;
		if (space < code[i])
			return false;
		space -= code[i];
	}
	if (space != 0 && (kind == INFLATE_KIND_LENS || sum != code[1]))
		return false;
	next[0] = INFLATE_LIT_MAX; /* a symbol without a code goes nowhere */
	for (i = 0; i < n; i++) {
		uint32_t len = lens[i] & INFLATE_LEN;

		if (next[len] < n)
			sorted[next[len]++] = (uint16_t)inflate_entry(kind, i);
	}
	return true;
}

/* The root index after this one, in the order of the codes: add 1 to the reversed bits. */
static uint32_t inflate_after(uint32_t index, uint32_t bit)
{
	while ((index & bit) != 0) {
		index ^= bit;
		bit >>= 1;
	}
	return index ^ bit;
}

/*
 * Make a code from the lengths of its n codes. They may lie in the root table: the symbols are
 * sorted first, and nothing else is needed to fill it.
 */
static bool inflate_build(uint16_t *code, uint32_t root_bits, const uint16_t *lens, uint32_t n,
                          enum inflate_kind kind)
{
	uint32_t size = 1u << root_bits;
	uint16_t *root = code + INFLATE_ROOT;
	uint16_t *sorted = root + size;
	uint32_t index = 0; /* of the root, the bits of the code in reverse */
	uint32_t left = size;
	uint32_t len = 0;
	uint32_t end = 0; /* of the symbols of this length */
	uint32_t k, entry;

	if (!inflate_sort(code, sorted, lens, n, kind))
		return false;
	for (k = 0; k < n; k++) {
		uint32_t i;

		while (k == end && len <= root_bits)
			end += code[++len];
		if (len > root_bits)
			break;
		entry = sorted[k] | len;
		for (i = index; i < size; i += 1u << len)
			root[i] = (uint16_t)entry;
		index = inflate_after(index, 1u << (len - 1));
		left -= size >> len;
	}
	code[0] = (uint16_t)k;
	/* What is left begins longer codes, in their order; or none, as inflate_long() will find.
	 */
	for (entry = INFLATE_MATCHES; left != 0; left--) {
		root[index & (size - 1)] = (uint16_t)entry;
		entry += 0x100;
		index = inflate_after(index, size >> 1);
	}
	return true;
}

/* Both codes of a block, from lengths that lie in the root table of the first. */
static bool inflate_codes(struct inflate *s, uint32_t n_lit, uint32_t n_dist)
{
	const uint16_t *lens = s->lit + INFLATE_ROOT;

	s->state = INFLATE_CODES;
	return inflate_build(s->dists, INFLATE_DIST_BITS, lens + n_lit, n_dist,
	                     INFLATE_KIND_DIST) &&
	       inflate_build(s->lit, INFLATE_LIT_BITS, lens, n_lit, INFLATE_KIND_LIT);
}

/* RFC 1951 section 3.2.6: the fixed codes. */
static bool inflate_fixed(struct inflate *s)
{
	uint16_t *lens = s->lit + INFLATE_ROOT;
	uint32_t i;

	for (i = 0; i < INFLATE_LIT_MAX; i++)
		lens[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
	for (i = 0; i < INFLATE_DIST_MAX; i++)
		lens[INFLATE_LIT_MAX + i] = 5;
	return inflate_codes(s, INFLATE_LIT_MAX, INFLATE_DIST_MAX);
}

/* Read n code lengths with the code length code: RFC 1951 section 3.2.7. */
static bool inflate_lens(struct inflate *s, uint16_t *lens, uint32_t n)
{
	uint32_t i = 0;

	while (i < n) {
		uint32_t symbol = inflate_dist_symbol(s) >> 8;
		uint16_t value = 0;
		uint32_t end = i + 1;

		if (symbol < 16) {
			value = (uint16_t)symbol;
		} else if (symbol == 16) {
			if (i == 0)
				return false;
			value = lens[i - 1];
			end = i + 3 + inflate_take(s, 2);
		} else if (symbol == 17) {
			end = i + 3 + inflate_take(s, 3);
		} else {
			end = i + 11 + inflate_take(s, 7);
		}
		if (s->status != QCOW2_OK || end > n)
			return false;
		for (; i < end; i++)
			lens[i] = value;
	}
	return true;
}

/* RFC 1951 section 3.2.7: the header of a block with codes of its own. */
static bool inflate_dynamic(struct inflate *s)
{
	static const uint8_t order[INFLATE_LENS_MAX] = { 16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
		                                         11, 4,  12, 3, 13, 2, 14, 1, 15 };
	uint16_t *lens = s->lit + INFLATE_ROOT;
	uint32_t n_lit = inflate_take(s, 5) + 257;
	uint32_t n_dist = inflate_take(s, 5) + 1;
	uint32_t n_lens = inflate_take(s, 4) + 4;
	uint32_t i;

	if (n_lit > 286 || n_dist > 30)
		return false;
	for (i = 0; i < INFLATE_LENS_MAX; i++)
		lens[order[i]] = (uint16_t)(i < n_lens ? inflate_take(s, 3) : 0);
	if (s->status != QCOW2_OK)
		return false;
	return inflate_build(s->dists, INFLATE_DIST_BITS, lens, INFLATE_LENS_MAX,
	                     INFLATE_KIND_LENS) &&
	       inflate_lens(s, lens, n_lit + n_dist) &&
	       lens[256] != 0 && /* a block without an end is an error for zlib, too */
	       inflate_codes(s, n_lit, n_dist);
}

/* RFC 1951 section 3.2.4: the header of a stored block. */
static bool inflate_stored(struct inflate *s)
{
	inflate_take(s, s->n_bits & 7u);
	s->length = inflate_take(s, 16);
	s->state = INFLATE_STORED;
	return (s->length ^ inflate_take(s, 16)) == 0xffff;
}

/* RFC 1951 section 3.2.3: the header of any block. */
static void inflate_block(struct inflate *s)
{
	uint32_t type;
	bool good = false;

	if (s->final) {
		inflate_fail(s, QCOW2_E_COMPRESSED);
		return;
	}
	s->final = inflate_take(s, 1) != 0;
	type = inflate_take(s, 2);
	if (s->status != QCOW2_OK)
		return;
	if (type == 0) {
		good = inflate_stored(s);
	} else if (type == 1) {
		if (!s->fixed)
			s->fixed = inflate_fixed(s);
		good = s->fixed;
		s->state = INFLATE_CODES;
	} else if (type == 2) {
		s->fixed = false;
		good = inflate_dynamic(s);
	}
	if (!good)
		inflate_fail(s, QCOW2_E_COMPRESSED);
}

/* Copy what is to be copied of a stored block. */
static void inflate_copy_stored(struct inflate *s)
{
	while (s->length != 0 && s->at < s->stop) {
		uint8_t byte = (uint8_t)inflate_take(s, 8);

		if (s->status != QCOW2_OK)
			return;
		s->stream->window[s->at++] = byte;
		s->length--;
	}
	if (s->length == 0)
		s->state = INFLATE_BLOCK;
}

/* Copy what is to be copied of a match; it may overlap itself (RFC 1951 section 3.2.3). */
static void inflate_copy_match(struct inflate *s)
{
	uint8_t *window = s->stream->window;
	uint32_t mask = s->stream->window_len - 1u;
	uint32_t from = s->at - s->dist;

	while (s->length != 0 && s->at < s->stop) {
		window[s->at++] = window[from & mask];
		from++;
		s->length--;
	}
	if (s->length == 0)
		s->state = INFLATE_CODES;
}

/* A match was read: is what it copies still there? */
static void inflate_match(struct inflate *s, uint32_t length, uint32_t dist)
{
	s->length = length;
	s->dist = dist;
	s->state = INFLATE_MATCH;
	if (dist > s->before + s->at)
		inflate_fail(s, QCOW2_E_COMPRESSED);
	else if (dist > s->stream->window_len)
		inflate_fail(s, QCOW2_E_MEMORY);
}

/* Literals, up to a match or the end of the block: RFC 1951 section 3.2.3. */
static void inflate_literals(struct inflate *s)
{
	while (s->at < s->stop || s->full) {
		uint32_t entry = inflate_symbol(s, s->lit, INFLATE_LIT_BITS, INFLATE_LIT_MAX);
		uint32_t extra = entry >> 4 & 7u;
		uint32_t length, dist;

		if ((entry & INFLATE_MATCHES) == 0) {
			if (s->full) {
				s->state = INFLATE_MATCH; /* more than was asked for */
				return;
			}
			s->stream->window[s->at++] = (uint8_t)(entry >> 8);
			continue;
		}
		if (extra == INFLATE_EOB) {
			s->state = INFLATE_BLOCK;
			return;
		}
		if (extra > INFLATE_EOB) {
			inflate_fail(s, QCOW2_E_COMPRESSED);
			return;
		}
		length = (entry >> 8) + 3 + inflate_take(s, extra);
		entry = inflate_dist_symbol(s);
		extra = entry >> 4 & 15u;
		if (extra > INFLATE_EXTRA_MAX) {
			inflate_fail(s, QCOW2_E_COMPRESSED);
			return;
		}
		dist = ((entry >> 8) << extra) + 1 + inflate_take(s, extra);
		if (s->full)
			s->state = INFLATE_MATCH;
		else if (s->status == QCOW2_OK)
			inflate_match(s, length, dist);
		return;
	}
}

#if INFLATE_FAST
/*
 * The same once more for 64-bit processors, as long as there is plenty of input and of room, and
 * for what is plain. Everything else - the end of a block, errors, a match that ends near `stop`
 * or that comes from before the window's begin - is left as it was found to the code above.
 */
enum {
	/* A turn takes at most two times 7 bytes in, and the last load reads 8. */
	INFLATE_IN_ROOM = 16,
	/* A turn makes three literals, or two and a match and up to 15 bytes behind it. */
	INFLATE_OUT_ROOM = 16
};

/* What changes with each symbol, in registers. */
struct inflate_fast {
	const uint8_t *in;
	uint64_t buf; /* unlike in struct inflate, the bits above n_bits may be there already */
	uint32_t n_bits;
	uint32_t at;
};

/* Compilers make one load and one store of these two, on any processor that has them. */
static inline uint64_t inflate_load(const uint8_t *p)
{
	return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
	       (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
	       (uint64_t)p[7] << 56;
}

static inline void inflate_store(uint8_t *p, uint64_t value)
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

/* At least 56 bits ahead: three literals of 10 bits, or a match of 48. */
static inline void inflate_refill(struct inflate_fast *f)
{
	uint32_t n = f->n_bits & 63u; /* it is always below 64 */

	f->buf |= inflate_load(f->in) << n;
	f->in += (63 - n) >> 3;
	f->n_bits = n | 56;
}

static inline void inflate_drop(struct inflate_fast *f, uint32_t n)
{
	f->buf >>= n;
	f->n_bits -= n;
}

static inline uint32_t inflate_peek(const struct inflate_fast *f, uint32_t n)
{
	return (uint32_t)f->buf & ((1u << n) - 1);
}

static inline uint32_t inflate_peek_lit(const struct inflate *s, const struct inflate_fast *f)
{
	return s->lit[INFLATE_ROOT + inflate_peek(f, INFLATE_LIT_BITS)];
}

static inline void inflate_literal(uint8_t *window, struct inflate_fast *f, uint32_t entry)
{
	window[f->at++] = (uint8_t)(entry >> 8);
	inflate_drop(f, entry & INFLATE_LEN);
}

/*
 * Copy to [at, end) and up to 15 bytes more, from before it. False, and nothing done: that lies
 * before the window's begin, so that `from` is huge.
 */
static inline bool inflate_copy(uint8_t *window, uint32_t at, uint32_t end, uint32_t from,
                                uint32_t at_end)
{
	uint32_t dist = at - from;

	if (dist >= 8) {
		for (; at < end && from < at_end; at += 16, from += 16) {
			inflate_store(window + at, inflate_load(window + from));
			inflate_store(window + at + 8, inflate_load(window + from + 8));
		}
	} else if (dist == 1 && from < at_end) {
		uint64_t value = window[from] * 0x0101010101010101u;

		for (; at < end; at += 8)
			inflate_store(window + at, value);
	} else {
		for (; at < end && from < at_end; at++, from++)
			window[at] = window[from];
	}
	return at >= end;
}

/* A match, whose length is `entry`. False: nothing more can be done here. */
static inline bool inflate_fast_match(struct inflate *s, struct inflate_fast *f, uint32_t entry,
                                      uint32_t at_end)
{
	uint32_t extra = entry >> 4 & 7u;
	uint32_t length, dist, from, end;

	if (extra >= INFLATE_EOB)
		return false;
	inflate_drop(f, entry & INFLATE_LEN);
	length = (entry >> 8) + 3 + inflate_peek(f, extra);
	inflate_drop(f, extra);
	entry = s->dists[INFLATE_ROOT + inflate_peek(f, INFLATE_DIST_BITS)];
	if ((entry & INFLATE_LEN) == 0)
		entry = inflate_long(s->dists, INFLATE_DIST_BITS, INFLATE_DIST_MAX, entry, f->buf);
	inflate_drop(f, entry & INFLATE_LEN);
	extra = entry >> 4 & 15u;
	dist = ((entry >> 8) << extra) + 1 + inflate_peek(f, extra);
	inflate_drop(f, extra);
	from = f->at - dist;
	end = f->at + length;
	if (end > at_end || !inflate_copy(s->stream->window, f->at, end, from, at_end)) {
		s->at = f->at;
		inflate_match(s, length, dist);
		return false;
	}
	f->at = end;
	return true;
}

static void inflate_fast(struct inflate *s)
{
	struct qcow2_stream *stream = s->stream;
	struct inflate_fast f = { stream->next, s->buf, s->n_bits, s->at };
	const uint8_t *in_end;
	uint32_t at_end;

	if ((size_t)(stream->end - f.in) < INFLATE_IN_ROOM || s->stop < INFLATE_OUT_ROOM)
		return;
	in_end = stream->end - (INFLATE_IN_ROOM - 1);
	at_end = s->stop - (INFLATE_OUT_ROOM - 1);
	while (f.in < in_end && f.at < at_end) {
		uint32_t entry;

		inflate_refill(&f);
		entry = inflate_peek_lit(s, &f);
		if ((entry & INFLATE_MATCHES) == 0) {
			inflate_literal(stream->window, &f, entry);
			entry = inflate_peek_lit(s, &f);
			if ((entry & INFLATE_MATCHES) == 0) {
				inflate_literal(stream->window, &f, entry);
				entry = inflate_peek_lit(s, &f);
				if ((entry & INFLATE_MATCHES) == 0) {
					inflate_literal(stream->window, &f, entry);
					continue;
				}
			}
			inflate_refill(&f);
		}
		if ((entry & INFLATE_LEN) == 0) {
			entry = inflate_long(s->lit, INFLATE_LIT_BITS, INFLATE_LIT_MAX, entry,
			                     f.buf);
			if ((entry & INFLATE_MATCHES) == 0) {
				inflate_literal(stream->window, &f, entry);
				continue;
			}
		}
		if (!inflate_fast_match(s, &f, entry, at_end))
			break;
	}
	stream->next = f.in;
	s->n_bits = f.n_bits & 63u;
	s->buf = f.buf & (((uint64_t)1 << s->n_bits) - 1);
	s->at = f.at;
}
#endif

static void inflate_begin(const struct qcow2_codec *self, void *work)
{
	struct inflate *s = work;

	(void)self;
	s->buf = 0;
	s->n_bits = 0;
	s->state = INFLATE_BLOCK;
	s->final = false;
	s->fixed = false;
}

/* Go on in whatever state it is. No switch: Cortex-M0 needs a helper of libgcc for its table. */
static void inflate_step(struct inflate *s)
{
#if INFLATE_FAST
	/* Not once the window has gone round: what is behind a match is history then. */
	if (s->state == INFLATE_CODES && s->before == 0) {
		inflate_fast(s);
		if (s->state != INFLATE_CODES)
			return;
	}
#endif
	if (s->state == INFLATE_CODES)
		inflate_literals(s);
	else if (s->state == INFLATE_MATCH)
		inflate_copy_match(s);
	else if (s->state == INFLATE_STORED)
		inflate_copy_stored(s);
	else
		inflate_block(s);
}

/*
 * All is made. zlib goes on until it would have to make a byte, and judges what it sees; so do we.
 * It may be the end of the stream, or of the input, or wrong.
 */
static int inflate_finish(struct inflate *s)
{
	s->full = true;
	while (s->status == QCOW2_OK && s->state != INFLATE_MATCH) {
		if (s->state == INFLATE_CODES)
			inflate_literals(s);
		else if (s->state == INFLATE_STORED && s->length == 0)
			s->state = INFLATE_BLOCK;
		else if (s->state == INFLATE_STORED || s->final)
			break;
		else
			inflate_block(s);
	}
	if (s->status == QCOW2_E_TRUNCATED)
		return QCOW2_OK;
	return s->status;
}

static int inflate_decode(const struct qcow2_codec *self, void *work, struct qcow2_stream *stream)
{
	struct inflate *s = work;

	(void)self;
	s->stream = stream;
	s->status = QCOW2_OK;
	s->at = stream->window_at;
	s->stop = stream->window_at + (stream->stop - stream->done);
	if (s->stop < s->at || s->stop > stream->window_len)
		return QCOW2_E_ARGUMENT;
	s->before = stream->done - stream->window_at;
	s->full = false;
	if (stream->stop == stream->done && stream->done != 0u)
		return inflate_finish(s);
	while (s->at < s->stop && s->status == QCOW2_OK)
		inflate_step(s);
	stream->done = s->before + s->at;
	stream->window_at = s->at == stream->window_len ? 0 : s->at;
	return s->status;
}

const struct qcow2_codec qcow2_deflate = {
	QCOW2_COMPRESSION_DEFLATE, false, sizeof(struct inflate), inflate_begin, inflate_decode,
};
