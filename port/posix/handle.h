/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The handle: the chain of open images and the readers that serve its threads.
 */
#ifndef QCOW2_POSIX_HANDLE_H
#define QCOW2_POSIX_HANDLE_H

#include "open/chain.h"
#include "posix.h"
#include "read/pool.h"

struct qcow2 {
	struct qp_layer *top;            /* the image that was opened, depth 0 */
	struct qcow2_image snapshot;     /* the image that is read, if it is a snapshot */
	const struct qcow2_image *image; /* the image that is read: &top->image or &snapshot */
	uint64_t map_len; /* a call of qcow2_map examines no more of the disk, in bytes */
	struct qp_pool pool;
};

/*
 * Copies the options at `from`, from_len bytes, to the struct of this version of the library,
 * to_len bytes. A longer struct, of a later version, is accepted if every byte after ours is 0:
 * then the caller uses no newer option. Otherwise returns false, with the failure noted.
 */
bool qp_options_copy(void *to, size_t to_len, const void *from, size_t from_len);

#endif
