/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Writes LUKS 1 headers and encrypts sectors, with libgcrypt. The names are those of the LUKS
 * on-disk format: a slot has the master key split into 4000 stripes ("anti-forensic splitter"),
 * encrypted with a key that PBKDF2 derives from the password.
 */
#include "crypt.h"

#include <gcrypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SECTOR = 512,
	KEY_MAX = 64,
	HASH_MAX = 64,
	BLOCK_MAX = 16,
	DIGEST_LEN = 20,
	SALT_LEN = 32,
	HEADER_LEN = 4096, /* the header and the sectors that QEMU leaves behind it */
	LUKS_LEN = 592,
	SLOT_ACTIVE = 0x00ac71f3,
	SLOT_DEAD = 0x0000dead,
	ITERATIONS = 1000
};

/* A key in use: encrypts sectors. */
struct crypt {
	gcry_cipher_hd_t data, iv; /* iv: of essiv, or NULL */
	int mode;
	size_t block;
	bool wide;   /* the IV has 64 bits of the sector number, otherwise 32 */
	bool by_off; /* sectors count in the disk, not in the file */
};

struct names {
	int cipher; /* of libgcrypt */
	int mode;
	int hash;
	int essiv_hash;   /* 0: no essiv */
	int essiv_cipher; /* the data cipher with the key length that the hash has */
	bool wide;        /* see struct crypt */
	size_t key_len;
	char luks_cipher[32];
	char luks_mode[32];
};

static void *need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static void good(gcry_error_t rc)
{
	if (rc != 0)
		abort();
}

/* ---- Names ---- */

struct row {
	const char *name;
	int id;
};

static const struct row ciphers[] = {
	{ "aes-128", GCRY_CIPHER_AES128 },         { "aes-192", GCRY_CIPHER_AES192 },
	{ "aes-256", GCRY_CIPHER_AES256 },         { "serpent-128", GCRY_CIPHER_SERPENT128 },
	{ "serpent-192", GCRY_CIPHER_SERPENT192 }, { "serpent-256", GCRY_CIPHER_SERPENT256 },
	{ "twofish-128", GCRY_CIPHER_TWOFISH128 }, { "twofish-256", GCRY_CIPHER_TWOFISH },
	{ "cast5-128", GCRY_CIPHER_CAST5 },
};

static const struct row modes[] = {
	{ "ecb", GCRY_CIPHER_MODE_ECB },
	{ "cbc", GCRY_CIPHER_MODE_CBC },
	{ "ctr", GCRY_CIPHER_MODE_CTR },
	{ "xts", GCRY_CIPHER_MODE_XTS },
};

static const struct row hashes[] = {
	{ "md5", GCRY_MD_MD5 },          { "sha1", GCRY_MD_SHA1 },     { "sha224", GCRY_MD_SHA224 },
	{ "sha256", GCRY_MD_SHA256 },    { "sha384", GCRY_MD_SHA384 }, { "sha512", GCRY_MD_SHA512 },
	{ "ripemd160", GCRY_MD_RMD160 },
};

#define FIND(table, name) find((table), sizeof(table) / sizeof *(table), (name))

static int find(const struct row *table, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(table[i].name, name) == 0)
			return table[i].id;
	}
	return 0;
}

/* The cipher of the same family with another key length. */
static int cipher_of_length(const char *cipher, unsigned len)
{
	char name[32];

	snprintf(name, sizeof name, "%.*s-%u", (int)strcspn(cipher, "-"), cipher, len * 8);
	return FIND(ciphers, name);
}

static const char *names_find(struct names *n, const struct crypt_luks *luks)
{
	const char *cipher = luks->cipher != NULL ? luks->cipher : "aes-256";
	const char *mode = luks->mode != NULL ? luks->mode : "xts";
	const char *ivgen = luks->ivgen != NULL ? luks->ivgen : "plain64";

	memset(n, 0, sizeof *n);
	n->cipher = FIND(ciphers, cipher);
	n->mode = FIND(modes, mode);
	n->hash = FIND(hashes, luks->hash != NULL ? luks->hash : "sha256");
	if (n->cipher == 0 || n->mode == 0 || n->hash == 0)
		return "unknown cipher, mode or hash";
	n->wide = strcmp(ivgen, "plain") != 0;
	n->key_len = gcry_cipher_get_algo_keylen(n->cipher);
	if (n->mode == GCRY_CIPHER_MODE_XTS)
		n->key_len *= 2;
	if (strncmp(ivgen, "essiv:", 6) == 0) {
		n->essiv_hash = FIND(hashes, ivgen + 6);
		n->essiv_cipher = cipher_of_length(cipher, gcry_md_get_algo_dlen(n->essiv_hash));
		if (n->essiv_cipher == 0)
			return "no such essiv";
	}
	snprintf(n->luks_cipher, sizeof n->luks_cipher, "%.*s", (int)strcspn(cipher, "-"), cipher);
	snprintf(n->luks_mode, sizeof n->luks_mode, "%s-%s", mode, ivgen);
	return NULL;
}

