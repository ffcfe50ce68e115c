/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the tests of the built-in zstd decoders share: runs a decoder on the frames in `zstd`, and
 * checks that it touches only the memory that it may.
 */
#ifndef TEST_ZSTD_H
#define TEST_ZSTD_H

#include "support.h"
#include "zstd_oracle.h"
#include "zstd_writer.h"

enum { ZSTD_OUT = 1 << 21 }; /* room for the longest output of the tests */

/* The decoder under test; qcow2_zstd_small until a test changes it. */
extern const struct qcow2_codec *zstd_codec;
extern uint8_t zstd_output[ZSTD_OUT];
/* A test puts the output that it expects here, while it writes the frames. */
extern uint8_t zstd_wanted[ZSTD_OUT];

/* What a test asks for, and what it gets. */
struct zstd_run {
	uint32_t window_len; /* 0: a power of two that holds all of the output */
	uint32_t piece;      /* bytes of a piece of input, a power of two; 0: all of it */
	uint32_t fail_at;    /* the number of the fill that fails, from 1; 0: none */

	uint32_t n_fills;
	uint32_t done;
};

/* Decodes out_len bytes to `zstd_output`, and returns the status. */
int zstd_decode(const uint8_t *bytes, size_t len, uint32_t out_len, struct zstd_run *run);

/*
 * The frames in `zstd` must give the first out_len bytes of `zstd_wanted`, in pieces of any length,
 * and also by libzstd.
 */
void zstd_good(uint32_t out_len);
/* They must not be valid, and libzstd must agree. */
void zstd_bad(uint32_t out_len);
/* They must not be valid, but libzstd accepts them: P18. */
void zstd_forbidden(uint32_t out_len);

#endif
