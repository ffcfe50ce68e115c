/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* The file that the yardsticks read. */
#ifndef BENCH_FILE_H
#define BENCH_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file {
	int fd;
	uint64_t size;
};

/* Returns false on failure, with the reason on standard error. */
bool file_open(struct file *file, const char *path);
/* Reads len bytes at this position; fewer are a failure. */
bool file_read(const struct file *file, void *buf, size_t len, uint64_t pos);
void file_close(struct file *file);

#endif
