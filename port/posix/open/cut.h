/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Describes what a file lacks at its end, and tells a cut file from a bad pointer.
 */
#ifndef QCOW2_POSIX_CUT_H
#define QCOW2_POSIX_CUT_H

#include "../posix.h"

#include "file.h"
#include "qcow2/image.h"

/*
 * [pos, pos + len) of the image file is not in it. Has the file been cut, or is pos wrong? The
 * image tells: a part of the file that its refcounts count as in use must have been there.
 *
 * Cost: at most two pread(2).
 */
bool qp_looks_cut(const struct qcow2_image *image, uint64_t pos, uint64_t len);

/*
 * Notes that the file ends before `what`, len bytes at pos, does: QCOW2_E_TRUNCATED. `what` begins
 * with its article. zeros_help: with QCOW2_ALLOW_TRUNCATED, the call would read zeros.
 */
void qp_fail_cut(const struct qcow2_image *image, const char *what, uint64_t pos, uint64_t len,
                 bool zeros_help);

/*
 * Notes why an image cannot be opened whose header or extensions failed with QCOW2_E_TRUNCATED.
 * flags are those it was opened with.
 */
void qp_fail_open_cut(const struct qp_file *file, unsigned flags, const struct qcow2_error *err);

/* The image without the permission to read zeros past the end of its file. */
struct qcow2_image qp_strict(const struct qcow2_image *image);

#endif
