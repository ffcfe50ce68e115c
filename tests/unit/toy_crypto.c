/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "toy_crypto.h"

#include <stdlib.h>
#include <string.h>

/* ---- A pattern ---- */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t absorb(uint64_t state, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		state = (state ^ bytes[i]) * UINT64_C(0x100000001b3);
	return mix(state ^ len);
}

static void squeeze(uint64_t state, uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)(mix(state + i / 8) >> (i % 8 * 8));
}

void toy_crypt(uint64_t key, uint64_t sector, uint8_t *buf, size_t n)
{
	uint8_t pattern[512];

	for (; n-- != 0; sector++, buf += 512) {
		squeeze(mix(key ^ sector << 8), pattern, sizeof pattern);
		for (size_t i = 0; i < sizeof pattern; i++)
			buf[i] ^= pattern[i];
	}
}

void toy_encrypt(void *ctx, uint64_t off, uint64_t pos, uint8_t *buf, size_t len)
{
	const struct toy_writer *writer = ctx;

	toy_crypt(writer->key, (writer->aes ? off : pos) / 512, buf, len / 512);
}

/* ---- Primitives ---- */

static int log_call(struct toy_log *log)
{
	return ++log->calls == log->fail_at ? QCOW2_E_CRYPTO : QCOW2_OK;
}

static int toy_decrypt(const struct qcow2_cipher *self, uint64_t sector, void *buf,
                       size_t n_sectors)
{
	const struct toy_cipher *cipher = (const void *)self;

	LE(1, n_sectors);
	cipher->log->sectors += (unsigned)n_sectors;
	if (cipher->log->longest < n_sectors)
		cipher->log->longest = (unsigned)n_sectors;
	toy_crypt(cipher->key, sector, buf, n_sectors);
	return log_call(cipher->log);
}

void toy_cipher_init(struct toy_cipher *cipher, struct toy_log *log, uint64_t key)
{
	cipher->base.decrypt = toy_decrypt;
	cipher->log = log;
	cipher->key = key;
}

static void sum_of(unsigned hash, const uint8_t prefix[4], const uint8_t *data, size_t len,
                   uint8_t *out)
{
	uint64_t state = absorb(absorb(hash, prefix, 4), data, len);

	squeeze(state, out, qcow2_digest_len(hash));
}

static int toy_hash(const struct qcow2_crypto *self, unsigned hash, const uint8_t prefix[4],
                    const uint8_t *data, size_t len, uint8_t *out)
{
	const struct toy_crypto *crypto = (const void *)self;

	LE(1, len);
	LE(len, qcow2_digest_len(hash));
	sum_of(hash, prefix, data, len, out);
	return log_call(crypto->log);
}

static void derive(unsigned hash, const void *password, size_t password_len, const uint8_t *salt,
                   uint32_t iterations, uint8_t *out, size_t len)
{
	uint64_t state = absorb(hash, password, password_len);

	state = absorb(state, salt, 32);
	while (iterations-- != 0)
		state = mix(state);
	squeeze(state, out, len);
}

static int toy_pbkdf2(const struct qcow2_crypto *self, unsigned hash, const void *password,
                      size_t password_len, const uint8_t salt[32], uint32_t iterations,
                      uint8_t *out, size_t len)
{
	const struct toy_crypto *crypto = (const void *)self;

	derive(hash, password, password_len, salt, iterations, out, len);
	return log_call(crypto->log);
}

static uint64_t key_number(const struct qcow2_cipher_spec *spec, const uint8_t *key)
{
	uint8_t bytes[4] = { spec->cipher, spec->mode, spec->iv, spec->iv_hash };

	return absorb(absorb(0, bytes, sizeof bytes), key, spec->key_len);
}

static int toy_open(const struct qcow2_crypto *self, const struct qcow2_cipher_spec *spec,
                    const uint8_t *key, struct qcow2_cipher *cipher)
{
	const struct toy_crypto *crypto = (const void *)self;
	int rc = log_call(crypto->log);

	EQ((uintptr_t)cipher % 8, 0);
	if (rc == QCOW2_OK) {
		toy_cipher_init((void *)cipher, crypto->log, key_number(spec, key));
		crypto->log->open++;
	}
	return rc;
}

static void toy_close(const struct qcow2_crypto *self, struct qcow2_cipher *cipher)
{
	const struct toy_crypto *crypto = (const void *)self;

	TRUE(cipher->decrypt == toy_decrypt);
	memset(cipher, 0, sizeof(struct toy_cipher));
	LE(1, crypto->log->open);
	crypto->log->open--;
}

void toy_crypto_init(struct toy_crypto *crypto, struct toy_log *log)
{
	static const struct qcow2_crypto ops = { toy_pbkdf2, toy_hash, toy_open, toy_close,
		                                 sizeof(struct toy_cipher) };

	crypto->base = ops;
	crypto->log = log;
}

/* ---- LUKS headers ---- */

