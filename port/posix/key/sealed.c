/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "sealed.h"

/* The type of qcow2_cipher.decrypt. NOLINTNEXTLINE(readability-non-const-parameter) */
int qp_sealed_decrypt(const struct qcow2_cipher *self, uint64_t sector, void *buf, size_t n)
{
	(void)self;
	(void)sector;
	(void)buf;
	(void)n;
	return QCOW2_E_CRYPTO;
}
