/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Unlocks the key of a LUKS header with a password, through the primitives of the caller. luks.c
 * has checked the header, and luks_verify.c checks the key.
 *
 * The key material of a slot is the key, split into 4000 stripes that are all needed, and encrypted
 * under a key that PBKDF2 makes of the password:
 *
 *	password --PBKDF2--> slot key --decrypts--> stripes --merge--> key --PBKDF2--> digest
 *
 * A merged key is right if its digest is that of the header. Merging goes through the stripes in
 * order and keeps only a running sum, so it needs one sector of them at a time.
 */
#include "internal.h"
#include "qcow2/luks.h"

enum { AT_SLOT_SALT = 8 };

Q2_STATIC_ASSERT(digest_fits, QCOW2_DIGEST_MAX <= QCOW2_KEY_MAX);

/*
 * Hashes the running sum: each piece of it that is as long as a digest, with its number in front.
 * The last one may be shorter.
 */
static int sum_hash(struct qcow2_luks_unlocking *u)
{
	uint8_t prefix[4] = { 0, 0, 0, 0 };
	uint32_t left = u->luks->spec.key_len;
	uint8_t *piece = u->key;

	for (;;) {
		uint32_t n = qcow2_digest_len(u->luks->hash);
		int rc;

		if (n > left)
			n = left;
		rc = u->crypto->hash(u->crypto, u->luks->hash, prefix, piece, n, u->work.key);
		if (rc != QCOW2_OK)
			return rc;
		memcpy(piece, u->work.key, n);
		piece += n;
		left -= n;
		if (left == 0u)
			return QCOW2_OK;
		prefix[3]++; /* at most 3: 64 bytes of key, digests of 16 bytes */
	}
}

/*
 * Merges the stripes at at->pos: adds one after the other to the sum, and hashes the sum between
 * two of them. They fill whole sectors.
 */
static int stripes_merge(struct qcow2_luks_unlocking *u, q2_cursor *at)
{
	uint64_t pos = at->pos;
	uint32_t in_stripe = 0;
	uint32_t done;

	memset(u->key, 0, sizeof u->key);
	for (done = 0; done < u->luks->slot_len; done++) {
		uint32_t in_sector = done % QCOW2_SECTOR_LEN;
		int rc = QCOW2_OK;

		if (in_sector == 0u) {
			rc = q2_image_read(u->luks->image, pos + done, u->work.sector,
			                   QCOW2_SECTOR_LEN, at);
			if (rc == QCOW2_OK)
				rc = u->cipher->decrypt(u->cipher, done / QCOW2_SECTOR_LEN,
				                        u->work.sector, 1);
		}
		if (rc != QCOW2_OK)
			return rc;
		if (in_stripe >= u->luks->spec.key_len) {
			in_stripe = 0;
			rc = sum_hash(u);
			if (rc != QCOW2_OK)
				return rc;
		}
		u->key[in_stripe++] ^= u->work.sector[in_sector];
	}
	return QCOW2_OK;
}

/* Merges the key of a slot into u->key, and checks it. */
static int slot_try(struct qcow2_luks_unlocking *u, unsigned i, q2_cursor *at)
{
	const struct qcow2_luks *luks = u->luks;
	uint64_t from = (uint64_t)luks->slots[i].sector * QCOW2_SECTOR_LEN;
	const uint8_t *salt =
		luks->header + QCOW2_LUKS_SLOTS_AT + QCOW2_LUKS_SLOT_LEN * i + AT_SLOT_SALT;
	int rc;

	at->pos = luks->pos + from;
	if (q2_left(luks->len, from) < luks->slot_len)
		return QCOW2_E_LUKS;
	rc = u->crypto->pbkdf2(u->crypto, luks->hash, u->password, u->password_len, salt,
	                       luks->slots[i].iterations, u->work.key, luks->spec.key_len);
	if (rc == QCOW2_OK)
		rc = u->crypto->open(u->crypto, &luks->spec, u->work.key, u->cipher);
	if (rc != QCOW2_OK)
		return rc;
	rc = stripes_merge(u, at);
	if (rc == QCOW2_OK)
		rc = qcow2_luks_verify(u->luks, u->crypto, u->key, u->max_iterations, at);
	u->crypto->close(u->crypto, u->cipher);
	return rc;
}

/*
 * Tries the active slots, the lowest first, until one opens: then its key is in u->key. A slot
 * with too many iterations is passed over, and is the failure only if no other slot opens.
 */
static int slots_try(struct qcow2_luks_unlocking *u, q2_cursor *at)
{
	uint32_t too_many = 0;
	uint32_t tried = 0;
	unsigned i;

	for (i = 0; i < QCOW2_LUKS_SLOTS; i++) {
		uint32_t iterations = u->luks->slots[i].iterations;
		int rc;

		if (iterations > u->max_iterations) {
			too_many = iterations;
		} else if (iterations != 0u) {
			tried++;
			rc = slot_try(u, i, at);
			if (rc != QCOW2_E_KEY)
				return rc;
		}
	}
	at->detail = too_many != 0u ? too_many : tried;
	return too_many != 0u ? QCOW2_E_TOO_BIG : QCOW2_E_KEY;
}

int qcow2_luks_unlock(struct qcow2_luks_unlocking *u, struct qcow2_error *err)
{
	struct qcow2_error unseen;
	int rc = QCOW2_E_TOO_BIG;

	err = q2_err(err, &unseen);
	if (u == NULL || u->luks == NULL || u->luks->image == NULL || u->crypto == NULL ||
	    u->cipher == NULL || (u->password == NULL && u->password_len != 0u))
		return q2_note(err, QCOW2_E_ARGUMENT);
	err->io = &u->luks->image->io;
	err->pos = u->luks->pos;
	err->detail = u->luks->digest_iterations;
	if (u->luks->digest_iterations <= u->max_iterations)
		rc = slots_try(u, err);
	if (rc != QCOW2_OK)
		qcow2_wipe(u->key, sizeof u->key);
	qcow2_wipe(&u->work, sizeof u->work);
	return q2_note(err, rc);
}
