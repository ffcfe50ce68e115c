/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * LUKS headers, and unlocking with primitives that protect nothing: which checks there are, in
 * which order the primitives are called, and that no secret stays behind.
 */
#include "toy_crypto.h"

#include <stdlib.h>
#include <string.h>

enum { BITS = 12 };

/* Positions in the header. */
enum { AT_PAYLOAD = 104, AT_KEY_LEN = 108, AT_DIGEST_ITERATIONS = 164, AT_SLOT = 208 };

struct locked {
	struct test_image s;
	struct toy_luks luks;
	struct toy_crypto crypto;
	struct toy_log log;
	struct qcow2_luks header;
};

static void locked_build(struct locked *l)
{
	memset(&l->s, 0, sizeof l->s);
	image_init(&l->s.img, 3, BITS, 65536);
	toy_luks_add(&l->luks, &l->s.img);
	toy_crypto_init(&l->crypto, &l->log);
}

/* l->luks says what to write. */
static void locked_open(struct locked *l, unsigned flags)
{
	test_image_open_flags(&l->s, QCOW2_OPEN_INSPECT | flags);
}

static void locked_make(struct locked *l)
{
	locked_build(l);
	locked_open(l, 0);
	EQ(qcow2_luks_read(&l->header, &l->s.image, &l->s.err), QCOW2_OK);
}

static void unlocking_init(struct qcow2_luks_unlocking *u, struct locked *l,
                           struct toy_cipher *cipher)
{
	memset(u, 0xaa, sizeof *u);
	memset(cipher, 0, sizeof *cipher);
	u->luks = &l->header;
	u->crypto = &l->crypto.base;
	u->cipher = &cipher->base;
	u->password = "x";
	u->password_len = 1;
	u->max_iterations = 1000;
}

static int unlock_within(struct locked *l, const char *password, uint32_t most, uint8_t *key)
{
	struct qcow2_luks_unlocking u;
	struct toy_cipher cipher;
	int rc;

	unlocking_init(&u, l, &cipher);
	u.password = password;
	u.password_len = password != NULL ? strlen(password) : 0;
	u.max_iterations = most;
	memset(&l->s.err, 0, sizeof l->s.err);
	rc = qcow2_luks_unlock(&u, &l->s.err);
	EQ(l->s.err.status, rc);
	/* Nothing stays behind. */
	ALL((uint8_t *)&u.work, 0, sizeof u.work);
	ALL((uint8_t *)&cipher, 0, sizeof cipher);
	if (rc != QCOW2_OK)
		ALL(u.key, 0, sizeof u.key);
	EQ(l->log.open, 0);
	memcpy(key, u.key, sizeof u.key);
	return rc;
}

static int unlock(struct locked *l, const char *password, uint8_t *key)
{
	return unlock_within(l, password, 1000, key);
}

/* ---- Unlocking ---- */

struct kind {
	const char *cipher, *mode, *hash;
	uint32_t hash_number, key_len;
};

/* Digests of each length, with keys of each length: whole pieces and parts of them. */
static const struct kind kinds[] = {
	{ "aes", "xts-plain64", "sha256", QCOW2_HASH_SHA256, 64 },
	{ "aes", "xts-plain64", "md5", QCOW2_HASH_MD5, 64 },
	{ "serpent", "xts-plain64", "sha1", QCOW2_HASH_SHA1, 48 },
	{ "aes", "xts-plain64", "sha224", QCOW2_HASH_SHA224, 32 },
	{ "aes", "cbc-essiv:sha256", "sha384", QCOW2_HASH_SHA384, 16 },
	{ "aes", "xts-plain64", "sha512", QCOW2_HASH_SHA512, 64 },
	{ "aes", "cbc-essiv:sha256", "ripemd160", QCOW2_HASH_RIPEMD160, 32 },
};

static void locked_kind(struct locked *l, const struct kind *k)
{
	memset(l, 0, sizeof *l);
	l->luks.cipher = k->cipher;
	l->luks.mode = k->mode;
	l->luks.hash = k->hash;
	l->luks.hash_number = k->hash_number;
	l->luks.key_len = k->key_len;
}

static void test_unlock(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct locked l;
		uint8_t key[QCOW2_KEY_MAX];

		test_case("%s %s %s %u", kinds[i].cipher, kinds[i].mode, kinds[i].hash,
		          kinds[i].key_len);
		locked_kind(&l, &kinds[i]);
		l.luks.passwords[i] = "open sesame";
		locked_make(&l);
		EQ(l.header.hash, kinds[i].hash_number);
		EQ(l.header.spec.key_len, kinds[i].key_len);
		EQ(unlock(&l, "open sesame", key), QCOW2_OK);
		SAME(key, l.luks.key, kinds[i].key_len);
		EQ(qcow2_luks_verify(&l.header, &l.crypto.base, key, 1000, &l.s.err), QCOW2_OK);
		EQ(unlock(&l, "open sesam", key), QCOW2_E_KEY);
		EQ(l.s.err.detail, 1);
		TRUE(l.s.err.io == &l.s.image.io);
		EQ(l.s.err.pos, l.luks.pos);
		test_image_free(&l.s);
	}
}

