/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The names in a LUKS header that tools write by default: AES, xts-plain64 and SHA-256. A program
 * that needs no other links this instead of luks_names.c.
 */
#include "luks.h"

/* The names in the order of their fields, each with a NUL. */
static const char aes_xts_names[] = "aes\0xts-plain64\0sha256";

enum { NAME_FIELD_LEN = 32, NAMES_END = Q2_LUKS_AT_HASH + NAME_FIELD_LEN };

static uint32_t aes_xts_check(struct qcow2_luks *luks)
{
	struct qcow2_cipher_spec *spec = &luks->spec;
	const char *name = aes_xts_names;
	uint32_t at;

	/*@ slevel 200; */
	for (at = Q2_LUKS_AT_CIPHER; at != NAMES_END; at += NAME_FIELD_LEN) {
		const uint8_t *text = luks->header + at;

		do {
			if (*text++ != (uint8_t)*name)
				return at;
		} while (*name++ != '\0');
	}
	/* Two keys of 16, 24 or 32 bytes. */
	if (spec->key_len % 16u != 0u || spec->key_len - 32u > 32u)
		return Q2_LUKS_AT_KEY_LEN;
	spec->cipher = QCOW2_CIPHER_AES;
	spec->mode = QCOW2_MODE_XTS;
	spec->iv = QCOW2_IV_PLAIN64;
	luks->hash = QCOW2_HASH_SHA256;
	return Q2_LUKS_GOOD;
}

int qcow2_luks_read_aes_xts(struct qcow2_luks *luks, const struct qcow2_image *image,
                            struct qcow2_error *err)
{
	return q2_luks_read(luks, image, aes_xts_check, err);
}
