/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "zstd_writer.h"

#include <string.h>

#include "support.h"

struct zstd_writer zstd;
struct zstd_code zstd_tree;

static size_t block_at;
static uint8_t back_bits[1 << 20];
static size_t n_back;

void zstd_begin(void)
{
	memset(&zstd, 0, sizeof(zstd));
}

void zstd_put(uint64_t value, unsigned n)
{
	LE(zstd.len + n, sizeof(zstd.bytes));
	zstd.n_bits = 0;
	for (; n != 0; n--, value >>= 8)
		zstd.bytes[zstd.len++] = (uint8_t)value;
}

void zstd_bits(uint32_t value, unsigned n)
{
	for (; n != 0; n--, value >>= 1) {
		if (zstd.n_bits == 0)
			zstd_put(0, 1);
		zstd.bytes[zstd.len - 1] |= (uint8_t)((value & 1) << zstd.n_bits);
		zstd.n_bits = (zstd.n_bits + 1) % 8;
	}
}

/* ---- Frames ---- */

void zstd_magic(void)
{
	zstd_put(0xFD2FB528, 4);
}

void zstd_plain_frame(void)
{
	zstd_magic();
	zstd_put(0, 1);
	zstd_put(7 << 3, 1);
}

void zstd_sized_frame(uint32_t content)
{
	zstd_magic();
	zstd_put(0x80 | ZSTD_SINGLE, 1);
	zstd_put(content, 4);
}

void zstd_block(bool last, unsigned type, uint32_t size)
{
	zstd_put(last | type << 1 | size << 3, 3);
}

void zstd_block_begin(bool last)
{
	block_at = zstd.len;
	zstd_block(last, ZSTD_COMPRESSED, 0);
}

void zstd_block_end(void)
{
	size_t end = zstd.len;
	uint32_t head = zstd.bytes[block_at] | (uint32_t)(end - block_at - 3) << 3;

	zstd.len = block_at;
	zstd_put(head, 3);
	zstd.len = end;
}

void zstd_raw(bool last, const uint8_t *bytes, uint32_t n)
{
	zstd_block(last, ZSTD_RAW, n);
	for (; n != 0; n--)
		zstd_put(*bytes++, 1);
}

/* ---- Bitstreams ---- */

void zstd_back_begin(void)
{
	n_back = 0;
}

void zstd_back(uint32_t value, unsigned n)
{
	LE(n_back + n, sizeof(back_bits));
	while (n-- != 0)
		back_bits[n_back++] = value >> n & 1;
}

void zstd_back_end(void)
{
	zstd.n_bits = 0;
	while (n_back != 0)
		zstd_bits(back_bits[--n_back], 1);
	zstd_bits(1, 1);
	zstd.n_bits = 0;
}

/* ---- Literals ---- */

void zstd_literals(unsigned type, uint32_t n, unsigned bits)
{
	zstd.n_bits = 0;
	zstd_bits(type, 2);
	if (bits == 5)
		zstd_bits(0, 1);
	else
		zstd_bits(bits == 12 ? 1 : 3, 2);
	zstd_bits(n, bits);
}

void zstd_packed_literals(unsigned type, unsigned form, uint32_t n, uint32_t packed)
{
	static const uint8_t bits[4] = { 10, 10, 14, 18 };

	zstd.n_bits = 0;
	zstd_bits(type, 2);
	zstd_bits(form, 2);
	zstd_bits(n, bits[form]);
	zstd_bits(packed, bits[form]);
}

void zstd_direct(void)
{
	uint32_t n = zstd_tree.n - 1;

	zstd_put(127 + n, 1);
	for (uint32_t i = 0; i < n; i += 2)
		zstd_put((uint64_t)zstd_tree.weights[i] << 4 |
		                 (i + 1 < n ? zstd_tree.weights[i + 1] : 0),
		         1);
}

/* The longest code word of zstd_tree, in bits. */
static unsigned tree_depth(void)
{
	uint32_t sum = 0;
	unsigned depth = 0;

	for (uint32_t i = 0; i < zstd_tree.n; i++)
		sum += UINT32_C(1) << zstd_tree.weights[i] >> 1;
	while (UINT32_C(1) << depth < sum)
		depth++;
	return depth;
}

/* RFC 8878 section 4.2.1.3: code words go up by weight, and then by symbol. */
void zstd_coded(uint8_t literal)
{
	unsigned weight = zstd_tree.weights[literal];
	uint32_t before = 0;

	TRUE(weight != 0);
	for (uint32_t i = 0; i < zstd_tree.n; i++) {
		unsigned w = zstd_tree.weights[i];

		if (w != 0 && (w < weight || (w == weight && i < literal)))
			before += UINT32_C(1) << (w - 1);
	}
	zstd_back(before >> (weight - 1), tree_depth() + 1 - weight);
}

