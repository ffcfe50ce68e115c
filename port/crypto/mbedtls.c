/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * AES and hashes by Mbed TLS, which U-Boot and EDK2 contain. Versions 2.28 and 3 work. Its
 * configuration needs MBEDTLS_AES_C with the modes CBC, CTR and XTS, MBEDTLS_PKCS5_C, and
 * MBEDTLS_MD_C with the hashes that images have.
 *
 * A cipher takes nothing but the caller's memory. PBKDF2 allocates while it runs.
 */
#include "adapters.h"

#include <limits.h>
#include <mbedtls/aes.h>
#include <mbedtls/md.h>
#include <mbedtls/pkcs5.h>
#include <mbedtls/version.h>

/* Firmware may have no string.h, which Mbed TLS has to include in its own way. */
void *memcpy(void *restrict dest, const void *restrict src, size_t len);
void *memset(void *dest, int byte, size_t len);

/* The contexts of the library. They have the key and no IV, so threads can share them. */
struct mbedtls_contexts {
	mbedtls_aes_context block; /* for all modes but XTS */
	mbedtls_aes_context iv;    /* encrypts IVs, with ESSIV */
	mbedtls_aes_xts_context xts;
};

struct mbedtls_volume {
	struct qcow2_cipher base;
	struct qcow2_cipher_spec spec;
	struct mbedtls_contexts *contexts; /* the one below: decrypt gets *this as const */
	struct mbedtls_contexts own;
};

static const mbedtls_md_info_t *mbedtls_hash_of(unsigned hash)
{
	static const mbedtls_md_type_t types[] = {
		[QCOW2_HASH_MD5] = MBEDTLS_MD_MD5,
		[QCOW2_HASH_SHA1] = MBEDTLS_MD_SHA1,
		[QCOW2_HASH_SHA224] = MBEDTLS_MD_SHA224,
		[QCOW2_HASH_SHA256] = MBEDTLS_MD_SHA256,
		[QCOW2_HASH_SHA384] = MBEDTLS_MD_SHA384,
		[QCOW2_HASH_SHA512] = MBEDTLS_MD_SHA512,
		[QCOW2_HASH_RIPEMD160] = MBEDTLS_MD_RIPEMD160,
	};

	return mbedtls_md_info_from_type(types[hash]);
}

static int mbedtls_result(int rc)
{
	return rc == 0 ? 0 : QCOW2_E_CRYPTO;
}

static int mbedtls_sector(const struct qcow2_cipher_spec *spec, struct mbedtls_contexts *x,
                          uint8_t *iv, uint8_t *buf)
{
	uint8_t stream[QCOW2_CRYPTO_BLOCK_MAX];
	size_t at = 0;
	int rc = 0;

	switch (spec->mode) {
	case QCOW2_MODE_CBC:
		return mbedtls_aes_crypt_cbc(&x->block, MBEDTLS_AES_DECRYPT, QCOW2_SECTOR_LEN, iv,
		                             buf, buf);
	case QCOW2_MODE_CTR:
		return mbedtls_aes_crypt_ctr(&x->block, QCOW2_SECTOR_LEN, &at, iv, stream, buf,
		                             buf);
	case QCOW2_MODE_XTS:
		return mbedtls_aes_crypt_xts(&x->xts, MBEDTLS_AES_DECRYPT, QCOW2_SECTOR_LEN, iv,
		                             buf, buf);
	default:
		for (; rc == 0 && at < QCOW2_SECTOR_LEN; at += QCOW2_CRYPTO_BLOCK_MAX)
			rc = mbedtls_aes_crypt_ecb(&x->block, MBEDTLS_AES_DECRYPT, buf + at,
			                           buf + at);
		return rc;
	}
}

static int mbedtls_decrypt(const struct qcow2_cipher *self, uint64_t sector, void *buf, size_t n)
{
	const struct mbedtls_volume *v = (const struct mbedtls_volume *)(const void *)self;
	uint8_t iv[QCOW2_CRYPTO_BLOCK_MAX];
	uint8_t *at = buf;
	int rc = 0;

	for (; rc == 0 && n > 0u; n--, sector++, at += QCOW2_SECTOR_LEN) {
		qcow2_crypto_iv(&v->spec, sector, iv);
		if (v->spec.iv == QCOW2_IV_ESSIV)
			rc = mbedtls_aes_crypt_ecb(&v->contexts->iv, MBEDTLS_AES_ENCRYPT, iv, iv);
		if (rc == 0)
			rc = mbedtls_sector(&v->spec, v->contexts, iv, at);
	}
	return mbedtls_result(rc);
}

