/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Ciphers and hashes by libgcrypt.
 */
#include "handles.h"

#include <gcrypt.h>
#include <pthread.h>
#include <string.h>

static pthread_once_t gcrypt_once = PTHREAD_ONCE_INIT;

/* A program that uses libgcrypt itself has set it up before. */
static void gcrypt_init(void)
{
	if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P) != 0)
		return;
	gcry_check_version(NULL);
	gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
}

static int gcrypt_result(gcry_error_t error)
{
	return error == 0 ? QCOW2_OK : QCOW2_E_CRYPTO;
}

static int gcrypt_hash_id(unsigned hash)
{
	static const int ids[] = {
		[QCOW2_HASH_MD5] = GCRY_MD_MD5,          [QCOW2_HASH_SHA1] = GCRY_MD_SHA1,
		[QCOW2_HASH_SHA224] = GCRY_MD_SHA224,    [QCOW2_HASH_SHA256] = GCRY_MD_SHA256,
		[QCOW2_HASH_SHA384] = GCRY_MD_SHA384,    [QCOW2_HASH_SHA512] = GCRY_MD_SHA512,
		[QCOW2_HASH_RIPEMD160] = GCRY_MD_RMD160,
	};

	return ids[hash];
}

static int gcrypt_mode_id(unsigned mode)
{
	static const int ids[] = {
		[QCOW2_MODE_ECB] = GCRY_CIPHER_MODE_ECB,
		[QCOW2_MODE_CBC] = GCRY_CIPHER_MODE_CBC,
		[QCOW2_MODE_CTR] = GCRY_CIPHER_MODE_CTR,
		[QCOW2_MODE_XTS] = GCRY_CIPHER_MODE_XTS,
	};

	return ids[mode];
}

/* The cipher with keys of this length, or 0. */
static int gcrypt_cipher_id(unsigned cipher, uint32_t key_len)
{
	static const struct {
		unsigned cipher;
		uint32_t key_len;
		int id;
	} ids[] = {
		{ QCOW2_CIPHER_AES, 16, GCRY_CIPHER_AES128 },
		{ QCOW2_CIPHER_AES, 24, GCRY_CIPHER_AES192 },
		{ QCOW2_CIPHER_AES, 32, GCRY_CIPHER_AES256 },
		{ QCOW2_CIPHER_SERPENT, 16, GCRY_CIPHER_SERPENT128 },
		{ QCOW2_CIPHER_SERPENT, 24, GCRY_CIPHER_SERPENT192 },
		{ QCOW2_CIPHER_SERPENT, 32, GCRY_CIPHER_SERPENT256 },
		{ QCOW2_CIPHER_TWOFISH, 16, GCRY_CIPHER_TWOFISH128 },
		{ QCOW2_CIPHER_TWOFISH, 32, GCRY_CIPHER_TWOFISH },
		{ QCOW2_CIPHER_CAST5, 16, GCRY_CIPHER_CAST5 },
	};
	size_t i;

	for (i = 0; i < sizeof ids / sizeof ids[0]; i++)
		if (ids[i].cipher == cipher && ids[i].key_len == key_len)
			return ids[i].id;
	return 0;
}

static size_t gcrypt_block_len(const struct crypto_cipher *c)
{
	return c->spec.cipher == QCOW2_CIPHER_CAST5 ? 8u : 16u;
}

static int gcrypt_open(gcry_cipher_hd_t *handle, int id, int mode, const uint8_t *key, size_t len)
{
	gcry_error_t error = gcry_cipher_open(handle, id, mode, 0);

	if (error == 0)
		error = gcry_cipher_setkey(*handle, key, len);
	return gcrypt_result(error);
}

static void gcrypt_stop(struct crypto_handle *h)
{
	gcry_cipher_close(h->data); /* NULL is allowed; it wipes the key */
	gcry_cipher_close(h->iv);
	h->data = NULL;
	h->iv = NULL;
}

