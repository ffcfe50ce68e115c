/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * AES and hashes by libcrypto, a part of OpenSSL. Its other ciphers are not used: what LUKS needs
 * of them is in a provider that systems do not load.
 */
#include "handles.h"

#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

static const EVP_MD *openssl_hash_of(unsigned hash)
{
	switch (hash) {
	case QCOW2_HASH_MD5: return EVP_md5();
	case QCOW2_HASH_SHA1: return EVP_sha1();
	case QCOW2_HASH_SHA224: return EVP_sha224();
	case QCOW2_HASH_SHA256: return EVP_sha256();
	case QCOW2_HASH_SHA384: return EVP_sha384();
	case QCOW2_HASH_SHA512: return EVP_sha512();
	default: return EVP_ripemd160();
	}
}

/* AES with keys of this length, all keys of XTS together. NULL: there is none. */
static const EVP_CIPHER *openssl_cipher_of(unsigned mode, uint32_t key_len)
{
	static const struct {
		unsigned mode;
		uint32_t key_len;
		const EVP_CIPHER *(*cipher)(void);
	} ciphers[] = {
		{ QCOW2_MODE_ECB, 16, EVP_aes_128_ecb }, { QCOW2_MODE_ECB, 24, EVP_aes_192_ecb },
		{ QCOW2_MODE_ECB, 32, EVP_aes_256_ecb }, { QCOW2_MODE_CBC, 16, EVP_aes_128_cbc },
		{ QCOW2_MODE_CBC, 24, EVP_aes_192_cbc }, { QCOW2_MODE_CBC, 32, EVP_aes_256_cbc },
		{ QCOW2_MODE_CTR, 16, EVP_aes_128_ctr }, { QCOW2_MODE_CTR, 24, EVP_aes_192_ctr },
		{ QCOW2_MODE_CTR, 32, EVP_aes_256_ctr }, { QCOW2_MODE_XTS, 32, EVP_aes_128_xts },
		{ QCOW2_MODE_XTS, 64, EVP_aes_256_xts },
	};
	size_t i;

	for (i = 0; i < sizeof ciphers / sizeof ciphers[0]; i++)
		if (ciphers[i].mode == mode && ciphers[i].key_len == key_len)
			return ciphers[i].cipher();
	return NULL;
}

static int openssl_result(int good)
{
	return good == 1 ? 0 : QCOW2_E_CRYPTO;
}

/* encrypts: 1 if the context encrypts, 0 if it decrypts. */
static int openssl_start_one(void **context, unsigned mode, const uint8_t *key, uint32_t key_len,
                             int encrypts)
{
	const EVP_CIPHER *cipher = openssl_cipher_of(mode, key_len);
	EVP_CIPHER_CTX *c = cipher != NULL ? EVP_CIPHER_CTX_new() : NULL;

	*context = c;
	if (c == NULL)
		return QCOW2_E_CRYPTO;
	if (EVP_CipherInit_ex(c, cipher, NULL, key, NULL, encrypts) != 1)
		return QCOW2_E_CRYPTO;
	return openssl_result(EVP_CIPHER_CTX_set_padding(c, 0));
}

static void openssl_stop(struct crypto_handle *h)
{
	EVP_CIPHER_CTX_free(h->data); /* NULL is allowed; it wipes the key */
	EVP_CIPHER_CTX_free(h->iv);
	h->data = NULL;
	h->iv = NULL;
}

static int openssl_start(const struct crypto_cipher *c, struct crypto_handle *h)
{
	int rc = QCOW2_E_CRYPTO;

	if (c->spec.cipher == QCOW2_CIPHER_AES)
		rc = openssl_start_one(&h->data, c->spec.mode, c->key, c->spec.key_len, 0);
	if (rc == 0 && c->iv_key_len != 0u)
		rc = openssl_start_one(&h->iv, QCOW2_MODE_ECB, c->iv_key, c->iv_key_len, 1);
	if (rc != 0)
		openssl_stop(h);
	return rc;
}

static int openssl_sector(const struct crypto_cipher *c, const struct crypto_handle *h,
                          uint64_t sector, uint8_t *buf)
{
	uint8_t iv[QCOW2_CRYPTO_BLOCK_MAX];
	int good = 1, len;

	qcow2_crypto_iv(&c->spec, sector, iv);
	if (h->iv != NULL)
		good = EVP_CipherUpdate(h->iv, iv, &len, iv, sizeof iv);
	if (good == 1)
		good = EVP_CipherInit_ex(h->data, NULL, NULL, NULL, iv, -1);
	if (good == 1)
		good = EVP_CipherUpdate(h->data, buf, &len, buf, QCOW2_SECTOR_LEN);
	return openssl_result(good);
}

static int openssl_decrypt(const struct crypto_cipher *c, const struct crypto_handle *h,
                           uint64_t sector, uint8_t *buf, size_t n)
{
	int rc = 0;

	for (; rc == 0 && n > 0u; n--, sector++, buf += QCOW2_SECTOR_LEN)
		rc = openssl_sector(c, h, sector, buf);
	return rc;
}

static int openssl_hash_key(struct crypto_cipher *c)
{
	c->iv_key_len = qcow2_digest_len(c->spec.iv_hash);
	return openssl_result(EVP_Digest(c->key, c->spec.key_len, c->iv_key, NULL,
	                                 openssl_hash_of(c->spec.iv_hash), NULL));
}

static const struct crypto_library openssl_library = { openssl_hash_key, openssl_start,
	                                               openssl_stop, openssl_decrypt };

static int openssl_cipher_open(const struct qcow2_crypto *self,
                               const struct qcow2_cipher_spec *spec, const uint8_t *key,
                               struct qcow2_cipher *cipher)
{
	(void)self;
	return crypto_handles_open(&openssl_library, spec, key, cipher);
}

static void openssl_cipher_close(const struct qcow2_crypto *self, struct qcow2_cipher *cipher)
{
	(void)self;
	crypto_handles_close(cipher);
}

static int openssl_pbkdf2(const struct qcow2_crypto *self, unsigned hash, const void *password,
                          size_t password_len, const uint8_t salt[32], uint32_t iterations,
                          uint8_t *out, size_t len)
{
	(void)self;
	if (password_len > INT_MAX || iterations > INT_MAX)
		return QCOW2_E_CRYPTO;
	return openssl_result(PKCS5_PBKDF2_HMAC(password != NULL ? password : "", (int)password_len,
	                                        salt, 32, (int)iterations, openssl_hash_of(hash),
	                                        (int)len, out));
}

static int openssl_hash(const struct qcow2_crypto *self, unsigned hash, const uint8_t prefix[4],
                        const uint8_t *data, size_t len, uint8_t *out)
{
	uint8_t in[4 + QCOW2_KEY_MAX];
	int good;

	(void)self;
	memcpy(in, prefix, 4);
	memcpy(in + 4, data, len);
	good = EVP_Digest(in, 4u + len, out, NULL, openssl_hash_of(hash), NULL);
	qcow2_wipe(in, sizeof in);
	return openssl_result(good);
}

const struct qcow2_crypto qcow2_libcrypto = { openssl_pbkdf2, openssl_hash, openssl_cipher_open,
	                                      openssl_cipher_close, sizeof(struct crypto_cipher) };
