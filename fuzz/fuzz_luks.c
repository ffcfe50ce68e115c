/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * LUKS headers: the core accepts exactly what a simple model accepts, twice the same and after a
 * fault. Unlocking makes no more io calls than luks.h allows, does no more iterations than it may,
 * and leaves no secret in its memory, however it ends.
 *
 * The input is the header with what follows it. The UUID, which nothing depends on, chooses the
 * rest. The primitives protect nothing, and may fail.
 */
#include "common.h"

#include "qcow2/luks.h"

enum { CLUSTER = 512, SECTOR = 512, POINTER_AT = 112, FILE_MAX = 1 << 20, UUID_AT = 168 };

static struct fuzz_choices choices;

/* ---- The model ---- */

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool is_one_of(const char *name, const char *const *list)
{
	while (*list != NULL && strcmp(*list, name) != 0)
		list++;
	return *list != NULL;
}

static bool hash_is_known(const char *name)
{
	static const char *const hashes[] = { "md5",    "sha1",   "sha224",    "sha256",
		                              "sha384", "sha512", "ripemd160", NULL };

	return is_one_of(name, hashes);
}

/* Is there such a cipher, with IVs made like this? */
static bool names_are_valid(const char *cipher, char *mode, const char *hash, uint32_t key_len)
{
	static const char *const ciphers[] = { "aes", "serpent", "twofish", "cast5", NULL };
	static const char *const modes[] = { "ecb", "cbc", "ctr", "xts", NULL };
	static const char *const ivs[] = { "plain", "plain64", "essiv", NULL };
	char *iv = strchr(mode, '-');
	bool is_cast5 = strcmp(cipher, "cast5") == 0;
	char *iv_hash;

	if (iv == NULL)
		return false;
	*iv++ = '\0';
	iv_hash = strchr(iv, ':');
	if (iv_hash != NULL)
		*iv_hash++ = '\0';
	if (!is_one_of(cipher, ciphers) || !is_one_of(mode, modes) || !is_one_of(iv, ivs) ||
	    !hash_is_known(hash) || (iv_hash != NULL && !hash_is_known(iv_hash)))
		return false;
	if (strcmp(iv, "essiv") == 0 &&
	    (iv_hash == NULL ||
	     (strcmp(iv_hash, "md5") != 0 && (strcmp(iv_hash, "sha256") != 0 || is_cast5))))
		return false;
	if (strcmp(mode, "xts") == 0)
		return !is_cast5 && (key_len == 32 || key_len == 48 || key_len == 64);
	return key_len == 16 || (key_len == 32 && !is_cast5);
}

static bool slots_are_valid(const uint8_t *h, uint32_t key_len)
{
	uint64_t len = ((uint64_t)key_len * 4000 + 4095) / 4096 * 8;
	unsigned i, k;

	for (i = 0; i < 8; i++) {
		const uint8_t *slot = h + 208 + 48 * i;
		uint64_t from = be32(slot + 40);

		if (be32(slot + 44) != 4000 || from < 8 || from + len > be32(h + 104))
			return false;
		if (be32(slot) != 0xdead && (be32(slot) != 0xac71f3 || be32(slot + 4) == 0))
			return false;
		for (k = 0; k < i; k++) {
			uint64_t other = be32(h + 208 + 48 * k + 40);

			if (from < other + len && other < from + len)
				return false;
		}
	}
	return true;
}

static bool header_is_valid(const uint8_t *h)
{
	char text[3][33] = { { 0 } };
	uint32_t key_len = be32(h + 108);
	unsigned i;

	for (i = 0; i < 3; i++) {
		memcpy(text[i], h + 8 + 32 * i, 32);
		if (strlen(text[i]) == 32)
			return false;
	}
	return memcmp(h, "LUKS\xba\xbe\0\1", 8) == 0 && be32(h + 104) >= 8 && be32(h + 164) != 0 &&
	       names_are_valid(text[0], text[1], text[2], key_len) && slots_are_valid(h, key_len);
}

/* ---- Primitives ---- */

struct toy {
	struct qcow2_crypto base;
	const uint8_t *header;
	uint32_t max_iterations;
	uint64_t fail_in; /* the number of calls until one fails; 0: none */
	bool opens;       /* the digest is that of the header */
	bool is_open;
	unsigned n_slots; /* for which a cipher was made */
};

static int toy_status(const struct qcow2_crypto *self)
{
	struct toy *toy = (struct toy *)(uintptr_t)self;

	return toy->fail_in != 0 && --toy->fail_in == 0 ? QCOW2_E_CRYPTO : QCOW2_OK;
}