/* ---- Sectors ---- */

static gcry_cipher_hd_t open_cipher(int cipher, int mode, const void *key, size_t key_len)
{
	gcry_cipher_hd_t hd = NULL;

	good(gcry_cipher_open(&hd, cipher, mode, 0));
	good(gcry_cipher_setkey(hd, key, key_len));
	return hd;
}

static void start(struct crypt *c, const struct names *n, const uint8_t *key)
{
	uint8_t digest[HASH_MAX];

	memset(c, 0, sizeof *c);
	c->mode = n->mode;
	c->wide = n->wide;
	c->block = gcry_cipher_get_algo_blklen(n->cipher);
	c->data = open_cipher(n->cipher, n->mode, key, n->key_len);
	if (n->essiv_hash != 0) {
		gcry_md_hash_buffer(n->essiv_hash, digest, key, n->key_len);
		c->iv = open_cipher(n->essiv_cipher, GCRY_CIPHER_MODE_ECB, digest,
		                    gcry_md_get_algo_dlen(n->essiv_hash));
	}
}

static void stop(struct crypt *c)
{
	gcry_cipher_close(c->data);
	gcry_cipher_close(c->iv);
}

static void encrypt_sector(struct crypt *c, uint64_t sector, uint8_t *buf)
{
	uint8_t iv[BLOCK_MAX] = { 0 };

	for (unsigned i = 0; i < (c->wide ? 8u : 4u); i++)
		iv[i] = (uint8_t)(sector >> (8 * i));
	if (c->iv != NULL)
		good(gcry_cipher_encrypt(c->iv, iv, c->block, NULL, 0));
	if (c->mode == GCRY_CIPHER_MODE_CTR)
		good(gcry_cipher_setctr(c->data, iv, c->block));
	else if (c->mode != GCRY_CIPHER_MODE_ECB)
		good(gcry_cipher_setiv(c->data, iv, c->block));
	good(gcry_cipher_encrypt(c->data, buf, SECTOR, NULL, 0));
}

static void encrypt_sectors(void *ctx, uint64_t off, uint64_t pos, uint8_t *buf, size_t len)
{
	struct crypt *c = ctx;
	uint64_t sector = (c->by_off ? off : pos) / SECTOR;

	for (size_t at = 0; at < len; at += SECTOR)
		encrypt_sector(c, sector++, buf + at);
}

/* ---- Slots ---- */

/* Replaces each piece of buf, as long as a digest, by the hash of its number and itself. */
static void diffuse(int hash, uint8_t *buf, size_t len)
{
	size_t piece = gcry_md_get_algo_dlen(hash);
	uint8_t in[4 + HASH_MAX] = { 0 };
	uint8_t out[HASH_MAX];

	for (size_t at = 0; at < len; at += piece) {
		size_t n = len - at < piece ? len - at : piece;

		in[2] = (uint8_t)(at / piece >> 8);
		in[3] = (uint8_t)(at / piece);
		memcpy(in + 4, buf + at, n);
		gcry_md_hash_buffer(hash, out, in, 4 + n);
		memcpy(buf + at, out, n);
	}
}

/* All stripes but the last are random; the last makes their running sum the key. */
static void split(const struct names *n, const uint8_t *key, uint64_t seed, uint8_t *stripes)
{
	uint8_t sum[KEY_MAX] = { 0 };

	for (size_t s = 0; s < CRYPT_STRIPES - 1; s++) {
		image_fill(stripes, n->key_len, seed, s * n->key_len);
		for (size_t i = 0; i < n->key_len; i++)
			sum[i] ^= stripes[i];
		diffuse(n->hash, sum, n->key_len);
		stripes += n->key_len;
	}
	for (size_t i = 0; i < n->key_len; i++)
		stripes[i] = sum[i] ^ key[i];
}

static void derive(const struct names *n, const void *secret, size_t secret_len,
                   const uint8_t *salt, uint32_t iterations, uint8_t *out, size_t len)
{
	good(gcry_kdf_derive(secret, secret_len, GCRY_KDF_PBKDF2, n->hash, salt, SALT_LEN,
	                     iterations, len, out));
}

static uint64_t material_len(const struct names *n)
{
	return (uint64_t)n->key_len * CRYPT_STRIPES;
}

/* The sectors that QEMU gives each slot: a multiple of 8. */
static uint64_t material_sectors(const struct names *n)
{
	return (material_len(n) + SECTOR * 8 - 1) / (SECTOR * 8) * 8;
}

