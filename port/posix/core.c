/* SPDX-License-Identifier: MIT */
/*
 * The core as one unit. Small machines link its files one by one; here, where size does not matter,
 * the compiler sees across them and makes one function of a read, down to the callback, without the
 * calls on its way (make bench-gate counts that: "system lookup-hit").
 */
#include "../../src/internal.h"

#if defined(__GNUC__)
int q2_map(struct qcow2_reader *reader, uint64_t off, uint64_t len) __attribute__((flatten));
int qcow2_reader_read(struct qcow2_reader *reader, uint64_t off, void *buf, size_t len)
	__attribute__((flatten));
#endif

#include "../../src/bitmap.c"
#include "../../src/block.c"
#include "../../src/cache.c"
#include "../../src/chain.c"
#include "../../src/extension.c"
#include "../../src/feature.c"
#include "../../src/header.c"
#include "../../src/image.c"
#include "../../src/inflate_small.c"
#include "../../src/inflate_fast.c"
#include "../../src/io.c"
#include "../../src/map.c"
#include "../../src/reader.c"
#include "../../src/refcount.c"
#include "../../src/snapshot.c"
#include "../../src/status.c"
#include "../../src/unpack.c"
#include "../../src/wide.c"
