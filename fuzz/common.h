/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share: a file in memory that counts calls and can fail, a source of
 * choices, buffers with canaries, and the properties that every image must have.
 *
 * An input is an image as it is, so that any qcow2 file is a seed. What a target chooses besides
 * (offsets, pieces, memory) follows from the 12 bytes of the header that tell the refcount table,
 * which a reader never looks at: a mutation of anything else leaves the choices as they were.
 */
#ifndef FUZZ_COMMON_H
#define FUZZ_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "qcow2/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A property that does not hold: says so and aborts. */
#define CHECK(property)                                                                            \
	do {                                                                                       \
		if (!(property))                                                                   \
			fuzz_fail(__FILE__, __LINE__, #property);                                  \
	} while (0)

_Noreturn void fuzz_fail(const char *file, int line, const char *property);

/* ---- Files ---- */

enum { FUZZ_FAULT = 4711 };

struct fuzz_file {
	struct qcow2_io io;
	const uint8_t *bytes;
	uint64_t n_calls; /* since it was set to 0 */
	uint64_t fail_at; /* number of the call that fails; 0: none */
	bool has_failed;
};

void fuzz_file_init(struct fuzz_file *file, const uint8_t *bytes, size_t len);

/* All files that an image lives on, as one. */
struct fuzz_files {
	struct fuzz_file *file[8];
	unsigned n;
};

uint64_t fuzz_calls(const struct fuzz_files *files);
/* Counts from 0 again; fail: 0: no call fails, 1 to n: the first of one of the n files, ... */
void fuzz_calls_reset(struct fuzz_files *files, uint64_t fail);
bool fuzz_has_failed(const struct fuzz_files *files);

/* ---- Choices ---- */

struct fuzz_choices {
	uint64_t state;
};

void fuzz_choices_init(struct fuzz_choices *choices, const uint8_t *data, size_t len);
uint64_t fuzz_choose(struct fuzz_choices *choices, uint64_t n); /* 0 to n - 1 */
/* An offset of the disk, rather near what is special: ends, clusters, used L1 entries. */
uint64_t fuzz_choose_offset(struct fuzz_choices *choices, const struct qcow2_image *image,
                            const uint8_t *bytes, size_t len);

/* ---- Memory ---- */

enum { FUZZ_CANARY_LEN = 64 };

/* len bytes, aligned to 8, full of rubbish, between canaries. */
uint8_t *fuzz_buf_new(size_t len);
/* Aborts if a canary is dead. */
void fuzz_buf_check(const uint8_t *buf, size_t len);
void fuzz_buf_free(uint8_t *buf, size_t len);

/* ---- Reading: reading.c ---- */

extern const struct qcow2_codec *const fuzz_codecs[];

/* A reader and its memory, between canaries. */
struct fuzz_reader {
	struct qcow2_reader reader;
	uint8_t *memory;
	size_t memory_len;
};

enum { FUZZ_SMALL, FUZZ_LARGE };

/* The least memory that init accepts, or as much as is good for anything. */
int fuzz_reader_start(struct fuzz_reader *r, const struct qcow2_image *image, int how);
void fuzz_reader_stop(struct fuzz_reader *r);

/* The most io calls that a map call may have made that gave this extent, and for its bytes. */
uint64_t fuzz_map_cost(const struct qcow2_image *image, const struct qcow2_extent *extent, int how);
uint64_t fuzz_data_cost(const struct qcow2_extent *extent, int how);

/*
 * The properties of map and read in [off, off + len) of an image that is ready to be read, len at
 * most FUZZ_WINDOW.
 */
enum { FUZZ_WINDOW = 1 << 16 };
void fuzz_check_reading(const struct qcow2_image *image, struct fuzz_files *files,
                        struct fuzz_choices *choices, uint64_t off, size_t len);

/* fuzz_check_reading in some windows of the disk. bytes: of the image's file. */
void fuzz_check_windows(const struct qcow2_image *image, struct fuzz_files *files,
                        struct fuzz_choices *choices, unsigned n);

#endif