/* Slots are tried from the lowest on, until one opens. */
static void test_slots(void **state)
{
	struct locked l = { 0 };
	uint8_t key[QCOW2_KEY_MAX];

	(void)state;
	l.luks.key_len = 32;
	l.luks.passwords[1] = "one";
	l.luks.passwords[4] = "four";
	l.luks.passwords[7] = "";
	locked_make(&l);
	EQ(l.header.slots[0].iterations, 0);
	EQ(l.header.slots[4].iterations, TOY_ITERATIONS + 4);
	EQ(l.header.slots[1].sector, 8 + 256);
	EQ(l.header.slot_len, 32 * 4000);
	test_io_reset(&l.s.io);
	EQ(unlock(&l, "one", key), QCOW2_OK);
	EQ(l.s.io.calls, 250);
	EQ(l.s.io.longest, 512);
	test_io_reset(&l.s.io);
	EQ(unlock(&l, NULL, key), QCOW2_OK);
	SAME(key, l.luks.key, 32);
	EQ(l.s.io.calls, 750);
	EQ(unlock(&l, "five", key), QCOW2_E_KEY);
	EQ(l.s.err.detail, 3);
	test_image_free(&l.s);

	test_case("no slot");
	memset(&l, 0, sizeof l);
	l.luks.key_len = 32;
	locked_make(&l);
	EQ(unlock(&l, "one", key), QCOW2_E_KEY);
	EQ(l.s.err.detail, 0);
	test_image_free(&l.s);
}

/* P16: work has a limit. */
static void test_limits(void **state)
{
	struct locked l = { 0 };
	uint8_t key[QCOW2_KEY_MAX];

	(void)state;
	l.luks.key_len = 32;
	l.luks.passwords[2] = "two";
	l.luks.passwords[3] = "three";
	locked_make(&l);
	EQ(unlock_within(&l, "two", TOY_ITERATIONS + 2, key), QCOW2_OK);
	EQ(unlock_within(&l, "two", TOY_ITERATIONS + 1, key), QCOW2_E_TOO_BIG);
	EQ(l.s.err.detail, TOY_ITERATIONS + 3);
	EQ(unlock_within(&l, "three", TOY_ITERATIONS + 2, key), QCOW2_E_TOO_BIG);
	EQ(l.s.err.detail, TOY_ITERATIONS + 3);
	EQ(l.s.err.pos, l.luks.pos);
	EQ(qcow2_luks_verify(&l.header, &l.crypto.base, l.luks.key, TOY_DIGEST_ITERATIONS, NULL),
	   QCOW2_OK);
	EQ(qcow2_luks_verify(&l.header, &l.crypto.base, l.luks.key, TOY_DIGEST_ITERATIONS - 1,
	                     &l.s.err),
	   QCOW2_E_TOO_BIG);
	EQ(l.s.err.detail, TOY_DIGEST_ITERATIONS);
	test_image_free(&l.s);

	test_case("the digest has more than the slot");
	image_init(&l.s.img, 3, BITS, 65536);
	toy_luks_add(&l.luks, &l.s.img);
	image_finish(&l.s.img);
	image_put(&l.s.img.file, l.luks.pos + AT_DIGEST_ITERATIONS, 12345, 4);
	locked_open(&l, 0);
	EQ(qcow2_luks_read(&l.header, &l.s.image, NULL), QCOW2_OK);
	test_io_reset(&l.s.io);
	EQ(unlock(&l, "two", key), QCOW2_E_TOO_BIG);
	EQ(l.s.err.detail, 12345);
	EQ(l.s.err.pos, l.luks.pos);
	TRUE(l.s.err.io == &l.s.image.io);
	EQ(l.s.io.calls, 0); /* no slot is tried in vain */
	EQ(unlock_within(&l, "two", 12344, key), QCOW2_E_TOO_BIG);
	EQ(unlock_within(&l, "two", 12345, key), QCOW2_E_KEY); /* as the digest is another */
	test_image_free(&l.s);

	test_case("a slot behind one with too many iterations");
	image_init(&l.s.img, 3, BITS, 65536);
	toy_luks_add(&l.luks, &l.s.img);
	image_finish(&l.s.img);
	image_put(&l.s.img.file, l.luks.pos + QCOW2_LUKS_SLOTS_AT + 2 * QCOW2_LUKS_SLOT_LEN + 4,
	          1001, 4);
	locked_open(&l, 0);
	EQ(qcow2_luks_read(&l.header, &l.s.image, NULL), QCOW2_OK);
	EQ(unlock(&l, "three", key), QCOW2_OK);
	SAME(key, l.luks.key, 32);
	EQ(unlock(&l, "two", key), QCOW2_E_TOO_BIG);
	EQ(l.s.err.detail, 1001);
	test_image_free(&l.s);
}

