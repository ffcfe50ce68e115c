/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The bitmap directory, for the files that read it.
 */
#ifndef QCOW2_POSIX_BITMAPS_H
#define QCOW2_POSIX_BITMAPS_H

#include "posix.h"

#include "qcow2/image.h"

/* Notes that the bitmap directory cannot be read. */
void qp_bitmaps_failed(const struct qcow2_image *image, int rc, const struct qcow2_error *err);

#endif
