/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A second parser of headers, header extensions and snapshot tables, which the core must agree
 * with. It shares no code with the core: it reads from one block of memory, field by field, with
 * numbers so wide that no sum wraps.
 */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include "qcow2/image.h"
#include "qcow2/snapshot.h"

/* A file, and the flags that its image is opened with. */
struct fuzz_model {
	const uint8_t *bytes;
	uint64_t len;
	unsigned flags; /* QCOW2_OPEN_* */
};

/* A big-endian number of n bytes at pos. What the file does not have is zeros. */
uint64_t fuzz_number(const uint8_t *bytes, uint64_t len, uint64_t pos, unsigned n);

/*
 * Answers like qcow2_image_open. On success the members of *want from `size` on are those of the
 * image; its files and pointers stay NULL. If the answer is QCOW2_E_HEADER, *pos is the position of
 * the field.
 */
int fuzz_model_open(const struct fuzz_model *m, struct qcow2_image *want, uint64_t *pos);

/* Answers like qcow2_image_extensions. On failure, *want has the extensions before the damage. */
int fuzz_model_extensions(const struct fuzz_model *m, struct qcow2_image *want);

/* Answers like qcow2_snapshot_next for entry number `index`, which is at pos. */
int fuzz_model_snapshot(const struct fuzz_model *m, const struct qcow2_image *image, uint64_t pos,
                        uint32_t index, struct qcow2_snapshot *want);

/*
 * Answers like qcow2_snapshot_image, or qcow2_snapshot_state_image. On success, *first is the index
 * of the first L1 entry of the image.
 */
int fuzz_model_snapshot_image(const struct fuzz_model *m, const struct qcow2_image *image,
                              const struct qcow2_snapshot *s, bool state, uint64_t *first);

#endif
