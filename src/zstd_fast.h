/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the files of the fast decoder for zstd share: zstd_fast.c, which decodes frames and blocks,
 * zstd_fast_literals.c and zstd_fast_sequences.c, which decode the two parts of a block, and
 * zstd_fast_fse.c, which makes tables for both. Section numbers are those of RFC 8878.
 *
 * The window of a frame is the cluster, so all output stays in memory. What is still free of it
 * also holds the literals of a block, so there is no buffer for them. They are decoded into the
 * end of the room that the block has, and its sequences move them to their places:
 *
 *	out    [ made before | of this block |    room    | literals left ]
 *	       0                             at           lit             lit + n_lits
 *
 * A copy of literals advances both `at` and `lit`, and so keeps the room. A match takes its length
 * off the room. So a sequence never overwrites literals that are still needed.
 *
 * A cell of a sequence table, which is an FSE decoding table (section 4.1.1), is a uint32_t:
 *
 *   bits 0-5    number of extra bits
 *   bits 8-13   number of bits to take for the next state
 *   bits 14-22  what to add to these bits, which makes the index of the next cell
 *   bits 23-31  the value without its extra bits, which follow it as its lowest bits
 *
 * The sum of three cells has the sums of the first two fields.
 *
 * The index into the Huffman table is the next 11 bits of a stream. An entry has the length of the
 * code in bits 0-7, and the literal in bits 8-15.
 */
#ifndef QCOW2_ZSTD_FAST_H
#define QCOW2_ZSTD_FAST_H

#include "internal.h"
#include "zstd_fast_bits.h"
#include "zstd_format.h"

enum {
	ZFAST_TREE_BITS = ZSTD_FORMAT_WEIGHT_MAX, /* of the longest Huffman code */
	/* Of an FSE table. That of the weights may name symbols that are none, but not use them. */
	ZFAST_SYMBOLS_MAX = 64
};

/* Types of a block, 3.1.1.2.2, and of its literals, 3.1.1.3.1.1: only the fourth one differs. */
enum {
	ZFAST_RAW = 0,
	ZFAST_RLE = 1,
	ZFAST_COMPRESSED = 2,
	ZFAST_TREELESS = 3,
	ZFAST_NO_BLOCK = 3 /* reserved */
};

/* The FSE tables, in their order in a block, and that of the weights of a Huffman code. */
enum { ZFAST_LL, ZFAST_OF, ZFAST_ML, ZFAST_WEIGHTS, ZFAST_KINDS };
enum { ZFAST_TABLES = ZFAST_WEIGHTS }; /* those of a block */

/* Parts of a cell, as described above. */
enum {
	ZFAST_EXTRA = 0x3f,
	ZFAST_STATE = 8,
	ZFAST_NEXT = 14,
	ZFAST_NEXT_MASK = 0x1ff,
	ZFAST_VALUE = 23
};

/* The offsets of the last three matches, the last one first: 3.1.1.5. */
struct zfast_repeats {
	uint32_t first, second, third;
};

struct zfast {
	const uint8_t *in;        /* the next byte of input */
	const uint8_t *in_end;    /* the end of the input */
	const uint8_t *block_end; /* the end of the block that `in` is in */
	uint8_t *out;             /* the whole cluster */
	uint32_t at;              /* the next byte of `out` to make */
	uint32_t stop;            /* the end of the cluster */
	uint32_t start;           /* the first byte that the frame made */
	uint32_t end;             /* the end of what the frame may make */
	uint32_t window;          /* 3.1.1.1.2: Window_Size */
	uint32_t block_max;       /* 3.1.1.2.4: Block_Maximum_Size */
	uint32_t room;            /* of the block, as described above */
	uint32_t lit;             /* the next literal in `out` */
	uint32_t n_lits;          /* literals not yet used */
	struct zfast_repeats repeats;
	struct zfast_bits bits;               /* of the sequences */
	uint32_t state[ZFAST_TABLES];         /* the current cells of the sequences */
	uint8_t log[ZFAST_KINDS];             /* log2 of the number of cells of each table */
	bool has_size;                        /* the frame states the size of its content */
	bool has_checksum;                    /* the frame ends with a checksum */
	bool has_tables;                      /* the frame had sequences already */
	bool has_tree;                        /* the frame had a Huffman code already */
	uint32_t cells[512 + 256 + 512 + 64]; /* the tables, in the order of their kinds */
	uint32_t forms[ZFAST_SYMBOLS_MAX];    /* cells of each symbol, while a table is made */
	int16_t counts[ZFAST_SYMBOLS_MAX];    /* 4.1.1: probabilities of the symbols; -1: below 1 */
	uint8_t weights[ZSTD_FORMAT_WEIGHTS_MAX + 1]; /* 4.2.1 */
	uint16_t tree[1 << ZFAST_TREE_BITS];          /* the Huffman table */
};

Q2_STATIC_ASSERT(zfast_fits_work, sizeof(struct zfast) <= QCOW2_ZSTD_FAST_WORK);

/* ---- zstd_fast_fse.c ---- */

/* Returns the place of a table. */
static inline uint32_t *q2_zfast_table(struct zfast *s, uint32_t kind)
{
	static const uint8_t at[ZFAST_KINDS] = { 0, 2, 3, 5 }; /* divided by 256 */

	return s->cells + ((uint32_t)at[kind] << 8);
}

/*
 * Reads the probabilities of the symbols of a table: 4.1.1, "FSE Table Description". Returns false
 * if they do not make a table.
 */
bool q2_zfast_read_counts(struct zfast *s, uint32_t kind);

/* Makes a table from the probabilities of its symbols: 4.1.1. */
void q2_zfast_build(struct zfast *s, uint32_t kind);

/*
 * Reads or makes the table of a kind, in one of the modes of 3.1.1.3.2.1. Returns false if it is
 * invalid.
 */
bool q2_zfast_read_table(struct zfast *s, uint32_t kind, uint32_t mode);

/* ---- zstd_fast_literals.c ---- */

/* Decodes the literals of a block to the end of its room: 3.1.1.3.1. Returns false if it cannot. */
bool q2_zfast_literals(struct zfast *s);

/* ---- zstd_fast_sequences.c ---- */

/* Decodes and executes the sequences of a block: 3.1.1.3.2. Returns false if it cannot. */
bool q2_zfast_sequences(struct zfast *s);

/* Moves the next n literals to where they belong. */
void q2_zfast_move_literals(struct zfast *s, uint32_t n);

#endif
