/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "../../../src/zstd_fast_literals.c"

/*@ requires \valid(tree + (0 .. 2047)) && (len == 1 || len % 2 == 0);
    assigns tree[0 .. 2047]; */
static void zfast_fill(uint16_t *tree, uint32_t at, uint32_t len, uint32_t entry);
