/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "../../../src/block.c"
#include "internal.h"

/*@ requires \valid_read(block) && block->align > 0;
    assigns \nothing; */
static bool block_is_aligned(const struct qcow2_block *block, const void *buf);

/*@ requires good_block(block) && \valid(len) && block->block_len <= *len;
    requires apart(block, buf, *len) && \separated(len, block, block->ops, buf + (0 .. *len - 1));
    assigns *len, block->held, buf[0 .. *len - 1];
    ensures 0 < *len <= \old(*len); */
static int block_straight(struct qcow2_block *block, uint64_t lba, uint8_t *buf, size_t *len);

/*@ requires good_block(block) && \valid(len) && 0 < *len && at < block->block_len;
    requires apart(block, buf, *len) && \separated(len, block, block->ops, buf + (0 .. *len - 1),
               (uint8_t *)block->bounce + (0 .. block->block_len - 1));
    assigns *len, block->held, ((uint8_t *)block->bounce)[0 .. block->block_len - 1],
            buf[0 .. *len - 1];
    ensures 0 < *len <= \old(*len) && at + *len <= block->block_len; */
static int block_bounce(struct qcow2_block *block, uint64_t lba, uint32_t at, uint8_t *buf,
                        size_t *len);

/*@ requires good_block((struct qcow2_block *)ctx);
    requires apart((struct qcow2_block *)ctx, (uint8_t *)buf, len);
    assigns ((struct qcow2_block *)ctx)->held, ((uint8_t *)buf)[0 .. len - 1],
            ((uint8_t *)((struct qcow2_block *)ctx)->bounce)
              [0 .. ((struct qcow2_block *)ctx)->block_len - 1]; */
static int block_read(void *ctx, uint64_t pos, void *buf, size_t len);
