/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* An image on a block device, and the reader of the image at the top of the chain. */
#ifndef LAYER_H
#define LAYER_H

#include "qcow2/block.h"
#include "qcow2/reader.h"

#include "disk.h"

struct layer {
	struct disk disk;
	struct qcow2_block block;
	struct qcow2_io io;
	struct qcow2_image image;
	uint32_t bounce[DISK_BLOCK_LEN / 4];
};

/* Opens the image on layer->disk. `below` is its backing file, or NULL. Returns a qcow2_status. */
int layer_open(struct layer *layer, const struct qcow2_image *below, struct qcow2_error *error);
/* Prepares the only reader: buffer.c or buffer_zstd.c. Returns a qcow2_status. */
int reader_start(struct qcow2_reader *reader, const struct qcow2_image *top);

#endif
