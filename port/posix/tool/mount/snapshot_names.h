/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The names of the snapshots in a mount: each has a directory that is named by its id, and a link
 * "ID-NAME" to it. Both come from the image and may hold anything.
 */
#ifndef QCOW2_TOOL_SNAPSHOT_NAMES_H
#define QCOW2_TOOL_SNAPSHOT_NAMES_H

#include "../tool.h"

enum { SNAPSHOT_NAME_LEN = 256 }; /* the longest name of a file, and a NUL */

struct snapshot_name {
	char name[SNAPSHOT_NAME_LEN];
	size_t snapshot; /* its index in the list of the library */
	bool is_link;
	bool is_astray; /* while the list is made: a link to the directory of another snapshot */
};

/* In the order of strcmp(3), without duplicates. */
struct snapshot_names {
	struct snapshot_name *list;
	size_t n;
	size_t n_left_out; /* snapshots that cannot have a directory */
};

/*
 * Names the n snapshots. In a name, each byte that is not a printable character, '/' and '%' become
 * %XX. A snapshot whose id is empty, has a NUL, is too long or is that of an earlier one is left
 * out. Returns false without memory.
 */
bool snapshot_names_make(struct snapshot_names *names, const struct qcow2_snapshot_entry *snapshots,
                         size_t n);

/* Returns the entry with a name, or NULL. */
const struct snapshot_name *snapshot_names_find(const struct snapshot_names *names,
                                                const char *name);

/* Puts the name of the directory of a snapshot in to. */
void snapshot_directory(char to[SNAPSHOT_NAME_LEN], const struct qcow2_snapshot_entry *snapshot);

#endif
