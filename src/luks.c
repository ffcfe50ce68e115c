/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads and checks the LUKS header of an image: version 1 of the LUKS On-Disk Format, as QEMU
 * writes it. Needs no key; luks_unlock.c does. luks_names.c or luks_aes_xts.c knows the names in
 *it.
 *
 *	pos                                                            pos + len
 *	| header, slots | ... | material 0 | material 1 | ... | payload
 *	0             592    |<------ sectors 8 to payload_sector ------>|
 */
#include "luks.h"

/* Byte positions of the fields that are not in luks.h. Numbers are big endian. */
enum {
	AT_LUKS_MAGIC = 0,
	AT_LUKS_VERSION = 6, /* 2 bytes */
	AT_PAYLOAD_SECTOR = 104,
	AT_DIGEST_ITERATIONS = 164
};

/* Of a slot. Its salt is between the iterations and the sector. */
enum { AT_SLOT_STATE = 0, AT_SLOT_ITERATIONS = 4, AT_SLOT_SECTOR = 40, AT_SLOT_STRIPES = 44 };

#define SLOT_ACTIVE   UINT32_C(0x00ac71f3)
#define SLOT_INACTIVE UINT32_C(0x0000dead)

enum { HEADER_SECTORS = 8 }; /* what the header takes, rounded up to 4 KiB */

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

/* Checks luks->header. Returns Q2_LUKS_GOOD, or the position of a bad field or slot in it. */
static uint32_t luks_check(struct qcow2_luks *luks, q2_luks_names *names)
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
	luks->spec.key_len = q2_be32(raw + Q2_LUKS_AT_KEY_LEN);
	at = names(luks);
	if (at != Q2_LUKS_GOOD)
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
static int luks_load(struct qcow2_luks *luks, const struct qcow2_image *image, q2_luks_names *names,
                     q2_cursor *at)
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
	field = luks_check(luks, names);
	if (field == Q2_LUKS_GOOD)
		return QCOW2_OK;
	at->pos = luks->pos + field;
	return QCOW2_E_LUKS;
}

int q2_luks_read(struct qcow2_luks *luks, const struct qcow2_image *image, q2_luks_names *names,
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
	rc = luks_load(luks, image, names, err);
	if (rc == QCOW2_OK)
		luks->image = image;
	return q2_note(err, rc);
}
