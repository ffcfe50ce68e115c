/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the messages and qcow2_info call things.
 */
#ifndef QCOW2_POSIX_WORDS_H
#define QCOW2_POSIX_WORDS_H

#include "posix.h"

/* "aes" or "luks", for QCOW2_CRYPT_AES or QCOW2_CRYPT_LUKS. */
const char *qp_encryption_name(uint64_t method);

/* "backing file" or "data file", for QCOW2_FILE_BACKING or QCOW2_FILE_DATA. */
const char *qp_kind_name(int kind);

#endif
