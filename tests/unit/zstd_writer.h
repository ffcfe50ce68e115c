/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Writes zstd frames (RFC 8878) part by part, valid or not: headers, blocks, bitstreams, tables.
 * There is one input for the decoder at a time, in `zstd`. It is made from the tables of the format
 * document, by other ways than the decoders go.
 */
#ifndef TEST_ZSTD_WRITER_H
#define TEST_ZSTD_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern struct zstd_writer {
	uint8_t bytes[1 << 19];
	size_t len;
	unsigned n_bits; /* used in the last byte, 0 if all are */
} zstd;

void zstd_begin(void);
void zstd_put(uint64_t value, unsigned n);  /* n bytes, lowest first */
void zstd_bits(uint32_t value, unsigned n); /* n bits, lowest first; the next zstd_put aligns */

/* ---- Frames ---- */

enum { ZSTD_SINGLE = 0x20, ZSTD_CHECKSUM = 4, ZSTD_UNUSED = 0x10, ZSTD_RESERVED = 8 };

void zstd_magic(void);
/* A header with a window of 2^17 bytes and nothing else. */
void zstd_plain_frame(void);
/* A header of a single segment with this content, of less than 2^32 bytes. */
void zstd_sized_frame(uint32_t content);

enum { ZSTD_RAW, ZSTD_RLE, ZSTD_COMPRESSED, ZSTD_BLOCK_3 };

/* A block header; begin and end set the size by what is written between them. */
void zstd_block(bool last, unsigned type, uint32_t size);
void zstd_block_begin(bool last);
void zstd_block_end(void);
/* A last raw block of one byte, and none. */
void zstd_raw(bool last, const uint8_t *bytes, uint32_t n);

/* ---- Bitstreams that are read backwards ---- */

void zstd_back_begin(void);
void zstd_back(uint32_t value,
               unsigned n); /* in the order in which it is read, highest bit first */
void zstd_back_end(void);   /* writes it, with the mark */

/* ---- Literals ---- */

/* A header of raw or RLE literals, in the form of 5, 12 or 20 bits. */
void zstd_literals(unsigned type, uint32_t n, unsigned bits);
/* A header of compressed (2) or treeless (3) literals. form: the two bits of the format. */
void zstd_packed_literals(unsigned type, unsigned form, uint32_t n, uint32_t packed);

/* A Huffman code: weights of n symbols, including the last one. */
struct zstd_code {
	uint32_t n;
	uint8_t weights[256];
};
extern struct zstd_code zstd_tree;

/* Describes `zstd_tree` directly, without the last weight. */
void zstd_direct(void);
/* Describes it by FSE: how often each of 7 weights occurs in the table. It must have two at least.
 */
void zstd_described(unsigned log, const int *often, unsigned n_often);
/* Adds the code of a literal to the bitstream. */
void zstd_coded(uint8_t literal);
/* Writes a bitstream of n literals, and returns its length. */
uint32_t zstd_coded_all(const uint8_t *literals, uint32_t n);

/* ---- FSE tables, and sequences ---- */

/* how often: -1 is "less than 1". */
struct zstd_table {
	unsigned log, n;
	int often[256];
	uint8_t symbol[512], bits[512];
	uint16_t base[512];
};

/* Literal lengths, offsets, match lengths. */
enum { ZSTD_LL, ZSTD_OF, ZSTD_ML };

void zstd_describe(const struct zstd_table *t); /* writes the description */
void zstd_table_make(struct zstd_table *t);     /* fills the states from how often */
void zstd_default(struct zstd_table *t, unsigned which);
void zstd_rle(struct zstd_table *t, uint8_t symbol);

struct zstd_sequence {
	uint32_t literals, match,
		offset; /* the value of the offset: a distance plus 3, or 1 to 3 */
};

void zstd_n_sequences(uint32_t n); /* in the shortest form */
/* The bitstream of sequences, by these three tables. */
void zstd_sequences(const struct zstd_sequence *q, uint32_t n, const struct zstd_table *t);
/* What follows the literals if all three tables are the predefined ones. */
void zstd_default_sequences(const struct zstd_sequence *q, uint32_t n);

#endif
