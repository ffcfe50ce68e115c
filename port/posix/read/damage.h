/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Finds where in the disk a read or a map failed, why, and how far the reason reaches.
 */
#ifndef QCOW2_POSIX_DAMAGE_H
#define QCOW2_POSIX_DAMAGE_H

#include "../posix.h"

#include "qcow2/reader.h"

/*
 * Notes that qcow2_reader_read or qcow2_reader_map failed with this status for [offset, offset +
 * len) of the disk.
 *
 * Cost: maps the part up to the failure again, then a few pread(2) and at most 64 calls of
 * qcow2_reader_map for neighbours. If the damage is in a lower image, maps at most 65,536 clusters
 * of each image above it.
 */
void qp_fail_reader(struct qcow2_reader *reader, int status, uint64_t offset, uint64_t len);

#endif
