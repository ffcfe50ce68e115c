/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Asks for passwords, unlocks keys, and attaches ciphers. Passwords stay in the caller's memory. A
 * key is wiped as soon as its cipher has it, and the cipher is wiped when the handle is closed.
 */
#include "unlock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../failure.h"
#include "../open/chain.h"
#include "../printable.h"
#include "../words.h"
#include "crypto.h"
#include "luks_words.h"
#include "sealed.h"

/* What unlocking one image needs. */
struct unlocking {
	struct qp_layer *layer;
	const struct qcow2_options *options;
	struct qcow2_luks luks; /* only with method LUKS */
	struct qcow2_key password;
	struct qcow2_error err;
	uint8_t key[QCOW2_KEY_MAX];
};

static bool is_luks(const struct unlocking *u)
{
	return u->layer->image.crypt_method == QCOW2_CRYPT_LUKS;
}

/* Notes a failure with a text instead of a position in the file. */
static bool key_refuse(const struct unlocking *u, int error, int status, const char *text)
{
	qp_fail_file(&u->layer->file, error, text, NULL);
	qp_failure_status(status);
	return false;
}

static bool key_missing(const struct unlocking *u)
{
	return key_refuse(u, ENOTSUP, QCOW2_E_ENCRYPTED,
	                  is_luks(u) ? "the image is encrypted (luks), and no key was given"
	                             : "the image is encrypted (aes), and no key was given");
}

/* Is there anything that can decrypt, and anybody who knows the key? */
static bool can_unlock(const struct unlocking *u)
{
	if (qp_crypto == NULL)
		return key_refuse(
			u, ENOTSUP, QCOW2_E_ENCRYPTED,
			"the image is encrypted, and this build has no cipher: it needs "
			"libgcrypt or libcrypto (on Debian libgcrypt20-dev or libssl-dev)");
	return u->options->get_key != NULL || key_missing(u);
}

/* Asks the caller for the password. */
static bool key_ask(struct unlocking *u)
{
	const struct qp_layer *layer = u->layer;
	char uuid[QP_PRINTABLE] = "";
	struct qcow2_key_request request = {
		.depth = layer->file.depth,
		.method = qp_encryption_name(layer->image.crypt_method),
		.path = layer->file.path,
	};
	int rc;

	if (is_luks(u)) {
		qp_luks_uuid(uuid, sizeof uuid, &u->luks);
		request.uuid = uuid;
	}
	rc = u->options->get_key(u->options->get_key_ctx, &request, &u->password);
	if (rc > 0)
		return true;
	if (rc == 0)
		return key_missing(u);
	rc = errno != 0 ? errno : EIO;
	qp_fail_file(&layer->file, rc, "cannot get the key", strerror(rc));
	return false;
}

/* A failure of the core, about the LUKS header or a key. */
static bool core_failed(struct unlocking *u, int status)
{
	if (u->err.io == NULL)
		u->err.io = &u->layer->file.io;
	qp_fail_core(status, &u->err);
	return false;
}

/* The header asks for more work than the caller allows. */
static bool key_too_slow(const struct unlocking *u, uint32_t limit)
{
	char count[64];

	snprintf(count, sizeof count, "%llu, and the limit is %lu",
	         (unsigned long long)u->err.detail, (unsigned long)limit);
	qp_fail_file(&u->layer->file, EFBIG,
	             "the LUKS header asks for more iterations than are allowed", count);
	qp_failure_status(QCOW2_E_TOO_BIG);
	return false;
}

/* Tries the password on the slots of the LUKS header. */
static bool luks_key(struct unlocking *u)
{
	uint32_t asked = u->options->max_iterations;
	uint32_t limit = asked != 0u ? asked : QCOW2_LUKS_ITERATIONS;
	struct qcow2_luks_unlocking call = {
		.luks = &u->luks,
		.crypto = qp_crypto,
		.cipher = malloc(qp_crypto->cipher_len),
		.password = u->password.bytes,
		.password_len = u->password.len,
		.max_iterations = limit,
	};
	int rc;

	if (call.cipher == NULL) {
		qp_fail_memory();
		return false;
	}
	rc = qcow2_luks_unlock(&call, &u->err);
	free(call.cipher); /* the core has wiped it */
	memcpy(u->key, call.key, sizeof u->key);
	qcow2_wipe(call.key, sizeof call.key);
	if (rc == QCOW2_E_TOO_BIG)
		return key_too_slow(u, limit);
	return rc == QCOW2_OK || core_failed(u, rc);
}

static bool cipher_attach(struct unlocking *u, const struct qcow2_cipher_spec *spec)
{
	struct qp_layer *layer = u->layer;
	struct qcow2_cipher *cipher = malloc(qp_crypto->cipher_len);
	int rc;

	if (cipher == NULL) {
		qp_fail_memory();
		return false;
	}
	rc = qp_crypto->open(qp_crypto, spec, u->key, cipher);
	if (rc != QCOW2_OK) {
		free(cipher);
		u->err.status = rc;
		u->err.io = NULL;
		return core_failed(u, rc);
	}
	layer->cipher = cipher;
	qcow2_image_attach_cipher(&layer->image, cipher);
	return true;
}

/* With AES the password is the key, and nothing tells whether it is right. */
static bool key_unlock(struct unlocking *u)
{
	int rc;

	if (!can_unlock(u))
		return false;
	if (!is_luks(u)) {
		if (!key_ask(u))
			return false;
		qcow2_aes_key(u->password.bytes, u->password.len, u->key);
		return cipher_attach(u, &qcow2_aes_spec);
	}
	rc = qcow2_luks_read(&u->luks, &u->layer->image, &u->err);
	if (rc != QCOW2_OK) {
		qp_fail_luks(u->layer, &u->luks, rc, &u->err);
		return false;
	}
	return key_ask(u) && luks_key(u) && cipher_attach(u, &u->luks.spec);
}

bool qp_unlock(struct qp_layer *layer, const struct qcow2_options *options)
{
	struct unlocking u;
	bool done;

	if (layer->image.crypt_method == QCOW2_CRYPT_NONE)
		return true;
	if ((options->flags & (QCOW2_INSPECT | QCOW2_WITHOUT_KEYS)) != 0u) {
		layer->sealed.decrypt = qp_sealed_decrypt;
		qcow2_image_attach_cipher(&layer->image, &layer->sealed);
		return true;
	}
	memset(&u, 0, sizeof u);
	u.layer = layer;
	u.options = options;
	done = key_unlock(&u);
	qcow2_wipe(u.key, sizeof u.key);
	return done;
}

void qp_lock(struct qp_layer *layer)
{
	if (layer->cipher != NULL)
		qp_crypto->close(qp_crypto, layer->cipher);
	free(layer->cipher);
	layer->cipher = NULL;
}
