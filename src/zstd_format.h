/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Numbers of the zstd format that its decoders use. Section numbers are those of RFC 8878.
 */
#ifndef QCOW2_ZSTD_FORMAT_H
#define QCOW2_ZSTD_FORMAT_H

#include "qcow2/types.h"

#define ZSTD_FORMAT_MAGIC      UINT32_C(0xFD2FB528) /* 3.1.1 */
#define ZSTD_FORMAT_SKIP_MAGIC UINT32_C(0x184D2A50) /* 3.1.2: the first of 16 */

enum {
	/*
	 * 3.1.1.1.2: the Window_Descriptor of 2^27 bytes. libzstd refuses longer windows unless
	 * told otherwise, and so does QEMU.
	 */
	ZSTD_FORMAT_WINDOW_MAX = 17 << 3,

	ZSTD_FORMAT_BLOCK_MAX = 1 << 17, /* 3.1.1.2.4 */

	ZSTD_FORMAT_WEIGHT_MAX = 11,   /* 4.2.1: of a symbol, and bits of the longest code */
	ZSTD_FORMAT_WEIGHTS_MAX = 255, /* 4.2.1.1: in the description of a tree */
	ZSTD_FORMAT_DIRECT = 127, /* 4.2.1.1: a header byte above it is this plus the weights */

	/* 3.1.1.3.2.1: sequence tables: the last symbol and the log2 of the most states. */
	ZSTD_FORMAT_LITERAL_LAST = 35,
	ZSTD_FORMAT_LITERAL_LOG = 9,
	ZSTD_FORMAT_MATCH_LAST = 52,
	ZSTD_FORMAT_MATCH_LOG = 9,
	ZSTD_FORMAT_OFFSET_LAST = 31,
	ZSTD_FORMAT_OFFSET_LOG = 8,
	ZSTD_FORMAT_WEIGHT_LOG = 6 /* 4.2.1.2 */
};

/* Returns the XXH64 of len bytes, with seed 0: the checksum of a frame is its low 32 bits. */
uint64_t q2_xxh64(const uint8_t *bytes, uint32_t len);

#endif
