/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the terminal on standard output can show.
 */
#include "terminal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { COLUMNS_DEFAULT = 80, COLUMNS_MOST = 10000 };

/* The value of an environment variable that is set and not empty, or NULL. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? value : NULL;
}

/* The name of the locale decides, not setlocale: it also works where no locale is installed. */
static bool locale_is_utf8(void)
{
	const char *locale = variable("LC_ALL");
	const char *codeset;

	if (locale == NULL)
		locale = variable("LC_CTYPE");
	if (locale == NULL)
		locale = variable("LANG");
	codeset = locale != NULL ? strchr(locale, '.') : NULL;
	return codeset != NULL &&
	       (strncasecmp(codeset, ".utf-8", 6) == 0 || strncasecmp(codeset, ".utf8", 5) == 0);
}

static unsigned columns_by_environment(void)
{
	const char *value = variable("COLUMNS");
	unsigned long columns = value != NULL ? strtoul(value, NULL, 10) : 0;

	return columns > 0u && columns <= COLUMNS_MOST ? (unsigned)columns : COLUMNS_DEFAULT;
}

void terminal_examine(struct terminal *t)
{
	const char *term = variable("TERM");
	struct winsize size;

	memset(t, 0, sizeof *t);
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
		t->columns = size.ws_col;
		t->lines = size.ws_row;
	}
	if (t->columns == 0u)
		t->columns = columns_by_environment();
	t->utf8 = locale_is_utf8();
	t->color = isatty(STDOUT_FILENO) && variable("NO_COLOR") == NULL && term != NULL &&
	           strcmp(term, "dumb") != 0;
}
