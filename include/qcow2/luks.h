/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The LUKS header of an encrypted image: reads it, and unlocks the key with a password.
 *
 *	qcow2_image_open(&image, &io, QCOW2_OPEN_INSPECT, &err);
 *	qcow2_image_extensions(&image, &err);               // finds the LUKS header
 *	qcow2_luks_read(&luks, &image, &err);               // needs no key and no crypto
 *	struct qcow2_luks_unlocking u = { &luks, &crypto, &my_cipher.base, password, len, most };
 *	qcow2_luks_unlock(&u, &err);
 *	crypto.open(&crypto, &luks.spec, u.key, &my_cipher.base);
 *	qcow2_wipe(u.key, sizeof u.key);
 *	qcow2_image_attach_cipher(&image, &my_cipher.base);
 *
 * Unlocking is slow on purpose: each slot has a count of iterations, often millions. On a
 * small device, supply the key itself; qcow2_luks_verify checks it, with less code. If all images
 * have the usual cipher, qcow2_luks_read_aes_xts saves code, too.
 *
 * qcow2.txt "Full disk encryption header pointer" says where the header is. Its format is version 1
 * of the LUKS On-Disk Format Specification. The conventions are in image.h.
 */
#ifndef QCOW2_LUKS_H
#define QCOW2_LUKS_H

#include "qcow2/crypto.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
	QCOW2_LUKS_SLOTS = 8,
	QCOW2_LUKS_STRIPES = 4000,   /* of the key material of each slot */
	QCOW2_LUKS_HEADER_LEN = 592, /* bytes of the header with its slots */
	QCOW2_LUKS_UUID_AT = 168,    /* where the header has a UUID as text */
	QCOW2_LUKS_UUID_LEN = 40,    /* room for it, usually with a terminator */
	QCOW2_LUKS_SLOTS_AT = 208,
	QCOW2_LUKS_SLOT_LEN = 48
};

/* A slot: the key, encrypted under one password. */
struct qcow2_luks_slot {
	uint32_t iterations; /* of PBKDF2; 0 if the slot is not active */
	uint32_t sector;     /* where the key material begins, in sectors from luks->pos */
};

/* All members may be read; only qcow2_luks_read writes them. There is no secret in it. */
struct qcow2_luks {
	const struct qcow2_image *image;
	uint64_t pos; /* of the LUKS header in the image file */
	uint64_t len; /* bytes of the header with its key material, as the image states them */

	struct qcow2_cipher_spec spec; /* of the data, and of the key material */
	uint32_t hash;                 /* QCOW2_HASH_* of PBKDF2, and of the key material */
	uint32_t digest_iterations;    /* of PBKDF2 for the digest of the key; not 0 */
	uint32_t payload_sector;       /* where the key material ends, in sectors from pos */
	uint32_t slot_len;             /* bytes of the key material of a slot */
	struct qcow2_luks_slot slots[QCOW2_LUKS_SLOTS];

	/* The header as it is in the file. The image chose its bytes; check text before use. */
	uint8_t header[QCOW2_LUKS_HEADER_LEN];
};

/*
 * Reads and checks the LUKS header of an image, as QEMU checks it. Needs no key. The image must be
 * opened with QCOW2_OPEN_INSPECT, and qcow2_image_extensions must have found the header. The
 * pointer to the image is kept. On failure *luks is one that no other call accepts.
 *
 * Accepts what QEMU accepts: the ciphers, modes and hashes of crypto.h in all combinations for
 * which a cipher exists. Keys of 24 bytes without XTS do not exist, because QEMU cannot write them.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   luks or image is NULL, or the method of the image is not LUKS
 *	QCOW2_E_LUKS       the header is missing, misplaced or invalid, or not supported; err->pos
 *	                   is the position of the field or the slot
 *	QCOW2_E_TRUNCATED  the file ends before the header does, and the image was opened without
 *	                   QCOW2_OPEN_TRUNCATED
 *	QCOW2_E_IO         the io callback failed
 *
 * Cost: two io calls.
 */
