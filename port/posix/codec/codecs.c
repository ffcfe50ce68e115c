/* SPDX-License-Identifier: MIT */
/*
 * The decompressors of a reader. Which ones there are is decided by which of deflate_*.c and
 * zstd_*.c are compiled.
 */
#include "../posix.h"

#include <string.h>

void qp_codecs_init(struct qp_codecs *codecs)
{
	memset(codecs, 0, sizeof *codecs);
	codecs->deflate.state = &codecs->deflate_state;
	codecs->deflate.zstd_state = &codecs->zstd_state;
	codecs->zstd.state = &codecs->zstd_state;
	qp_deflate_init(&codecs->deflate);
	codecs->list[0] = &codecs->deflate.codec;
	if (qp_zstd_init(&codecs->zstd))
		codecs->list[1] = &codecs->zstd.codec;
}

void qp_codecs_end(struct qp_codecs *codecs)
{
	qp_deflate_end(&codecs->deflate);
}
