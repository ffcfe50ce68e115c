/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The parameters of the plugin, which are named like the options of the qcow2 command.
 */
#ifndef QCOW2_NBDKIT_PARAMETERS_H
#define QCOW2_NBDKIT_PARAMETERS_H

#include "plugin.h"

/* What --help shows. */
extern const char parameters_help[];

/* Stores a parameter. Returns 0, or -1 after a message. */
int parameters_store(const char *key, const char *value);

/* Checks that there is an image. Returns 0, or -1 after a message. */
int parameters_check(void);

/* The options with which the library opens the image; path is the image. */
const struct qcow2_options *parameters_options(void);

#endif
