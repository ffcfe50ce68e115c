/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the files of the LUKS header share: luks.c, which reads it; and luks_names.c and
 * luks_aes_xts.c, which know the names of ciphers and hashes in it.
 */
#ifndef QCOW2_LUKS_INTERNAL_H
#define QCOW2_LUKS_INTERNAL_H

#include "internal.h"
#include "qcow2/luks.h"

/* Byte positions of the names in the header, which end with a NUL, and of the length of the key. */
enum {
	Q2_LUKS_AT_CIPHER = 8,
	Q2_LUKS_AT_MODE = 40,
	Q2_LUKS_AT_HASH = 72,
	Q2_LUKS_AT_KEY_LEN = 108
};

/* Instead of the position of a bad field. */
enum { Q2_LUKS_GOOD = QCOW2_LUKS_HEADER_LEN };

/*
 * Reads the names in luks->header. Writes what they mean to luks->spec and luks->hash, and checks
 * luks->spec.key_len, which is read before: at most QCOW2_KEY_MAX, and such that the key material
 * of a slot fills whole sectors. Returns Q2_LUKS_GOOD, or the position of a bad field.
 */
typedef uint32_t q2_luks_names(struct qcow2_luks *luks);

/* qcow2_luks_read, with the names that `names` knows. */
int q2_luks_read(struct qcow2_luks *luks, const struct qcow2_image *image, q2_luks_names *names,
                 struct qcow2_error *err);

#endif
