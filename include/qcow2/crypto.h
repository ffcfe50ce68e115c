/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What luks.h needs of a cryptographic library: a struct of pointers that the program fills in.
 *
 * The core has no cipher and no hash of its own. port/crypto has such structs for some libraries;
 * any other library fits if it has hashes, PBKDF2 and block ciphers. The conventions are in
 * image.h.
 */
#ifndef QCOW2_CRYPTO_H
#define QCOW2_CRYPTO_H

#include "qcow2/cipher.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Block ciphers, with the names that LUKS headers give them. */
enum {
	QCOW2_CIPHER_AES = 0,     /* "aes", keys of 16, 24 or 32 bytes, blocks of 16 bytes */
	QCOW2_CIPHER_SERPENT = 1, /* "serpent", the same */
	QCOW2_CIPHER_TWOFISH = 2, /* "twofish", the same */
	QCOW2_CIPHER_CAST5 = 3    /* "cast5", keys of 16 bytes, blocks of 8 bytes */
};

/* Modes. Each sector is decrypted on its own, with its own initialization vector (IV). */
enum {
	QCOW2_MODE_ECB = 0, /* has no IV */
	QCOW2_MODE_CBC = 1,
	QCOW2_MODE_CTR = 2, /* the IV is the first counter block; big endian */
	QCOW2_MODE_XTS = 3  /* the IV is the tweak; the key is two keys of the same length */
};

/* How the IV follows from the number of the sector. It is as long as a block of the cipher. */
enum {
	QCOW2_IV_PLAIN = 0,   /* the low 32 bits of the number, little endian, then zeros */
	QCOW2_IV_PLAIN64 = 1, /* the 64 bits of the number, little endian, then zeros */
	QCOW2_IV_ESSIV = 2    /* as plain64, then encrypted; see qcow2_cipher_spec.iv_hash */
};

/* Hashes. */
enum {
	QCOW2_HASH_MD5 = 0,
	QCOW2_HASH_SHA1 = 1,
	QCOW2_HASH_SHA224 = 2,
	QCOW2_HASH_SHA256 = 3,
	QCOW2_HASH_SHA384 = 4,
	QCOW2_HASH_SHA512 = 5,
	QCOW2_HASH_RIPEMD160 = 6
};

enum {
	QCOW2_KEY_MAX = 64,   /* bytes of the longest key: two keys of 32 bytes, for XTS */
	QCOW2_DIGEST_MAX = 64 /* bytes of the longest digest, which is that of SHA-512 */
};

/* A way to decrypt sectors, without the key. */
struct qcow2_cipher_spec {
	uint8_t cipher; /* QCOW2_CIPHER_* */
	uint8_t mode;   /* QCOW2_MODE_* */
	uint8_t iv;     /* QCOW2_IV_* */
	/*
	 * QCOW2_HASH_*. With QCOW2_IV_ESSIV, the IV is one block encrypted by the same cipher under
	 * the key hash(key), where `key` is the whole key, and the digest is as long as a key of
	 * the cipher. Otherwise it is 0.
	 */
	uint8_t iv_hash;
	uint32_t key_len; /* bytes of the key: 16 to 64; for XTS that is both keys */
};

/*
 * The primitives. Each returns QCOW2_OK, or QCOW2_E_CRYPTO if the library does not have the cipher
 * or the hash, or fails. A primitive that fails releases what it has taken, and leaves no secret in
 * the memory of a cipher. None of them keeps a pointer to an argument.
 *
 * The struct may be constant. A program that needs a context makes this the first member of a
 * larger struct.
 */
struct qcow2_crypto {
	/* PBKDF2 (RFC 8018) with HMAC of this hash: makes `len` bytes, 16 to 64. */
	int (*pbkdf2)(const struct qcow2_crypto *self, unsigned hash, const void *password,
	              size_t password_len, const uint8_t salt[32], uint32_t iterations,
	              uint8_t *out, size_t len);

	/*
	 * Hashes the 4 bytes `prefix` and then the len bytes `data`. out has room for a digest.
	 * These three may have any alignment.
	 */
	int (*hash)(const struct qcow2_crypto *self, unsigned hash, const uint8_t prefix[4],
	            const uint8_t *data, size_t len, uint8_t *out);

	/*
	 * Makes a cipher for this spec with this key in the cipher_len bytes at *cipher, which are
	 * aligned to 8, and sets cipher->decrypt.
	 */
	int (*open)(const struct qcow2_crypto *self, const struct qcow2_cipher_spec *spec,
	            const uint8_t *key, struct qcow2_cipher *cipher);

	/* Releases what open has taken, and wipes the memory of the cipher. */
	void (*close)(const struct qcow2_crypto *self, struct qcow2_cipher *cipher);

	uint32_t cipher_len; /* bytes of memory that a cipher takes */
};

/* Encryption method 1, QCOW2_CRYPT_AES: AES-128 in mode CBC, plain64. */
extern const struct qcow2_cipher_spec qcow2_aes_spec;

/*
 * Makes the key for encryption method 1 from a password of len bytes: its first 16 bytes, and zeros
 * if there are fewer. password may be NULL if len is 0. The image has nothing to compare a key
 * with: with a wrong password, data reads as noise.
 */
void qcow2_aes_key(const void *password, size_t len, uint8_t key[16]);

/* Overwrites memory with zeros. The compiler does not leave it out even if nothing reads them. */
void qcow2_wipe(void *memory, size_t len);

/* Returns the length of the digest of a hash, QCOW2_HASH_*, in bytes. */
uint32_t qcow2_digest_len(unsigned hash);

#ifdef __cplusplus
}
#endif
#endif