static int gcrypt_start(const struct crypto_cipher *c, struct crypto_handle *h)
{
	uint32_t key_len = c->spec.mode == QCOW2_MODE_XTS ? c->spec.key_len / 2u : c->spec.key_len;
	gcry_cipher_hd_t data = NULL, iv = NULL;
	int rc;

	pthread_once(&gcrypt_once, gcrypt_init);
	rc = gcrypt_open(&data, gcrypt_cipher_id(c->spec.cipher, key_len),
	                 gcrypt_mode_id(c->spec.mode), c->key, c->spec.key_len);
	if (rc == 0 && c->iv_key_len != 0u)
		rc = gcrypt_open(&iv, gcrypt_cipher_id(c->spec.cipher, c->iv_key_len),
		                 GCRY_CIPHER_MODE_ECB, c->iv_key, c->iv_key_len);
	h->data = data;
	h->iv = iv;
	if (rc != 0)
		gcrypt_stop(h);
	return rc;
}

static gcry_error_t gcrypt_set_iv(const struct crypto_cipher *c, const struct crypto_handle *h,
                                  uint64_t sector)
{
	uint8_t iv[QCOW2_CRYPTO_BLOCK_MAX];
	size_t len = gcrypt_block_len(c);
	gcry_error_t error = 0;

	qcow2_crypto_iv(&c->spec, sector, iv);
	if (h->iv != NULL)
		error = gcry_cipher_encrypt(h->iv, iv, len, NULL, 0);
	if (error != 0 || c->spec.mode == QCOW2_MODE_ECB)
		return error;
	if (c->spec.mode == QCOW2_MODE_CTR)
		return gcry_cipher_setctr(h->data, iv, len);
	return gcry_cipher_setiv(h->data, iv, len);
}

static int gcrypt_decrypt(const struct crypto_cipher *c, const struct crypto_handle *h,
                          uint64_t sector, uint8_t *buf, size_t n)
{
	gcry_error_t error = 0;

	for (; error == 0 && n > 0u; n--, sector++, buf += QCOW2_SECTOR_LEN) {
		error = gcrypt_set_iv(c, h, sector);
		if (error == 0)
			error = gcry_cipher_decrypt(h->data, buf, QCOW2_SECTOR_LEN, NULL, 0);
	}
	return gcrypt_result(error);
}

static int gcrypt_hash_key(struct crypto_cipher *c)
{
	pthread_once(&gcrypt_once, gcrypt_init);
	gcry_md_hash_buffer(gcrypt_hash_id(c->spec.iv_hash), c->iv_key, c->key, c->spec.key_len);
	c->iv_key_len = qcow2_digest_len(c->spec.iv_hash);
	return 0;
}

static const struct crypto_library gcrypt_library = { gcrypt_hash_key, gcrypt_start, gcrypt_stop,
	                                              gcrypt_decrypt };

static int gcrypt_cipher_open(const struct qcow2_crypto *self, const struct qcow2_cipher_spec *spec,
                              const uint8_t *key, struct qcow2_cipher *cipher)
{
	(void)self;
	return crypto_handles_open(&gcrypt_library, spec, key, cipher);
}

static void gcrypt_cipher_close(const struct qcow2_crypto *self, struct qcow2_cipher *cipher)
{
	(void)self;
	crypto_handles_close(cipher);
}

static int gcrypt_pbkdf2(const struct qcow2_crypto *self, unsigned hash, const void *password,
                         size_t password_len, const uint8_t salt[32], uint32_t iterations,
                         uint8_t *out, size_t len)
{
	(void)self;
	pthread_once(&gcrypt_once, gcrypt_init);
	return gcrypt_result(gcry_kdf_derive(password != NULL ? password : "", password_len,
	                                     GCRY_KDF_PBKDF2, gcrypt_hash_id(hash), salt, 32,
	                                     iterations, len, out));
}

static int gcrypt_hash(const struct qcow2_crypto *self, unsigned hash, const uint8_t prefix[4],
                       const uint8_t *data, size_t len, uint8_t *out)
{
	uint8_t in[4 + QCOW2_KEY_MAX];

	(void)self;
	pthread_once(&gcrypt_once, gcrypt_init);
	memcpy(in, prefix, 4);
	memcpy(in + 4, data, len);
	gcry_md_hash_buffer(gcrypt_hash_id(hash), out, in, 4u + len);
	qcow2_wipe(in, sizeof in);
	return 0;
}

const struct qcow2_crypto qcow2_libgcrypt = { gcrypt_pbkdf2, gcrypt_hash, gcrypt_cipher_open,
	                                      gcrypt_cipher_close, sizeof(struct crypto_cipher) };
