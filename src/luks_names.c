/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* The names of all ciphers, modes and hashes that QEMU knows in a LUKS header. */
#include "luks.h"

enum { NAME_NONE = 255 }; /* the number of no name */

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

	if (!field_read(luks, Q2_LUKS_AT_CIPHER, NAME_CIPHER))
		return Q2_LUKS_AT_CIPHER;
	if (!field_read(luks, Q2_LUKS_AT_HASH, NAME_HASH))
		return Q2_LUKS_AT_HASH;
	luks->hash = spec->iv_hash; /* where numbers of hashes go */
	spec->iv = NAME_NONE;       /* the field may end before it, or before its hash */
	spec->iv_hash = NAME_NONE;
	if (!field_read(luks, Q2_LUKS_AT_MODE, NAME_MODE))
		return Q2_LUKS_AT_MODE;
	if (!key_is_valid(spec))
		return Q2_LUKS_AT_KEY_LEN;
	/* An unknown hash is an error even if it is not used, as in QEMU. */
	if (spec->iv < QCOW2_IV_ESSIV)
		spec->iv_hash = 0;
	/* With ESSIV, the digest must be a key of the cipher, so its length is 16 or 32. */
	if (spec->iv_hash != QCOW2_HASH_MD5 &&
	    (spec->iv_hash != QCOW2_HASH_SHA256 || spec->cipher == QCOW2_CIPHER_CAST5))
		return Q2_LUKS_AT_MODE;
	return Q2_LUKS_GOOD;
}

int qcow2_luks_read(struct qcow2_luks *luks, const struct qcow2_image *image,
                    struct qcow2_error *err)
{
	return q2_luks_read(luks, image, names_check, err);
}
