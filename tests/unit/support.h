/* SPDX-License-Identifier: MIT */
/*
 * What the unit tests share: cmocka, checks that name the case, a file in memory that counts and
 * fails on demand, guarded memory, and the expected content of chains.
 */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../image/image.h"
#include "../image/pack.h"
#include "guard.h"
#include "qcow2/codec.h"
#include "qcow2/image.h"
#include "qcow2/reader.h"
#include "qcow2/snapshot.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define KIB          UINT64_C(1024)
#define MIB          (UINT64_C(1) << 20)
#define GIB          (UINT64_C(1) << 30)
#define TIB          (UINT64_C(1) << 40)
#define ANY          UINT64_MAX /* in a table of cases: not looked at */

/* ---- Checks ---- */

/* Names what runs, for the message of a check that fails. */
void test_case(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Both sides as 64-bit numbers; negative statuses show as such. */
#define EQ(got, want)        test_eq((uint64_t)(got), (uint64_t)(want), #got, __FILE__, __LINE__)
#define TRUE(what)           test_true((what) ? 1 : 0, #what, __FILE__, __LINE__)
#define LE(got, most)        test_le((uint64_t)(got), (uint64_t)(most), #got, __FILE__, __LINE__)
#define SAME(got, want, len) test_same((got), (want), (len), #got, __FILE__, __LINE__)
#define ALL(got, byte, len)  test_all((got), (byte), (len), #got, __FILE__, __LINE__)

void test_eq(uint64_t got, uint64_t want, const char *what, const char *file, int line);
void test_le(uint64_t got, uint64_t most, const char *what, const char *file, int line);
void test_true(int so, const char *what, const char *file, int line);
void test_same(const void *got, const void *want, size_t len, const char *what, const char *file,
               int line);
void test_all(const void *got, uint8_t byte, size_t len, const char *what, const char *file,
              int line);

/* Is it to be brief (TEST_BRIEF is set: under valgrind, emulators)? */
bool test_brief(void);

/* ---- Numbers that are the same on each run ---- */

extern uint64_t test_random_state;
uint64_t test_random(uint64_t below);

/* ---- A file in memory ---- */

enum { IO_FAULT = 4711 }; /* what a failing read returns */

struct test_io {
	struct qcow2_io io;
	const uint8_t *data;
	uint64_t len;       /* of data; zeros from there to io.size */
	const uint8_t *far; /* one more piece, wherever */
	uint64_t far_pos, far_len;

	uint64_t calls, bytes; /* since test_io_reset() */
	uint64_t longest;
	uint64_t fail_at;          /* the number of the call that fails, from 1; 0: none */
	bool persistent;           /* all from there on fail */
	uint64_t bad_from, bad_to; /* reads that touch [from, to) fail */
	uint64_t faults;           /* how often it failed */
};

void test_io_init(struct test_io *t, const struct image_buf *buf);
void test_io_bytes(struct test_io *t, const void *data, uint64_t len);
void test_io_reset(struct test_io *t);

/* ---- Guarded memory: guard.h ---- */

void guard_check(const struct guarded *g);
void guard_free(struct guarded *g); /* checks too */

/* ---- Images and readers ---- */

extern const struct qcow2_codec *const deflate_only[];

/* An image under test with its file. */
struct subject {
	struct image img;
	struct test_io io, data;
	struct qcow2_image image;
	struct qcow2_error err;
};

/* qcow2_image_open and qcow2_image_extensions as one: closed on failure, *err about *io. */
int open_whole(struct qcow2_image *image, const struct qcow2_io *io, unsigned flags,
               struct qcow2_error *err);

/* Lays out s->img if that is not done, and opens it; the data file is attached. Must succeed. */
void subject_open(struct subject *s);
void subject_open_flags(struct subject *s, unsigned flags);
void subject_free(struct subject *s);

/* A reader in guarded memory. */
struct rig {
	struct qcow2_reader reader;
	struct guarded memory;
};

/* memory 0: QCOW2_READER_MEMORY, or what the codecs need at least. codecs NULL: none. */
void rig_init(struct rig *rig, const struct qcow2_image *image, size_t memory,
              const struct qcow2_codec *const *codecs);
void rig_free(struct rig *rig);
/* Reads into guarded memory; on success the bytes must be those of `want`. Returns the status. */
int rig_read(struct rig *rig, uint64_t off, const void *want, size_t len);

/* A chain from the top down: qcow2 images, and a raw file at the bottom perhaps. */
struct layer {
	const struct image *img;         /* NULL: raw */
	const struct image_table *table; /* NULL: the active one */
	const struct image_buf *raw;
	uint64_t size; /* of the disk */
};

void expect_chain(const struct layer *layers, size_t n, uint64_t off, uint8_t *buf, size_t len);

/* What the model says is at one place of one image. */
struct place {
	uint32_t kind;
	bool has_io;
	uint64_t pos;
	uint64_t unit; /* the answer holds to the end of a piece of this length (a power of 2) */
};

struct place model_place(const struct image *img, const struct image_table *t, uint64_t off);

#endif
