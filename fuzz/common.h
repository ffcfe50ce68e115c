/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the fuzz targets share: a file in memory that counts calls and can fail, a source of
 * choices, buffers with canaries, and the properties that every image must have.
 *
 * An input is an ordinary image, so that any qcow2 file can be a seed. A target takes its choices
 * (offsets, pieces, memory) from the 12 bytes of the header that describe the refcount table.
 * Reading never uses them, and a mutation of other bytes leaves the choices as they are.
 */
#ifndef FUZZ_COMMON_H
#define FUZZ_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "qcow2/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Prints the property and aborts if it does not hold. */
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
	uint64_t n_calls; /* calls since the last reset */
	uint64_t fail_at; /* number of the call that fails, from 1; 0 if none does */
	bool has_failed;
};

void fuzz_file_init(struct fuzz_file *file, const uint8_t *bytes, size_t len);

/* All files of an image and its chain, so that a target can count their calls together. */
struct fuzz_files {
	struct fuzz_file *file[8];
	unsigned n;
};

uint64_t fuzz_calls(const struct fuzz_files *files);
/*
 * Resets the counters. With fail 0 no call fails. With 1 to n the first call on one of the n files
 * fails, with n + 1 to 2 * n the second, and so on.
 */
void fuzz_calls_reset(struct fuzz_files *files, uint64_t fail);
bool fuzz_has_failed(const struct fuzz_files *files);

/* ---- Choices ---- */

struct fuzz_choices {
	uint64_t state;
};

void fuzz_choices_init(struct fuzz_choices *choices, const uint8_t *data, size_t len);
uint64_t fuzz_choose(struct fuzz_choices *choices, uint64_t n); /* a number below n */
/* An offset of the disk, often near an end, a cluster border or a used L1 entry. */
uint64_t fuzz_choose_offset(struct fuzz_choices *choices, const struct qcow2_image *image,
                            const uint8_t *bytes, size_t len);

/* ---- Memory ---- */

enum { FUZZ_CANARY_LEN = 64 };

/* Allocates len bytes between canaries, aligned to 8 and filled with a pattern. */
uint8_t *fuzz_buf_new(size_t len);
/* Aborts if a canary has changed. */
void fuzz_buf_check(const uint8_t *buf, size_t len);
void fuzz_buf_free(uint8_t *buf, size_t len);

/* ---- Reading: reading.c ---- */

extern const struct qcow2_codec *const fuzz_codecs[];

/* A reader, and its memory between canaries. */
struct fuzz_reader {
	struct qcow2_reader reader;
	uint8_t *memory;
	size_t memory_len;
};

enum { FUZZ_SMALL, FUZZ_LARGE };

/* Starts a reader with the least memory that init accepts, or with as much as it can use. */
int fuzz_reader_start(struct fuzz_reader *r, const struct qcow2_image *image, int how);
void fuzz_reader_stop(struct fuzz_reader *r);

/* The most io calls that reader.h allows for mapping this extent, and for reading its bytes. */
uint64_t fuzz_map_cost(const struct qcow2_image *image, const struct qcow2_extent *extent, int how);
uint64_t fuzz_data_cost(const struct qcow2_extent *extent, int how);

/*
 * Checks the properties of map and read in [off, off + len) of an image that is ready to be read.
 * len is at most FUZZ_WINDOW.
 */
enum { FUZZ_WINDOW = 1 << 16 };
void fuzz_check_reading(const struct qcow2_image *image, struct fuzz_files *files,
                        struct fuzz_choices *choices, uint64_t off, size_t len);

/* Calls fuzz_check_reading for n windows of the disk. */
void fuzz_check_windows(const struct qcow2_image *image, struct fuzz_files *files,
                        struct fuzz_choices *choices, unsigned n);

#endif
