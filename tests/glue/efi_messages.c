/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "efi_messages.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINES_MAX = 200, LINE_LEN = 200 };

static char lines[LINES_MAX][LINE_LEN];
static size_t n_lines;

static bool follows(const char *line, const char *at, const char *word)
{
	size_t len = strlen(word);

	return (size_t)(at - line) >= len && strncmp(at - len, word, len) == 0;
}

/* Limits are part of the text of a message; all other numbers depend on the case. */
static bool is_limit(const char *line, const char *number, size_t len)
{
	static const char *const limits[] = { "16", "64", "512", "4096" };

	if (follows(line, number, "offset ") || follows(line, number, "disk of "))
		return false;
	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		if (strlen(limits[i]) == len && strncmp(limits[i], number, len) == 0)
			return true;
	return false;
}

/* Does a number start here? Not the 2 in "qcow2", nor the 8 in "UTF-8". */
static bool is_number(const char *line, const char *at)
{
	return isdigit((unsigned char)*at) &&
	       (at == line || (!isalnum((unsigned char)at[-1]) && at[-1] != '-'));
}

/* Copies a line of the console, up to its '\r', without what depends on the case. */
static void normalise(char to[LINE_LEN], const char *line)
{
	size_t len = 0;

	for (const char *at = line; *at != '\r' && *at != '\0' && len < LINE_LEN - 5;) {
		if (*at == '\\') {
			len += (size_t)sprintf(to + len, "FILE");
			at += strcspn(at, " :\r");
		} else if (is_number(line, at)) {
			size_t n = strspn(at, "0123456789abcdefx");

			if (is_limit(line, at, n))
				len += (size_t)sprintf(to + len, "%.*s", (int)n, at);
			else
				to[len++] = 'N';
			at += n;
		} else {
			to[len++] = *at++;
		}
	}
	to[len] = '\0';
}

static bool is_known(const char *line)
{
	for (size_t i = 0; i < n_lines; i++)
		if (strcmp(lines[i], line) == 0)
			return true;
	return false;
}

void efi_messages_add(const char *console)
{
	while (*console != '\0') {
		char line[LINE_LEN];

		normalise(line, console);
		if (!is_known(line)) {
			if (n_lines == LINES_MAX)
				abort();
			strcpy(lines[n_lines++], line);
		}
		console += strcspn(console, "\n");
		console += *console == '\n';
	}
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool write_lines(const char *path)
{
	FILE *file = fopen(path, "w");

	if (file == NULL)
		return false;
	for (size_t i = 0; i < n_lines; i++)
		fprintf(file, "%s\n", lines[i]);
	return fclose(file) == 0;
}

bool efi_messages_match(const char *path, bool is_partial)
{
	size_t n_same = 0, n_wrong = 0;
	char line[LINE_LEN];
	FILE *file;

	qsort(lines, n_lines, sizeof *lines, compare);
	if (getenv("UPDATE") != NULL)
		return write_lines(path);
	file = fopen(path, "r");
	if (file == NULL)
		return false;
	while (fgets(line, sizeof line, file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (is_known(line)) {
			n_same++;
		} else if (!is_partial) {
			printf("not printed any more: %s\n", line);
			n_wrong++;
		}
	}
	fclose(file);
	if (n_same != n_lines)
		printf("%zu lines are not in %s; run this test with UPDATE=1 and read the diff\n",
		       n_lines - n_same, path);
	return n_wrong == 0 && n_same == n_lines;
}
