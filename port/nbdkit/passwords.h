/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The passwords of encrypted images. They stay in memory until nbdkit ends, because a snapshot is
 * opened only when a client asks for it.
 */
#ifndef QCOW2_NBDKIT_PASSWORDS_H
#define QCOW2_NBDKIT_PASSWORDS_H

#include "plugin.h"

/*
 * Reads the password file of a parameter, [DEPTH=]FILE. Returns 0, or -1 after a message.
 */
int passwords_add(const char *value);

/* qcow2_options.get_key. Only one thread at a time opens an image. */
int passwords_get(void *ctx, const struct qcow2_key_request *request, struct qcow2_key *key);

/* Did an image need each password that was given? Returns 0, or -1 after a message. */
int passwords_check_used(void);

/* Wipes and frees all passwords. */
void passwords_wipe(void);

#endif
