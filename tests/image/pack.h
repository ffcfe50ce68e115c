/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Writes raw deflate streams and zstd frames for tests, on any target and without a library. */
#ifndef TEST_PACK_H
#define TEST_PACK_H

#include <stddef.h>
#include <stdint.h>

/* The room that each function below needs for len bytes of input. */
size_t pack_bound(size_t len);

/* Writes stored blocks only. Each function returns the number of bytes written to out. */
size_t pack_stored(uint8_t *out, const uint8_t *in, size_t len);

/*
 * Writes one block with the fixed codes and greedy matches of 3 to 258 bytes, at most max_dist (1
 * to 32768) back. QEMU's own streams never reach back further than 4096.
 */
size_t pack_fixed(uint8_t *out, const uint8_t *in, size_t len, unsigned max_dist);

/* Writes a zstd frame of raw blocks. */
size_t pack_zstd(uint8_t *out, const uint8_t *in, size_t len);

#endif
