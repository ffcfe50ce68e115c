/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the files of the small decoder for zstd share: zstd_small.c, which decodes frames and
 * blocks, zstd_small_literals.c and zstd_small_sequences.c, which decode the two parts of a block,
 * zstd_small_fse.c, which makes tables for both, and zstd_small_bits.c, which reads the input.
 * Section numbers are those of RFC 8878.
 *
 * The decoder needs the whole cluster as its window, because a match may reach back to the
 * beginning, but no other large memory: the input comes in pieces, and the literals of a block are
 * decoded into that end of the window which the block does not reach yet.
 *
 *	window   | made | made by this block |    room    |  literals left  | not for this block |
 *	                                    done     done + room
 *
 * A sequence copies literals from there to `done`, and then a match. Copying literals makes no
 * difference to the room between the two. A match takes as much of it as it is long, and is refused
 * if that is too much. So no literal is overwritten before it is copied.
 *
 * Only one bitstream is open at a time. It is the part [at, end) of the input: zstd writes the
 * headers for a reader that goes forwards, which advances `at`, and the bitstreams for one that
 * goes backwards, which takes back `end`.
 *
 * A failure does not interrupt anything. It is noted in `status`, from then on the input reads as
 * zeros, and the code that makes a part of the output checks the status.
 *
 * The tables are for Finite State Entropy (FSE, section 4.1). Each cell of a table stands for a
 * state. Its low 6 bits are the symbol; the others, x, say what the next state is. Among the states
 * of a symbol that occurs n times, x counts from n to 2n - 1. The next state has as many bits from
 * the input as x needs to become as large as the table, and x before them.
 */
#ifndef QCOW2_ZSTD_SMALL_H
#define QCOW2_ZSTD_SMALL_H

#include "internal.h"
#include "zstd_format.h"

/* The tables of a block, in the order in which the format has them, and that of the weights. */
enum { UNZSTD_LITERAL, UNZSTD_OFFSET, UNZSTD_MATCH, UNZSTD_WEIGHT, UNZSTD_TABLES };

enum {
	/*
	 * The longest table is the last one. So no state of another table reaches past the end,
	 * wherever it is, which the proof sees without knowing which table it is.
	 */
	UNZSTD_WEIGHT_AT = 0,
	UNZSTD_OFFSET_AT = UNZSTD_WEIGHT_AT + (1 << ZSTD_FORMAT_WEIGHT_LOG),
	UNZSTD_LITERAL_AT = UNZSTD_OFFSET_AT + (1 << ZSTD_FORMAT_OFFSET_LOG),
	UNZSTD_MATCH_AT = UNZSTD_LITERAL_AT + (1 << ZSTD_FORMAT_LITERAL_LOG),
	UNZSTD_CELLS = UNZSTD_MATCH_AT + (1 << ZSTD_FORMAT_MATCH_LOG),

	UNZSTD_SYMBOLS = 64,   /* of a table, at most: what fits into a cell */
	UNZSTD_RARE = 0xffff,  /* instead of how often it occurs: "less than 1" */
	UNZSTD_NO_TABLE = 0xff /* instead of a log2 */
};

struct unzstd {
	struct qcow2_stream *stream;
	int status; /* the first failure; after it, the input reads as zeros */

	uint32_t at; /* the part of the input that is being read, as numbers of bytes */
	uint32_t end;
	/*
	 * Bits that were read ahead; those above n_bits mean nothing. Forwards the next bit is the
	 * lowest, backwards it is number n_bits - 1.
	 */
	uint32_t buf;
	uint32_t n_bits;
	bool over; /* more bits were taken from a bitstream than it has */

	/* The frame. */
	uint32_t begin;              /* the number of its first byte of output */
	uint32_t limit;              /* where its output ends at the latest */
	uint32_t reach;              /* how far matches may reach back: the "window" of the frame */
	uint32_t repeat[3];          /* the last three offsets, the latest first */
	uint32_t n_sorted;           /* symbols of the Huffman code, 0 if there is none */
	uint32_t depth;              /* bits of its longest code */
	uint8_t logs[UNZSTD_TABLES]; /* the log2 of the length of each table */

	/* The block, as described above. */
	uint32_t room;
	uint32_t literals; /* those that are left */

	/* `counts`: how many symbols have this weight. `sorted`: by weight, and then by value. */
	uint16_t counts[16];
	uint8_t sorted[256];
	uint8_t weights[256];           /* of the symbols, while the code is made */
	uint16_t often[UNZSTD_SYMBOLS]; /* how often a symbol occurs, while a table is made */
	uint16_t cells[UNZSTD_CELLS];
};

Q2_STATIC_ASSERT(unzstd_fits_work, sizeof(struct unzstd) <= QCOW2_ZSTD_SMALL_WORK);

/* ---- zstd_small_bits.c ---- */

/* Notes a failure, unless there was one before. */
void q2_unzstd_fail(struct unzstd *s, int status);

/* Fails if the condition for a valid stream does not hold. Returns whether all is well so far. */
bool q2_unzstd_check(struct unzstd *s, bool valid);

/* Takes the next byte forwards. */
uint32_t q2_unzstd_next(struct unzstd *s);

/* Takes the next n <= 24 bits forwards, lowest first. */
uint32_t q2_unzstd_take(struct unzstd *s, uint32_t n);

/* Goes to the part [at, end) of the input, forwards. */
void q2_unzstd_enter(struct unzstd *s, uint32_t at, uint32_t end);

/* Takes the next n <= 22 bits backwards, zeros after the end of the bitstream. */
uint32_t q2_unzstd_back(struct unzstd *s, uint32_t n);

/*
 * Opens the part [at, end) as a bitstream, if all is well so far. The highest bit of its last byte
 * that is set only marks where it begins.
 */
bool q2_unzstd_open(struct unzstd *s);

/* A bitstream must end with its first bit, neither before nor after. */
void q2_unzstd_close(struct unzstd *s);

/* ---- zstd_small_fse.c ---- */

/* Makes a table from its description: section 4.1.1. */
void q2_unzstd_build_described(struct unzstd *s, uint32_t table);

/* Prepares a table in one of the four ways: predefined, RLE, described, as in an earlier block. */
void q2_unzstd_prepare(struct unzstd *s, uint32_t table, uint32_t mode);

/* Returns the cell of a state. */
uint32_t q2_unzstd_cell(const struct unzstd *s, uint32_t table, uint32_t state);

/* Goes on to the next state. */
uint32_t q2_unzstd_advance(struct unzstd *s, uint32_t table, uint32_t state);

/* ---- zstd_small_literals.c ---- */

/* Returns the place of byte number k of the output. */
static inline uint8_t *q2_unzstd_out(const struct unzstd *s, uint32_t k)
{
	return s->stream->window + (k & (s->stream->window_len - 1u));
}

/* Puts n bytes that are not coded, or are all the same, to byte number `to` of the output on. */
void q2_unzstd_plain(struct unzstd *s, uint32_t to, uint32_t n, bool same);

/* Decodes the literals of a block: section 3.1.1.3.1. */
void q2_unzstd_literals(struct unzstd *s);

/* ---- zstd_small_sequences.c ---- */

/*
 * Decodes the sequences of a block, carries them out, and appends the literals that are left:
 * sections 3.1.1.3.2 and 3.1.1.4.
 */
void q2_unzstd_sequences(struct unzstd *s);

#endif
