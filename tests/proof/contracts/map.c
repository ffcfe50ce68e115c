/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "../../../src/map.c"
#include "internal.h"

/*@ requires \valid_read(e) && good_shape(e->image);
    assigns \nothing;
    ensures \result == e->off % e->image->cluster_len; */
static uint32_t in_cluster(const struct qcow2_extent *e);

/*@ requires \valid(e) && good_shape(e->image) && \separated(e, e->image);
    assigns e->kind, e->io, e->packed_len, e->pos, e->len;
    ensures \result == 0 ==> e->kind == QCOW2_EXTENT_COMPRESSED && e->io == &e->image->io;
    ensures \result == 0 ==> e->pos ==
              high % 0x40000000 % (1 << 38 - e->image->cluster_bits) * 0x100000000 + low;
    ensures \result == 0 ==> e->packed_len ==
              (high % 0x40000000 / (1 << 38 - e->image->cluster_bits) + 1) * 512 - low % 512;
    ensures \result == 0 ==> e->len ==
              \min(\old(e->len), e->image->cluster_len - e->off % e->image->cluster_len); */
static int compressed_extent(uint32_t high, uint32_t low, struct qcow2_extent *e);

/*@ requires \valid(e) && good_shape(e->image) && \separated(e, e->image) && e->io == \null;
    assigns e->pos, e->io;
    ensures \result == 0 && e->io == \null ==> entry_pos(high, low) == 0;
    ensures \result == 0 && e->io != \null ==> e->io == &e->image->io || e->io == e->image->data;
    ensures \result == 0 && e->io != \null ==>
              entry_pos(high, low) % e->image->cluster_len == 0 &&
              e->pos == entry_pos(high, low) + e->off % e->image->cluster_len; */
static int host_cluster(uint32_t high, uint32_t low, struct qcow2_extent *e);

/*@ requires \valid(e) && good_shape(e->image) && \separated(e, e->image);
    requires e->kind == QCOW2_EXTENT_ABSENT && 1 <= e->len;
    assigns e->kind, e->len;
    ensures \result == 0 ==> 1 <= e->len <= \old(e->len) && (data & zero) == 0;
    ensures \result == 0 ==> (e->kind == QCOW2_EXTENT_DATA <==> (data >> part(e)) % 2 == 1);
    ensures \result == 0 ==> (e->kind == QCOW2_EXTENT_ZERO ==> (zero >> part(e)) % 2 == 1);
    ensures \result == 0 ==> has_file(e); */
static int subclusters(uint32_t data, uint32_t zero, struct qcow2_extent *e);

/*@ requires \valid(e) && good_shape(e->image) && \separated(e, e->image) && 1 <= e->len;
    requires \valid_read(reader) && good_entry(reader, raw);
    assigns e->len;
    ensures 1 <= e->len <= \old(e->len); */
static void standard_clusters(const struct qcow2_reader *reader, const uint8_t *raw,
                              struct qcow2_extent *e);

/*@ requires \valid(e) && good_shape(e->image) && \separated(e, e->image, reader);
    requires \separated(e, e->io) && \separated(reader, e->io);
    requires \valid(reader) && \valid_read(e->io) && e->io->size <= INT64_MAX && 1 <= e->len;
    assigns e->kind, e->len, reader->error.io;
    ensures \result == 0 ==> 1 <= e->len <= \old(e->len);
    ensures e->kind == (e->image->crypt_method == 0 ? \old(e->kind) : QCOW2_EXTENT_ENCRYPTED);
    ensures \result == 0 && (e->image->flags & QCOW2_OPEN_TRUNCATED) == 0 &&
            e->image->crypt_method == 0 && e->pos >= e->off % e->image->cluster_len ==>
              e->pos - e->off % e->image->cluster_len < e->io->size;
    ensures \result == 0 && (e->image->flags & QCOW2_OPEN_TRUNCATED) == 0 &&
            e->image->crypt_method != 0 && e->pos >= e->off % e->image->cluster_len % 512 ==>
              e->pos - e->off % e->image->cluster_len % 512 < e->io->size - e->io->size % 512; */
int q2_data_check(struct qcow2_reader *reader, struct qcow2_extent *e);

/*@ requires \valid(reader) && good_entry(reader, raw) && \valid(e) && good_files(e->image);
    requires is_extended(e->image) ==> (raw - reader->memory) % 512 <= 496;
    requires e->kind == QCOW2_EXTENT_ABSENT && e->io == \null && 1 <= e->len;
    requires \separated(e, e->image, reader) && \separated(e, e->image->data, reader);
    requires \separated(reader->memory + slice(raw - reader->memory) + (0 .. 511), e, reader);
    assigns e->kind, e->io, e->packed_len, e->pos, e->len, reader->error.io;
    ensures \result == 0 ==> has_file(e) && 1 <= e->len <= \old(e->len); */
static int l2_extent(struct qcow2_reader *reader, const uint8_t *raw, struct qcow2_extent *e);
