/* SPDX-License-Identifier: MIT */
#include "../zstd_oracle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../support.h"
#include "../zlib_oracle.h"

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

bool zstd_oracle(const uint8_t *bytes, size_t len, uint32_t out_len)
{
	uint64_t question;
	int good;

	EQ(fscanf(answers(), "%" SCNx64 " %d %" SCNx64 "\n", &question, &good, &made_hash), 3);
	EQ(question, zlib_hash_inflate(bytes, len, out_len));
	n_made = out_len;
	return good != 0;
}

void zstd_oracle_same(const uint8_t *bytes)
{
	EQ(zlib_hash(ZLIB_HASH, bytes, n_made), made_hash);
}

size_t zstd_oracle_compress(int level, bool checksum, const uint8_t *bytes, uint32_t len,
                            uint8_t *out, size_t out_len)
{
	uint64_t question;
	size_t n;

	(void)level;
	(void)checksum;
	EQ(fscanf(answers(), "%" SCNx64 " %zu", &question, &n), 2);
	EQ(fgetc(answers()), '\n');
	EQ(question, zlib_hash_inflate(bytes, len, 0));
	LE(n, out_len);
	EQ(fread(out, 1, n, answers()), n);
	return n;
}
