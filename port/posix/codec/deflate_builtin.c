/* SPDX-License-Identifier: MIT */
/*
 * Deflate by the core's own decoder, the fast one.
 */
#include "../posix.h"

static void builtin_begin(const struct qcow2_codec *self, void *work)
{
	const struct qp_deflate *own = (const struct qp_deflate *)(const void *)self;

	*own->zstd_state = NULL;
	qcow2_deflate_fast.begin(&qcow2_deflate_fast, work);
}

void qp_deflate_init(struct qp_deflate *deflate)
{
	deflate->codec = qcow2_deflate_fast;
	deflate->codec.begin = builtin_begin;
}

void qp_deflate_end(struct qp_deflate *deflate)
{
	(void)deflate; /* it has no state but the reader's memory */
}