/* Sets the key that decrypts data. In mode CTR that is the key that encrypts the counter. */
static int mbedtls_set_key(struct mbedtls_volume *v, const uint8_t *key)
{
	unsigned bits = 8u * v->spec.key_len;

	if (v->spec.mode == QCOW2_MODE_XTS)
		return mbedtls_aes_xts_setkey_dec(&v->own.xts, key, bits);
	if (v->spec.mode == QCOW2_MODE_CTR)
		return mbedtls_aes_setkey_enc(&v->own.block, key, bits);
	return mbedtls_aes_setkey_dec(&v->own.block, key, bits);
}

/* Sets the key that encrypts IVs: the hash of the key for the data. */
static int mbedtls_set_iv_key(struct mbedtls_volume *v, const uint8_t *key)
{
	const mbedtls_md_info_t *hash = mbedtls_hash_of(v->spec.iv_hash);
	uint8_t digest[QCOW2_DIGEST_MAX];
	int rc;

	if (hash == NULL)
		return -1;
	rc = mbedtls_md(hash, key, v->spec.key_len, digest);
	if (rc == 0)
		rc = mbedtls_aes_setkey_enc(&v->own.iv, digest,
		                            8u * qcow2_digest_len(v->spec.iv_hash));
	qcow2_wipe(digest, sizeof digest);
	return rc;
}

static void mbedtls_cipher_close(const struct qcow2_crypto *self, struct qcow2_cipher *cipher)
{
	struct mbedtls_volume *v = (struct mbedtls_volume *)(void *)cipher;

	(void)self;
	mbedtls_aes_free(&v->own.block);
	mbedtls_aes_free(&v->own.iv);
	mbedtls_aes_xts_free(&v->own.xts);
	qcow2_wipe(v, sizeof *v);
}

static int mbedtls_cipher_open(const struct qcow2_crypto *self,
                               const struct qcow2_cipher_spec *spec, const uint8_t *key,
                               struct qcow2_cipher *cipher)
{
	struct mbedtls_volume *v = (struct mbedtls_volume *)(void *)cipher;
	int rc;

	if (spec->cipher != QCOW2_CIPHER_AES)
		return QCOW2_E_CRYPTO;
	memset(v, 0, sizeof *v);
	v->base.decrypt = mbedtls_decrypt;
	v->spec = *spec;
	v->contexts = &v->own;
	mbedtls_aes_init(&v->own.block);
	mbedtls_aes_init(&v->own.iv);
	mbedtls_aes_xts_init(&v->own.xts);
	rc = mbedtls_set_key(v, key);
	if (rc == 0 && spec->iv == QCOW2_IV_ESSIV)
		rc = mbedtls_set_iv_key(v, key);
	if (rc != 0)
		mbedtls_cipher_close(self, cipher);
	return mbedtls_result(rc);
}

static int mbedtls_pbkdf2(const struct qcow2_crypto *self, unsigned hash, const void *password,
                          size_t password_len, const uint8_t salt[32], uint32_t iterations,
                          uint8_t *out, size_t len)
{
	const mbedtls_md_info_t *info = mbedtls_hash_of(hash);
	int rc;

	(void)self;
	if (info == NULL)
		return QCOW2_E_CRYPTO;
	if (iterations > INT_MAX) /* its loop counts in an int */
		return QCOW2_E_CRYPTO;
#if MBEDTLS_VERSION_NUMBER >= 0x03030000
	rc = mbedtls_pkcs5_pbkdf2_hmac_ext(mbedtls_md_get_type(info), password, password_len, salt,
	                                   32, iterations, (uint32_t)len, out);
#else
	{
		mbedtls_md_context_t md;

		mbedtls_md_init(&md);
		rc = mbedtls_md_setup(&md, info, 1);
		if (rc == 0)
			rc = mbedtls_pkcs5_pbkdf2_hmac(&md, password, password_len, salt, 32,
			                               iterations, (uint32_t)len, out);
		mbedtls_md_free(&md);
	}
#endif
	return mbedtls_result(rc);
}

static int mbedtls_hash(const struct qcow2_crypto *self, unsigned hash, const uint8_t prefix[4],
                        const uint8_t *data, size_t len, uint8_t *out)
{
	const mbedtls_md_info_t *info = mbedtls_hash_of(hash);
	uint8_t in[4 + QCOW2_KEY_MAX];
	int rc;

	(void)self;
	if (info == NULL)
		return QCOW2_E_CRYPTO;
	memcpy(in, prefix, 4);
	memcpy(in + 4, data, len);
	rc = mbedtls_md(info, in, 4u + len, out);
	qcow2_wipe(in, sizeof in);
	return mbedtls_result(rc);
}

const struct qcow2_crypto qcow2_mbedtls = { mbedtls_pbkdf2, mbedtls_hash, mbedtls_cipher_open,
	                                    mbedtls_cipher_close, sizeof(struct mbedtls_volume) };
