/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Parses which snapshot the command line names, and finds it.
 */
#include "snapshot_find.h"

#include <string.h>

#define ID_KEY   "snapshot.id="
#define NAME_KEY "snapshot.name="

/* The end of the first part of a list with commas between its parts: ",," is a comma in a part. */
static char *part_end(char *part)
{
	while (part[0] != '\0' && (part[0] != ',' || part[1] == ','))
		part += part[0] == ',' ? 2 : 1;
	return part;
}

/* Has each part one of the two keys? */
static bool has_valid_keys(char *part)
{
	while (strncmp(part, ID_KEY, strlen(ID_KEY)) == 0 ||
	       strncmp(part, NAME_KEY, strlen(NAME_KEY)) == 0) {
		part = part_end(part);
		if (*part++ == '\0')
			return true;
	}
	return false;
}

/* Cuts the first part off the list and makes one comma of two. Returns the rest, or NULL. */
static char *cut_part(char *list)
{
	char *end = part_end(list), *rest = *end == ',' ? end + 1 : NULL;
	char *from, *to = list;

	for (from = list; from < end; from += *from == ',' ? 2 : 1)
		*to++ = *from;
	*to = '\0';
	return rest;
}

bool snapshot_wanted_parse(struct snapshot_wanted *wanted, char *value)
{
	char *part, *rest = value;

	memset(wanted, 0, sizeof *wanted);
	if (strncmp(value, "snapshot.", strlen("snapshot.")) != 0) {
		wanted->id_or_name = value;
		return true;
	}
	if (!has_valid_keys(value))
		return false;
	while (rest != NULL) {
		part = rest;
		rest = cut_part(part);
		if (strncmp(part, ID_KEY, strlen(ID_KEY)) == 0)
			wanted->id = part + strlen(ID_KEY);
		else
			wanted->name = part + strlen(NAME_KEY);
	}
	return true;
}

/* Is this what is wanted? Anything is if wanted is NULL. */
static bool matches(const char *wanted, const char *bytes, size_t len)
{
	return wanted == NULL || (strlen(wanted) == len && memcmp(wanted, bytes, len) == 0);
}

int snapshot_find(const struct snapshot_wanted *wanted, struct qcow2 *q,
                  struct qcow2_snapshot_entry **list)
{
	int i, n = qcow2_list_snapshots(q, list);

	for (i = 0; i < n; i++)
		if (matches(wanted->id, (*list)[i].id, (*list)[i].id_len) &&
		    matches(wanted->name, (*list)[i].name, (*list)[i].name_len))
			return i;
	return n < 0 ? -1 : SNAPSHOT_NONE;
}
