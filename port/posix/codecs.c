/* SPDX-License-Identifier: MIT */
/*
 * The decompressors of a reader. Which ones there are is decided by which of deflate_*.c and
 * zstd_*.c are compiled.
 */
#include "qp.h"

#include <stdlib.h>

struct qp_codecs {
	struct qcow2_codec *deflate;
	struct qcow2_codec *zstd;
	const struct qcow2_codec *list[3];
};

struct qp_codecs *qp_codecs_new(void)
{
	struct qp_codecs *codecs = calloc(1, sizeof *codecs);
	bool no_memory = false;

	if (codecs == NULL)
		return NULL;
	codecs->deflate = qp_deflate_new(&no_memory);
	codecs->zstd = qp_zstd_new(&no_memory);
	if (no_memory) {
		qp_codecs_free(codecs);
		return NULL;
	}
	codecs->list[0] = codecs->deflate;
	codecs->list[1] = codecs->zstd; /* NULL: the end of the list */
	return codecs;
}

void qp_codecs_free(struct qp_codecs *codecs)
{
	if (codecs == NULL)
		return;
	qp_deflate_free(codecs->deflate);
	qp_zstd_free(codecs->zstd);
	free(codecs);
}

const struct qcow2_codec *const *qp_codecs_list(const struct qp_codecs *codecs)
{
	return codecs->list;
}
