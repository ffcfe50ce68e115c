/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Keeps handles usable after fork(2).
 */
#ifndef QCOW2_POSIX_FORK_H
#define QCOW2_POSIX_FORK_H

#include "pool.h"

/* From qp_fork_add to qp_fork_remove, a process that fork(2) makes can use the pool. */
void qp_fork_add(struct qp_pool *pool);
void qp_fork_remove(struct qp_pool *pool);

#endif
