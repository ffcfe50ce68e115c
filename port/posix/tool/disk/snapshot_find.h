/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Which snapshot the command line names: "3" or "before", an id or a name, as the library takes it;
 * or, as in qemu-img, "snapshot.id=3", "snapshot.name=before" or both with a comma between.
 */
#ifndef QCOW2_TOOL_SNAPSHOT_FIND_H
#define QCOW2_TOOL_SNAPSHOT_FIND_H

#include "../tool.h"

/* What snapshot_wanted_parse accepts, for messages. */
#define SNAPSHOT_EXPECTED "an id, a name, snapshot.id=ID or snapshot.name=NAME"

/* NULL: not given. */
struct snapshot_wanted {
	const char *id_or_name;
	const char *id;
	const char *name;
};

/*
 * Splits a value of the command line in place; two commas stand for one in an id or a name. Returns
 * false if it is wrong.
 */
bool snapshot_wanted_parse(struct snapshot_wanted *wanted, char *value);

/* What snapshot_find returns if the image has no such snapshot. */
enum { SNAPSHOT_NONE = -2 };

/*
 * Finds the snapshot of q that has the id and the name that are wanted. Returns its index in *list,
 * or SNAPSHOT_NONE, or -1 if the library failed. The caller frees *list, except after -1.
 */
int snapshot_find(const struct snapshot_wanted *wanted, struct qcow2 *q,
                  struct qcow2_snapshot_entry **list);

#endif
