/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Contracts of the functions in src/internal.h, in ACSL. Each file beside this one includes a file
 * of src/ and then declares its functions once more, with a contract; `make proof` has WP prove
 * them. tests/proof/acsl.h has the predicates, tests/proof/README.md explains the proof.
 */
#ifndef CONTRACTS_INTERNAL_H
#define CONTRACTS_INTERNAL_H

/*@ requires \valid(at) && (status == QCOW2_E_TRUNCATED ==> tells_file(at));
    assigns at->io, at->io_code, at->pos, at->detail, at->status;
    ensures \result == status; */
int q2_note(struct qcow2_error *at, int status);

/*@ requires \valid(at) && good_io(at->io) && \separated(at, at->io, at->io->ops);
    requires 0 < len && \valid((char *)buf + (0 .. len - 1));
    requires \separated((char *)buf + (0 .. len - 1), at, at->io, at->io->ops);
    assigns ((char *)buf)[0 .. len - 1], at->io_code;
    ensures \result == 0 || \result == QCOW2_E_IO;
    ensures \forall integer k; \result == 0 && 0 <= k < len && at->pos + k >= at->io->size ==>
              ((char *)buf)[k] == 0; */
int q2_io_read(struct qcow2_error *at, void *buf, size_t len);

/*@ requires \valid_read(image);
    assigns \nothing;
    ensures \result != 0 <==> len == 0 || inside(image, pos, len); */
bool q2_is_inside(const struct qcow2_image *image, uint32_t len, uint64_t pos);

/*@ requires \valid_read(image) && good_io(&image->io) && \valid(at) && 0 < len;
    requires \valid((char *)buf + (0 .. len - 1));
    requires \separated((char *)buf + (0 .. len - 1), image, image->io.ops, at);
    requires \separated(at, image, image->io.ops);
    assigns ((char *)buf)[0 .. len - 1], at->io, at->pos, at->detail, at->io_code;
    ensures \result == 0 ==> inside(image, pos, len); */
int q2_image_read(const struct qcow2_image *image, uint64_t pos, void *buf, uint32_t len,
                  struct qcow2_error *at);

/*@ requires good_shape(image);
    assigns \nothing;
    ensures \result == 0 ==> pos % image->cluster_len == 0 && pos + len <= INT64_MAX;
    ensures \result == 0 && len != 0 ==> inside(image, pos, len); */
int q2_table_check(const struct qcow2_image *image, uint32_t len, uint64_t pos);

/* The hook is what qcow2_reader_init sets; a port's own has to do the same. */
/*@ requires good_cache(reader) && good_io(reader->error.io) && \valid_read(e);
    requires reader->fetch == &q2_io_read;
    requires apart_from_cache(reader, reader->error.io) && \separated(reader, e);
    assigns reader->error.pos, reader->error.io_code, reader->misses, reader->spare, reader->mask,
            reader->memory[0 .. 512 * room(reader->keys) - 1],
            reader->keys[1 - room(reader->keys) .. 0];
    ensures good_cache(reader);
    ensures \result != \null ==> reader->error.pos == pos;
    ensures \result != \null ==> (\result - reader->memory) % 512 == pos % 512;
    ensures \result != \null && pos % 8 == 0 ==> good_entry(reader, \result); */
const uint8_t *q2_table_entry(struct qcow2_reader *reader, const struct qcow2_extent *e,
                              uint64_t pos);

/*@ requires good_reader(reader);
    assigns reader->error, reader->want, reader->extent, reader->misses, reader->spare,
            reader->mask, reader->memory[0 .. 512 * room(reader->keys) - 1],
            reader->keys[1 - room(reader->keys) .. 0];
    ensures good_reader(reader);
    ensures \result == 0 ==> reader->image != \null && off + len <= reader->image->size;
    ensures \result == 0 ==> 1 <= reader->extent.len && has_file(&reader->extent);
    ensures \result == QCOW2_E_TRUNCATED ==> tells_file(&reader->error); */
int q2_map(struct qcow2_reader *reader, uint64_t off, uint64_t len);

/*@ requires good_reader(reader) && has_file(&reader->extent);
    requires 0 < len <= reader->extent.len && apart_buffer(reader, buf, len);
    assigns reader->error, reader->stream, reader->window_image,
            reader->window_off, buf[0 .. len - 1];
    ensures good_reader(reader);
    ensures \result == QCOW2_E_TRUNCATED ==> tells_file(&reader->error); */
int q2_extent_read(struct qcow2_reader *reader, uint8_t *buf, size_t len);

/*@ requires \valid_read(p + (0 .. 1));
    assigns \nothing;
    ensures \result == p[0] * 0x100 + p[1]; */
static inline uint32_t q2_be16(const uint8_t *p);

/*@ requires \valid_read(p + (0 .. 3));
    assigns \nothing;
    ensures \result == p[0] * 0x1000000 + p[1] * 0x10000 + p[2] * 0x100 + p[3]; */
static inline uint32_t q2_be32(const uint8_t *p);

/*@ requires \valid_read(p + (0 .. 7));
    assigns \nothing;
    ensures \result == p[0] * 0x100000000000000 + p[1] * 0x1000000000000 +
              p[2] * 0x10000000000 + p[3] * 0x100000000 +
              p[4] * 0x1000000 + p[5] * 0x10000 + p[6] * 0x100 + p[7]; */
static inline uint64_t q2_be64(const uint8_t *p);

/*@ assigns \nothing;
    ensures \result == (pos < size ? size - pos : 0); */
uint64_t q2_left(uint64_t size, uint64_t pos);

/*@ requires \valid(e);
    assigns e->len;
    ensures e->len == \min(\old(e->len), len); */
void q2_extent_clip(struct qcow2_extent *e, uint64_t len);

/*@ requires bits <= 63;
    assigns \nothing;
    ensures \result == value >> bits; */
static inline uint64_t q2_shr64(uint64_t value, unsigned bits);

/*@ requires bits <= 63;
    assigns \nothing;
    ensures \result == value >> bits; */
uint64_t q2_shr64(uint64_t value, unsigned bits);

/*@ requires \valid_read(image);
    assigns \nothing;
    ensures \result != 0 <==> is_extended(image); */
static inline bool q2_has_extended_l2(const struct qcow2_image *image);

#endif
