/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Texts about a LUKS header: what is wrong with it, and its UUID.
 */
#ifndef QCOW2_POSIX_LUKS_WORDS_H
#define QCOW2_POSIX_LUKS_WORDS_H

#include "../posix.h"

#include "qcow2/luks.h"

struct qp_layer;

/* Notes that qcow2_luks_read failed with this status on the image of the layer. */
void qp_fail_luks(const struct qp_layer *layer, const struct qcow2_luks *luks, int status,
                  const struct qcow2_error *err);

/* Puts the UUID of the header into buf, in printable form. It takes at most 161 bytes. */
void qp_luks_uuid(char *buf, size_t room, const struct qcow2_luks *luks);

#endif
