/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#ifndef QCOW2_POSIX_RESOLVE_H
#define QCOW2_POSIX_RESOLVE_H

#include "../posix.h"

struct qp_found;
struct qp_layer;

/* Is this the name of a file, as opposed to one for another protocol of QEMU, or an empty one? */
bool qp_resolve_may_follow(const char *name);

/*
 * Opens the file that the image of the layer names in the request, as QCOW2_FOLLOW or
 * QCOW2_FOLLOW_ANY in flags allow. Sets *found to the descriptor, its path and, with QCOW2_FOLLOW,
 * its directory. Even if the call fails, *found may hold some of these, which the caller releases.
 */
bool qp_resolve(const struct qcow2_file_request *request, struct qp_layer *layer, unsigned flags,
                struct qp_found *found);

#endif
