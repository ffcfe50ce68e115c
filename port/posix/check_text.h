/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Describes the findings of a check.
 */
#ifndef QCOW2_POSIX_CHECK_TEXT_H
#define QCOW2_POSIX_CHECK_TEXT_H

#include "posix.h"

#include "qcow2/check.h"

/*
 * Writes the line of a finding, as `qemu-img check` has it for what it finds as well. Returns
 * QCOW2_FINDING_*. check is the check that is running.
 */
int qp_check_text(char *buf, size_t room, const struct qcow2_check *check,
                  const struct qcow2_check_finding *finding);

#endif
