/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#ifndef QCOW2_POSIX_SNAPSHOTS_H
#define QCOW2_POSIX_SNAPSHOTS_H

#include "posix.h"

/*
 * Makes q->snapshot the snapshot with this id, or else with this name, or the saved state of the
 * machine that belongs to it, and q->image point to it. Fails with ENOENT if there is none.
 */
bool qp_snapshot_select(struct qcow2 *q, const char *id_or_name, bool state);

#endif
