/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads and checks the LUKS header of an image: version 1 of the LUKS On-Disk Format, as QEMU
 * writes it. Needs no key; luks_unlock.c does.
 *
 *	pos                                                            pos + len
 *	| header, slots | ... | material 0 | material 1 | ... | payload
 *	0             592    |<------ sectors 8 to payload_sector ------>|
 */
#include "internal.h"
#include "qcow2/luks.h"

/* Byte positions of the fields. Numbers are big endian. */
enum {
	AT_LUKS_MAGIC = 0,
	AT_LUKS_VERSION = 6, /* 2 bytes */
	AT_CIPHER_NAME = 8,
	AT_CIPHER_MODE = 40,
	AT_HASH_SPEC = 72,
	AT_PAYLOAD_SECTOR = 104,
	AT_KEY_LEN = 108,
	AT_DIGEST_ITERATIONS = 164
};

/* Of a slot. Its salt is between the iterations and the sector. */
enum { AT_SLOT_STATE = 0, AT_SLOT_ITERATIONS = 4, AT_SLOT_SECTOR = 40, AT_SLOT_STRIPES = 44 };

#define SLOT_ACTIVE   UINT32_C(0x00ac71f3)
#define SLOT_INACTIVE UINT32_C(0x0000dead)

enum {
	HEADER_SECTORS = 8,                  /* what the header takes, rounded up to 4 KiB */
	HEADER_GOOD = QCOW2_LUKS_HEADER_LEN, /* instead of the position of a bad field */
	NAME_LEN = 10,                       /* the longest name with its NUL */
	NAME_NONE = 255                      /* no name of a list */
};

/* The names in the order of the numbers in crypto.h. */
static const char cipher_names[][NAME_LEN] = { "aes", "serpent", "twofish", "cast5" };
static const char mode_names[][NAME_LEN] = { "ecb", "cbc", "ctr", "xts" };
static const char iv_names[][NAME_LEN] = { "plain", "plain64", "essiv" };
static const char hash_names[][NAME_LEN] = { "md5",    "sha1",   "sha224",   "sha256",
	                                     "sha384", "sha512", "ripemd160" };

/*
 * Returns the number of the name that *text begins with, if the byte `end` follows it, and moves
 * *text behind that. Otherwise returns NAME_NONE. Names are shorter than their fields, so a field
 * without a NUL matches none, and nothing behind it is read.
 */
static uint8_t name_find(const char (*names)[NAME_LEN], uint32_t n, const uint8_t **text,
                         uint8_t end)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		uint32_t len = 0;

		while (names[i][len] != '\0' && (uint8_t)names[i][len] == (*text)[len])
			len++;
		if (names[i][len] == '\0' && (*text)[len] == end) {
			*text += len + 1u;
			return (uint8_t)i;
		}
	}
	return NAME_NONE;
}

/*
 * Is there such a cipher? XTS takes two keys, and blocks of 16 bytes. Keys of 24 bytes exist only
 * with XTS, because without it their key material would not fill whole sectors.
 */
static bool key_is_valid(const struct qcow2_cipher_spec *spec)
{
	bool small = spec->cipher == QCOW2_CIPHER_CAST5;
	uint32_t len = spec->key_len;

	if (len % 16u != 0u)
		return false;
	if (spec->mode == QCOW2_MODE_XTS) {
		if (small)
			return false;
		len /= 2u;
	}
	return len - 16u <= (small ? 0u : 16u);
}

/* The names of the cipher, the mode and the hash. Returns the position of a bad field. */
static uint32_t names_check(struct qcow2_luks *luks)
{
	struct qcow2_cipher_spec *spec = &luks->spec;
	const uint8_t *text = luks->header + AT_CIPHER_MODE;

	/* The mode: "xts-plain64", "cbc-essiv:sha256". */
	spec->mode = name_find(mode_names, 4, &text, '-');
	spec->iv = name_find(iv_names, 3, &text, ':');
	spec->iv_hash = QCOW2_HASH_SHA1; /* if there is none: one that ESSIV does not take */
	if (spec->iv == NAME_NONE)
		spec->iv = name_find(iv_names, 3, &text, '\0');
	else
		spec->iv_hash = name_find(hash_names, 7, &text, '\0');
	text = luks->header + AT_CIPHER_NAME;
	spec->cipher = name_find(cipher_names, 4, &text, '\0');
	text = luks->header + AT_HASH_SPEC;
	luks->hash = name_find(hash_names, 7, &text, '\0');
	if (spec->cipher == NAME_NONE)
		return AT_CIPHER_NAME;
	if (luks->hash == NAME_NONE)
		return AT_HASH_SPEC;
	/* An unknown hash is an error even if it is not used, as in QEMU. */
	if ((spec->mode | spec->iv | spec->iv_hash) == NAME_NONE)
		return AT_CIPHER_MODE;
	if (!key_is_valid(spec))
		return AT_KEY_LEN;
	if (spec->iv != QCOW2_IV_ESSIV)
		spec->iv_hash = 0;
	/* The digest must be a key of the cipher, so its length is 16 or 32. */
	else if (spec->iv_hash != QCOW2_HASH_MD5 &&
	         (spec->iv_hash != QCOW2_HASH_SHA256 || spec->cipher == QCOW2_CIPHER_CAST5))
		return AT_CIPHER_MODE;
	return HEADER_GOOD;
}

