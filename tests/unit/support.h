/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the tests of the core share: an image file in memory that counts reads and fails on demand,
 * an image and a reader under test, and a model of what a chain of images contains.
 */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include "../image/image.h"
#include "../image/pack.h"
#include "../support/check.h"
#include "../support/guard.h"
#include "qcow2/codec.h"
#include "qcow2/image.h"
#include "qcow2/reader.h"
#include "qcow2/snapshot.h"

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)
#define ANY UINT64_MAX /* in a table of cases: any value is right */

/* ---- A file in memory ---- */

enum { IO_FAULT = 4711 }; /* what a failing read returns */

struct test_io {
	struct qcow2_io io;
	const uint8_t *data;
	uint64_t len;       /* of data; from there to io.size, the file is zeros */
	const uint8_t *far; /* another piece of content, at far_pos; NULL: none */
	uint64_t far_pos, far_len;

	uint64_t calls, bytes;     /* since test_io_reset() */
	uint64_t longest;          /* the longest read since then, in bytes */
	uint64_t fail_at;          /* the number of the call that fails, from 1; 0: none */
	bool persistent;           /* all calls after that one also fail */
	uint64_t bad_from, bad_to; /* reads that touch [from, to) fail with IO_FAULT + 1 */
	uint64_t faults;           /* calls that failed since test_io_reset() */
};

/* The caller must keep the bytes until the last read. */
void test_io_init(struct test_io *t, const struct image_buf *buf);
void test_io_bytes(struct test_io *t, const void *data, uint64_t len);
/* Sets the counters and fail_at to zero; the bad range stays. */
void test_io_reset(struct test_io *t);

/* ---- Guarded memory: support/guard.h ---- */

void guard_check(const struct guarded *g); /* fails if a canary has changed */
void guard_free(struct guarded *g);        /* calls guard_check and frees the memory */

/* ---- Images and readers ---- */

extern const struct qcow2_codec *const deflate_only[];

/* An image under test, as the image writer builds it (img) and as the core sees it (image). */
struct test_image {
	struct image img;
	struct test_io io, data; /* the image file and the external data file */
	struct qcow2_image image;
	struct qcow2_error err;
};

/*
 * Calls qcow2_image_open and qcow2_image_extensions. If either fails, *image is all zeros and *err
 * names *io.
 */
int open_whole(struct qcow2_image *image, const struct qcow2_io *io, unsigned flags,
               struct qcow2_error *err);

/*
 * Finishes s->img if it is not finished, opens it and attaches its data file. The test fails if
 * that does not succeed.
 */
void test_image_open(struct test_image *s);
void test_image_open_flags(struct test_image *s, unsigned flags);
void test_image_free(struct test_image *s);

/* A reader under test, in guarded memory. */
struct test_reader {
	struct qcow2_reader q;
	struct guarded memory;
};

/* memory: in bytes, or 0 for the least that the codecs need. codecs: NULL for none. */
void test_reader_init(struct test_reader *reader, const struct qcow2_image *image, size_t memory,
                      const struct qcow2_codec *const *codecs);
void test_reader_free(struct test_reader *reader);
/* Reads into guarded memory and returns the status. On success the bytes must equal `want`. */
int test_reader_read(struct test_reader *reader, uint64_t off, const void *want, size_t len);

/* ---- The model ---- */

/* One image of a chain. A chain is an array from the top image down. */
struct layer {
	const struct image *img;         /* NULL: a raw file */
	const struct image_table *table; /* NULL: the active table, not a snapshot's */
	const struct image_buf *raw;
	uint64_t size; /* of the disk */
};

/* Fills buf with what the chain contains at [off, off + len). */
void expect_chain(const struct layer *layers, size_t n, uint64_t off, uint8_t *buf, size_t len);

/* What map should answer for one offset of one image. */
struct place {
	uint32_t kind;
	bool has_io;
	uint64_t pos;
	uint64_t unit; /* a power of 2: the answer holds up to the next multiple of it */
};

struct place model_place(const struct image *img, const struct image_table *t, uint64_t off);

#endif
