/* SPDX-License-Identifier: MIT */
#ifndef QCOW2_TOOL_SNAPSHOTS_H
#define QCOW2_TOOL_SNAPSHOTS_H

#include "tool.h"

/* n snapshots, for programs and for people. */
void snapshots_json(struct json *j, const char *key, const struct qcow2_snapshot_entry *s, int n);
void snapshots_print(const struct qcow2_snapshot_entry *s, int n);

#endif
