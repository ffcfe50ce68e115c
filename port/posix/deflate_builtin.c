/* SPDX-License-Identifier: MIT */
/*
 * Deflate by the core's own decoder, the fast one.
 */
#include "qp.h"

void qp_deflate_init(struct qp_deflate *deflate)
{
	deflate->codec = qcow2_deflate_whole;
}

void qp_deflate_end(struct qp_deflate *deflate)
{
	(void)deflate; /* it has no state but the reader's memory */
}