static void test_verify(void **state)
{
	struct locked l = { 0 };

	(void)state;
	locked_make(&l);
	for (unsigned i = 0; i < 64; i += 9) {
		struct qcow2_error err = { 0 };

		test_case("byte %u", i);
		l.luks.key[i] ^= 0x10;
		EQ(qcow2_luks_verify(&l.header, &l.crypto.base, l.luks.key, 1000, &err),
		   QCOW2_E_KEY);
		TRUE(err.io == &l.s.image.io);
		EQ(err.pos, l.luks.pos);
		l.luks.key[i] ^= 0x10;
	}
	EQ(qcow2_luks_verify(&l.header, &l.crypto.base, l.luks.key, 1000, &l.s.err), QCOW2_OK);
	for (unsigned i = 0; i < 20; i += 19) {
		test_case("byte %u of the digest", i);
		l.header.header[112 + i] ^= 1;
		EQ(qcow2_luks_verify(&l.header, &l.crypto.base, l.luks.key, 1000, NULL),
		   QCOW2_E_KEY);
		l.header.header[112 + i] ^= 1;
	}
	test_image_free(&l.s);
}

/* ---- The header ---- */

struct change {
	const char *name;
	unsigned at; /* in the header */
	unsigned n;  /* bytes of the number, or 0 for the text */
	uint64_t number;
	const char *text;
	unsigned pos; /* what is reported, or GOOD */
};

enum { GOOD = 10000, KEEP = 1 };

/* A slot of 64-byte keys takes 504 sectors; slot 0 is at sector 8, slot 1 at 512. */
static const struct change changes[] = {
	{ "as it is", 0, 0, 0, "L", GOOD },
	{ "magic", 0, 0, 0, "M", 0 },
	{ "magic, end", 5, 1, 0xbf, NULL, 0 },
	{ "version 2", 6, 2, 2, NULL, 6 },
	{ "version 0", 6, 2, 0, NULL, 6 },
	{ "detached", AT_PAYLOAD, 4, 0, NULL, AT_SLOT },
	{ "payload in the header", AT_PAYLOAD, 4, 7, NULL, AT_SLOT },
	{ "payload in slot 0", AT_PAYLOAD, 4, 511, NULL, AT_SLOT },
	{ "payload in slot 7", AT_PAYLOAD, 4, 4039, NULL, AT_SLOT + 7 * 48 },
	{ "payload farther", AT_PAYLOAD, 4, 8000, NULL, GOOD },
	{ "payload very far", AT_PAYLOAD, 4, UINT32_MAX, NULL, GOOD },
	{ "no iterations of the digest", AT_DIGEST_ITERATIONS, 4, 0, NULL, AT_DIGEST_ITERATIONS },
	{ "stripes", AT_SLOT + 44, 4, 3999, NULL, AT_SLOT },
	{ "stripes of the last slot", AT_SLOT + 7 * 48 + 44, 4, 4001, NULL, AT_SLOT + 7 * 48 },
	{ "state", AT_SLOT + 48, 4, 0xdeae, NULL, AT_SLOT + 48 },
	{ "active without iterations", AT_SLOT + 48, 4, 0x00ac71f3, NULL, AT_SLOT + 48 },
	{ "inactive with iterations", AT_SLOT + 48 + 4, 4, 1, NULL, GOOD },
	{ "material in the header", AT_SLOT + 40, 4, 7, NULL, AT_SLOT },
	{ "material behind the payload", AT_SLOT + 40, 4, 3537, NULL, AT_SLOT },
	{ "material past 2^32 sectors", AT_SLOT + 40, 4, UINT32_MAX, NULL, AT_SLOT },
	{ "slot 1 in slot 0", AT_SLOT + 48 + 40, 4, 511, NULL, AT_SLOT + 48 },
	{ "slot 1 as slot 0", AT_SLOT + 48 + 40, 4, 8, NULL, AT_SLOT + 48 },
	{ "slot 0 in slot 1", AT_SLOT + 40, 4, 9, NULL, AT_SLOT + 48 },
	{ "slot 5 before slot 0, and in it", AT_SLOT + 40, 4, 3000, NULL, AT_SLOT + 5 * 48 },
	{ "slot 7 in slot 0", AT_SLOT + 7 * 48 + 40, 4, 100, NULL, AT_SLOT + 7 * 48 },
	{ "key of 0 bytes", AT_KEY_LEN, 4, 0, NULL, AT_KEY_LEN },
	{ "key of 16 bytes, for XTS", AT_KEY_LEN, 4, 16, NULL, AT_KEY_LEN },
	{ "key of 31 bytes", AT_KEY_LEN, 4, 31, NULL, AT_KEY_LEN },
	{ "key of 33 bytes", AT_KEY_LEN, 4, 33, NULL, AT_KEY_LEN },
	{ "key of 40 bytes", AT_KEY_LEN, 4, 40, NULL, AT_KEY_LEN },
	{ "key of 80 bytes", AT_KEY_LEN, 4, 80, NULL, AT_KEY_LEN },
	{ "key of 2^30 bytes", AT_KEY_LEN, 4, UINT32_C(1) << 30, NULL, AT_KEY_LEN },
	{ "key of 32 bytes: AES-128", AT_KEY_LEN, 4, 32, NULL, GOOD },
	{ "key of 48 bytes: AES-192", AT_KEY_LEN, 4, 48, NULL, GOOD },
};

