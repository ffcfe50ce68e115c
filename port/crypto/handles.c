/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Shares handles between threads without a lock: one atomic exchange takes a handle. A handle is
 * made when it is first taken.
 */
#include "handles.h"

#include <string.h>

/* Where this thread found its last handle: two threads seldom search for the same one. */
static __thread unsigned my_handle;

static struct crypto_cipher *cipher_of(struct qcow2_cipher *cipher)
{
	return (struct crypto_cipher *)(void *)cipher;
}

/* Returns NULL if all handles are taken. */
static struct crypto_handle *handle_take(const struct crypto_cipher *c)
{
	unsigned i;

	for (i = 0; i < CRYPTO_HANDLES; i++) {
		struct crypto_handle *h = &c->handles[my_handle];

		if (__atomic_load_n(&h->busy, __ATOMIC_RELAXED) == 0 &&
		    __atomic_exchange_n(&h->busy, 1, __ATOMIC_ACQUIRE) == 0)
			return h;
		my_handle = (my_handle + 1u) % CRYPTO_HANDLES;
	}
	return NULL;
}

static int handles_decrypt(const struct qcow2_cipher *self, uint64_t sector, void *buf, size_t n)
{
	const struct crypto_cipher *c = (const struct crypto_cipher *)(const void *)self;
	struct crypto_handle *taken = handle_take(c);
	struct crypto_handle own = { 0, NULL, NULL };
	struct crypto_handle *h = taken != NULL ? taken : &own;
	int rc = h->data != NULL ? 0 : c->library->start(c, h);

	if (rc == 0)
		rc = c->library->decrypt(c, h, sector, buf, n);
	if (taken != NULL)
		__atomic_store_n(&taken->busy, 0, __ATOMIC_RELEASE);
	else
		c->library->stop(&own);
	return rc;
}

int crypto_handles_open(const struct crypto_library *library, const struct qcow2_cipher_spec *spec,
                        const uint8_t *key, struct qcow2_cipher *cipher)
{
	struct crypto_cipher *c = cipher_of(cipher);
	int rc = 0;

	memset(c, 0, sizeof *c);
	c->base.decrypt = handles_decrypt;
	c->library = library;
	c->spec = *spec;
	memcpy(c->key, key, spec->key_len);
	c->handles = c->own;
	if (spec->iv == QCOW2_IV_ESSIV)
		rc = library->hash_key(c);
	/* This also shows whether the library has the cipher. */
	if (rc == 0)
		rc = library->start(c, &c->own[0]);
	if (rc != 0)
		qcow2_wipe(c, sizeof *c);
	return rc;
}

void crypto_handles_close(struct qcow2_cipher *cipher)
{
	struct crypto_cipher *c = cipher_of(cipher);
	unsigned i;

	for (i = 0; i < CRYPTO_HANDLES; i++)
		c->library->stop(&c->own[i]);
	qcow2_wipe(c, sizeof *c);
}
