/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Numbers of the deflate format that both decoders use, inflate_small.c and inflate_fast.c. Section
 * numbers are those of RFC 1951.
 */
#ifndef QCOW2_DEFLATE_H
#define QCOW2_DEFLATE_H

#include "qcow2/types.h"

enum {
	DEFLATE_CODE_MAX = 15, /* 3.2.7: bits of the longest code */
	DEFLATE_LENS_MAX = 19, /* 3.2.7: symbols of the code length code, 0 to 18 */
	DEFLATE_REPEAT = 16,   /* 3.2.7: its symbol for "copy the previous code length" */

	/* 3.2.6: symbols of the fixed codes, and so the room that a decoder needs. */
	DEFLATE_LIT_MAX = 288, /* literals, the end of the block, lengths */
	DEFLATE_DIST_MAX = 32, /* distances */

	/* 3.2.6: symbols that have a meaning; a block cannot define codes for more than these. */
	DEFLATE_LIT_USED = 286,
	DEFLATE_DIST_USED = 30,

	/* 3.2.5: kinds of symbols of the literal/length code. Those below END are literals. */
	DEFLATE_END = 256,        /* the end of the block */
	DEFLATE_LENGTH = 257,     /* the first length */
	DEFLATE_LENGTHS = 29,     /* number of lengths; the last one has no extra bits */
	DEFLATE_LENGTH_LAST = 258 /* and stands for this many bytes */
};

/* 3.2.7: the order in which a block contains the lengths of the code length code. */
static const uint8_t deflate_order[DEFLATE_LENS_MAX] = { 16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
	                                                 11, 4,  12, 3, 13, 2, 14, 1, 15 };

#endif
