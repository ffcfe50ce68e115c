/* SPDX-License-Identifier: MIT */
/*
 * No zstd in this build: compressed clusters of that type are refused, QCOW2_E_CODEC.
 */
#include "../posix.h"

/* The other one, zstd_libzstd.c, writes to it. NOLINTNEXTLINE(readability-non-const-parameter) */
bool qp_zstd_init(struct qp_zstd *zstd)
{
	(void)zstd;
	return false;
}
