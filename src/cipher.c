/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Encrypted data: attaches a cipher to an image, and reads through it. reader.c calls this through
 * cipher->read, so nothing of it is linked unless a program attaches a cipher.
 *
 * Data is decrypted in whole sectors. All sectors that are wanted as a whole are read and decrypted
 * in the caller's buffer. The first and the last one, of which only a part may be wanted, go
 * through a slice of the cache of tables:
 *
 *	file       |  sector  |  sector  |  sector  |  sector  |
 *	wanted          [.............................]
 *	                 |         |          |         |
 *	                 slice 0   buffer     buffer    slice 0
 */
#include "internal.h"
#include "qcow2/cipher.h"

uint64_t qcow2_extent_sector(const struct qcow2_extent *extent)
{
	if (extent->image->crypt_method == QCOW2_CRYPT_AES)
		return extent->off / QCOW2_SECTOR_LEN;
	return extent->pos / QCOW2_SECTOR_LEN;
}

/*
 * Reads n > 0 sectors at reader->error.pos to buf, and decrypts them. Those that are not wholly in
 * the file become zeros; the map has them in an extent only with QCOW2_OPEN_TRUNCATED. To decrypt a
 * part of a sector would make noise of it.
 */
static int sectors_read(struct qcow2_reader *reader, uint64_t sector, uint8_t *buf, size_t n)
{
	const struct qcow2_cipher *cipher = reader->extent.image->cipher;
	q2_cursor *at = &reader->error;
	uint64_t whole = q2_left(at->io->size, at->pos) / QCOW2_SECTOR_LEN;
	int rc;

	if (n > whole) {
		memset(buf, 0, n * QCOW2_SECTOR_LEN);
		n = (size_t)whole;
		if (n == 0u)
			return QCOW2_OK;
	}
	rc = q2_io_read(at, buf, n * QCOW2_SECTOR_LEN);
	if (rc != QCOW2_OK)
		return rc;
	return cipher->decrypt(cipher, sector, buf, n);
}

/*
 * Reads len bytes from byte number `skip` of a sector on to buf, through slice 0. That slice then
 * has no table any more.
 */
static int sector_part_read(struct qcow2_reader *reader, uint64_t sector, uint32_t skip,
                            uint8_t *buf, size_t len)
{
	int rc;

	reader->keys->high = Q2_KEY_NONE;
	rc = sectors_read(reader, sector, reader->memory, 1);
	if (rc == QCOW2_OK)
		memcpy(buf, reader->memory + skip, len);
	return rc;
}

/* Reads the first len bytes of reader->extent to buf. cipher->read points here. */
static int encrypted_read(struct qcow2_reader *reader, uint8_t *buf, size_t len)
{
	uint64_t sector = qcow2_extent_sector(&reader->extent);
	uint32_t skip = (uint32_t)reader->extent.pos % QCOW2_SECTOR_LEN;
	int rc = QCOW2_OK;

	reader->error.pos -= skip;
	while (rc == QCOW2_OK && len > 0u) {
		size_t n = 1; /* sectors */
		size_t part;  /* bytes of them that are wanted */

		if (skip == 0u && len >= QCOW2_SECTOR_LEN) {
			n = len / QCOW2_SECTOR_LEN;
			part = n * QCOW2_SECTOR_LEN;
			rc = sectors_read(reader, sector, buf, n);
		} else {
			part = QCOW2_SECTOR_LEN - skip;
			if (part > len)
				part = len;
			rc = sector_part_read(reader, sector, skip, buf, part);
			skip = 0;
		}
		buf += part;
		len -= part;
		sector += n;
		reader->error.pos += n * QCOW2_SECTOR_LEN;
	}
	return rc;
}

int qcow2_image_attach_cipher(struct qcow2_image *image, struct qcow2_cipher *cipher)
{
	if (image == NULL || image->crypt_method == QCOW2_CRYPT_NONE || image->cipher != NULL)
		return QCOW2_E_ARGUMENT;
	if (cipher == NULL || cipher->decrypt == NULL)
		return QCOW2_E_ARGUMENT;
	cipher->read = encrypted_read;
	image->cipher = cipher;
	return QCOW2_OK;
}
