/* SPDX-License-Identifier: MIT */
/*
 * What the driver (driver.c) needs of a reader of disk images. Each reader_*.c is one; the driver
 * is linked with each of them, so that all do the same work in the same way.
 */
#ifndef BENCH_READER_H
#define BENCH_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader; /* whatever the reader makes of it */

/* NULL: failed, and why is on standard error. Backing files are opened, too. */
struct reader *reader_open(const char *path);
uint64_t reader_size(struct reader *reader);
bool reader_read(struct reader *reader, void *buf, size_t len, uint64_t off);
void reader_close(struct reader *reader);

#endif
