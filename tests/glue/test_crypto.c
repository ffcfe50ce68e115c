/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The adapters of port/crypto: each library decrypts, hashes and derives the same bytes as
 * libgcrypt, which the tests of tests/conform compare with QEMU. With each, a LUKS image unlocks.
 */
#include "glue.h"

#include <stdlib.h>
#include <string.h>

#include "adapters.h"
#include "image/crypt.h"
#include "qcow2/luks.h"

enum { SECTORS = 3, LEN = SECTORS * QCOW2_SECTOR_LEN, ITERATIONS = 10 };

static const struct {
	const char *name;
	const struct qcow2_crypto *crypto;
} libraries[] = { { "libcrypto", &qcow2_libcrypto }, { "mbedtls", &qcow2_mbedtls } };

static const struct qcow2_cipher_spec specs[] = {
	{ QCOW2_CIPHER_AES, QCOW2_MODE_XTS, QCOW2_IV_PLAIN64, 0, 64 },
	{ QCOW2_CIPHER_AES, QCOW2_MODE_XTS, QCOW2_IV_PLAIN, 0, 32 },
	{ QCOW2_CIPHER_AES, QCOW2_MODE_CBC, QCOW2_IV_ESSIV, QCOW2_HASH_SHA256, 32 },
	{ QCOW2_CIPHER_AES, QCOW2_MODE_CBC, QCOW2_IV_PLAIN, 0, 24 },
	{ QCOW2_CIPHER_AES, QCOW2_MODE_CBC, QCOW2_IV_PLAIN64, 0, 16 },
	{ QCOW2_CIPHER_AES, QCOW2_MODE_CTR, QCOW2_IV_ESSIV, QCOW2_HASH_MD5, 16 },
	{ QCOW2_CIPHER_AES, QCOW2_MODE_CTR, QCOW2_IV_PLAIN64, 0, 24 },
	{ QCOW2_CIPHER_AES, QCOW2_MODE_CTR, QCOW2_IV_PLAIN64, 0, 32 },
	{ QCOW2_CIPHER_AES, QCOW2_MODE_ECB, QCOW2_IV_PLAIN64, 0, 16 },
	{ QCOW2_CIPHER_AES, QCOW2_MODE_ECB, QCOW2_IV_PLAIN64, 0, 24 },
	{ QCOW2_CIPHER_AES, QCOW2_MODE_ECB, QCOW2_IV_PLAIN64, 0, 32 },
};

/* What libcrypto and Mbed TLS lack. */
static const struct qcow2_cipher_spec lacking[] = {
	{ QCOW2_CIPHER_TWOFISH, QCOW2_MODE_XTS, QCOW2_IV_PLAIN64, 0, 48 },
	{ QCOW2_CIPHER_SERPENT, QCOW2_MODE_XTS, QCOW2_IV_PLAIN64, 0, 64 },
	{ QCOW2_CIPHER_CAST5, QCOW2_MODE_CBC, QCOW2_IV_PLAIN64, 0, 16 },
	{ QCOW2_CIPHER_AES, QCOW2_MODE_XTS, QCOW2_IV_PLAIN64, 0, 48 },
};

static struct qcow2_cipher *cipher_new(const struct qcow2_crypto *crypto,
                                       const struct qcow2_cipher_spec *spec, const uint8_t *key)
{
	struct qcow2_cipher *cipher = malloc(crypto->cipher_len);

	TRUE(cipher != NULL);
	memset(cipher, 0xee, crypto->cipher_len);
	EQ(crypto->open(crypto, spec, key, cipher), QCOW2_OK);
	return cipher;
}

/* Closing wipes all memory of the cipher. */
static void cipher_free(const struct qcow2_crypto *crypto, struct qcow2_cipher *cipher)
{
	crypto->close(crypto, cipher);
	ALL(cipher, 0, crypto->cipher_len);
	free(cipher);
}

static void decrypts(const struct qcow2_crypto *crypto, const struct qcow2_cipher_spec *spec,
                     uint64_t sector, uint8_t buf[LEN])
{
	uint8_t key[QCOW2_KEY_MAX];
	struct qcow2_cipher *cipher;

	image_fill(key, sizeof key, 7, 0);
	image_fill(buf, LEN, 8, 0);
	cipher = cipher_new(crypto, spec, key);
	EQ(cipher->decrypt(cipher, sector, buf, SECTORS), QCOW2_OK);
	cipher_free(crypto, cipher);
}

static void test_ciphers(void **state)
{
	static const uint64_t sectors[] = { 0, 0xfffffffe, UINT64_C(0x123456789abcde) };
	uint8_t want[LEN], got[LEN];
	size_t i, k, l;

	(void)state;
	for (i = 0; i < COUNT(specs); i++)
		for (k = 0; k < COUNT(sectors); k++) {
			decrypts(&qcow2_libgcrypt, &specs[i], sectors[k], want);
			for (l = 0; l < COUNT(libraries); l++) {
				test_case("%s, spec %zu, sectors from %llu", libraries[l].name, i,
				          (unsigned long long)sectors[k]);
				decrypts(libraries[l].crypto, &specs[i], sectors[k], got);
				SAME(got, want, LEN);
			}
		}
}

