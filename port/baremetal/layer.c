/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* From a driver that reads blocks to the bytes of a disk: this is what a port has to add. */
#include "layer.h"

static const struct qcow2_block_ops disk_ops = { disk_read };

int layer_open(struct layer *layer, const struct qcow2_image *below, struct qcow2_error *error)
{
	int rc;

	layer->block.ops = &disk_ops; /* one callback */
	layer->block.ctx = &layer->disk;
	layer->block.size = layer->disk.size; /* one size */
	layer->block.block_len = DISK_BLOCK_LEN;
	layer->block.align = DISK_ALIGN;
	layer->block.max_blocks = DISK_MAX_BLOCKS;
	layer->block.bounce = layer->bounce;
	rc = qcow2_block_init(&layer->block, &layer->io);
	if (rc == QCOW2_OK)
		rc = qcow2_image_open(&layer->image, &layer->io, 0, error);
	if (rc == QCOW2_OK && below != NULL)
		rc = qcow2_image_attach_backing(&layer->image, below);
	return rc;
}
