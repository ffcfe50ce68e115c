/* SPDX-License-Identifier: MIT */
/*
 * No zstd in this build: compressed clusters of that type are refused, QCOW2_E_CODEC.
 */
#include "qp.h"

/* The other one, zstd_libzstd.c, writes to it. NOLINTNEXTLINE(readability-non-const-parameter) */
bool qp_zstd_init(struct qcow2_codec *codec)
{
	(void)codec;
	return false;
}
