/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Describes how an image is encrypted.
 */
#include "posix.h"

#include <errno.h>
#include <string.h>

#include "cancel.h"
#include "failure.h"
#include "handle.h"
#include "key/crypto.h"
#include "key/luks_words.h"
#include "words.h"

/* Where struct qcow2_encryption ended when it was first published. */
#define ENCRYPTION_LEN_MIN                                                                         \
	(offsetof(struct qcow2_encryption, slots) + QCOW2_KEY_SLOTS * sizeof(struct qcow2_key_slot))

enum { BITS_128, BITS_192, BITS_256, BITS_KINDS };

static const char *cipher_name(unsigned cipher, uint32_t key_len)
{
	static const char *const names[][BITS_KINDS] = {
		[QCOW2_CIPHER_AES] = { "aes-128", "aes-192", "aes-256" },
		[QCOW2_CIPHER_SERPENT] = { "serpent-128", "serpent-192", "serpent-256" },
		[QCOW2_CIPHER_TWOFISH] = { "twofish-128", "twofish-192", "twofish-256" },
		[QCOW2_CIPHER_CAST5] = { "cast5-128", NULL, NULL },
	};

	return names[cipher][key_len / 8u - 2u];
}

static const char *mode_name(unsigned mode)
{
	static const char *const names[] = {
		[QCOW2_MODE_ECB] = "ecb",
		[QCOW2_MODE_CBC] = "cbc",
		[QCOW2_MODE_CTR] = "ctr",
		[QCOW2_MODE_XTS] = "xts",
	};

	return names[mode];
}

static const char *iv_name(unsigned iv)
{
	static const char *const names[] = {
		[QCOW2_IV_PLAIN] = "plain",
		[QCOW2_IV_PLAIN64] = "plain64",
		[QCOW2_IV_ESSIV] = "essiv",
	};

	return names[iv];
}

static const char *hash_name(unsigned hash)
{
	static const char *const names[] = {
		[QCOW2_HASH_MD5] = "md5",
		[QCOW2_HASH_SHA1] = "sha1",
		[QCOW2_HASH_SHA224] = "sha224",
		[QCOW2_HASH_SHA256] = "sha256",
		[QCOW2_HASH_SHA384] = "sha384",
		[QCOW2_HASH_SHA512] = "sha512",
		[QCOW2_HASH_RIPEMD160] = "ripemd160",
	};

	return names[hash];
}

static void spec_describe(struct qcow2_encryption *e, const struct qcow2_cipher_spec *spec)
{
	bool two_keys = spec->mode == QCOW2_MODE_XTS;

	e->cipher = cipher_name(spec->cipher, two_keys ? spec->key_len / 2u : spec->key_len);
	e->mode = mode_name(spec->mode);
	e->iv = iv_name(spec->iv);
	e->iv_hash = spec->iv == QCOW2_IV_ESSIV ? hash_name(spec->iv_hash) : NULL;
}

static void luks_describe(struct qcow2_encryption *e, const struct qcow2_luks *luks)
{
	unsigned i;

	spec_describe(e, &luks->spec);
	e->hash = hash_name(luks->hash);
	qp_luks_uuid(e->uuid, sizeof e->uuid, luks);
	e->header_offset = luks->pos;
	e->payload_offset = (uint64_t)luks->payload_sector * QCOW2_SECTOR_LEN;
	e->iterations = luks->digest_iterations;
	for (i = 0; i < QCOW2_KEY_SLOTS; i++) {
		const struct qcow2_luks_slot *slot = &luks->slots[i];

		e->slots[i].active = slot->iterations != 0u;
		e->slots[i].iterations = slot->iterations;
		e->slots[i].stripes = QCOW2_LUKS_STRIPES;
		e->slots[i].offset = (uint64_t)slot->sector * QCOW2_SECTOR_LEN;
	}
}

static bool describe(struct qcow2_encryption *e, const struct qp_layer *layer)
{
	const struct qcow2_image *image = &layer->image;
	struct qcow2_luks luks;
	struct qcow2_error err;
	int rc;

	memset(e, 0, sizeof *e);
	if (image->crypt_method == QCOW2_CRYPT_NONE)
		return true;
	e->method = qp_encryption_name(image->crypt_method);
	if (image->crypt_method == QCOW2_CRYPT_AES) {
		spec_describe(e, &qcow2_aes_spec);
		return true;
	}
	rc = qcow2_luks_read(&luks, image, &err);
	if (rc == QCOW2_OK)
		luks_describe(e, &luks);
	else
		qp_fail_luks(layer, &luks, rc, &err);
	return rc == QCOW2_OK;
}

static int encryption_get(struct qcow2 *q, unsigned depth, struct qcow2_encryption *e)
{
	const struct qp_layer *layer = qp_layer_at(q->top, depth);
	struct qcow2_encryption own;
	size_t len = e->struct_size;

	if (len < ENCRYPTION_LEN_MIN) {
		qp_fail_text(EINVAL, 0, "struct_size of the encryption is not set");
		return qp_failed();
	}
	if (layer == NULL) {
		qp_fail_text(ENOENT, 0, "the backing chain has no image at this depth");
		return qp_failed();
	}
	if (!describe(&own, layer))
		return qp_failed();
	/* The caller's struct may be that of a newer version. */
	memset(e, 0, len);
	memcpy(e, &own, len < sizeof own ? len : sizeof own);
	e->struct_size = len;
	return own.method != NULL;
}

int qcow2_get_encryption(struct qcow2 *q, unsigned depth, struct qcow2_encryption *e)
{
	int cancel_state = qp_cancel_hold();
	int rc = encryption_get(q, depth, e);

	qp_cancel_restore(cancel_state);
	return rc;
}

const char *qcow2_get_crypto(void)
{
	return qp_crypto_name;
}