static void write_slot(struct image *img, const struct names *n, const struct crypt_luks *luks,
                       unsigned slot, uint64_t pos, const uint8_t *key)
{
	uint64_t sector = HEADER_LEN / SECTOR + slot * material_sectors(n);
	uint64_t at = pos + CRYPT_AT_SLOTS + slot * CRYPT_SLOT_LEN;
	bool active = luks->slots[slot].password != NULL;
	uint8_t salt[SALT_LEN], slot_key[KEY_MAX];
	uint8_t *stripes = NULL;
	struct crypt c;

	image_put(&img->file, at, active ? SLOT_ACTIVE : SLOT_DEAD, 4);
	image_put(&img->file, at + 40, sector, 4);
	image_put(&img->file, at + 44, CRYPT_STRIPES, 4);
	if (!active)
		return;
	image_fill(salt, sizeof salt, 40 + slot, 0);
	image_put(&img->file, at + 4, luks->iterations, 4);
	image_buf_put(&img->file, at + 8, salt, sizeof salt);
	derive(n, luks->slots[slot].password, luks->slots[slot].len, salt, luks->iterations,
	       slot_key, n->key_len);
	stripes = need(malloc((size_t)material_len(n)));
	split(n, key, 50 + slot, stripes);
	start(&c, n, slot_key);
	encrypt_sectors(&c, 0, 0, stripes, (size_t)material_len(n));
	stop(&c);
	image_buf_put(&img->file, pos + sector * SECTOR, stripes, (size_t)material_len(n));
	free(stripes);
}

static void write_header(struct image *img, const struct names *n, const struct crypt_luks *luks,
                         uint64_t pos, const uint8_t *key)
{
	static const char uuid[] = "01234567-89ab-cdef-0123-456789abcdef";
	const char *hash = luks->hash != NULL ? luks->hash : "sha256";
	uint64_t payload = HEADER_LEN / SECTOR + CRYPT_SLOTS * material_sectors(n);
	uint8_t salt[SALT_LEN], digest[DIGEST_LEN];
	struct image_buf *f = &img->file;

	image_buf_fill(f, pos, 0, HEADER_LEN);
	image_buf_put(f, pos, "LUKS\xba\xbe\0\1", 8);
	image_buf_put(f, pos + 8, n->luks_cipher, strlen(n->luks_cipher));
	image_buf_put(f, pos + CRYPT_AT_MODE, n->luks_mode, strlen(n->luks_mode));
	image_buf_put(f, pos + CRYPT_AT_HASH, hash, strlen(hash));
	image_put(f, pos + CRYPT_AT_PAYLOAD, payload, 4);
	image_put(f, pos + CRYPT_AT_KEY_LEN, n->key_len, 4);
	image_fill(salt, sizeof salt, 39, 0);
	derive(n, key, n->key_len, salt, luks->iterations, digest, sizeof digest);
	image_buf_put(f, pos + CRYPT_AT_DIGEST, digest, sizeof digest);
	image_buf_put(f, pos + CRYPT_AT_SALT, salt, sizeof salt);
	image_put(f, pos + CRYPT_AT_ITERATIONS, luks->iterations, 4);
	image_buf_put(f, pos + CRYPT_AT_UUID, uuid, sizeof uuid);
	for (unsigned i = 0; i < CRYPT_SLOTS; i++)
		write_slot(img, n, luks, i, pos, key);
}

const char *crypt_begin_luks(struct image *img, const struct crypt_luks *luks, uint64_t *pos)
{
	struct crypt_luks l = *luks;
	uint64_t cluster = image_cluster_size(img);
	struct image_buf ext = { 0 };
	uint8_t key[KEY_MAX];
	const char *wrong = NULL;
	struct names n;
	uint64_t len = 0;

	gcry_check_version(NULL);
	wrong = names_find(&n, luks);
	if (wrong != NULL)
		return wrong;
	if (l.iterations == 0)
		l.iterations = ITERATIONS;
	image_fill(key, sizeof key, 38 + l.key_seed, 0);
	len = HEADER_LEN + CRYPT_SLOTS * material_sectors(&n) * SECTOR;
	*pos = image_alloc(img, (len + cluster - 1) / cluster);
	image_ref(img, *pos, len);
	write_header(img, &n, &l, *pos, key);
	image_put(&ext, 0, *pos, 8);
	image_put(&ext, 8, len, 8);
	image_add_ext(img, IMAGE_EXT_CRYPTO, 16, ext.data, 16);
	free(ext.data);
	image_set(img, IMAGE_CRYPT_METHOD, 2);
	img->encrypt_ctx = need(malloc(sizeof(struct crypt)));
	start(img->encrypt_ctx, &n, key);
	img->encrypt = encrypt_sectors;
	return NULL;
}

void crypt_begin_aes(struct image *img, const void *password, size_t len)
{
	struct names n = { .cipher = GCRY_CIPHER_AES128,
		           .mode = GCRY_CIPHER_MODE_CBC,
		           .wide = true,
		           .key_len = 16 };
	uint8_t key[16] = { 0 };
	struct crypt *c = need(malloc(sizeof *c));

	gcry_check_version(NULL);
	memcpy(key, password, len < sizeof key ? len : sizeof key);
	start(c, &n, key);
	c->by_off = true;
	image_set(img, IMAGE_CRYPT_METHOD, 1);
	img->encrypt_ctx = c;
	img->encrypt = encrypt_sectors;
}

void crypt_end(struct image *img)
{
	if (img->encrypt_ctx != NULL)
		stop(img->encrypt_ctx);
	free(img->encrypt_ctx);
	img->encrypt_ctx = NULL;
}