int qcow2_luks_read(struct qcow2_luks *luks, const struct qcow2_image *image,
                    struct qcow2_error *err);

/*
 * The same, but supports only what tools write by default: AES with a key of 128, 192 or 256 bits,
 * in mode XTS with plain64, and the hash SHA-256. Without the list of names it takes less code.
 */
int qcow2_luks_read_aes_xts(struct qcow2_luks *luks, const struct qcow2_image *image,
                            struct qcow2_error *err);

/*
 * A hundred million: several times what QEMU writes, which measures the processor. A limit for
 * programs that have no better one.
 */
#define QCOW2_LUKS_ITERATIONS UINT32_C(100000000)

/* Work memory of qcow2_luks_unlock. */
struct qcow2_luks_work {
	uint8_t key[QCOW2_KEY_MAX];       /* of a slot; then digests */
	uint8_t sector[QCOW2_SECTOR_LEN]; /* of key material */
};

/* A call of qcow2_luks_unlock: what the caller sets, the key, and work memory. */
struct qcow2_luks_unlocking {
	const struct qcow2_luks *luks;
	const struct qcow2_crypto *crypto;
	/* Memory of crypto->cipher_len bytes, aligned to 8. Only the call uses it. */
	struct qcow2_cipher *cipher;
	/* Any bytes; a newline at the end belongs to the password. The caller wipes it. */
	const void *password;
	size_t password_len; /* may be 0; then password may be NULL */
	/*
	 * The most iterations of PBKDF2 for a slot or for the digest. The image states the count,
	 * so without a limit a hostile one keeps the processor busy for hours.
	 */
	uint32_t max_iterations;

	/* The key, of luks->spec.key_len bytes. The caller wipes it after use. */
	uint8_t key[QCOW2_KEY_MAX];

	struct qcow2_luks_work work;
};

/*
 * Unlocks the key with a password: tries each active slot, the lowest first. Before it returns, it
 * wipes u->work, closes the cipher, which wipes that, and wipes u->key if it fails. With
 * QCOW2_E_ARGUMENT it writes nothing to them.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   u is NULL, or luks, crypto or cipher in it; the password has bytes but no
 *	                   pointer to them; or qcow2_luks_read failed
 *	QCOW2_E_KEY        the password opens no slot; err->detail is the number of slots tried
 *	QCOW2_E_TOO_BIG    the digest has more than max_iterations, or an active slot has, and no
 *	                   other one opens; err->detail is how many, in the last such slot
 *	QCOW2_E_LUKS       the key material of a slot is outside of luks->len; err->pos is where
 *	QCOW2_E_TRUNCATED  the file ends before the key material does, and the image was opened
 *	                   without QCOW2_OPEN_TRUNCATED
 *	QCOW2_E_CRYPTO     a primitive failed
 *	QCOW2_E_IO         the io callback failed
 *
 * Cost: for each slot tried, one io call of 512 bytes for each sector of its key material, which
 * are 500 for a key of 64 bytes.
 */
int qcow2_luks_unlock(struct qcow2_luks_unlocking *u, struct qcow2_error *err);

/*
 * Checks a key of luks->spec.key_len bytes that comes from elsewhere. The time that it takes does
 * not depend on how much of the key is right.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT  luks, crypto or key is NULL, or qcow2_luks_read failed
 *	QCOW2_E_KEY       the key is wrong
 *	QCOW2_E_TOO_BIG   the digest has more than max_iterations; err->detail is their number
 *	QCOW2_E_CRYPTO    a primitive failed
 *
 * Cost: no io call.
 */
int qcow2_luks_verify(const struct qcow2_luks *luks, const struct qcow2_crypto *crypto,
                      const uint8_t *key, uint32_t max_iterations, struct qcow2_error *err);

#ifdef __cplusplus
}
#endif
#endif
