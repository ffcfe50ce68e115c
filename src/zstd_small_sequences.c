/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Decodes and executes the sequences of a block, for the small decoder for zstd. Section numbers
 * are those of RFC 8878.
 */
#include "zstd_small.h"

/* Appends n of the literals to the output. */
static void unzstd_copy_literals(struct unzstd *s, uint32_t n)
{
	struct qcow2_stream *stream = s->stream;

	if (!q2_unzstd_check(s, n <= s->literals))
		return;
	s->literals -= n;
	/*@ loop invariant n <= \at(n, Pre) && s->literals == \at(s->literals, Pre) - \at(n, Pre);
	    loop invariant stream->done == \at(s->stream->done, Pre) + \at(n, Pre) - n;
	    loop assigns n, stream->done, stream->window[0 .. stream->window_len - 1];
	    loop variant n; */
	for (; n != 0; n--) {
		*q2_unzstd_out(s, stream->done) = *q2_unzstd_out(s, stream->done + s->room);
		stream->done++;
	}
}

/* Appends n bytes from `offset` before. A byte at a time, because it may overlap what it makes. */
static void unzstd_copy_match(struct unzstd *s, uint32_t n, uint32_t offset)
{
	struct qcow2_stream *stream = s->stream;

	if (!q2_unzstd_check(s, n <= s->room && offset <= s->reach &&
	                                offset <= stream->done - s->begin))
		return;
	s->room -= n;
	/*@ loop invariant n <= \at(n, Pre) && s->room == \at(s->room, Pre) - \at(n, Pre);
	    loop invariant stream->done == \at(s->stream->done, Pre) + \at(n, Pre) - n;
	    loop assigns n, stream->done, stream->window[0 .. stream->window_len - 1];
	    loop variant n; */
	for (; n != 0; n--) {
		*q2_unzstd_out(s, stream->done) = *q2_unzstd_out(s, stream->done - offset);
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
	return length + q2_unzstd_back(s, bits[i & 31u]);
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
		q2_unzstd_check(s, offset != 0);
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
	uint32_t bits = q2_unzstd_cell(s, UNZSTD_OFFSET, states[UNZSTD_OFFSET]) % UNZSTD_SYMBOLS;
	uint32_t value, match, literals;

	/* With more bits, the offset is longer than any cluster, so that this is not valid. */
	if (bits > 22) {
		q2_unzstd_fail(s, QCOW2_E_COMPRESSED);
		return;
	}
	value = (1u << bits) + q2_unzstd_back(s, bits);
	match = q2_unzstd_cell(s, UNZSTD_MATCH, states[UNZSTD_MATCH]) % UNZSTD_SYMBOLS;
	match = unzstd_length(s, match, 32) + 3;
	literals = q2_unzstd_cell(s, UNZSTD_LITERAL, states[UNZSTD_LITERAL]) % UNZSTD_SYMBOLS;
	literals = unzstd_length(s, literals, 16);
	unzstd_copy_literals(s, literals);
	unzstd_copy_match(s, match, unzstd_offset(s, value, literals == 0));
}

/* Takes the number of sequences: section 3.1.1.3.2.1. */
static uint32_t unzstd_n_sequences(struct unzstd *s)
{
	uint32_t n = q2_unzstd_next(s);

	if (n == 255)
		return q2_unzstd_take(s, 16) + 0x7f00;
	return n < 128 ? n : ((n - 128) << 8) + q2_unzstd_next(s);
}

/* Decodes the bitstream [at, end) of n sequences. */
static void unzstd_run(struct unzstd *s, uint32_t n)
{
	static const uint8_t order[3] = { UNZSTD_LITERAL, UNZSTD_MATCH, UNZSTD_OFFSET };
	uint32_t states[3];
	uint32_t i;

	if (!q2_unzstd_open(s))
		return;
	for (i = 0; i < 3; i++)
		states[i] = q2_unzstd_back(s, s->logs[i] & 15u);
	while (s->status == QCOW2_OK) {
		unzstd_sequence(s, states);
		if (--n == 0)
			break;
		for (i = 0; i < 3; i++)
			states[order[i]] = q2_unzstd_advance(s, order[i], states[order[i]]);
	}
	q2_unzstd_close(s);
}

void q2_unzstd_sequences(struct unzstd *s)
{
	uint32_t n = unzstd_n_sequences(s);

	if (n != 0) {
		uint32_t modes = q2_unzstd_next(s);
		uint32_t i;

		q2_unzstd_check(s, (modes & 3u) == 0);
		for (i = 0; i < 3; i++)
			q2_unzstd_prepare(s, i, modes >> (6 - 2 * i) & 3u);
		unzstd_run(s, n);
	}
	if (q2_unzstd_check(s, s->at == s->end))
		unzstd_copy_literals(s, s->literals);
}
