/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Symbolic links that point to files that do not exist yet. realpath(3) resolves only files that
 * exist.
 */
#include "link.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINKS_MAX = 40 }; /* as in Linux */

/* What the link says, which counts from the directory that the link is in, unless it begins with a
 * slash. */
static char *beside(const char *link, const char *text)
{
	const char *slash = strrchr(link, '/');
	int dir_len = text[0] == '/' || slash == NULL ? 0 : (int)(slash + 1 - link);
	size_t room = (size_t)dir_len + strlen(text) + 1u;
	char *name = malloc(room);

	if (name != NULL)
		snprintf(name, room, "%.*s%s", dir_len, link, text);
	return name;
}

char *link_follow(const char *name)
{
	char *now = strdup(name), *next, text[PATH_MAX];
	int i;

	for (i = 0; now != NULL && i < LINKS_MAX; i++) {
		ssize_t len = readlink(now, text, sizeof text - 1u);

		if (len < 0 && (errno == EINVAL || errno == ENOENT))
			return now; /* no link, or nothing */
		next = NULL;
		if (len >= 0) {
			text[len] = '\0';
			next = beside(now, text);
		}
		free(now);
		now = next;
	}
	free(now);
	if (i == LINKS_MAX)
		errno = ELOOP;
	return NULL;
}
