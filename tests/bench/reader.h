/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The interface between the driver (driver.c) and a reader of disk images. Each reader_*.c is a
 * reader. The driver is linked with one of them at a time, so that all do the same work.
 */
#ifndef BENCH_READER_H
#define BENCH_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader; /* private to the reader */

/* Also opens backing files. Returns NULL on failure, with the reason on standard error. */
struct reader *reader_open(const char *path);
uint64_t reader_size(struct reader *reader);
bool reader_read(struct reader *reader, void *buf, size_t len, uint64_t off);
void reader_close(struct reader *reader);

#endif
