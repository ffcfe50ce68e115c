/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#ifndef QCOW2_POSIX_NAMES_H
#define QCOW2_POSIX_NAMES_H

#include "../posix.h"

#include "chain.h"

/*
 * Sets *name to a string of the image, which lives as long as the layer; bytes is NULL if the image
 * does not have it. The first call for a string reads it, with one pread at most. Thread-safe.
 * Fails if the string cannot be read; a later call tries again.
 */
bool qp_layer_name(struct qp_layer *layer, enum qp_name which, struct qcow2_string *name);

#endif
