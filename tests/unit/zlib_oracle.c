/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "zlib_oracle.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "answers.h"
#include "support.h"

static uint8_t made_bytes[1 << 17];
static uint32_t n_made;

/* A copy, because zlib takes no const. */
static uint8_t *copy_of(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len != 0 ? len : 1);

	TRUE(copy != NULL);
	memcpy(copy, bytes, len);
	return copy;
}

static int verdict(int rc, const z_stream *z)
{
	if (z->avail_out != 0)
		return ZLIB_WRONG;
	if (rc == Z_BUF_ERROR && z->avail_in == 0)
		return ZLIB_CUT_BEHIND;
	return rc == Z_DATA_ERROR ? ZLIB_WRONG_BEHIND : ZLIB_MADE;
}

int zlib_inflate(const uint8_t *bytes, size_t len, uint32_t out_len, uint32_t *made)
{
	static z_stream z;
	static bool ready;
	uint8_t *copy = copy_of(bytes, len);
	int answer;

	LE(out_len, sizeof(made_bytes));
	if (!ready)
		EQ(inflateInit2(&z, -15), Z_OK);
	ready = true;
	EQ(inflateReset(&z), Z_OK);
	z.next_in = copy;
	z.avail_in = (uInt)len;
	z.next_out = made_bytes;
	z.avail_out = out_len;
	answer = verdict(inflate(&z, Z_FINISH), &z);
	free(copy);
	*made = n_made = out_len - z.avail_out;
	if (answers_out() != NULL)
		fprintf(answers_out(), "%016" PRIx64 " %d %" PRIu32 " %016" PRIx64 "\n",
		        zlib_hash_inflate(bytes, len, out_len), answer, n_made,
		        zlib_hash(ZLIB_HASH, made_bytes, n_made));
	return answer;
}

void zlib_same(const uint8_t *bytes)
{
	SAME(bytes, made_bytes, n_made);
}

size_t zlib_deflate(const struct zlib_deflate *how, const uint8_t *bytes, uint32_t len,
                    uint8_t *out, size_t out_len)
{
	z_stream z = { 0 };
	uint8_t *copy = copy_of(bytes, len);
	size_t n;

	EQ(deflateInit2(&z, how->level, Z_DEFLATED, -how->window_bits, how->memory, how->strategy),
	   Z_OK);
	z.next_in = copy;
	z.avail_in = len;
	z.next_out = out;
	z.avail_out = (uInt)out_len;
	EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
	n = z.total_out;
	deflateEnd(&z);
	free(copy);
	answers_put_stream(zlib_hash_deflate(how, bytes, len), out, n);
	return n;
}
