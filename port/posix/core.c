/* SPDX-License-Identifier: MIT */
/*
 * The core as one unit. Firmware links its files one by one. Here, where size does not matter, the
 * compiler sees all of them at once and turns a read into one function, down to the callback,
 * without the calls on its way. `make bench-gate` counts the difference: "system lookup-hit".
 */
#include "../../src/internal.h"

#if defined(__GNUC__)
int q2_map(struct qcow2_reader *reader, uint64_t off, uint64_t len) __attribute__((flatten));
int qcow2_reader_read(struct qcow2_reader *reader, uint64_t off, void *buf, size_t len)
	__attribute__((flatten));
#endif

/* One #include for each file that src/sources.mk lists; the build writes it. */
#include "core_sources.h"
