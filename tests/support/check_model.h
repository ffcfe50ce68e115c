/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A model of qcow2_image_check: one exact counter for each cluster, the whole file in memory, one
 * walk for counting and one for the flags, as the format describes it.
 */
#ifndef TEST_CHECK_MODEL_H
#define TEST_CHECK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qcow2/check.h"

struct check_model {
	uint64_t n[QCOW2_CHECK_OWNER + 1]; /* findings by code; owners are not modelled */
	uint64_t allocated, fragmented, compressed, end, snapshot_copied;
	uint64_t steps; /* entries gone through */
	int failed;     /* a status: the tables of snapshots are damaged */
};

/*
 * Checks the image in the len bytes, whose header and extensions are in *image. Returns 0 if that
 * takes more than max_steps entries, or memory runs out.
 */
int check_model_run(struct check_model *m, const struct qcow2_image *image, const uint8_t *bytes,
                    size_t len, uint64_t max_steps);

/* Is this found only with qcow2_check_strict? */
bool check_model_is_strict(unsigned code);

#endif
