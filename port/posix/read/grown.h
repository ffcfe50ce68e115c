/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The images of a chain whose files have grown since they were opened.
 *
 * The core relies on an image and the size of its file to stay the same, and threads share the
 * images. So a reader that meets a longer file gets copies of its own.
 */
#ifndef QCOW2_POSIX_GROWN_H
#define QCOW2_POSIX_GROWN_H

#include "../posix.h"

#include "qcow2/image.h"

struct qp_grown;

/*
 * Has the file `io` grown, which is one of the chain `top`, or of the copies in *grown if that is
 * not NULL? If so, sets *grown to copies with the present sizes of all files, and returns true. It
 * is one block of memory for free(); it stays the same once it exists.
 */
bool qp_grown_update(struct qp_grown **grown, const struct qcow2_image *top,
                     const struct qcow2_io *io);

/* The top of the copies. */
const struct qcow2_image *qp_grown_image(const struct qp_grown *grown);

#endif
