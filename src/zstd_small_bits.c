/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * How the small decoder for zstd reads its input: forwards, byte by byte or bits lowest first, and
 * backwards, bits of a bitstream highest first. zstd_small.h describes the two.
 */
#include "zstd_small.h"

void q2_unzstd_fail(struct unzstd *s, int status)
{
	if (s->status == QCOW2_OK)
		s->status = status;
}

bool q2_unzstd_check(struct unzstd *s, bool valid)
{
	if (!valid)
		q2_unzstd_fail(s, QCOW2_E_COMPRESSED);
	return s->status == QCOW2_OK;
}

/* Returns byte number k of the input. */
static uint32_t unzstd_byte(struct unzstd *s, uint32_t k)
{
	struct qcow2_stream *in = s->stream;
	uint32_t len = (uint32_t)(in->end - in->next);
	uint32_t i = k + len - in->fill_at; /* the place of the byte in the piece */

	if (s->status != QCOW2_OK)
		return 0;
	if (i >= len) {
		in->fill_at = k;
		/*@ calls any_piece; */
		s->status = in->fill(in);
		len = (uint32_t)(in->end - in->next);
		i = k + len - in->fill_at;
		if (i >= len)
			q2_unzstd_fail(s, QCOW2_E_TRUNCATED);
		if (s->status != QCOW2_OK)
			return 0;
	}
	return in->next[i];
}

uint32_t q2_unzstd_next(struct unzstd *s)
{
	if (!q2_unzstd_check(s, s->at < s->end))
		return 0;
	return unzstd_byte(s, s->at++);
}

uint32_t q2_unzstd_take(struct unzstd *s, uint32_t n)
{
	uint32_t buf;

	/*@ loop invariant s->n_bits < n + 8 || s->n_bits == \at(s->n_bits, Pre);
	    loop invariant good_pieces(s->stream) && s->stream == \at(s->stream, Pre);
	    loop invariant \at(s->status, Pre) != 0 ==> s->status == \at(s->status, Pre);
	    loop invariant \at(s->at, Pre) <= s->at;
	    loop invariant \at(s->at, Pre) <= s->end ==> s->at <= s->end;
	    loop assigns s->at, s->buf, s->n_bits, s->status, \at(s->stream, Pre)->next,
	                 \at(s->stream, Pre)->end, \at(s->stream, Pre)->fill_at;
	    loop variant 32 - s->n_bits; */
	for (; s->n_bits < n; s->n_bits += 8)
		s->buf |= q2_unzstd_next(s) << s->n_bits;
	buf = s->buf;
	s->buf = buf >> n;
	s->n_bits = (s->n_bits - n) & 7u; /* fewer than 8 are left: the mask is for the proof */
	return buf - (buf >> n << n);
}

void q2_unzstd_enter(struct unzstd *s, uint32_t at, uint32_t end)
{
	s->at = at;
	s->end = end;
	s->buf = 0;
	s->n_bits = 0;
}

uint32_t q2_unzstd_back(struct unzstd *s, uint32_t n)
{
	/*@ loop invariant s->n_bits < n + 8 || s->n_bits == \at(s->n_bits, Pre);
	    loop invariant good_pieces(s->stream) && s->stream == \at(s->stream, Pre);
	    loop invariant s->end <= \at(s->end, Pre);
	    loop invariant s->at <= \at(s->end, Pre) ==> s->at <= s->end;
	    loop assigns s->end, s->buf, s->n_bits, s->over, s->status,
	                 \at(s->stream, Pre)->next, \at(s->stream, Pre)->end,
	                 \at(s->stream, Pre)->fill_at;
	    loop variant 32 - s->n_bits; */
	while (s->n_bits < n) {
		s->buf <<= 8;
		if (s->at < s->end)
			s->buf |= unzstd_byte(s, --s->end);
		else
			s->over = true;
		s->n_bits += 8;
	}
	s->n_bits = (s->n_bits - n) & 7u; /* as above */
	return s->buf >> s->n_bits & ((1u << n) - 1u);
}

bool q2_unzstd_open(struct unzstd *s)
{
	s->n_bits = 0;
	s->over = false;
	if (s->at < s->end)
		s->buf = unzstd_byte(s, --s->end);
	else
		s->buf = 0;
	if (!q2_unzstd_check(s, s->buf != 0))
		return false;
	/*@ loop invariant s->n_bits <= 7 && 1 << s->n_bits <= s->buf <= 0xff;
	    loop assigns s->n_bits;
	    loop variant 7 - s->n_bits; */
	while (s->n_bits < 7 && s->buf >> s->n_bits != 1)
		s->n_bits++;
	return true;
}

void q2_unzstd_close(struct unzstd *s)
{
	q2_unzstd_check(s, !s->over && s->n_bits == 0 && s->at == s->end);
}
