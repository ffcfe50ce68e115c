/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * No decryption in this build: an encrypted image opens only without its key.
 */
#include "crypto.h"

const struct qcow2_crypto *const qp_crypto = NULL;
const char *const qp_crypto_name = NULL;
