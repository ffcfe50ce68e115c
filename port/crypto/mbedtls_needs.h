/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What mbedtls.c needs of Mbed TLS 3, and no more: for a firmware that has no configuration of its
 * own. Compile Mbed TLS and mbedtls.c with -DMBEDTLS_CONFIG_FILE='"mbedtls_needs.h"'. A firmware
 * that has one must set these there; MBEDTLS_MD5_C and MBEDTLS_RIPEMD160_C are for images with
 * these hashes, which QEMU uses only if asked to.
 */
#ifndef QCOW2_CRYPTO_MBEDTLS_NEEDS_H
#define QCOW2_CRYPTO_MBEDTLS_NEEDS_H

#define MBEDTLS_AES_C
#define MBEDTLS_CIPHER_C
#define MBEDTLS_CIPHER_MODE_CBC
#define MBEDTLS_CIPHER_MODE_CTR
#define MBEDTLS_CIPHER_MODE_XTS
#define MBEDTLS_MD_C
#define MBEDTLS_PKCS5_C
#define MBEDTLS_SHA1_C
#define MBEDTLS_SHA224_C
#define MBEDTLS_SHA256_C
#define MBEDTLS_SHA384_C
#define MBEDTLS_SHA512_C

#endif
