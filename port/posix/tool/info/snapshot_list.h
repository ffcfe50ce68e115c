/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A list of n snapshots, for `qcow2 snapshots` and `qcow2 info`.
 */
#ifndef QCOW2_TOOL_SNAPSHOT_LIST_H
#define QCOW2_TOOL_SNAPSHOT_LIST_H

#include "../show/json.h"

void snapshots_print_text(const struct qcow2_snapshot_entry *s, int n);
void snapshots_print_json(struct json *j, const char *key, const struct qcow2_snapshot_entry *s,
                          int n);

#endif
