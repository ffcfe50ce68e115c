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
	NAME_NONE = 255                      /* the number of no name */
};

/*
 * Lists of names: how many there are, and then each with a NUL. They are in the order of their
 * numbers in crypto.h, the highest first. So "plain64" comes before "plain", with which it begins.
 */
#define CIPHER_NAMES "\4cast5\0twofish\0serpent\0aes\0"
#define MODE_NAMES   "\4xts\0ctr\0cbc\0ecb\0"
#define IV_NAMES     "\3essiv\0plain64\0plain\0"
#define HASH_NAMES   "\7ripemd160\0sha512\0sha384\0sha256\0sha224\0sha1\0md5"

static const char name_lists[] = CIPHER_NAMES MODE_NAMES IV_NAMES HASH_NAMES;

/* Kinds of names, in the order in which a qcow2_cipher_spec has them. */
enum { NAME_CIPHER = 0, NAME_MODE = 1, NAME_IV = 2, NAME_HASH = 3 };

Q2_STATIC_ASSERT(names_in_order, offsetof(struct qcow2_cipher_spec, cipher) == NAME_CIPHER &&
                                         offsetof(struct qcow2_cipher_spec, mode) == NAME_MODE &&
                                         offsetof(struct qcow2_cipher_spec, iv) == NAME_IV &&
                                         offsetof(struct qcow2_cipher_spec, iv_hash) == NAME_HASH);

static const struct {
	uint8_t list;  /* where the list begins in name_lists */
	uint8_t joint; /* stands before a name of the next kind; NUL if none can follow */
} name_kinds[] = {
	[NAME_CIPHER] = { 0, '\0' },
	[NAME_MODE] = { sizeof CIPHER_NAMES - 1u, '-' },
	[NAME_IV] = { sizeof CIPHER_NAMES MODE_NAMES - 1u, ':' },
	[NAME_HASH] = { sizeof CIPHER_NAMES MODE_NAMES IV_NAMES - 1u, '\0' },
};

/*
 * Returns the number of the name in the list that *text begins with, and moves *text behind it. If
 * there is none, returns NAME_NONE.
 */
static uint8_t name_find(const char *list, const uint8_t **text)
{
	uint32_t n = (uint8_t)*list++;

	/*@ slevel 200; */
	while (n-- != 0u) {
		const uint8_t *at = *text;

		for (; *list != '\0' && (uint8_t)*list == *at; list++)
			at++;
		if (*list == '\0') {
			*text = at;
			break;
		}
		while (*list++ != '\0') {
		}
	}
	return (uint8_t)n;
}

/*
 * Reads the names in the field at this position, and writes their numbers to luks->spec: one of
 * this kind, and then of the kinds after it, as "cbc-essiv:sha256" has three. Returns false if the
 * field has anything else. All names together are shorter than a field, so a field without a NUL
 * has something else, and nothing behind it is read.
 */
static bool field_read(struct qcow2_luks *luks, uint32_t at, unsigned kind)
{
	const uint8_t *text = luks->header + at;
	uint8_t *numbers = (uint8_t *)&luks->spec;
	uint8_t end;

	do {
		numbers[kind] = name_find(name_lists + name_kinds[kind].list, &text);
		if (numbers[kind] == NAME_NONE)
			break;
		end = *text++;
		if (end == '\0')
			return true;
	} while (end == name_kinds[kind++].joint);
	return false;
}

/*
 * Is there such a cipher? Keys have 16, 24 or 32 bytes; with XTS they are two keys of that, so
 * twice as long. Keys of 24 bytes exist only there, because otherwise their key material would not
 * fill whole sectors. CAST5 has keys of 16 bytes, and blocks that are too short for XTS.
 */
static bool key_is_valid(const struct qcow2_cipher_spec *spec)
{
	uint32_t n = spec->key_len / 16u;
	uint32_t least = spec->mode == QCOW2_MODE_XTS ? 2u : 1u;

	if (spec->key_len % 16u != 0u || (spec->cipher == QCOW2_CIPHER_CAST5 && n != 1u))
		return false;
	return n - least <= least; /* 1 and 2, or 2 to 4 */
}

/* The names of the cipher, the mode and the hash. Returns the position of a bad field. */
static uint32_t names_check(struct qcow2_luks *luks)
{
	struct qcow2_cipher_spec *spec = &luks->spec;

	if (!field_read(luks, AT_CIPHER_NAME, NAME_CIPHER))
		return AT_CIPHER_NAME;
	if (!field_read(luks, AT_HASH_SPEC, NAME_HASH))
		return AT_HASH_SPEC;
	luks->hash = spec->iv_hash; /* where numbers of hashes go */
	spec->iv = NAME_NONE;       /* the field may end before it, or before its hash */
	spec->iv_hash = NAME_NONE;
	if (!field_read(luks, AT_CIPHER_MODE, NAME_MODE))
		return AT_CIPHER_MODE;
	if (!key_is_valid(spec))
		return AT_KEY_LEN;
	/* An unknown hash is an error even if it is not used, as in QEMU. */
	if (spec->iv < QCOW2_IV_ESSIV)
		spec->iv_hash = 0;
	/* With ESSIV, the digest must be a key of the cipher, so its length is 16 or 32. */
	if (spec->iv_hash != QCOW2_HASH_MD5 &&
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
	uint32_t at;
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
	luks->slot_len = luks->spec.key_len * QCOW2_LUKS_STRIPES; /* whole sectors */
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
