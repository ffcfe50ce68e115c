/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Primitives that protect nothing: a cipher that adds a pattern, and sums instead of hashes. They
 * fail on demand, and record what the core does with them. Real ones are in tests/conform.
 */
#ifndef TEST_TOY_CRYPTO_H
#define TEST_TOY_CRYPTO_H

#include "support.h"
#include "qcow2/luks.h"

/* Encrypts or decrypts n sectors: both are the same. The pattern depends on the sector. */
void toy_crypt(uint64_t key, uint64_t sector, uint8_t *buf, size_t n);

/* What happened, and what is to fail. */
struct toy_log {
	unsigned calls;   /* of all primitives and ciphers */
	unsigned fail_at; /* the number of the call that fails, from 1; 0: none */
	unsigned sectors; /* that ciphers got */
	unsigned longest; /* the most sectors in a call */
	unsigned open;    /* ciphers that are open */
};

struct toy_cipher {
	struct qcow2_cipher base;
	struct toy_log *log;
	uint64_t key;
};

void toy_cipher_init(struct toy_cipher *cipher, struct toy_log *log, uint64_t key);

struct toy_crypto {
	struct qcow2_crypto base;
	struct toy_log *log;
};

void toy_crypto_init(struct toy_crypto *crypto, struct toy_log *log);

/* For image.encrypt: *ctx is a struct toy_writer. */
struct toy_writer {
	uint64_t key;
	bool aes; /* sectors are numbered from the beginning of the disk, not of the file */
};

void toy_encrypt(void *ctx, uint64_t off, uint64_t pos, uint8_t *buf, size_t len);

/* ---- LUKS headers ---- */

struct toy_luks {
	const char *cipher, *mode, *hash;        /* names; NULL: aes, xts-plain64, sha256 */
	uint32_t hash_number;                    /* QCOW2_HASH_* of `hash`; 0 if `hash` is NULL */
	uint32_t key_len;                        /* 0: 64 */
	const char *passwords[QCOW2_LUKS_SLOTS]; /* NULL: the slot is not active */
	uint8_t key[QCOW2_KEY_MAX];              /* set by toy_luks_write */
	uint64_t pos;                            /* of the LUKS header; set by toy_luks_add */
	size_t len;                              /* of the area; set by toy_luks_write */
};

enum { TOY_ITERATIONS = 20, TOY_DIGEST_ITERATIONS = 10 };

/* Returns the header and the key material, to be freed by the caller. */
uint8_t *toy_luks_write(struct toy_luks *luks);
/* Adds a LUKS header to an image, with the header extension. Its data stays plain. */
void toy_luks_add(struct toy_luks *luks, struct image *img);

#endif