uint32_t zstd_coded_all(const uint8_t *literals, uint32_t n)
{
	size_t at = zstd.len;

	zstd_back_begin();
	for (; n != 0; n--)
		zstd_coded(*literals++);
	zstd_back_end();
	return (uint32_t)(zstd.len - at);
}

/* ---- FSE ---- */

static unsigned high_bit(uint32_t value)
{
	unsigned n = 0;

	while (value >> n > 1)
		n++;
	return n;
}

void zstd_describe(const struct zstd_table *t)
{
	int left = 1 << t->log;

	zstd.n_bits = 0;
	zstd_bits(t->log - 5, 4);
	for (unsigned i = 0; i < t->n && left > 0; i++) {
		/* One of left + 2 values; the first `low` of them take one bit less. */
		uint32_t value = (uint32_t)(t->often[i] + 1), most = (uint32_t)left + 1;
		unsigned n = high_bit(most);
		uint32_t low = (2u << n) - 1 - most;

		if (value < low)
			zstd_bits(value, n);
		else
			zstd_bits(value < 1u << n ? value : value + low, n + 1);
		left -= t->often[i] < 0 ? 1 : t->often[i];
		if (t->often[i] == 0) {
			unsigned zeros = 0;

			while (i + 1 < t->n && t->often[i + 1] == 0) {
				zeros++;
				i++;
			}
			for (; zeros >= 3; zeros -= 3)
				zstd_bits(3, 2);
			zstd_bits(zeros, 2);
		}
	}
	zstd.n_bits = 0;
}

void zstd_table_make(struct zstd_table *t)
{
	unsigned size = 1u << t->log, top = size, at = 0;
	unsigned next[256];

	for (unsigned i = 0; i < t->n; i++) {
		next[i] = t->often[i] < 0 ? 1 : (unsigned)t->often[i];
		if (t->often[i] < 0)
			t->symbol[--top] = (uint8_t)i;
	}
	for (unsigned i = 0; i < t->n; i++) {
		for (int k = 0; k < t->often[i]; k++) {
			t->symbol[at] = (uint8_t)i;
			do
				at = (at + size / 2 + size / 8 + 3) % size;
			while (at >= top && top != 0);
		}
	}
	for (unsigned i = 0; i < size; i++) {
		unsigned x = next[t->symbol[i]]++;

		t->bits[i] = (uint8_t)(t->log - high_bit(x));
		t->base[i] = (uint16_t)((x << t->bits[i]) - size);
	}
}

void zstd_default(struct zstd_table *t, unsigned which)
{
	static const int8_t often[3][53] = {
		{ 4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1,  1,  2,  2,
		  2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1 },
		{ 1, 1, 1, 1, 1, 1, 2, 2, 2, 1,  1,  1,  1,  1, 1,
		  1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1 },
		{ 1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1,  1,  1,  1,  1,  1,  1, 1,
		  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,  1,  1,  1,  1,  1,  1, 1,
		  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1 },
	};
	static const uint8_t n[3] = { 36, 29, 53 };

	t->log = which == ZSTD_OF ? 5 : 6;
	t->n = n[which];
	for (unsigned i = 0; i < t->n; i++)
		t->often[i] = often[which][i];
	zstd_table_make(t);
}

void zstd_rle(struct zstd_table *t, uint8_t symbol)
{
	memset(t, 0, sizeof(*t));
	t->symbol[0] = symbol;
}

/*
 * Finds the states that decode to these n symbols, the last one first: each must be one from which
 * the next can be reached. Any state will do as the last one.
 */
static void find_states(const struct zstd_table *t, const uint8_t *symbols, uint32_t n,
                        uint16_t *states)
{
	uint32_t size = UINT32_C(1) << t->log;

	while (n-- != 0) {
		uint32_t s = 0;

		for (; s < size; s++) {
			if (t->symbol[s] == symbols[n] &&
			    (states[n + 1] == UINT16_MAX ||
			     (states[n + 1] >= t->base[s] &&
			      states[n + 1] < t->base[s] + (1 << t->bits[s]))))
				break;
		}
		TRUE(s < size);
		states[n] = (uint16_t)s;
	}
}

static void put_step(const struct zstd_table *t, const uint16_t *state)
{
	zstd_back((uint32_t)(state[1] - t->base[state[0]]), t->bits[state[0]]);
}

