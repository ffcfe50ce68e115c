/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "../../../src/cache.c"
#include "internal.h"

/*@ requires good_cache(reader);
    assigns reader->misses, reader->spare, reader->mask, reader->keys[1 - room(reader->keys) .. 0];
    ensures good_cache(reader) && reader->mask >= \old(reader->mask); */
static void cache_grow(struct qcow2_reader *reader);

/*@ assigns \nothing; */
static uint32_t first_of_set(uint32_t high, uint32_t low);

/*@ requires good_cache(reader);
    assigns \nothing;
    ensures \exists integer k; 0 <= k <= reader->mask && \result == reader->keys - k; */
static struct q2_slice_key *key_find(const struct qcow2_reader *reader, uint32_t high,
                                     uint32_t low);