static void put32(uint8_t *to, uint32_t value)
{
	for (unsigned i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Splits the key into stripes. */
static void key_split(const struct toy_luks *luks, uint8_t *stripes)
{
	uint32_t n = luks->key_len;
	uint8_t sum[QCOW2_KEY_MAX] = { 0 };
	size_t digest = qcow2_digest_len(luks->hash_number);

	for (unsigned s = 0; s < QCOW2_LUKS_STRIPES - 1; s++) {
		uint8_t *stripe = stripes + s * n;

		squeeze(mix(s), stripe, n);
		for (uint32_t i = 0; i < n; i++)
			sum[i] ^= stripe[i];
		for (uint32_t at = 0, number = 0; at < n; at += (uint32_t)digest, number++) {
			uint8_t prefix[4], out[QCOW2_DIGEST_MAX];
			size_t len = n - at < digest ? n - at : digest;

			put32(prefix, number);
			sum_of(luks->hash_number, prefix, sum + at, len, out);
			memcpy(sum + at, out, len);
		}
	}
	for (uint32_t i = 0; i < n; i++)
		stripes[(QCOW2_LUKS_STRIPES - 1) * n + i] = sum[i] ^ luks->key[i];
}

/* The numbers of the names that the tests use. */
static void spec_of(const struct toy_luks *luks, struct qcow2_cipher_spec *spec)
{
	memset(spec, 0, sizeof *spec);
	spec->mode = QCOW2_MODE_XTS;
	spec->iv = QCOW2_IV_PLAIN64;
	if (strcmp(luks->mode, "cbc-essiv:sha256") == 0) {
		spec->mode = QCOW2_MODE_CBC;
		spec->iv = QCOW2_IV_ESSIV;
		spec->iv_hash = QCOW2_HASH_SHA256;
	}
	if (strcmp(luks->cipher, "serpent") == 0)
		spec->cipher = QCOW2_CIPHER_SERPENT;
	spec->key_len = luks->key_len;
}

static void slot_write(const struct toy_luks *luks, unsigned i, uint32_t sector, uint8_t *area)
{
	uint8_t *slot = area + QCOW2_LUKS_SLOTS_AT + i * QCOW2_LUKS_SLOT_LEN;
	const char *password = luks->passwords[i];
	struct qcow2_cipher_spec spec;
	uint8_t key[QCOW2_KEY_MAX];

	put32(slot, password == NULL ? 0xdead : 0x00ac71f3);
	put32(slot + 40, sector);
	put32(slot + 44, QCOW2_LUKS_STRIPES);
	if (password == NULL)
		return;
	put32(slot + 4, TOY_ITERATIONS + i);
	squeeze(i + 50, slot + 8, 32);
	derive(luks->hash_number, password, strlen(password), slot + 8, TOY_ITERATIONS + i, key,
	       luks->key_len);
	key_split(luks, area + (size_t)sector * 512);
	spec_of(luks, &spec);
	toy_crypt(key_number(&spec, key), 0, area + (size_t)sector * 512,
	          luks->key_len * QCOW2_LUKS_STRIPES / 512);
}

static void name_put(uint8_t *area, size_t at, const char *name)
{
	memcpy(area + at, name, strlen(name));
}

uint8_t *toy_luks_write(struct toy_luks *luks)
{
	uint32_t slot, payload;
	uint8_t *area;

	if (luks->hash == NULL)
		luks->hash_number = QCOW2_HASH_SHA256;
	luks->hash = luks->hash == NULL ? "sha256" : luks->hash;
	luks->cipher = luks->cipher == NULL ? "aes" : luks->cipher;
	luks->mode = luks->mode == NULL ? "xts-plain64" : luks->mode;
	luks->key_len = luks->key_len == 0 ? 64 : luks->key_len;
	slot = (luks->key_len * QCOW2_LUKS_STRIPES / 512 + 7) / 8 * 8;
	payload = 8 + QCOW2_LUKS_SLOTS * slot;
	luks->len = (size_t)payload * 512;
	area = calloc(luks->len, 1);
	squeeze(99, luks->key, luks->key_len);
	memcpy(area, "LUKS\xba\xbe\0\1", 8);
	name_put(area, 8, luks->cipher);
	name_put(area, 40, luks->mode);
	name_put(area, 72, luks->hash);
	put32(area + 104, payload);
	put32(area + 108, luks->key_len);
	squeeze(98, area + 132, 32);
	put32(area + 164, TOY_DIGEST_ITERATIONS);
	derive(luks->hash_number, luks->key, luks->key_len, area + 132, TOY_DIGEST_ITERATIONS,
	       area + 112, 20);
	name_put(area, QCOW2_LUKS_UUID_AT, "01234567-89ab-cdef-0123-456789abcdef");
	for (unsigned i = 0; i < QCOW2_LUKS_SLOTS; i++)
		slot_write(luks, i, 8 + i * slot, area);
	return area;
}

void toy_luks_add(struct toy_luks *luks, struct image *img)
{
	uint64_t cluster = image_cluster_size(img);
	uint8_t *area = toy_luks_write(luks);
	uint8_t ext[16] = { 0 };
	uint64_t n = (luks->len + cluster - 1) / cluster;

	luks->pos = image_alloc(img, n);
	image_ref(img, luks->pos, n * cluster);
	put32(ext + 4, (uint32_t)luks->pos);
	put32(ext + 12, (uint32_t)luks->len);
	image_add_ext(img, IMAGE_EXT_CRYPTO, 16, ext, 16);
	image_set(img, IMAGE_CRYPT_METHOD, QCOW2_CRYPT_LUKS);
	image_buf_put(&img->file, luks->pos, area, luks->len);
	free(area);
}