static void test_header(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(changes); i++) {
		const struct change *c = &changes[i];
		struct locked l = { 0 };
		int want = c->pos == GOOD ? QCOW2_OK : QCOW2_E_LUKS;
		struct qcow2_error err;

		test_case("%s", c->name);
		locked_build(&l);
		image_finish(&l.s.img);
		if (c->text != NULL)
			image_buf_put(&l.s.img.file, l.luks.pos + c->at, c->text, strlen(c->text));
		else
			image_put(&l.s.img.file, l.luks.pos + c->at, c->number, c->n);
		locked_open(&l, 0);
		test_io_reset(&l.s.io);
		EQ(qcow2_luks_read(&l.header, &l.s.image, &err), want);
		EQ(l.s.io.calls, 2);
		EQ(err.status, want);
		if (want != QCOW2_OK) {
			EQ(err.pos, l.luks.pos + c->pos);
			TRUE(err.io == &l.s.image.io);
			TRUE(l.header.image == NULL);
		} else {
			TRUE(l.header.image == &l.s.image);
			EQ(l.header.pos, l.luks.pos);
			EQ(l.header.len, l.luks.len);
			TEXT((const char *)l.header.header + QCOW2_LUKS_UUID_AT,
			     "01234567-89ab-cdef-0123-456789abcdef");
		}
		test_image_free(&l.s);
	}
}

/* ---- Names ---- */

struct names {
	const char *cipher, *mode, *hash;
	uint32_t key_len;
	int pos; /* of the field that is refused, or -1 */
	struct qcow2_cipher_spec spec;
	uint32_t hash_number;
};

enum { AT_CIPHER = 8, AT_MODE = 40, AT_HASH = 72 };

#define AES     QCOW2_CIPHER_AES
#define SERPENT QCOW2_CIPHER_SERPENT
#define TWOFISH QCOW2_CIPHER_TWOFISH
#define CAST5   QCOW2_CIPHER_CAST5
#define ECB     QCOW2_MODE_ECB
#define CBC     QCOW2_MODE_CBC
#define CTR     QCOW2_MODE_CTR
#define XTS     QCOW2_MODE_XTS
#define PLAIN   QCOW2_IV_PLAIN
#define PLAIN64 QCOW2_IV_PLAIN64
#define ESSIV   QCOW2_IV_ESSIV
#define MD5     QCOW2_HASH_MD5
#define SHA1    QCOW2_HASH_SHA1
#define SHA256  QCOW2_HASH_SHA256
#define NONE    { 0, 0, 0, 0, 0 }, 0

