/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What encryption needs besides the primitives of the caller: the key of method AES, the lengths of
 * digests, and a wipe. No cipher and no hash.
 */
#include "internal.h"
#include "qcow2/crypto.h"

enum { AES_KEY_LEN = 16 };

const struct qcow2_cipher_spec qcow2_aes_spec = { QCOW2_CIPHER_AES, QCOW2_MODE_CBC,
	                                          QCOW2_IV_PLAIN64, 0, AES_KEY_LEN };

void qcow2_aes_key(const void *password, size_t len, uint8_t key[16])
{
	memset(key, 0, AES_KEY_LEN);
	if (len > AES_KEY_LEN)
		len = AES_KEY_LEN;
	if (len != 0u)
		memcpy(key, password, len);
}

void qcow2_wipe(void *memory, size_t len)
{
	volatile uint8_t *bytes = memory; /* so that the compiler keeps writes that nobody reads */
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = 0;
}

uint32_t qcow2_digest_len(unsigned hash)
{
	static const uint8_t lengths[] = { 16, 20, 28, 32, 48, 64, 20 }; /* by QCOW2_HASH_* */

	return hash < sizeof lengths ? lengths[hash] : 0u;
}
