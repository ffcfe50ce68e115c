/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "zstd_oracle.h"

#include <inttypes.h>
#include <stdio.h>
#include <zstd.h>

#include "answers.h"
#include "support.h"
#include "zlib_oracle.h"

static uint8_t made[1 << 21];
static uint32_t n_made;

/* The loop of qcow2_zstd_decompress in QEMU's block/qcow2-threads.c. */
static bool make(const uint8_t *bytes, size_t len, uint32_t out_len)
{
	static ZSTD_DCtx *context;
	ZSTD_outBuffer out = { made, out_len, 0 };
	ZSTD_inBuffer in = { bytes, len, 0 };
	size_t rc = 0;

	LE(out_len, sizeof(made));
	if (context == NULL)
		context = ZSTD_createDCtx();
	TRUE(context != NULL);
	ZSTD_DCtx_reset(context, ZSTD_reset_session_only);
	while (out.pos < out.size) {
		size_t before_in = in.pos, before_out = out.pos;

		rc = ZSTD_decompressStream(context, &out, &in);
		if (ZSTD_isError(rc) || (before_in == in.pos && before_out == out.pos))
			return false;
	}
	return rc == 0;
}

bool zstd_oracle(const uint8_t *bytes, size_t len, uint32_t out_len)
{
	bool good = make(bytes, len, out_len);

	n_made = out_len;
	if (answers_out() != NULL)
		fprintf(answers_out(), "%016" PRIx64 " %d %016" PRIx64 "\n",
		        zlib_hash_inflate(bytes, len, out_len), good,
		        good ? zlib_hash(ZLIB_HASH, made, n_made) : 0);
	return good;
}

void zstd_oracle_same(const uint8_t *bytes)
{
	SAME(bytes, made, n_made);
}

size_t zstd_oracle_compress(int level, bool checksum, const uint8_t *bytes, uint32_t len,
                            uint8_t *out, size_t out_len)
{
	ZSTD_CCtx *context = ZSTD_createCCtx();
	size_t n;

	TRUE(context != NULL);
	ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum);
	n = ZSTD_compress2(context, out, out_len, bytes, len);
	TRUE(!ZSTD_isError(n));
	ZSTD_freeCCtx(context);
	answers_put_stream(zlib_hash_inflate(bytes, len, 0), out, n);
	return n;
}