void zstd_described(unsigned log, const int *often, unsigned n_often)
{
	static struct zstd_table t;
	static uint16_t states[2][130];
	uint8_t symbols[2][130];
	uint32_t n[2] = { 0, 0 };
	size_t at = zstd.len;

	t.log = log;
	t.n = n_often;
	for (unsigned i = 0; i < n_often; i++)
		t.often[i] = often[i];
	zstd_table_make(&t);
	zstd_put(0, 1);
	zstd_describe(&t);
	/* Two states take turns. */
	for (uint32_t i = 0; i + 1 < zstd_tree.n; i++)
		symbols[i % 2][n[i % 2]++] = zstd_tree.weights[i];
	for (unsigned k = 0; k < 2; k++) {
		states[k][n[k]] = UINT16_MAX;
		find_states(&t, symbols[k], n[k], states[k]);
	}
	zstd_back_begin();
	zstd_back(states[0][0], log);
	zstd_back(states[1][0], log);
	for (uint32_t i = 0; i + 3 < zstd_tree.n; i++)
		put_step(&t, &states[i % 2][i / 2]);
	zstd_back_end();
	zstd.bytes[at] = (uint8_t)(zstd.len - at - 1);
}

/* ---- Sequences ---- */

static const uint32_t ll_base[36] = { 0,   1,   2,    3,    4,    5,    6,     7,     8,
	                              9,   10,  11,   12,   13,   14,   15,    16,    18,
	                              20,  22,  24,   28,   32,   40,   48,    64,    128,
	                              256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536 };
static const uint8_t ll_bits[36] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0,  0,  0,  0,  1,  1,
	                             1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
static const uint32_t ml_base[21] = { 35,  37,  39,  41,   43,   47,   51,   59,    67,    83,   99,
	                              131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539 };
static const uint8_t ml_bits[21] = { 1, 1, 1, 1,  2,  2,  3,  3,  4,  4, 5,
	                             7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

static uint8_t ll_code(uint32_t n)
{
	uint8_t code = 35;

	while (ll_base[code] > n)
		code--;
	return code;
}

static uint8_t ml_code(uint32_t n)
{
	uint8_t code = 20;

	if (n < 35)
		return (uint8_t)(n - 3);
	while (ml_base[code] > n)
		code--;
	return 32 + code;
}

void zstd_n_sequences(uint32_t n)
{
	if (n < 128) {
		zstd_put(n, 1);
	} else if (n < 0x7f00) {
		zstd_put(128 + (n >> 8), 1);
		zstd_put(n & 255, 1);
	} else {
		zstd_put(255, 1);
		zstd_put(n - 0x7f00, 2);
	}
}

void zstd_sequences(const struct zstd_sequence *q, uint32_t n, const struct zstd_table *t)
{
	enum { MOST = 40000 };
	static uint8_t codes[3][MOST];
	static uint16_t states[3][MOST + 1];
	static const uint8_t order[3] = { ZSTD_LL, ZSTD_ML, ZSTD_OF };

	LE(n, MOST);
	for (uint32_t i = 0; i < n; i++) {
		codes[ZSTD_LL][i] = ll_code(q[i].literals);
		codes[ZSTD_OF][i] = (uint8_t)high_bit(q[i].offset);
		codes[ZSTD_ML][i] = ml_code(q[i].match);
	}
	zstd_back_begin();
	for (unsigned k = 0; k < 3; k++) {
		states[k][n] = UINT16_MAX;
		find_states(&t[k], codes[k], n, states[k]);
		zstd_back(states[k][0], t[k].log);
	}
	for (uint32_t i = 0; i < n; i++) {
		uint8_t ll = codes[ZSTD_LL][i], of = codes[ZSTD_OF][i], ml = codes[ZSTD_ML][i];

		zstd_back(q[i].offset - (UINT32_C(1) << of), of);
		if (ml >= 32)
			zstd_back(q[i].match - ml_base[ml - 32], ml_bits[ml - 32]);
		zstd_back(q[i].literals - ll_base[ll], ll_bits[ll]);
		for (unsigned k = 0; k < 3 && i + 1 < n; k++)
			put_step(&t[order[k]], &states[order[k]][i]);
	}
	zstd_back_end();
}

void zstd_default_sequences(const struct zstd_sequence *q, uint32_t n)
{
	static struct zstd_table t[3];

	for (unsigned k = 0; k < 3; k++)
		zstd_default(&t[k], k);
	zstd_n_sequences(n);
	zstd_put(0, 1);
	zstd_sequences(q, n, t);
}
