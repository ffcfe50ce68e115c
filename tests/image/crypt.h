/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Encrypts the data of an image as it is written, with LUKS or with the older AES method. Only
 * programs that link libgcrypt can use this.
 *
 * qemu-img takes seconds for an image with LUKS, because it chooses the number of iterations by
 * time. This writer takes milliseconds, and writes combinations that qemu-img offers no option for.
 */
#ifndef TEST_CRYPT_H
#define TEST_CRYPT_H

#include "image.h"

enum { CRYPT_SLOTS = 8, CRYPT_SLOT_LEN = 48, CRYPT_STRIPES = 4000 };

/* Byte positions in the LUKS header. */
enum {
	CRYPT_AT_MODE = 40,
	CRYPT_AT_HASH = 72,
	CRYPT_AT_PAYLOAD = 104,
	CRYPT_AT_KEY_LEN = 108,
	CRYPT_AT_DIGEST = 112,
	CRYPT_AT_SALT = 132,
	CRYPT_AT_ITERATIONS = 164,
	CRYPT_AT_UUID = 168,
	CRYPT_AT_SLOTS = 208
};

/* What the LUKS header says. NULL and 0 stand for what qemu-img does unasked. */
struct crypt_luks {
	const char *cipher;  /* "aes-256" */
	const char *mode;    /* "xts" */
	const char *ivgen;   /* "plain64" */
	const char *hash;    /* "sha256" */
	uint32_t iterations; /* of each slot, and of the digest (1000) */
	struct {
		const char *password; /* NULL: the slot is not active */
		size_t len;
	} slots[CRYPT_SLOTS];
	uint32_t key_seed; /* master keys differ if this does */
};

/*
 * Places the LUKS header in host clusters of its own, adds the header extension, and encrypts what
 * is added from now on. Sets *pos to the position of the LUKS header. Returns NULL, or a text if
 * the combination does not exist. Call crypt_end before image_free.
 */
const char *crypt_begin_luks(struct image *img, const struct crypt_luks *luks, uint64_t *pos);

/* The same for method 1, which has no header. */
void crypt_begin_aes(struct image *img, const void *password, size_t len);

/* Frees what crypt_begin_... has allocated, if it was called. */
void crypt_end(struct image *img);

#endif
