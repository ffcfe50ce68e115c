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

/* The memory of the caller. The cipher of the slot follows. All of it is secret. */
struct luks_work {
	uint8_t piece[QCOW2_SECTOR_LEN]; /* a sector of key material */
	uint8_t key[QCOW2_KEY_MAX];      /* the key of the slot; then digests */
	uint8_t sum[QCOW2_KEY_MAX];      /* of the stripes so far; in the end, the key */
};

/* luks.h promises the size, which also aligns the cipher. */
Q2_STATIC_ASSERT(work_fits, sizeof(struct luks_work) == QCOW2_LUKS_WORK);
Q2_STATIC_ASSERT(work_aligns, QCOW2_LUKS_WORK % 8u == 0u);
Q2_STATIC_ASSERT(digest_fits, QCOW2_DIGEST_MAX <= QCOW2_KEY_MAX);

/*
 * Hashes the running sum: each piece of it that is as long as a digest, with its number in front.
 * The last one may be shorter.
 */
static int sum_hash(const struct qcow2_luks *luks, const struct qcow2_crypto *crypto,
                    struct luks_work *work)
{
	uint8_t prefix[4] = { 0, 0, 0, 0 };
	uint32_t left = luks->spec.key_len;
	uint8_t *piece = work->sum;

	for (;;) {
		uint32_t n = qcow2_digest_len(luks->hash);
		int rc;

		if (n > left)
			n = left;
		rc = crypto->hash(crypto, luks->hash, prefix, piece, n, work->key);
		if (rc != QCOW2_OK)
			return rc;
		memcpy(piece, work->key, n);
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
static int stripes_merge(const struct qcow2_luks *luks, const struct qcow2_crypto *crypto,
                         struct luks_work *work, q2_cursor *at)
{
	const struct qcow2_cipher *cipher = (const void *)(work + 1);
	uint64_t pos = at->pos;
	uint32_t in_stripe = 0;
	uint32_t done;

	memset(work->sum, 0, sizeof work->sum);
	for (done = 0; done < luks->slot_len; done++) {
		uint32_t in_sector = done % QCOW2_SECTOR_LEN;
		int rc = QCOW2_OK;

		if (in_sector == 0u) {
			rc = q2_image_read(luks->image, pos + done, work->piece, QCOW2_SECTOR_LEN,
			                   at);
			if (rc == QCOW2_OK)
				rc = cipher->decrypt(cipher, done / QCOW2_SECTOR_LEN, work->piece,
				                     1);
		}
		if (rc != QCOW2_OK)
			return rc;
		if (in_stripe >= luks->spec.key_len) {
			in_stripe = 0;
			rc = sum_hash(luks, crypto, work);
			if (rc != QCOW2_OK)
				return rc;
		}
		work->sum[in_stripe++] ^= work->piece[in_sector];
	}
	return QCOW2_OK;
}

/* Merges the key of a slot into work->sum, and checks it. */
static int slot_try(const struct qcow2_luks *luks, unsigned i, const struct qcow2_crypto *crypto,
                    const struct qcow2_luks_password *password, struct luks_work *work,
                    q2_cursor *at)
{
	uint64_t from = (uint64_t)luks->slots[i].sector * QCOW2_SECTOR_LEN;
	const uint8_t *salt =
		luks->header + QCOW2_LUKS_SLOTS_AT + QCOW2_LUKS_SLOT_LEN * i + AT_SLOT_SALT;
	struct qcow2_cipher *cipher = (void *)(work + 1);
	int rc;

	at->pos = luks->pos + from;
	if (q2_left(luks->len, from) < luks->slot_len)
		return QCOW2_E_LUKS;
	rc = crypto->pbkdf2(crypto, luks->hash, password->bytes, password->len, salt,
	                    luks->slots[i].iterations, work->key, luks->spec.key_len);
	if (rc == QCOW2_OK)
		rc = crypto->open(crypto, &luks->spec, work->key, cipher);
	if (rc != QCOW2_OK)
		return rc;
	rc = stripes_merge(luks, crypto, work, at);
	if (rc == QCOW2_OK)
		rc = qcow2_luks_verify(luks, crypto, work->sum, password->max_iterations, at);
	crypto->close(crypto, cipher);
	return rc;
}

/*
 * Tries the active slots, the lowest first, until one opens: then its key is in work->sum. A slot
 * with too many iterations is passed over, and is the failure only if no other slot opens.
 */
static int slots_try(const struct qcow2_luks *luks, const struct qcow2_crypto *crypto,
                     const struct qcow2_luks_password *password, struct luks_work *work,
                     q2_cursor *at)
{
	const struct qcow2_luks_slot *skipped = NULL;
	uint32_t most = password->max_iterations;
	uint32_t tried = 0;
	unsigned i;

	for (i = 0; i < QCOW2_LUKS_SLOTS; i++) {
		int rc;

		if (luks->slots[i].iterations == 0u)
			continue;
		if (luks->slots[i].iterations > most) {
			if (skipped == NULL)
				skipped = &luks->slots[i];
			continue;
		}
		tried++;
		rc = slot_try(luks, i, crypto, password, work, at);
		if (rc != QCOW2_E_KEY)
			return rc;
	}
	at->detail = tried;
	if (skipped == NULL)
		return QCOW2_E_KEY;
	at->pos = luks->pos + (uint64_t)skipped->sector * QCOW2_SECTOR_LEN;
	at->detail = skipped->iterations;
	return QCOW2_E_TOO_BIG;
}

int qcow2_luks_unlock(const struct qcow2_luks *luks, const struct qcow2_crypto *crypto,
                      const struct qcow2_luks_password *password, void *work, size_t work_len,
                      uint8_t *key, struct qcow2_error *err)
{
	struct luks_work *w = work;
	struct qcow2_error unseen;
	size_t least;
	int rc;

	err = q2_err(err, &unseen);
	if (luks == NULL || luks->image == NULL || crypto == NULL || password == NULL ||
	    w == NULL || ((uintptr_t)work & 7u) != 0u || key == NULL)
		return q2_note(err, QCOW2_E_ARGUMENT);
	if (password->bytes == NULL && password->len != 0u)
		return q2_note(err, QCOW2_E_ARGUMENT);
	err->io = NULL; /* no file is at fault if the memory is too small */
	least = sizeof *w + crypto->cipher_len;
	err->detail = least;
	if (work_len < least)
		return q2_note(err, QCOW2_E_MEMORY);
	err->io = &luks->image->io;
	err->pos = luks->pos;
	err->detail = luks->digest_iterations;
	rc = QCOW2_E_TOO_BIG;
	if (luks->digest_iterations <= password->max_iterations)
		rc = slots_try(luks, crypto, password, w, err);
	if (rc == QCOW2_OK)
		memcpy(key, w->sum, luks->spec.key_len);
	qcow2_wipe(work, least);
	return q2_note(err, rc);
}
