/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A cipher over a library whose handles serve one thread at a time, because each keeps an IV: a few
 * handles with the same key, of which a call takes one that is free.
 */
#ifndef QCOW2_CRYPTO_HANDLES_H
#define QCOW2_CRYPTO_HANDLES_H

#include "adapters.h"

/* Handles that a cipher keeps. A call that finds none free makes one for itself. */
enum { CRYPTO_HANDLES = 32 };

struct crypto_handle {
	int busy;   /* 1: taken by a thread. Atomic access only. */
	void *data; /* the library's handle for the data; NULL: not made yet */
	void *iv;   /* the one that encrypts the IV, or NULL without ESSIV */
};

struct crypto_cipher {
	struct qcow2_cipher base;
	const struct crypto_library *library;
	struct qcow2_cipher_spec spec;
	uint8_t key[QCOW2_KEY_MAX];
	uint8_t iv_key[QCOW2_DIGEST_MAX];
	uint32_t iv_key_len;           /* 0 without ESSIV */
	struct crypto_handle *handles; /* the array below: calls get *this as const */
	struct crypto_handle own[CRYPTO_HANDLES];
};

/* What differs between the libraries. What returns an int returns QCOW2_OK or QCOW2_E_CRYPTO. */
struct crypto_library {
	/* Sets iv_key to the hash of the key. */
	int (*hash_key)(struct crypto_cipher *c);
	/* Makes data, and iv if iv_key_len is not 0. If it fails, both are NULL. */
	int (*start)(const struct crypto_cipher *c, struct crypto_handle *h);
	void (*stop)(struct crypto_handle *h);
	/* Decrypts n sectors in place. */
	int (*decrypt)(const struct crypto_cipher *c, const struct crypto_handle *h,
	               uint64_t sector, uint8_t *buf, size_t n);
};

/* For qcow2_crypto.open and close. */
int crypto_handles_open(const struct crypto_library *library, const struct qcow2_cipher_spec *spec,
                        const uint8_t *key, struct qcow2_cipher *cipher);
void crypto_handles_close(struct qcow2_cipher *cipher);

#endif
