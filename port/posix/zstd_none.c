/* SPDX-License-Identifier: MIT */
/*
 * No zstd in this build: compressed clusters of that type are refused, QCOW2_E_CODEC.
 */
#include "qp.h"

/* The other one, zstd_libzstd.c, writes to it. NOLINTNEXTLINE(readability-non-const-parameter) */
struct qcow2_codec *qp_zstd_new(bool *no_memory)
{
	(void)no_memory;
	return NULL;
}

void qp_zstd_free(struct qcow2_codec *codec)
{
	(void)codec;
}
