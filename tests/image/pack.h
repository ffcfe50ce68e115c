/* SPDX-License-Identifier: MIT */
/* Writes raw deflate streams for tests: no library needed, any target. */
#ifndef TEST_PACK_H
#define TEST_PACK_H

#include <stddef.h>
#include <stdint.h>

/* Room that any of the functions below may need for len bytes of input. */
size_t pack_bound(size_t len);

/* Stored blocks only. All return the bytes written to out. */
size_t pack_stored(uint8_t *out, const uint8_t *in, size_t len);

/*
 * One block with the fixed codes; greedy matches of 3 to 258 bytes, at most max_dist (1 to 32768)
 * back. QEMU's own streams never reach back further than 4096.
 */
size_t pack_fixed(uint8_t *out, const uint8_t *in, size_t len, unsigned max_dist);

#endif
