/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* The decoders and the memory of the reader: enough for deflate, at any cluster size. */
#include "layer.h"

static const struct qcow2_codec *const codecs[] = { &qcow2_deflate_small, NULL };
static uint64_t memory[QCOW2_READER_MEMORY_DEFLATE / 8];

int reader_start(struct qcow2_reader *reader, const struct qcow2_image *top)
{
	return qcow2_reader_start(reader, top, codecs, memory, sizeof memory); /* one buffer */
}
