/* SPDX-License-Identifier: MIT */
/* An image on a disk, and the reader of the topmost. */
#ifndef LAYER_H
#define LAYER_H

#include "qcow2/block.h"
#include "qcow2/reader.h"

#include "board.h"

struct layer {
	struct disk disk;
	struct qcow2_block block;
	struct qcow2_io io;
	struct qcow2_image image;
	uint32_t bounce[DISK_BLOCK_LEN / 4];
};

/* Opens the image on layer->disk, over the image `below` if that is not NULL. */
int layer_open(struct layer *layer, const struct qcow2_image *below, struct qcow2_error *error);
int reader_start(struct qcow2_reader *reader, const struct qcow2_image *top);

#endif
