/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "../zlib_oracle.h"

#include <inttypes.h>
#include <stdio.h>

#include "../answers.h"
#include "../support.h"

static uint64_t made_hash;
static uint32_t n_made;

int zlib_inflate(const uint8_t *bytes, size_t len, uint32_t out_len, uint32_t *made)
{
	uint64_t question;
	int answer;

	EQ(fscanf(answers_in(), "%" SCNx64 " %d %" SCNu32 " %" SCNx64 "\n", &question, &answer,
	          &n_made, &made_hash),
	   4);
	EQ(question, zlib_hash_inflate(bytes, len, out_len));
	*made = n_made;
	return answer;
}

void zlib_same(const uint8_t *bytes)
{
	EQ(zlib_hash(ZLIB_HASH, bytes, n_made), made_hash);
}

size_t zlib_deflate(const struct zlib_deflate *how, const uint8_t *bytes, uint32_t len,
                    uint8_t *out, size_t out_len)
{
	return answers_get_stream(zlib_hash_deflate(how, bytes, len), out, out_len);
}
