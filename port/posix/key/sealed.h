/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The cipher of images that are opened without their keys.
 */
#ifndef QCOW2_POSIX_SEALED_H
#define QCOW2_POSIX_SEALED_H

#include "../posix.h"

#include "qcow2/cipher.h"

/*
 * For qcow2_cipher.decrypt; always fails. With it, the core maps an encrypted image, and reads what
 * is not encrypted.
 */
int qp_sealed_decrypt(const struct qcow2_cipher *self, uint64_t sector, void *buf, size_t n);

#endif