static int toy_pbkdf2(const struct qcow2_crypto *self, unsigned hash, const void *password,
                      size_t password_len, const uint8_t salt[32], uint32_t iterations,
                      uint8_t *out, size_t len)
{
	const struct toy *toy = (const void *)self;

	CHECK(hash <= QCOW2_HASH_RIPEMD160 && password != NULL && password_len > 0);
	CHECK(iterations != 0 && iterations <= toy->max_iterations);
	CHECK(salt > toy->header && len >= 16 && len <= 64);
	memset(out, salt[0] | 1, len);
	if (len == 20 && toy->opens)
		memcpy(out, toy->header + 112, len);
	return toy_status(self);
}

static int toy_hash(const struct qcow2_crypto *self, unsigned hash, const uint8_t prefix[4],
                    const uint8_t *data, size_t len, uint8_t *out)
{
	CHECK(len > 0 && len <= qcow2_digest_len(hash) && prefix[0] == 0 && prefix[3] < 4);
	memset(out, data[len - 1] | 1, qcow2_digest_len(hash));
	return toy_status(self);
}

static int toy_decrypt(const struct qcow2_cipher *self, uint64_t sector, void *buf, size_t n)
{
	CHECK(self != NULL && buf != NULL && n == 1 && sector < 500);
	return QCOW2_OK;
}

static int toy_open(const struct qcow2_crypto *self, const struct qcow2_cipher_spec *spec,
                    const uint8_t *key, struct qcow2_cipher *cipher)
{
	struct toy *toy = (struct toy *)(uintptr_t)self;
	int rc = toy_status(self);

	CHECK(key != NULL && spec->key_len >= 16 && !toy->is_open);
	toy->n_slots++;
	toy->is_open = rc == QCOW2_OK;
	cipher->decrypt = toy_decrypt;
	return rc;
}

static void toy_close(const struct qcow2_crypto *self, struct qcow2_cipher *cipher)
{
	struct toy *toy = (struct toy *)(uintptr_t)self;

	CHECK(toy->is_open && cipher->decrypt == toy_decrypt);
	toy->is_open = false;
}

/* ---- The properties ---- */

static bool is_wiped(const void *memory, size_t len)
{
	const uint8_t *bytes = memory;

	while (len != 0 && bytes[len - 1] == 0)
		len--;
	return len == 0;
}

static void check_unlock(const struct qcow2_luks *luks, struct fuzz_file *file)
{
	struct toy toy = { { toy_pbkdf2, toy_hash, toy_open, toy_close,
		             sizeof(struct qcow2_cipher) },
		           luks->header,
		           0,
		           0,
		           false,
		           false,
		           0 };
	struct qcow2_cipher *cipher = (void *)fuzz_buf_new(sizeof *cipher);
	struct qcow2_luks_unlocking u = { luks, &toy.base, cipher, "password",
		                          8,    0,         { 0 },  { { 0 }, { 0 } } };
	struct qcow2_error err;
	size_t i;
	int rc;

	toy.opens = fuzz_choose(&choices, 2) != 0;
	if (fuzz_choose(&choices, 2) != 0)
		toy.fail_in = 1 + fuzz_choose(&choices, 5000);
	/* Any limit, or one that a slot just keeps or just exceeds. */
	u.max_iterations = (uint32_t)fuzz_choose(&choices, UINT64_C(1) << 32);
	i = (size_t)fuzz_choose(&choices, 2 * QCOW2_LUKS_SLOTS);
	if (i < QCOW2_LUKS_SLOTS)
		u.max_iterations = luks->slots[i].iterations - (uint32_t)fuzz_choose(&choices, 2);
	toy.max_iterations = u.max_iterations;
	file->fail_at = fuzz_choose(&choices, 3) == 0 ? 1 + fuzz_choose(&choices, 600) : 0;
	file->n_calls = 0;
	file->has_failed = false;
	memset(u.key, 0xaa, sizeof u.key);
	memset(&u.work, 0xaa, sizeof u.work);
	rc = qcow2_luks_unlock(&u, &err);
	CHECK(rc == err.status && !toy.is_open);
	CHECK(file->n_calls <= toy.n_slots * (uint64_t)(luks->slot_len / SECTOR));
	CHECK((rc == QCOW2_E_IO) == file->has_failed);
	CHECK(rc != QCOW2_E_KEY || (!toy.opens && err.detail == toy.n_slots));
	CHECK(rc != QCOW2_OK || toy.opens);
	CHECK(rc == QCOW2_OK || rc == QCOW2_E_KEY || rc == QCOW2_E_TOO_BIG || rc == QCOW2_E_LUKS ||
	      rc == QCOW2_E_TRUNCATED || rc == QCOW2_E_CRYPTO || rc == QCOW2_E_IO);
	CHECK(is_wiped(&u.work, sizeof u.work) &&
	      (rc == QCOW2_OK || is_wiped(u.key, sizeof u.key)));
	fuzz_buf_free((uint8_t *)cipher, sizeof *cipher);
}

