/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Gives each encrypted image of a chain its cipher.
 */
#ifndef QCOW2_POSIX_UNLOCK_H
#define QCOW2_POSIX_UNLOCK_H

#include "../posix.h"

struct qp_layer;

/*
 * Attaches a cipher to the image of the layer if it is encrypted, with the key that the options
 * give, or one that always fails if they ask for no key. The layer owns it.
 */
bool qp_unlock(struct qp_layer *layer, const struct qcow2_options *options);

/* Releases the cipher, and wipes its key. */
void qp_lock(struct qp_layer *layer);

#endif
