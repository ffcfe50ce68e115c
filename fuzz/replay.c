/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Runs a target on files, and on all files in directories: for compilers without a fuzzing engine,
 * for valgrind and for coverage. Prints the number of inputs, and fails if there are none. If a
 * property does not hold, the target aborts.
 *	replay FILE|DIR...
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common.h"

enum { FILE_MAX = 1 << 24 };

static unsigned long n_run;

static void run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *bytes = malloc(FILE_MAX);
	size_t len;

	if (f == NULL || bytes == NULL) {
		perror(path);
		exit(1);
	}
	len = fread(bytes, 1, FILE_MAX, f);
	fclose(f);
	bytes = realloc(bytes, len != 0 ? len : 1); /* so that sanitizers see a read past its end */
	if (bytes == NULL)
		abort();
	LLVMFuzzerTestOneInput(bytes, len);
	free(bytes);
	n_run++;
}

static void run(const char *path);

static void run_directory(const char *path)
{
	struct dirent **list;
	int n = scandir(path, &list, NULL, alphasort);
	char name[4096];
	int i;

	if (n < 0) {
		perror(path);
		exit(1);
	}
	for (i = 0; i < n; i++) {
		if (list[i]->d_name[0] != '.') {
			snprintf(name, sizeof name, "%s/%s", path, list[i]->d_name);
			run(name);
		}
		free(list[i]);
	}
	free(list);
}

static void run(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		perror(path);
		exit(1);
	}
	if (S_ISDIR(st.st_mode))
		run_directory(path);
	else
		run_file(path);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		run(argv[i]);
	printf("%lu inputs, no finding\n", n_run);
	return n_run != 0u ? 0 : 1;
}
