/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The core as one compilation unit. Firmware links its files one by one, to stay small. Here the
 * compiler sees all of them at once and compiles a read into one function without inner calls, down
 * to the callback. "system lookup-hit" of `make bench-gate` shows the difference.
 */
#include "../../src/internal.h"

#if defined(__GNUC__)
int q2_map(struct qcow2_reader *reader, uint64_t off, uint64_t len) __attribute__((flatten));
int qcow2_reader_read(struct qcow2_reader *reader, uint64_t off, void *buf, size_t len)
	__attribute__((flatten));
#endif

/* One #include for each file that src/sources.mk lists; the build writes it. */
#include "core_sources.h"