static const struct names names[] = {
	{ "aes", "xts-plain64", "sha256", 64, -1, { AES, XTS, PLAIN64, 0, 64 }, SHA256 },
	{ "aes", "ecb-plain", "md5", 16, -1, { AES, ECB, PLAIN, 0, 16 }, MD5 },
	{ "serpent", "ctr-plain64:sha1", "sha1", 32, -1, { SERPENT, CTR, PLAIN64, 0, 32 }, SHA1 },
	{ "twofish",
	  "xts-plain:md5",
	  "sha224",
	  48,
	  -1,
	  { TWOFISH, XTS, PLAIN, 0, 48 },
	  QCOW2_HASH_SHA224 },
	{ "aes",
	  "cbc-essiv:sha256",
	  "sha384",
	  32,
	  -1,
	  { AES, CBC, ESSIV, SHA256, 32 },
	  QCOW2_HASH_SHA384 },
	{ "aes",
	  "cbc-essiv:md5",
	  "sha512",
	  16,
	  -1,
	  { AES, CBC, ESSIV, MD5, 16 },
	  QCOW2_HASH_SHA512 },
	{ "cast5",
	  "cbc-essiv:md5",
	  "ripemd160",
	  16,
	  -1,
	  { CAST5, CBC, ESSIV, MD5, 16 },
	  QCOW2_HASH_RIPEMD160 },
	{ "cast5", "ctr-plain", "sha1", 16, -1, { CAST5, CTR, PLAIN, 0, 16 }, SHA1 },
	/* Ciphers */
	{ "AES", "xts-plain64", "sha256", 64, AT_CIPHER, NONE },
	{ "ae", "xts-plain64", "sha256", 64, AT_CIPHER, NONE },
	{ "aess", "xts-plain64", "sha256", 64, AT_CIPHER, NONE },
	{ "", "xts-plain64", "sha256", 64, AT_CIPHER, NONE },
	{ "3des", "cbc-plain64", "sha256", 16, AT_CIPHER, NONE },
	{ "aesaesaesaesaesaesaesaesaesaesae", "xts-plain64", "sha256", 64, AT_CIPHER, NONE },
	/* Hashes */
	{ "aes", "xts-plain64", "SHA256", 64, AT_HASH, NONE },
	{ "aes", "xts-plain64", "sha", 64, AT_HASH, NONE },
	{ "aes", "xts-plain64", "sha2566", 64, AT_HASH, NONE },
	{ "aes", "xts-plain64", "", 64, AT_HASH, NONE },
	{ "aes", "xts-plain64", "sha3", 64, AT_HASH, NONE },
	/* Modes */
	{ "aes", "", "sha256", 64, AT_MODE, NONE },
	{ "aes", "xts", "sha256", 64, AT_MODE, NONE },
	{ "aes", "xts-", "sha256", 64, AT_MODE, NONE },
	{ "aes", "-plain64", "sha256", 64, AT_MODE, NONE },
	{ "aes", "xts-plain6", "sha256", 64, AT_MODE, NONE },
	{ "aes", "xts-plain644", "sha256", 64, AT_MODE, NONE },
	{ "aes", "xts-plain64:", "sha256", 64, AT_MODE, NONE },
	{ "aes", "xts-plain64:sha", "sha256", 64, AT_MODE, NONE },
	{ "aes", "xts-plain64:sha1:sha1", "sha256", 64, AT_MODE, NONE },
	{ "aes", "xts-benbi", "sha256", 64, AT_MODE, NONE },
	{ "aes", "lmk-plain64", "sha256", 64, AT_MODE, NONE },
	{ "aes", "XTS-plain64", "sha256", 64, AT_MODE, NONE },
	/* Keys */
	{ "aes", "xts-plain64", "sha256", 32, -1, { AES, XTS, PLAIN64, 0, 32 }, SHA256 },
	{ "aes", "xts-plain64", "sha256", 48, -1, { AES, XTS, PLAIN64, 0, 48 }, SHA256 },
	{ "aes", "xts-plain64", "sha256", 16, AT_KEY_LEN, NONE },
	{ "aes", "xts-plain64", "sha256", 40, AT_KEY_LEN, NONE },
	{ "aes", "xts-plain64", "sha256", 80, AT_KEY_LEN, NONE },
	{ "aes", "cbc-plain64", "sha256", 48, AT_KEY_LEN, NONE },
	{ "aes", "cbc-plain64", "sha256", 64, AT_KEY_LEN, NONE },
	{ "aes", "cbc-plain64", "sha256", 24, AT_KEY_LEN, NONE },
	{ "serpent", "ctr-plain64", "sha256", 24, AT_KEY_LEN, NONE },
	{ "cast5", "cbc-plain64", "sha256", 32, AT_KEY_LEN, NONE },
	{ "cast5", "xts-plain64", "sha256", 32, AT_KEY_LEN, NONE },
	/* ESSIV */
	{ "aes", "cbc-essiv", "sha256", 32, AT_MODE, NONE },
	{ "aes", "cbc-essiv:sha1", "sha256", 32, AT_MODE, NONE },
	{ "aes", "cbc-essiv:sha224", "sha256", 32, AT_MODE, NONE },
	{ "aes", "cbc-essiv:sha512", "sha256", 32, AT_MODE, NONE },
	{ "aes", "cbc-essiv:ripemd160", "sha256", 32, AT_MODE, NONE },
	{ "cast5", "cbc-essiv:sha256", "sha256", 16, AT_MODE, NONE },
};

