/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Checks a key against the digest in a LUKS header, through the primitives of the caller. luks.c
 * has checked the header. Firmware that has the key itself links this without luks_unlock.c.
 */
#include "internal.h"
#include "qcow2/luks.h"

enum {
	AT_LUKS_DIGEST = 112,
	AT_LUKS_SALT = 132, /* of the digest */
	LUKS_DIGEST_LEN = 20
};

int qcow2_luks_verify(const struct qcow2_luks *luks, const struct qcow2_crypto *crypto,
                      const uint8_t *key, uint32_t max_iterations, struct qcow2_error *err)
{
	uint8_t digest[LUKS_DIGEST_LEN];
	struct qcow2_error unseen;
	uint32_t differences = 0;
	unsigned i;
	int rc;

	err = q2_err(err, &unseen);
	if (luks == NULL || luks->image == NULL || crypto == NULL || key == NULL)
		return q2_note(err, QCOW2_E_ARGUMENT);
	err->io = &luks->image->io;
	err->pos = luks->pos;
	err->detail = luks->digest_iterations;
	if (luks->digest_iterations > max_iterations)
		return q2_note(err, QCOW2_E_TOO_BIG);
	rc = crypto->pbkdf2(crypto, luks->hash, key, luks->spec.key_len,
	                    luks->header + AT_LUKS_SALT, luks->digest_iterations, digest,
	                    LUKS_DIGEST_LEN);
	/* The time that this takes must not tell where they differ. */
	for (i = 0; rc == QCOW2_OK && i < LUKS_DIGEST_LEN; i++)
		differences |= (uint32_t)digest[i] ^ luks->header[AT_LUKS_DIGEST + i];
	qcow2_wipe(digest, sizeof digest);
	if (differences != 0u)
		rc = QCOW2_E_KEY;
	return q2_note(err, rc);
}
