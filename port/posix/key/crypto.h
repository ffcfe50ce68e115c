/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The library that decrypts. The build chooses one of crypto_*.c.
 */
#ifndef QCOW2_POSIX_CRYPTO_H
#define QCOW2_POSIX_CRYPTO_H

#include "../posix.h"

#include "qcow2/crypto.h"

/* Its primitives, from port/crypto. NULL: this build cannot decrypt. */
extern const struct qcow2_crypto *const qp_crypto;
/* Its name. NULL if qp_crypto is. */
extern const char *const qp_crypto_name;

#endif
