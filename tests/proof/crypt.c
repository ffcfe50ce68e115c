/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * LUKS headers, unlocking, and reading encrypted data: any image, any failure. The primitives and
 * the cipher are models: they may fail, and write anything that crypto.h allows. They assert what
 * crypto.h promises to them.
 */
#include "proof.h"
#include "../../src/internal.h"
#include "qcow2/luks.h"

static struct qcow2_image image;
static struct qcow2_io file;
static struct qcow2_luks luks;
static struct qcow2_reader reader;
static uint64_t memory[QCOW2_READER_SLICE / 8];
static uint8_t out[2048];

/* ---- The models ---- */

static int any_status(void)
{
	return Frama_C_interval(0, 1) ? QCOW2_OK : QCOW2_E_CRYPTO;
}

static int any_decrypt(const struct qcow2_cipher *self, uint64_t sector, void *buf,
                       size_t n_sectors)
{
	(void)self;
	(void)sector;
	Frama_C_make_unknown((char *)buf, 512 * n_sectors);
	return any_status();
}

static int any_pbkdf2(const struct qcow2_crypto *self, unsigned hash, const void *password,
                      size_t password_len, const uint8_t salt[32], uint32_t iterations,
                      uint8_t *key, size_t len)
{
	/*@ assert hash <= 6 && 16 <= len <= 64; */
	/*@ assert \valid_read(salt + (0 .. 31)); */
	/*@ assert \valid_read((uint8_t *)password + (0 .. password_len - 1)); */
	(void)self;
	(void)iterations;
	Frama_C_make_unknown((char *)key, len);
	return any_status();
}

static int any_hash(const struct qcow2_crypto *self, unsigned hash, const uint8_t prefix[4],
                    const uint8_t *data, size_t len, uint8_t *digest)
{
	/*@ assert 1 <= len <= 64 && \valid_read(data + (0 .. len - 1)); */
	/*@ assert \valid_read(prefix + (0 .. 3)); */
	(void)self;
	Frama_C_make_unknown((char *)digest, qcow2_digest_len(hash));
	return any_status();
}

static int any_open(const struct qcow2_crypto *self, const struct qcow2_cipher_spec *spec,
                    const uint8_t *key, struct qcow2_cipher *cipher)
{
	/*@ assert \valid_read(key + (0 .. spec->key_len - 1)); */
	(void)self;
	cipher->decrypt = any_decrypt;
	return any_status();
}

static void any_close(const struct qcow2_crypto *self, struct qcow2_cipher *cipher)
{
	(void)self;
	cipher->decrypt = NULL;
}

static const struct qcow2_crypto primitives = { any_pbkdf2, any_hash, any_open, any_close,
	                                        sizeof(struct qcow2_cipher) };

/* ---- Unlocking ---- */

/*
 * A header that was checked has a key and a hash of one of these lengths. Eva does not see that
 * the numbers that the core checks are the ones that it stores, so the harness sets them.
 */
static void unlock(void)
{
	static uint8_t password[20];
	static struct qcow2_cipher cipher;
	struct qcow2_luks_unlocking u = { &luks,
		                          &primitives,
		                          &cipher,
		                          password,
		                          Frama_C_interval(0, sizeof password),
		                          Frama_C_unsigned_int_interval(0, UINT32_MAX),
		                          { 0 },
		                          { { 0 }, { 0 } } };
	struct qcow2_error err;
	uint32_t hash, len;

	/*@ loop unroll 7; */
	for (hash = 0; hash < 7u; hash++) {
		/*@ loop unroll 4; */
		for (len = 16; len <= 64u; len += 16u) {
			luks.hash = hash;
			luks.spec.key_len = len;
			luks.slot_len = 4000u * len;
			Frama_C_make_unknown((char *)u.key, sizeof u.key);
			(void)qcow2_luks_verify(&luks, &primitives, u.key, u.max_iterations, NULL);
			(void)qcow2_luks_unlock(&u, &err);
		}
	}
	(void)qcow2_luks_unlock(NULL, &err);
	(void)qcow2_luks_verify(NULL, &primitives, u.key, 1, &err);
}

/* ---- Reading ---- */

/*
 * Reads of an extent at any position, with a reader that has one slice: parts of a sector, whole
 * sectors, and both. Eva does not relate the lengths of the parts to each other, so each of these
 * reads has a fixed length and a fixed place in its first sector.
 */
static void read_any(void)
{
	static const uint32_t lengths[] = { 1, 511, 512, 513, 1024, 1500, sizeof out };
	static const uint32_t skips[] = { 0, 1, 511 };
	struct qcow2_extent *e = &reader.extent;
	uint32_t i, k;

	reader.memory = (uint8_t *)memory;
	q2_cache_init(&reader, sizeof memory);
	e->kind = QCOW2_EXTENT_ENCRYPTED;
	e->image = &image;
	e->io = &file;
	/*@ loop unroll 7; */
	for (i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		/*@ loop unroll 3; */
		for (k = 0; k < sizeof skips / sizeof *skips; k++) {
			e->off = any64() / 512u * 512u + skips[k];
			e->pos = any64() / 512u * 512u + skips[k];
			reader.error.io = e->io;
			reader.error.pos = e->pos;
			(void)image.cipher->read(&reader, out, lengths[i]);
		}
	}
}

int main(void)
{
	static struct qcow2_cipher cipher, none;
	uint8_t key[16];

	any_io(&file);
	qcow2_aes_key(out, Frama_C_unsigned_int_interval(0, sizeof out), key);
	if (qcow2_image_open(&image, &file,
	                     QCOW2_OPEN_INSPECT | Frama_C_unsigned_int_interval(0, 1),
	                     NULL) != QCOW2_OK)
		return 0;
	(void)qcow2_image_extensions(&image, NULL);
	if (qcow2_luks_read(&luks, &image, NULL) == QCOW2_OK ||
	    qcow2_luks_read_aes_xts(&luks, &image, NULL) == QCOW2_OK)
		unlock();
	cipher.decrypt = any_decrypt;
	if (qcow2_image_attach_cipher(&image, &none) == QCOW2_OK ||
	    qcow2_image_attach_cipher(&image, &cipher) == QCOW2_OK)
		read_any();
	return 0;
}
