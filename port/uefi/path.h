/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * File names on a volume: NUL-terminated UTF-16, absolute, with single backslashes and without "."
 * and "..", like "\\images\\disk.qcow2". Independent of UEFI, so that tests run it on the host.
 */
#ifndef QU_PATH_H
#define QU_PATH_H

#include "qcow2/types.h"

enum { QU_PATH_MAX = 512 }; /* with the NUL */

/*
 * Resolves `name` in the directory of the file `from`, or in the root if `from` is NULL, and writes
 * the result to `path`. Both '/' and '\\' separate names. Returns false if the result is empty or
 * too long, contains a character that file names cannot have, or leaves the volume.
 */
bool qu_path_join(uint16_t path[QU_PATH_MAX], const uint16_t *from, const uint16_t *name);

/*
 * Converts UTF-8 to NUL-terminated UTF-16. Returns false if the bytes are not UTF-8, contain a NUL,
 * or do not fit into `max` units.
 */
bool qu_path_decode(uint16_t *name, size_t max, const uint8_t *bytes, size_t len);

/*
 * Converts a path to UTF-8 without a NUL, with '/' between names, and returns its length. If
 * `bytes` is NULL, only returns the length, which is at most three times that of the path.
 */
size_t qu_path_encode(uint8_t *bytes, const uint16_t *path);

bool qu_path_is_absolute(const uint16_t *name);

/* Compares without regard to the case of A to Z. */
bool qu_path_equal(const uint16_t *a, const uint16_t *b, size_t len);
uint16_t qu_path_fold(uint16_t c);

size_t qu_path_len(const uint16_t *name);

#endif
