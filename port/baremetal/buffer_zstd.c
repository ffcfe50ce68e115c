/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * In place of buffer.c, to read zstd as well as deflate. A zstd decoder needs memory for a whole
 * cluster, so a program chooses the longest one: 1 << CLUSTER_BITS bytes.
 */
#include "layer.h"

static const struct qcow2_codec *const codecs[] = { &qcow2_deflate_small, &qcow2_zstd_small, NULL };
static uint64_t memory[QCOW2_READER_MEMORY_ZSTD(CLUSTER_BITS) / 8];

int reader_start(struct qcow2_reader *reader, const struct qcow2_image *top)
{
	return qcow2_reader_start(reader, top, codecs, memory, sizeof memory); /* one buffer */
}