/* What qcow2_luks_read_aes_xts accepts, after qcow2_luks_read returned rc. */
static void check_aes_xts(const struct qcow2_image *image, const struct qcow2_luks *all, int rc)
{
	const char *text = (const char *)all->header;
	bool is_known = strcmp(text + 8, "aes") == 0 && strcmp(text + 40, "xts-plain64") == 0 &&
	                strcmp(text + 72, "sha256") == 0;
	struct qcow2_luks luks;

	if (rc != QCOW2_OK || is_known) {
		CHECK(qcow2_luks_read_aes_xts(&luks, image, NULL) == rc);
		CHECK(rc != QCOW2_OK || memcmp(&luks, all, sizeof luks) == 0);
	} else {
		CHECK(qcow2_luks_read_aes_xts(&luks, image, NULL) == QCOW2_E_LUKS);
	}
}

/* An image of which only the pointer to the LUKS header is there. */
static void image_make(struct qcow2_image *image, const struct fuzz_file *file, uint8_t *bytes)
{
	uint64_t len = fuzz_choose(&choices, 4) == 0 ? fuzz_choose(&choices, FILE_MAX) : FILE_MAX;
	unsigned i;

	memset(image, 0, sizeof *image);
	image->io = file->io;
	image->version = 3;
	image->cluster_bits = 9;
	image->cluster_len = CLUSTER;
	image->header_len = POINTER_AT - 8;
	image->crypt_method = QCOW2_CRYPT_LUKS;
	image->flags = QCOW2_OPEN_INSPECT | (unsigned)fuzz_choose(&choices, 2);
	image->crypto.pos = POINTER_AT;
	image->crypto.len = 16;
	bytes[POINTER_AT + 6] = CLUSTER >> 8;
	for (i = 0; i < 8; i++)
		bytes[POINTER_AT + 8 + i] = (uint8_t)(len >> (56 - 8 * i));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t bytes[CLUSTER + FILE_MAX];
	struct qcow2_image image;
	struct qcow2_luks luks, again;
	struct qcow2_error err;
	struct fuzz_file file;
	bool is_there;
	int rc;

	if (len < UUID_AT + 12 || len > FILE_MAX)
		return 0;
	/* fuzz_choices_init takes bytes 48 to 59. */
	fuzz_choices_init(&choices, data + UUID_AT - 48, len - (UUID_AT - 48));
	memset(bytes, 0, CLUSTER + QCOW2_LUKS_HEADER_LEN);
	memcpy(bytes + CLUSTER, data, len);
	fuzz_file_init(&file, bytes, CLUSTER + len);
	image_make(&image, &file, bytes);
	is_there = len >= QCOW2_LUKS_HEADER_LEN || (image.flags & QCOW2_OPEN_TRUNCATED) != 0;

	file.fail_at = 1 + fuzz_choose(&choices, 3);
	rc = qcow2_luks_read(&luks, &image, &err);
	CHECK((rc == QCOW2_E_IO) == file.has_failed && rc == err.status);
	file.fail_at = 0;
	rc = qcow2_luks_read(&luks, &image, &err);
	CHECK(file.n_calls <= 4 && (luks.image == &image) == (rc == QCOW2_OK));
	CHECK(qcow2_luks_read(&again, &image, NULL) == rc);
	CHECK(rc != QCOW2_OK || memcmp(&luks, &again, sizeof luks) == 0);
	CHECK(rc != QCOW2_E_TRUNCATED || !is_there);
	if (rc == QCOW2_E_LUKS)
		CHECK(err.pos < CLUSTER + QCOW2_LUKS_HEADER_LEN);
	if (is_there && luks.len >= QCOW2_LUKS_HEADER_LEN)
		CHECK((rc == QCOW2_OK) == header_is_valid(bytes + CLUSTER));
	check_aes_xts(&image, &luks, rc);
	if (rc == QCOW2_OK)
		check_unlock(&luks, &file);
	return 0;
}
