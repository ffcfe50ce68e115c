/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the tests of the built-in decoders share: runs a decoder on the stream in `writer`, and
 * checks that it touches only the memory that it may.
 */
#ifndef TEST_INFLATE_H
#define TEST_INFLATE_H

#include "deflate_writer.h"
#include "support.h"
#include "zlib_oracle.h"

enum { MAX_OUT = 1 << 17 }; /* room for the longest output of the tests */

/* The decoder under test; qcow2_deflate_small until a test changes it. */
extern const struct qcow2_codec *codec;

/*
 * What a test asks for, and what it gets. A decoder of whole clusters ignores window_len, step and
 * piece.
 */
struct run {
	uint32_t out_len;
	uint32_t window_len; /* 0: a power of two that holds all of the output */
	uint32_t step;       /* the output of one call; 0: all that fits into the window */
	size_t piece;        /* the input that one fill() gives; 0: all of it */
	int fail;            /* what fill() returns at the end of the input */

	int finish; /* the status of the call after the last byte, if there was one */
	uint32_t n_fills;
	uint32_t done; /* bytes of output */
};

/* Decodes to `output` and returns the status. */
int decode(const uint8_t *bytes, size_t len, struct run *run);
/* The same for the stream in `writer`, with all input and output at once. */
int decode_plain(uint32_t out_len);
/* The stream in `writer` must give these bytes. */
void expect_bytes(const uint8_t *bytes, uint32_t len);

extern uint8_t output[MAX_OUT];
/* A test puts the output that it expects here, while it writes the stream. */
extern uint8_t wanted[MAX_OUT];

/* Appends a match to the n bytes in `wanted`. */
void copy_match(uint32_t n, uint32_t len, uint32_t distance);

/* Does zlib get out_len bytes from the first len bytes in `writer` without an error? */
bool zlib_makes(size_t len, uint32_t out_len);

/* A pseudo-random number. Call it once in an expression: compilers differ in the order of calls. */
uint32_t below(uint32_t n);
void random_bytes(uint8_t *p, size_t len, uint32_t alphabet);

#endif
