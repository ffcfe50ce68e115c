/* SPDX-License-Identifier: MIT */
/*
 * Names of files on a volume: NUL-terminated UTF-16, absolute, with single backslashes and without
 * dots, like "\\images\\disk.qcow2". Knows nothing of UEFI.
 */
#ifndef QU_PATH_H
#define QU_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QU_PATH_MAX = 512 }; /* with the NUL */

/*
 * Makes `path` of `name`, seen from the directory that the file `from` lies in; NULL: from the
 * root. Both '/' and '\\' separate. False if it is too long, empty, has a character that no file
 * name has, or leads out of the volume.
 */
bool qu_path_join(uint16_t path[QU_PATH_MAX], const uint16_t *from, const uint16_t *name);

/* UTF-8 to UTF-16; false if it is not UTF-8, has a NUL in it, or does not fit. */
bool qu_path_decode(uint16_t *name, size_t max, const uint8_t *bytes, size_t len);

bool qu_path_is_absolute(const uint16_t *name);

/* Without regard to the case of A to Z. */
bool qu_path_equal(const uint16_t *a, const uint16_t *b, size_t len);
uint16_t qu_path_fold(uint16_t c);

size_t qu_path_len(const uint16_t *name);

#endif
