/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A check of an image of the chain, while it runs.
 */
#ifndef QCOW2_POSIX_CHECK_H
#define QCOW2_POSIX_CHECK_H

#include "posix.h"

#include "qcow2.h"
#include "qcow2/check.h"

struct qp_check {
	struct qcow2_check core;
	const struct qcow2_check_options *options;
	uint64_t shown; /* what the progress callback got last */
	uint64_t total;
	uint64_t unread; /* findings of qp_check_disk: data that is lost */
	uint64_t errors; /* and what could not be read */
	bool ended;      /* a callback has ended the check */
};

/* These two are in check_text.c. */

/* Passes a finding to the caller. Returns false if that ends the check. */
bool qp_check_tell(struct qp_check *check, const struct qcow2_finding *finding);

/* Calls the progress callback. Returns false if that ends the check. */
bool qp_check_show(struct qp_check *check, uint64_t done);

/*
 * Reads the disk of the handle, and reports what cannot be read. Wrong entries of tables are not
 * reported again. Returns false after a failure.
 */
bool qp_check_disk(struct qp_check *check, struct qcow2 *q);

#endif