/* The same header without the list of names: which field is refused? */
static void names_aes_xts(struct locked *l, const struct names *n)
{
	struct qcow2_error err;
	unsigned pos;

	if (strcmp(n->cipher, "aes") != 0)
		pos = AT_CIPHER;
	else if (strcmp(n->mode, "xts-plain64") != 0)
		pos = AT_MODE;
	else if (strcmp(n->hash, "sha256") != 0)
		pos = AT_HASH;
	else
		pos = AT_KEY_LEN;
	if (pos == AT_KEY_LEN && n->pos < 0) {
		EQ(qcow2_luks_read_aes_xts(&l->header, &l->s.image, &err), QCOW2_OK);
		EQ(l->header.spec.cipher, AES);
		EQ(l->header.spec.mode, XTS);
		EQ(l->header.spec.iv, PLAIN64);
		EQ(l->header.spec.iv_hash, 0);
		EQ(l->header.spec.key_len, n->key_len);
		EQ(l->header.hash, SHA256);
		TRUE(l->header.image == &l->s.image);
	} else {
		EQ(qcow2_luks_read_aes_xts(&l->header, &l->s.image, &err), QCOW2_E_LUKS);
		EQ(err.pos, l->luks.pos + pos);
		TRUE(l->header.image == NULL);
	}
}

static void test_names(void **state)
{
	struct locked l = { 0 };
	uint8_t *at;

	(void)state;
	locked_build(&l);
	image_finish(&l.s.img);
	locked_open(&l, 0);
	at = l.s.img.file.data + l.luks.pos;
	for (size_t i = 0; i < COUNT(names); i++) {
		const struct names *n = &names[i];
		struct qcow2_error err;

		test_case("%s %s %s %u", n->cipher, n->mode, n->hash, n->key_len);
		memset(at + AT_CIPHER, 0, 96);
		memcpy(at + AT_CIPHER, n->cipher, strlen(n->cipher));
		memcpy(at + AT_MODE, n->mode, strlen(n->mode));
		memcpy(at + AT_HASH, n->hash, strlen(n->hash));
		image_put(&l.s.img.file, l.luks.pos + AT_KEY_LEN, n->key_len, 4);
		names_aes_xts(&l, n);
		if (n->pos >= 0) {
			EQ(qcow2_luks_read(&l.header, &l.s.image, &err), QCOW2_E_LUKS);
			EQ(err.pos, l.luks.pos + (unsigned)n->pos);
			continue;
		}
		EQ(qcow2_luks_read(&l.header, &l.s.image, &err), QCOW2_OK);
		EQ(l.header.spec.cipher, n->spec.cipher);
		EQ(l.header.spec.mode, n->spec.mode);
		EQ(l.header.spec.iv, n->spec.iv);
		EQ(l.header.spec.iv_hash, n->spec.iv_hash);
		EQ(l.header.spec.key_len, n->spec.key_len);
		EQ(l.header.hash, n->hash_number);
	}
	test_image_free(&l.s);
}

/* ---- Where the header is ---- */

struct place_case {
	const char *name;
	uint64_t pos, len; /* what the extension says; KEEP: the right number */
	unsigned flags;
	int status;
	int at; /* of the error: 0: the extension, 1: the header */
};

static const struct place_case places[] = {
	{ "as it is", KEEP, KEEP, 0, QCOW2_OK, 0 },
	{ "not at a cluster", 0x10200, KEEP, 0, QCOW2_E_LUKS, 0 },
	{ "a byte past a cluster", 0x10001, KEEP, 0, QCOW2_E_LUKS, 0 },
	{ "shorter than a header", KEEP, 591, 0, QCOW2_E_LUKS, 0 },
	{ "as long as a header", KEEP, 592, 0, QCOW2_OK, 0 },
	{ "longer than the file", KEEP, UINT64_MAX, 0, QCOW2_OK, 0 },
	{ "past the end", UINT64_C(1) << 40, KEEP, 0, QCOW2_E_TRUNCATED, 0 },
	{ "past 2^63", UINT64_MAX - 4095, UINT64_MAX, 0, QCOW2_E_TRUNCATED, 0 },
	{ "past the end, as zeros", UINT64_C(1) << 40, KEEP, QCOW2_OPEN_TRUNCATED, QCOW2_E_LUKS,
	  1 },
};

static void test_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(places); i++) {
		const struct place_case *c = &places[i];
		struct locked l = { 0 };
		struct qcow2_error err;

		test_case("%s", c->name);
		locked_build(&l);
		image_finish(&l.s.img);
		locked_open(&l, c->flags);
		if (c->pos != KEEP)
			image_put(&l.s.img.file, l.s.image.crypto.pos, c->pos, 8);
		if (c->len != KEEP)
			image_put(&l.s.img.file, l.s.image.crypto.pos + 8, c->len, 8);
		EQ(qcow2_luks_read(&l.header, &l.s.image, &err), c->status);
		if (c->status == QCOW2_E_LUKS)
			EQ(err.pos, c->at == 0 ? l.s.image.crypto.pos : c->pos);
		test_image_free(&l.s);
	}
}

