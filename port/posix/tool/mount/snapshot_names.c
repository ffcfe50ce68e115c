/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Names of snapshots as names of files.
 */
#include "snapshot_names.h"

#include <stdlib.h>
#include <string.h>

/* Appends bytes of an image to a name. Returns false if there is no room. */
static bool append(char to[SNAPSHOT_NAME_LEN], const char *bytes, size_t len)
{
	size_t used = strlen(to), n, i;

	for (; len > 0u; bytes += n, len -= n) {
		uint32_t code;
		int printable;

		n = qcow2_character(bytes, len, &code, &printable);
		printable = printable && code != '/' && code != '%';
		if (SNAPSHOT_NAME_LEN - 1u - used < (printable ? n : 3u * n))
			return false;
		for (i = 0; i < n; i++)
			used += (size_t)snprintf(to + used, SNAPSHOT_NAME_LEN - used,
			                         printable ? "%c" : "%%%02X",
			                         (unsigned char)bytes[i]);
	}
	return true;
}

/* Makes the name of the directory. Returns false if the snapshot can have none. */
static bool name_directory(char to[SNAPSHOT_NAME_LEN], const struct qcow2_snapshot_entry *s)
{
	to[0] = '\0';
	/* The library finds a snapshot by its id as a string, which ends at a NUL. */
	if (s->id_len == 0u || strlen(s->id) != s->id_len || !append(to, s->id, s->id_len))
		return false;
	if (strcmp(to, ".") == 0 || strcmp(to, "..") == 0)
		snprintf(to, SNAPSHOT_NAME_LEN, to[1] == '\0' ? "%%2E" : "%%2E%%2E");
	return true;
}

void snapshot_directory(char to[SNAPSHOT_NAME_LEN], const struct qcow2_snapshot_entry *snapshot)
{
	name_directory(to, snapshot);
}

static bool name_link(char to[SNAPSHOT_NAME_LEN], const struct qcow2_snapshot_entry *s)
{
	return name_directory(to, s) && s->name_len > 0u && append(to, "-", 1) &&
	       append(to, s->name, s->name_len);
}

/* Of entries with the same name, a directory comes first, and then that of the first snapshot. */
static int compare_names(const void *a, const void *b)
{
	const struct snapshot_name *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	if (order == 0)
		order = (int)x->is_link - (int)y->is_link;
	if (order == 0)
		order = x->snapshot < y->snapshot ? -1 : 1;
	return order;
}

/* Keeps the first of the entries with the same name. */
static void drop_duplicates(struct snapshot_names *names)
{
	size_t i, n = 0;

	for (i = 0; i < names->n; i++) {
		const struct snapshot_name *next = &names->list[i];

		if (n > 0u && strcmp(names->list[n - 1u].name, next->name) == 0)
			names->n_left_out += next->is_link ? 0u : 1u;
		else
			names->list[n++] = *next;
	}
	names->n = n;
}

static int compare_with(const void *name, const void *entry)
{
	return strcmp(name, ((const struct snapshot_name *)entry)->name);
}

const struct snapshot_name *snapshot_names_find(const struct snapshot_names *names,
                                                const char *name)
{
	return bsearch(name, names->list, names->n, sizeof *names->list, compare_with);
}

/* A link leads to the directory of an id: it must be that of its own snapshot. */
static bool leads_astray(const struct snapshot_names *names, const struct snapshot_name *link,
                         const struct qcow2_snapshot_entry *snapshots)
{
	char directory[SNAPSHOT_NAME_LEN];
	const struct snapshot_name *found;

	snapshot_directory(directory, &snapshots[link->snapshot]);
	found = snapshot_names_find(names, directory);
	return found == NULL || found->snapshot != link->snapshot;
}

static void drop_astray(struct snapshot_names *names, const struct qcow2_snapshot_entry *snapshots)
{
	size_t i, n = 0;

	for (i = 0; i < names->n; i++)
		names->list[i].is_astray =
			names->list[i].is_link && leads_astray(names, &names->list[i], snapshots);
	for (i = 0; i < names->n; i++)
		if (!names->list[i].is_astray)
			names->list[n++] = names->list[i];
	names->n = n;
}

bool snapshot_names_make(struct snapshot_names *names, const struct qcow2_snapshot_entry *snapshots,
                         size_t n)
{
	size_t i;

	memset(names, 0, sizeof *names);
	names->list = calloc(2u * n + 1u, sizeof *names->list);
	if (names->list == NULL)
		return false;
	for (i = 0; i < n; i++) {
		struct snapshot_name *to = &names->list[names->n];

		if (!name_directory(to->name, &snapshots[i])) {
			names->n_left_out++;
			continue;
		}
		to->snapshot = i;
		names->n++;
		to++;
		if (!name_link(to->name, &snapshots[i]))
			continue;
		to->snapshot = i;
		to->is_link = true;
		names->n++;
	}
	qsort(names->list, names->n, sizeof *names->list, compare_names);
	drop_duplicates(names);
	drop_astray(names, snapshots);
	return true;
}
