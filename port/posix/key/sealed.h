/* SPDX-License-Identifier: MIT */
/*
 * The cipher of images that are opened without their keys.
 */
#ifndef QCOW2_POSIX_SEALED_H
#define QCOW2_POSIX_SEALED_H

#include "../posix.h"

#include "qcow2/cipher.h"

/* Always fails. With it, the core maps an encrypted image, and reads what is not encrypted. */
extern const struct qcow2_cipher qp_sealed;

#endif