static void test_missing(void **state)
{
	struct test_image s = { 0 };
	struct qcow2_luks luks;
	struct qcow2_error err;

	(void)state;
	test_case("no header");
	image_init(&s.img, 3, BITS, 65536);
	image_set(&s.img, IMAGE_CRYPT_METHOD, QCOW2_CRYPT_LUKS);
	test_image_open_flags(&s, QCOW2_OPEN_INSPECT);
	memset(&err, 0, sizeof err);
	EQ(qcow2_luks_read(&luks, &s.image, &err), QCOW2_E_LUKS);
	EQ(err.pos, s.image.header_len);
	TRUE(err.io == &s.image.io);
	test_image_free(&s);

	test_case("another method");
	memset(&s, 0, sizeof s);
	image_init(&s.img, 3, BITS, 65536);
	image_set(&s.img, IMAGE_CRYPT_METHOD, QCOW2_CRYPT_AES);
	test_image_open_flags(&s, QCOW2_OPEN_INSPECT);
	EQ(qcow2_luks_read(&luks, &s.image, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_luks_read(NULL, &s.image, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_luks_read(&luks, NULL, &err), QCOW2_E_ARGUMENT);
	TRUE(err.io == NULL);
	test_image_free(&s);
}

/* Only the key material of slots that are tried must be inside the area and the file. */
static void test_material_cut(void **state)
{
	enum { END = (8 + 256 + 250) * 512 }; /* of slot 1, with keys of 32 bytes */
	uint8_t key[QCOW2_KEY_MAX];

	(void)state;
	for (unsigned cut = 0; cut < 2; cut++) {
		for (unsigned by_file = 0; by_file < 2; by_file++) {
			struct locked l = { 0 };

			test_case("%u bytes less, %u", cut, by_file);
			l.luks.key_len = 32;
			l.luks.passwords[0] = "zero";
			l.luks.passwords[1] = "one";
			locked_build(&l);
			image_finish(&l.s.img);
			locked_open(&l, 0);
			if (by_file != 0)
				l.s.image.io.size = l.luks.pos + END - cut;
			else
				image_put(&l.s.img.file, l.s.image.crypto.pos + 8, END - cut, 8);
			EQ(qcow2_luks_read(&l.header, &l.s.image, NULL), QCOW2_OK);
			EQ(unlock(&l, "zero", key), QCOW2_OK);
			if (cut == 0) {
				EQ(unlock(&l, "one", key), QCOW2_OK);
			} else {
				EQ(unlock(&l, "one", key),
				   by_file != 0 ? QCOW2_E_TRUNCATED : QCOW2_E_LUKS);
				EQ(l.s.err.pos,
				   by_file != 0 ? l.s.image.io.size : l.luks.pos + (8 + 256) * 512);
			}
			test_image_free(&l.s);
		}
	}
}

/* ---- Arguments ---- */

static void unlock_refused(struct qcow2_luks_unlocking *u)
{
	struct qcow2_error err;

	EQ(qcow2_luks_unlock(u, &err), QCOW2_E_ARGUMENT);
	TRUE(err.io == NULL);
	ALL((uint8_t *)&u->work, 0xaa, sizeof u->work);
}

static void test_arguments(void **state)
{
	struct locked l = { 0 };
	struct qcow2_luks none = { 0 };
	struct qcow2_luks_unlocking good, u;
	const struct qcow2_crypto *c = &l.crypto.base;
	struct toy_cipher cipher;
	struct qcow2_error err;
	uint8_t key[QCOW2_KEY_MAX];

	(void)state;
	locked_make(&l);
	unlocking_init(&good, &l, &cipher);
	EQ(qcow2_luks_unlock(NULL, &err), QCOW2_E_ARGUMENT);
	u = good;
	u.luks = NULL;
	unlock_refused(&u);
	u.luks = &none;
	unlock_refused(&u);
	u = good;
	u.crypto = NULL;
	unlock_refused(&u);
	u = good;
	u.cipher = NULL;
	unlock_refused(&u);
	u = good;
	u.password = NULL;
	unlock_refused(&u);
	EQ(l.log.calls, 0);
	EQ(qcow2_luks_unlock(&good, NULL), QCOW2_E_KEY);
	memset(key, 0, sizeof key);
	EQ(qcow2_luks_verify(NULL, c, key, 1000, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_luks_verify(&none, c, key, 1000, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_luks_verify(&l.header, NULL, key, 1000, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_luks_verify(&l.header, c, NULL, 1000, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_luks_read_aes_xts(NULL, &l.s.image, &err), QCOW2_E_ARGUMENT);
	EQ(qcow2_luks_read(&l.header, NULL, &err), QCOW2_E_ARGUMENT);
	ALL(&l.header, 0, sizeof l.header);
	test_image_free(&l.s);
}

/* ---- Failures ---- */

static void test_io_failures(void **state)
{
	struct locked l = { 0 };
	uint8_t key[QCOW2_KEY_MAX];

	(void)state;
	l.luks.key_len = 32;
	l.luks.passwords[0] = "zero";
	locked_make(&l);
	for (unsigned i = 1; i <= 2; i++) {
		struct qcow2_luks luks;

		test_case("read %u of the header", i);
		test_io_reset(&l.s.io);
		l.s.io.fail_at = i;
		EQ(qcow2_luks_read(&luks, &l.s.image, &l.s.err), QCOW2_E_IO);
		EQ(l.s.err.io_code, IO_FAULT);
	}
	for (unsigned i = 1; i <= 250; i = i < 3 ? i + 1 : i + 247) {
		test_case("read %u of the key material", i);
		test_io_reset(&l.s.io);
		l.s.io.fail_at = i;
		EQ(unlock(&l, "zero", key), QCOW2_E_IO);
		EQ(l.s.err.io_code, IO_FAULT);
		EQ(l.s.err.pos, l.luks.pos + 8 * 512 + (i - 1) * 512);
	}
	test_io_reset(&l.s.io);
	EQ(unlock(&l, "zero", key), QCOW2_OK);
	test_image_free(&l.s);
}

/* Each kind of primitive fails: at its first call, at its last, and between. */
static void test_primitive_failures(void **state)
{
	struct locked l = { 0 };
	uint8_t key[QCOW2_KEY_MAX];
	unsigned last;

	(void)state;
	l.luks.key_len = 32;
	l.luks.passwords[0] = "zero";
	locked_make(&l);
	EQ(unlock(&l, "zero", key), QCOW2_OK);
	last = l.log.calls;
	EQ(last, 1 + 1 + 250 + 3999 + 1); /* PBKDF2, open, sectors, hashes, the digest */
	for (unsigned i = 1; i <= last; i += i < 6 || i > last - 3 ? 1 : (last - 2 - i + 4) / 5) {
		test_case("primitive %u of %u", i, last);
		l.log.calls = 0;
		l.log.fail_at = i;
		EQ(unlock(&l, "zero", key), QCOW2_E_CRYPTO);
		EQ(l.s.err.io_code, 0);
		EQ(l.log.calls, i);
	}
	l.log.fail_at = 0;
	EQ(unlock(&l, "zero", key), QCOW2_OK);
	test_image_free(&l.s);
}

/* ---- crypto.h ---- */

static void test_helpers(void **state)
{
	static const unsigned lengths[] = { 16, 20, 28, 32, 48, 64, 20, 0 };
	static const char long_one[] = "0123456789abcdefXYZ";
	uint8_t key[17], bytes[9];

	(void)state;
	for (unsigned i = 0; i < COUNT(lengths); i++)
		EQ(qcow2_digest_len(i), lengths[i]);
	EQ(qcow2_digest_len(UINT32_MAX), 0);
	for (size_t len = 0; len < sizeof long_one; len++) {
		size_t kept = len < 16 ? len : 16;

		test_case("password of %u bytes", (unsigned)len);
		memset(key, 0x55, sizeof key);
		qcow2_aes_key(len != 0 ? long_one : NULL, len, key);
		SAME(key, long_one, kept);
		ALL(key + kept, 0, 16 - kept);
		EQ(key[16], 0x55);
	}
	EQ(qcow2_aes_spec.cipher, QCOW2_CIPHER_AES);
	EQ(qcow2_aes_spec.mode, QCOW2_MODE_CBC);
	EQ(qcow2_aes_spec.iv, QCOW2_IV_PLAIN64);
	EQ(qcow2_aes_spec.key_len, 16);
	memset(bytes, 7, sizeof bytes);
	qcow2_wipe(bytes + 1, 7);
	EQ(bytes[0], 7);
	ALL(bytes + 1, 0, 7);
	EQ(bytes[8], 7);
	qcow2_wipe(bytes, 0);
	EQ(bytes[0], 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unlock),       cmocka_unit_test(test_slots),
		cmocka_unit_test(test_limits),       cmocka_unit_test(test_verify),
		cmocka_unit_test(test_header),       cmocka_unit_test(test_names),
		cmocka_unit_test(test_place),        cmocka_unit_test(test_missing),
		cmocka_unit_test(test_material_cut), cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_io_failures),  cmocka_unit_test(test_primitive_failures),
		cmocka_unit_test(test_helpers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