/*
 * A slot. Its key material is between the header and the payload, and apart from that of the slots
 * before it.
 */
static bool slot_check(struct qcow2_luks *luks, unsigned i, const uint8_t *raw)
{
	struct qcow2_luks_slot *slot = &luks->slots[i];
	/* From one slot to the next: rounded up to 4 KiB. */
	uint32_t len = (luks->slot_len + 4095u) / 4096u * 8u;
	uint32_t state = q2_be32(raw + AT_SLOT_STATE);

	slot->sector = q2_be32(raw + AT_SLOT_SECTOR);
	if (state == SLOT_ACTIVE) {
		slot->iterations = q2_be32(raw + AT_SLOT_ITERATIONS);
		if (slot->iterations == 0u)
			return false;
	} else if (state != SLOT_INACTIVE) {
		return false;
	}
	if (q2_be32(raw + AT_SLOT_STRIPES) != QCOW2_LUKS_STRIPES || slot->sector < HEADER_SECTORS ||
	    luks->payload_sector < len || slot->sector > luks->payload_sector - len)
		return false;
	while (i-- != 0u) {
		uint32_t other = luks->slots[i].sector;

		if ((slot->sector > other ? slot->sector - other : other - slot->sector) < len)
			return false;
	}
	return true;
}

/* Checks luks->header. Returns HEADER_GOOD, or the position of a bad field or slot in it. */
static uint32_t luks_check(struct qcow2_luks *luks)
{
	const uint8_t *raw = luks->header;
	uint32_t n, at;
	unsigned i;

	/* "LUKS\xba\xbe", version 1 */
	if (q2_be32(raw) != UINT32_C(0x4c554b53) || q2_be16(raw + 4) != 0xbabeu)
		return AT_LUKS_MAGIC;
	if (q2_be16(raw + AT_LUKS_VERSION) != 1u)
		return AT_LUKS_VERSION;
	luks->payload_sector = q2_be32(raw + AT_PAYLOAD_SECTOR);
	luks->digest_iterations = q2_be32(raw + AT_DIGEST_ITERATIONS);
	if (luks->digest_iterations == 0u)
		return AT_DIGEST_ITERATIONS;
	luks->spec.key_len = q2_be32(raw + AT_KEY_LEN);
	at = names_check(luks);
	if (at != HEADER_GOOD)
		return at;
	/* 4000 stripes of 16 bytes are 125 sectors. Not every processor can multiply. */
	n = luks->spec.key_len / 16u;
	luks->slot_len = ((n << 7) - (n << 1) - n) * QCOW2_SECTOR_LEN;
	at = QCOW2_LUKS_SLOTS_AT;
	for (i = 0; i < QCOW2_LUKS_SLOTS; i++) {
		if (!slot_check(luks, i, raw + at))
			break;
		at += QCOW2_LUKS_SLOT_LEN;
	}
	return at; /* the slots end where the header does */
}

/* Finds the header, qcow2.txt "Full disk encryption header pointer", and reads it. */
static int luks_load(struct qcow2_luks *luks, const struct qcow2_image *image, q2_cursor *at)
{
	uint8_t raw[16]; /* extension.c has checked the length */
	uint32_t field;
	int rc;

	at->io = &image->io;
	at->pos = image->header_len;
	if (image->crypto.len == 0u)
		return QCOW2_E_LUKS;
	rc = q2_image_read(image, image->crypto.pos, raw, sizeof raw, at);
	if (rc != QCOW2_OK)
		return rc;
	luks->pos = q2_be64(raw);
	luks->len = q2_be64(raw + 8);
	if (((uint32_t)luks->pos & (image->cluster_len - 1u)) != 0u ||
	    luks->len < QCOW2_LUKS_HEADER_LEN)
		return QCOW2_E_LUKS;
	rc = q2_image_read(image, luks->pos, luks->header, QCOW2_LUKS_HEADER_LEN, at);
	if (rc != QCOW2_OK)
		return rc;
	field = luks_check(luks);
	if (field == HEADER_GOOD)
		return QCOW2_OK;
	at->pos = luks->pos + field;
	return QCOW2_E_LUKS;
}

int qcow2_luks_read(struct qcow2_luks *luks, const struct qcow2_image *image,
                    struct qcow2_error *err)
{
	struct qcow2_error unseen;
	int rc;

	err = q2_err(err, &unseen);
	if (luks == NULL)
		return q2_note(err, QCOW2_E_ARGUMENT);
	memset(luks, 0, sizeof *luks);
	if (image == NULL || image->crypt_method != QCOW2_CRYPT_LUKS)
		return q2_note(err, QCOW2_E_ARGUMENT);
	rc = luks_load(luks, image, err);
	if (rc == QCOW2_OK)
		luks->image = image;
	return q2_note(err, rc);
}
