/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Decrypts by libcrypto.
 */
#include "crypto.h"

#include "../../crypto/adapters.h"

const struct qcow2_crypto *const qp_crypto = &qcow2_libcrypto;
const char *const qp_crypto_name = "libcrypto";
