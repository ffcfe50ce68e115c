/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Decodes the literals of a block, and the Huffman codes that they are in, for the small decoder
 * for zstd. Section numbers are those of RFC 8878.
 */
#include "zstd_small.h"

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
			q2_unzstd_fail(s, QCOW2_E_COMPRESSED);
			return;
		}
		s->counts[w]++;
		sum += (1u << w) >> 1;
	}
	while (depth <= ZSTD_FORMAT_WEIGHT_MAX && sum >> depth != 0)
		depth++;
	if (!q2_unzstd_check(s, depth != 0 && depth <= ZSTD_FORMAT_WEIGHT_MAX))
		return;
	sum = (1u << depth) - sum;
	while (weight < ZSTD_FORMAT_WEIGHT_MAX && sum >> weight != 0)
		weight++;
	s->counts[weight]++;
	s->weights[n & 255u] = (uint8_t)weight;
	if (!q2_unzstd_check(s, sum == (1u << weight) >> 1 && s->counts[1] >= 2))
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

	q2_unzstd_build_described(s, UNZSTD_WEIGHT);
	if (!q2_unzstd_open(s))
		return 0;
	states[0] = q2_unzstd_back(s, s->logs[UNZSTD_WEIGHT] & 15u);
	states[1] = q2_unzstd_back(s, s->logs[UNZSTD_WEIGHT] & 15u);
	if (!q2_unzstd_check(s, !s->over))
		return 0;
	while (!s->over && q2_unzstd_check(s, n < ZSTD_FORMAT_WEIGHTS_MAX - 1)) {
		uint32_t *state = &states[n & 1u];

		s->weights[n++ & 255u] =
			(uint8_t)(q2_unzstd_cell(s, UNZSTD_WEIGHT, *state) % UNZSTD_SYMBOLS);
		*state = q2_unzstd_advance(s, UNZSTD_WEIGHT, *state);
	}
	s->weights[n & 255u] =
		(uint8_t)(q2_unzstd_cell(s, UNZSTD_WEIGHT, states[n & 1u]) % UNZSTD_SYMBOLS);
	return (n & 255u) + 1;
}

/* Takes the description of a code: section 4.2.1.1. */
static void unzstd_tree(struct unzstd *s)
{
	uint32_t n = q2_unzstd_next(s);
	uint32_t end = s->end;

	if (n > ZSTD_FORMAT_DIRECT) {
		uint32_t i;

		n -= ZSTD_FORMAT_DIRECT;
		for (i = 0; i < n; i += 2) {
			uint32_t two = q2_unzstd_next(s);

			s->weights[i] = (uint8_t)(two >> 4);
			s->weights[i + 1] = two & 15u;
		}
	} else if (q2_unzstd_check(s, n <= end - s->at)) {
		uint32_t part = s->at + n;

		s->end = part;
		n = unzstd_weights(s);
		q2_unzstd_enter(s, part, end);
	}
	if (q2_unzstd_check(s, true))
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
		rank = rank << 1 | (q2_unzstd_back(s, 1) ^ 1u);
		count = s->counts[weight-- & 15u];
	} while (rank >= count);
	return s->sorted[(end - 1 - rank) & 255u];
}

/* Decodes n literals from the bitstream [at, end), to byte number `to` of the output on. */
static void unzstd_bitstream(struct unzstd *s, uint32_t to, uint32_t n)
{
	if (!q2_unzstd_open(s))
		return;
	for (; n != 0; n--)
		*q2_unzstd_out(s, to++) = unzstd_symbol(s);
	q2_unzstd_close(s);
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

		if (!q2_unzstd_check(s, n >= 6))
			return;
		for (i = 0; i < 3; i++) {
			uint32_t len;

			q2_unzstd_enter(s, jumps + 2 * i, end);
			len = q2_unzstd_take(s, 16);
			if (!q2_unzstd_check(s, at <= end && len <= end - at))
				return;
			q2_unzstd_enter(s, at, at + len);
			unzstd_bitstream(s, to, part);
			at += len;
			to += part;
			n -= part;
		}
		q2_unzstd_enter(s, at, end);
	}
	unzstd_bitstream(s, to, n);
}

/* Takes a size of 5, 12 or 20 bits: section 3.1.1.3.1.1. */
static uint32_t unzstd_plain_size(struct unzstd *s)
{
	if (q2_unzstd_take(s, 1) == 0)
		return q2_unzstd_take(s, 5);
	return q2_unzstd_take(s, q2_unzstd_take(s, 1) == 0 ? 12 : 20);
}

void q2_unzstd_plain(struct unzstd *s, uint32_t to, uint32_t n, bool same)
{
	uint32_t byte = same ? q2_unzstd_next(s) : 0;
	uint32_t i;

	for (i = 0; i < n && s->status == QCOW2_OK; i++) {
		if (!same)
			byte = q2_unzstd_next(s);
		*q2_unzstd_out(s, to + i) = (uint8_t)byte;
	}
}

/* Makes place for n literals at the end of the room, and returns where that begins. */
static uint32_t unzstd_place(struct unzstd *s, uint32_t n)
{
	if (!q2_unzstd_check(s, n <= s->room))
		return 0;
	s->literals = n;
	s->room -= n;
	return s->stream->done + s->room;
}

void q2_unzstd_literals(struct unzstd *s)
{
	uint32_t type = q2_unzstd_take(s, 2); /* raw, RLE, compressed, treeless */
	uint32_t end = s->end;
	uint32_t form, bits, n, packed, to;

	if (type < 2) {
		n = unzstd_plain_size(s);
		to = unzstd_place(s, n);
		q2_unzstd_plain(s, to, n, type == 1);
		return;
	}
	form = q2_unzstd_take(s, 2);
	bits = form < 2 ? 10 : 6 + 4 * form;
	n = q2_unzstd_take(s, bits);
	packed = q2_unzstd_take(s, bits);
	to = unzstd_place(s, n);
	if (!q2_unzstd_check(s, packed <= end - s->at))
		return;
	packed += s->at;
	s->end = packed;
	if (type == 2)
		unzstd_tree(s);
	if (q2_unzstd_check(s, s->n_sorted != 0))
		unzstd_bitstreams(s, to, n, form != 0);
	q2_unzstd_enter(s, packed, end);
}
