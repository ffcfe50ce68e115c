/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Decodes the literals of a block, and the Huffman codes that they are in, for the fast decoder for
 * zstd. Section numbers are those of RFC 8878. As in zstd_fast_fse.c, some masks are for the proof.
 */
#include "zstd_fast.h"

enum { ZFAST_WEIGHTS_LEN = 16 }; /* numbers of four bits, though a weight is at most 11 */

/*
 * Reads weights that are coded by FSE, in the next len bytes: 4.2.1.2. Returns their number, or 0
 * if they are invalid.
 */
static uint32_t zfast_fse_weights(struct zfast *s, uint32_t len)
{
	const uint8_t *block_end = s->block_end;
	const uint32_t *cells = q2_zfast_table(s, ZFAST_WEIGHTS);
	struct zfast_bits bits;
	uint32_t cell[2];
	uint32_t n = 0;
	bool good;

	s->block_end = s->in + len;
	good = q2_zfast_read_counts(s, ZFAST_WEIGHTS) &&
	       q2_zfast_open(&bits, s->in, (uint32_t)(s->block_end - s->in));
	s->in = s->block_end;
	s->block_end = block_end;
	if (!good)
		return 0;
	q2_zfast_build(s, ZFAST_WEIGHTS);
	cell[0] = cells[q2_zfast_take(&bits, s->log[ZFAST_WEIGHTS])];
	cell[1] = cells[q2_zfast_take(&bits, s->log[ZFAST_WEIGHTS])];
	if (bits.over)
		return 0;
	/*@ loop invariant n < 255;
	    loop invariant good_backwards(&bits);
	    loop invariant bits.left <= \at(bits.left, LoopEntry);
	    loop assigns n, cell[0 .. 1], bits.left, bits.over, s->weights[0 .. 255];
	    loop variant 255 - n; */
	/*
	 * The two states take turns. Where one cannot go on, the other one makes the last weight.
	 */
	while (n < ZSTD_FORMAT_WEIGHTS_MAX - 1) {
		uint32_t *now = &cell[n & 1u];

		s->weights[n++] = (uint8_t)(*now >> ZFAST_VALUE);
		*now = cells[((*now >> ZFAST_NEXT) +
		              q2_zfast_take(&bits, *now >> ZFAST_STATE & 15u)) &
		             ((1u << ZSTD_FORMAT_WEIGHT_LOG) - 1u)];
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
	if (n > 2 * (size_t)(s->block_end - s->in))
		return 0;
	/*@ loop invariant i <= n + 1 && i % 2 == 0;
	    loop assigns i, s->weights[0 .. 255];
	    loop variant n - i; */
	for (i = 0; i < n; i += 2) {
		uint32_t two = s->in[i / 2];

		s->weights[i] = (uint8_t)(two >> 4);
		s->weights[i + 1] = two & 15u;
	}
	s->in += (n + 1) / 2;
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

	/*@ loop invariant i <= 16;
	    loop assigns i, first[0 .. 15];
	    loop variant 16 - i; */
	for (i = 0; i < ZFAST_WEIGHTS_LEN; i++)
		first[i] = 0;
	/*@ loop invariant i <= n;
	    loop assigns i, sum, first[0 .. 15];
	    loop variant n - i; */
	for (i = 0; i < n; i++) {
		uint32_t weight = s->weights[i];

		if (weight > ZFAST_TREE_BITS)
			return 0;
		first[weight] += 1u << weight >> 1;
		sum += 1u << weight >> 1;
	}
	/*@ loop invariant bits <= 12;
	    loop assigns bits;
	    loop variant 12 - bits; */
	while (bits <= ZFAST_TREE_BITS && sum >> bits != 0)
		bits++;
	if (sum == 0 || bits > ZFAST_TREE_BITS)
		return 0;
	sum = (1u << bits) - sum; /* what is left for the last symbol: a power of two */
	/*@ loop invariant last <= 11;
	    loop assigns last;
	    loop variant 11 - last; */
	while (last < ZFAST_TREE_BITS && sum >> last != 0)
		last++;
	if (sum != 1u << last >> 1)
		return 0;
	s->weights[n] = (uint8_t)last;
	first[last] += sum;
	return first[1] >= 2 ? bits : 0;
}

/*
 * Fills `len` entries of the Huffman table from number `at` on. If there are more than one, both
 * numbers are even: the code is complete, so those with one entry come in pairs.
 */
static void zfast_fill(uint16_t *tree, uint32_t at, uint32_t len, uint32_t entry)
{
	if (len == 1) {
		tree[at & ((1u << ZFAST_TREE_BITS) - 1u)] = (uint16_t)entry;
		return;
	}
	/*@ loop invariant len % 2 == 0;
	    loop assigns len, at, tree[0 .. 2047];
	    loop variant len; */
	for (; len != 0; len -= 2) {
		uint16_t *two = tree + (at & ((1u << ZFAST_TREE_BITS) - 2u));

		two[0] = (uint16_t)entry;
		two[1] = (uint16_t)entry;
		at += 2;
	}
}

/*
 * Reads a Huffman code and makes its table: 4.2.1. Codes of more bits come first in the table,
 * those of the same number of bits in the order of their symbols.
 */
static bool zfast_read_tree(struct zfast *s)
{
	uint32_t first[ZFAST_WEIGHTS_LEN];
	uint32_t n = zfast_read_weights(s);
	uint32_t bits = n != 0 ? zfast_complete(s, n, first) : 0;
	uint32_t at = 0, scale, i;

	if (bits == 0)
		return false;
	scale = ZFAST_TREE_BITS - bits;
	/*@ loop invariant 1 <= i <= bits + 1;
	    loop assigns i, at, first[0 .. 15];
	    loop variant bits + 1 - i; */
	for (i = 1; i <= bits; i++) {
		uint32_t len = first[i];

		first[i] = at;
		at += len;
	}
	/*@ loop invariant i <= n + 1;
	    loop assigns i, first[0 .. 15], s->tree[0 .. 2047];
	    loop variant n + 1 - i; */
	for (i = 0; i <= n; i++) {
		uint32_t weight = s->weights[i] % ZFAST_WEIGHTS_LEN;
		uint32_t len = 1u << weight >> 1;

		if (weight == 0)
			continue;
		zfast_fill(s->tree, first[weight] << scale, len << scale,
		           i << 8 | (bits + 1 - weight));
		first[weight] += len;
	}
	s->has_tree = true;
	return true;
}

/* Decodes one literal, and returns what remains of the word. Adds the entry to *sum. */
static inline q2_word zfast_literal(const uint16_t *tree, q2_word word, uint32_t *sum, uint8_t *out)
{
	uint32_t entry = tree[word >> (Q2_WORD_BITS - ZFAST_TREE_BITS)];

	*out = (uint8_t)(entry >> 8);
	*sum += entry;
	return word << (entry & 63u);
}

/* A turn decodes as many literals as a word certainly has. */
enum { ZFAST_TURN = (Q2_WORD_BITS - 7) / ZFAST_TREE_BITS };

static inline void zfast_turn(const uint16_t *tree, struct zfast_bits *b, uint8_t *out)
{
	q2_word word = q2_zfast_peek_word(b->bytes, b->left);
	uint32_t sum = 0; /* of the entries; so its low bits are the number of bits used */

	word = zfast_literal(tree, word, &sum, out);
	word = zfast_literal(tree, word, &sum, out + 1);
#if SIZE_MAX > 0xffffffff
	word = zfast_literal(tree, word, &sum, out + 2);
	word = zfast_literal(tree, word, &sum, out + 3);
	word = zfast_literal(tree, word, &sum, out + 4);
#endif
	(void)word;
	/* The mask changes nothing: it shows the proof that a turn takes fewer bits than a word. */
	b->left -= sum & (Q2_WORD_BITS - 1u);
}

/* Decodes the last n literals of a stream. Returns false unless this uses it up exactly. */
static bool zfast_stream_end(const struct zfast *s, struct zfast_bits *b, uint8_t *out, uint32_t n)
{
	/*@ loop invariant n <= \at(n, Pre) && out == \at(out, Pre) + (\at(n, Pre) - n);
	    loop invariant b->left <= \at(b->left, Pre);
	    loop assigns n, out, b->left, \at(out, Pre)[0 .. \at(n, Pre) - 1];
	    loop variant n; */
	for (; n != 0; n--) {
		uint32_t entry, index;

		if (b->left >= ZFAST_TREE_BITS)
			index = q2_zfast_bits_at(b->bytes, b->left - ZFAST_TREE_BITS,
			                         ZFAST_TREE_BITS);
		else
			index = q2_zfast_bits_at(b->bytes, 0, b->left)
			        << (ZFAST_TREE_BITS - b->left);
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

	if (!q2_zfast_open(&b, s->in, len))
		return false;
	/*@ loop invariant n <= \at(n, Pre) && out == \at(out, Pre) + (\at(n, Pre) - n);
	    loop invariant good_backwards(&b) && b.left <= 8 * len;
	    loop assigns n, out, b.left, \at(out, Pre)[0 .. \at(n, Pre) - 1];
	    loop variant n; */
	while (n >= ZFAST_TURN && b.left >= Q2_WORD_BITS) {
		zfast_turn(s->tree, &b, out);
		out += ZFAST_TURN;
		n -= ZFAST_TURN;
	}
	return zfast_stream_end(s, &b, out, n);
}

/*
 * Returns how many turns all streams certainly have: a turn uses less than Q2_WORD_BITS - 8
 * bits, and makes at most 8 literals. n is the number of literals of the shortest stream.
 */
static uint32_t zfast_turns(const struct zfast_bits *b, uint32_t n)
{
	uint32_t least = n / 8 * Q2_WORD_BITS;
	uint32_t i;

	/*@ loop invariant i <= 4 && least <= n / 8 * 64;
	    loop invariant \forall integer k; 0 <= k < i ==> least <= b[k].left;
	    loop assigns i, least;
	    loop variant 4 - i; */
	for (i = 0; i < 4; i++)
		if (least > b[i].left)
			least = b[i].left;
	return least / Q2_WORD_BITS;
}

/* Decodes n literals in four streams of len bytes: 3.1.1.3.1.6. */
static bool zfast_four_streams(const struct zfast *s, uint8_t *out, uint32_t n, uint32_t len)
{
	struct zfast_bits b[4];
	const uint8_t *p = s->in;
	uint32_t part = (n + 3) / 4; /* literals of each stream but the last */
	uint32_t done = 0, turns, i;

	if (n < 6 || len < 6)
		return false;
	len -= 6;
	p += 6;
	/*@ loop invariant i <= 4 && len <= \at(len, Pre) - 6;
	    loop invariant p - s->in == \at(len, Pre) - len && \base_addr(p) == \base_addr(s->in);
	    loop invariant \forall integer k; 0 <= k < i ==>
	                     good_backwards(&b[k]) && b[k].left <= 8 * \at(len, Pre);
	    loop assigns i, p, len, b[0 .. 3];
	    loop variant 4 - i; */
	for (i = 0; i < 4; i++) {
		uint32_t size = i < 3 ? q2_zfast_le(s->in + 2 * i, 2) : len;

		if (size > len || !q2_zfast_open(&b[i], p, size))
			return false;
		p += size;
		len -= size;
	}
	n -= 3 * part;
	/*@ loop invariant done <= n <= part;
	    loop invariant \forall integer k; 0 <= k < 4 ==>
	                     good_backwards(&b[k]) && b[k].left <= 8 * \at(len, Pre);
	    loop assigns turns, done, b[0 .. 3], out[0 .. \at(n, Pre) - 1];
	    loop variant n - done; */
	while ((turns = zfast_turns(b, n - done)) != 0) {
		/*@ loop invariant done + 5 * turns <= n && \at(done, LoopEntry) <= done;
		    loop invariant done - \at(done, LoopEntry) ==
		                     5 * (\at(turns, LoopEntry) - turns);
		    loop invariant \forall integer k; 0 <= k < 4 ==>
		                     64 * turns <= b[k].left <= 8 * \at(len, Pre);
		    loop invariant \forall integer k; 0 <= k < 4 ==> good_backwards(&b[k]);
		    loop assigns turns, done, b[0 .. 3], out[0 .. \at(n, Pre) - 1];
		    loop variant turns; */
		for (; turns != 0; turns--) {
			zfast_turn(s->tree, &b[0], out + done);
			zfast_turn(s->tree, &b[1], out + part + done);
			zfast_turn(s->tree, &b[2], out + 2 * part + done);
			zfast_turn(s->tree, &b[3], out + 3 * part + done);
			done += ZFAST_TURN;
		}
	}
	/*@ loop invariant i <= 4 && \forall integer k; 0 <= k < 4 ==> good_backwards(&b[k]);
	    loop assigns i, b[0 .. 3], out[0 .. \at(n, Pre) - 1];
	    loop variant 4 - i; */
	for (i = 0; i < 4; i++) {
		/*@ assert i == 0 || i == 1 || i == 2 || i == 3; */
		/*@ assert i * part <= 3 * part && (i < 3 ==> (i + 1) * part <= 3 * part); */
		/*@ assert 0 <= i * part && i * part + (i < 3 ? part : n) <= \at(n, Pre); */
		if (!zfast_stream_end(s, &b[i], out + i * part + done, (i < 3 ? part : n) - done))
			return false;
	}
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

/* Reads literals that are not coded, or one that is repeated. Their size has 5, 12 or 20 bits. */
static bool zfast_plain_literals(struct zfast *s, uint32_t type)
{
	uint32_t format = *s->in >> 2 & 3u;
	uint32_t left = (uint32_t)(s->block_end - s->in);
	uint32_t head = format == 3 ? 3 : format == 1 ? 2 : 1;
	uint32_t n, len;

	if (left < head)
		return false;
	n = q2_zfast_le(s->in, head) >> ((format & 1u) != 0 ? 4 : 3);
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

/* Reads literals that are coded. After 4 bits there are two sizes of 10, 14 or 18 bits each. */
static bool zfast_packed_literals(struct zfast *s, uint32_t type)
{
	uint32_t format = *s->in >> 2 & 3u;
	uint32_t longer = format < 2 ? 0 : format - 1; /* how many times 4 bits longer */
	uint32_t head = 3 + longer;
	uint32_t n_bits = 10 + 4 * longer;
	uint32_t n, len;

	if ((uint32_t)(s->block_end - s->in) < head)
		return false;
	n = q2_zfast_le(s->in, longer == 0 ? 3 : 4) >> 4;
	len = q2_zfast_bits_at(s->in, 4 + n_bits, n_bits);
	n &= (1u << n_bits) - 1u;
	s->in += head;
	return zfast_place_literals(s, n) && zfast_coded_literals(s, type, format != 0, n, len);
}

bool q2_zfast_literals(struct zfast *s)
{
	uint32_t type;

	if (s->in == s->block_end)
		return false;
	type = *s->in & 3u;
	if (type < ZFAST_COMPRESSED)
		return zfast_plain_literals(s, type);
	return zfast_packed_literals(s, type);
}
