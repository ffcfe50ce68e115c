/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What libzstd makes of zstd frames, in the loop of QEMU. As with zlib_oracle.h, the answers go to
 * the file that TEST_ANSWERS names, and mini/zstd_oracle.c reads them there, for targets without
 * libzstd (cross.sh).
 */
#ifndef TEST_ZSTD_ORACLE_H
#define TEST_ZSTD_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Does libzstd make out_len bytes of the frames, and not fail before it comes to their end? */
bool zstd_oracle(const uint8_t *bytes, size_t len, uint32_t out_len);

/* Checks that these are the bytes that it made. */
void zstd_oracle_same(const uint8_t *bytes);

/* Compresses to out as one frame, with a checksum if wanted; returns the length. */
size_t zstd_oracle_compress(int level, bool checksum, const uint8_t *bytes, uint32_t len,
                            uint8_t *out, size_t out_len);

#endif