static void test_lacking(void **state)
{
	uint8_t key[QCOW2_KEY_MAX] = { 0 };
	size_t i, l;

	(void)state;
	for (i = 0; i < COUNT(lacking); i++)
		for (l = 0; l < COUNT(libraries); l++) {
			const struct qcow2_crypto *crypto = libraries[l].crypto;
			struct qcow2_cipher *cipher = malloc(crypto->cipher_len);

			test_case("%s, spec %zu", libraries[l].name, i);
			TRUE(cipher != NULL);
			EQ(crypto->open(crypto, &lacking[i], key, cipher), QCOW2_E_CRYPTO);
			free(cipher);
		}
}

static void test_hashes(void **state)
{
	static const uint8_t prefix[4] = { 0, 0, 1, 2 };
	uint8_t data[QCOW2_DIGEST_MAX], salt[32], want[QCOW2_DIGEST_MAX], got[QCOW2_DIGEST_MAX];
	unsigned hash;
	size_t l;

	(void)state;
	image_fill(data, sizeof data, 1, 0);
	image_fill(salt, sizeof salt, 2, 0);
	for (hash = QCOW2_HASH_MD5; hash <= QCOW2_HASH_RIPEMD160; hash++)
		for (l = 0; l < COUNT(libraries); l++) {
			const struct qcow2_crypto *a = &qcow2_libgcrypt, *b = libraries[l].crypto;
			uint32_t len = qcow2_digest_len(hash);

			test_case("%s, hash %u", libraries[l].name, hash);
			EQ(a->hash(a, hash, prefix, data, 17, want), QCOW2_OK);
			EQ(b->hash(b, hash, prefix, data, 17, got), QCOW2_OK);
			SAME(got, want, len);
			EQ(a->pbkdf2(a, hash, "abc", 3, salt, ITERATIONS, want, 64), QCOW2_OK);
			EQ(b->pbkdf2(b, hash, "abc", 3, salt, ITERATIONS, got, 64), QCOW2_OK);
			SAME(got, want, 64);
			EQ(a->pbkdf2(a, hash, NULL, 0, salt, 1, want, 20), QCOW2_OK);
			EQ(b->pbkdf2(b, hash, NULL, 0, salt, 1, got, 20), QCOW2_OK);
			SAME(got, want, 20);
		}
	for (l = 0; l < COUNT(libraries); l++) {
		const struct qcow2_crypto *b = libraries[l].crypto;

		EQ(b->pbkdf2(b, 0, "abc", 3, salt, UINT32_MAX, got, 20), QCOW2_E_CRYPTO);
	}
}

/* ---- An image, by each library ---- */

static int memory_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	const struct image *img = ctx;

	memcpy(buf, img->file.data + pos, len);
	return 0;
}

static const struct qcow2_io_ops memory_ops = { .read = memory_read };

static void image_reads(struct image *img, const struct qcow2_crypto *crypto)
{
	static uint64_t memory[QCOW2_READER_MEMORY / sizeof(uint64_t)];
	struct qcow2_io io = { .ops = &memory_ops, .ctx = img, .size = img->file.len };
	uint8_t buf[5000], want[sizeof buf];
	struct qcow2_luks_unlocking u;
	struct qcow2_cipher *cipher;
	struct qcow2_image image;
	struct qcow2_reader reader;
	struct qcow2_luks luks;

	EQ(qcow2_image_open(&image, &io, QCOW2_OPEN_INSPECT, NULL), QCOW2_OK);
	EQ(qcow2_image_extensions(&image, NULL), QCOW2_OK);
	EQ(qcow2_luks_read(&luks, &image, NULL), QCOW2_OK);
	memset(&u, 0, sizeof u);
	u.luks = &luks;
	u.crypto = crypto;
	u.cipher = malloc(crypto->cipher_len);
	u.password = "abc";
	u.password_len = 2;
	u.max_iterations = QCOW2_LUKS_ITERATIONS;
	EQ(qcow2_luks_unlock(&u, NULL), QCOW2_E_KEY);
	u.password_len = 3;
	EQ(qcow2_luks_unlock(&u, NULL), QCOW2_OK);
	free(u.cipher);
	cipher = cipher_new(crypto, &luks.spec, u.key);
	EQ(qcow2_image_attach_cipher(&image, cipher), QCOW2_OK);
	EQ(qcow2_reader_init(&reader, &image, memory, sizeof memory), QCOW2_OK);
	EQ(qcow2_reader_read(&reader, 100, buf, sizeof buf), QCOW2_OK);
	image_expect(img, &img->active, 100, want, sizeof want);
	SAME(buf, want, sizeof buf);
	cipher_free(crypto, cipher);
}

static void test_image(void **state)
{
	static const struct crypt_luks luks[] = {
		{ .slots[0] = { "abc", 3 } },
		{ .mode = "cbc",
		  .ivgen = "essiv:sha256",
		  .hash = "sha1",
		  .slots[4] = { "abc", 3 } },
	};
	uint64_t pos = 0;
	size_t i, l;

	(void)state;
	for (i = 0; i < COUNT(luks); i++)
		for (l = 0; l < COUNT(libraries); l++) {
			struct image img;

			test_case("%s, image %zu", libraries[l].name, i);
			image_init(&img, 3, 12, 16384);
			TRUE(crypt_begin_luks(&img, &luks[i], &pos) == NULL);
			image_add_range(&img, &img.active, 0, 4, IMAGE_DATA);
			image_finish(&img);
			image_reads(&img, libraries[l].crypto);
			crypt_end(&img);
			image_free(&img);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ciphers),
		cmocka_unit_test(test_lacking),
		cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
