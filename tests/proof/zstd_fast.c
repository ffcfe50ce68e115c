/* SPDX-License-Identifier: MIT */
/*
 * The tables of the fast decoder for zstd: the FSE tables of sequences in all four modes, the
 * weights of literals, which are coded with such a table, and the Huffman table. LEN is the exact
 * length of what is left of the block; the memory of the decoder may have any content.
 *
 * The functions that read a bitstream backwards are models: WP proves of the real ones that they
 * return at most as many bits as they are asked for, and read only inside the stream. The models
 * assert that nobody asks for more bits than the real ones can take.
 */
#include "proof.h"

#include "../../src/internal.h"
#include "../../src/load_store.h"

#define QCOW2_ZSTD_FAST_BITS_H /* in place of zstd_fast_bits.h */

struct zfast_bits {
	const uint8_t *bytes;
	uint32_t left;
	bool over;
};

static bool any_bool(void)
{
	return Frama_C_interval(0, 1) != 0;
}

static uint32_t any_bits(uint32_t n)
{
	/*@ assert n <= 31; */
	return Frama_C_unsigned_int_interval(0, (1u << n) - 1u);
}

static uint32_t q2_zfast_le(const uint8_t *p, uint32_t n)
{
	(void)p;
	/*@ assert n <= 4; */
	return Frama_C_unsigned_int_interval(0, UINT32_MAX);
}

static bool q2_zfast_open(struct zfast_bits *b, const uint8_t *bytes, uint32_t len)
{
	(void)len;
	b->bytes = bytes;
	b->left = Frama_C_unsigned_int_interval(0, UINT32_MAX);
	b->over = false;
	return any_bool();
}

static uint32_t q2_zfast_bits_at(const uint8_t *bytes, uint32_t at, uint32_t n)
{
	(void)bytes;
	(void)at;
	return any_bits(n);
}

static uint32_t q2_zfast_take(struct zfast_bits *b, uint32_t n)
{
	b->left = Frama_C_unsigned_int_interval(0, UINT32_MAX);
	b->over = any_bool();
	return any_bits(n);
}

static q2_word q2_zfast_peek_word(const uint8_t *bytes, uint32_t left)
{
	(void)bytes;
	(void)left;
	return (q2_word)any64();
}

#include "../../src/zstd_fast_fse.c"
#include "../../src/zstd_fast_literals.c"

static uint8_t input[LEN];
static struct zfast s;

static void any_state(void)
{
	Frama_C_make_unknown((char *)input, sizeof input);
	Frama_C_make_unknown((char *)&s, sizeof s);
	s.in = input;
	s.block_end = input + LEN;
	s.has_tables = any_bool();
}

static void any_table(uint32_t kind)
{
	uint32_t mode;

	for (mode = 0; mode < 4; mode++) {
		any_state();
		(void)q2_zfast_read_table(&s, kind, mode);
	}
}

int main(void)
{
	any_table(ZFAST_LL);
	any_table(ZFAST_OF);
	any_table(ZFAST_ML);
	any_state();
	(void)zfast_read_tree(&s);
	return 0;
}
