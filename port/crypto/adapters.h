/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Cryptographic libraries, each as a struct of primitives for qcow2/luks.h. A program takes the
 * file of the library that it has: libgcrypt.c or libcrypto.c with handles.c, or mbedtls.c alone.
 *
 *	library     ciphers                       hashes    for
 *	libgcrypt   all but twofish with 192 bits  all       programs with threads
 *	libcrypto   AES                            all       the same; it is a part of OpenSSL
 *	mbedtls     AES                            all       firmware
 *
 * Readers on any number of threads may use one cipher at the same time.
 */
#ifndef QCOW2_CRYPTO_ADAPTERS_H
#define QCOW2_CRYPTO_ADAPTERS_H

#include "qcow2/crypto.h"
#include "qcow2/status.h"

extern const struct qcow2_crypto qcow2_libgcrypt;
extern const struct qcow2_crypto qcow2_libcrypto;
extern const struct qcow2_crypto qcow2_mbedtls;

/* Bytes of a block of each cipher are at most as many as these. */
enum { QCOW2_CRYPTO_BLOCK_MAX = 16 };

/* The IV of a sector, before ESSIV encrypts it. */
static inline void qcow2_crypto_iv(const struct qcow2_cipher_spec *spec, uint64_t sector,
                                   uint8_t iv[QCOW2_CRYPTO_BLOCK_MAX])
{
	unsigned i, n = spec->iv == QCOW2_IV_PLAIN ? 4u : 8u;

	for (i = 0; i < QCOW2_CRYPTO_BLOCK_MAX; i++)
		iv[i] = (uint8_t)(i < n ? sector >> (8u * i) : 0u);
}

#endif
