/* SPDX-License-Identifier: MIT */
#include "../zlib_oracle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../support.h"

static uint64_t made_hash;
static uint32_t n_made;

static FILE *answers(void)
{
	static FILE *file;
	const char *name = getenv("TEST_ANSWERS");

	if (file == NULL && name != NULL)
		file = fopen(name, "rb");
	TRUE(file != NULL);
	return file;
}

int zlib_inflate(const uint8_t *bytes, size_t len, uint32_t out_len, uint32_t *made)
{
	uint64_t question;
	int answer;

	EQ(fscanf(answers(), "%" SCNx64 " %d %" SCNu32 " %" SCNx64 "\n", &question, &answer,
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
	uint64_t question;
	size_t n;

	EQ(fscanf(answers(), "%" SCNx64 " %zu", &question, &n), 2);
	EQ(fgetc(answers()), '\n');
	EQ(question, zlib_hash_deflate(how, bytes, len));
	LE(n, out_len);
	EQ(fread(out, 1, n, answers()), n);
	return n;
}
