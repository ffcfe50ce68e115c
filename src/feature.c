/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Names of feature bits, qcow2.txt "Feature name table". An image contains the names of its
 * features, so that a program that refuses the image can name a feature that is newer than itself.
 */
#include "internal.h"

/* A record: kind, bit number, and the name, padded with zeros. */
enum {
	FEATURE_RECORD_LEN = 48,
	FEATURE_NAME_AT = 2,
	FEATURE_NAME_LEN = QCOW2_FEATURE_NAME_ROOM - 1
};

/*
 * Finds the table, in an image that does not open. Without a usable header, *table stays empty and
 * this succeeds. The image is a variable of this function, so that its 168 bytes of stack and the
 * record of the caller can be in the same place.
 */
static int feature_table(const struct qcow2_io *io, struct qcow2_span *table, q2_cursor *at)
{
	struct qcow2_image image;
	int rc = q2_image_reset(&image, io);

	if (rc != QCOW2_OK)
		return rc;
	at->io = io;
	image.flags = QCOW2_OPEN_INSPECT;
	rc = q2_header_read(&image, at);
	if (rc == QCOW2_OK || rc == QCOW2_E_FEATURE) {
		/*
		 * header.c refuses an unknown feature before it reads the encryption method.
		 * Assuming LUKS lets the extensions contain the pointer to a LUKS header.
		 */
		image.crypt_method = QCOW2_CRYPT_LUKS;
		rc = q2_extensions_read(&image, at);
	}
	*table = image.feature_names;
	/* If an extension after the table is damaged, the table is still good. */
	return rc == QCOW2_E_IO ? rc : QCOW2_OK;
}

int qcow2_feature_name(const struct qcow2_io *io, unsigned kind, unsigned bit,
                       char name[QCOW2_FEATURE_NAME_ROOM])
{
	struct qcow2_span table;
	q2_cursor at;
	int rc;

	if (name == NULL)
		return QCOW2_E_ARGUMENT;
	rc = feature_table(io, &table, &at);
	if (rc != QCOW2_OK)
		return rc;
	for (; table.len >= FEATURE_RECORD_LEN; table.len -= FEATURE_RECORD_LEN) {
		uint8_t record[FEATURE_RECORD_LEN];

		if (q2_left(io->size, table.pos) < FEATURE_RECORD_LEN)
			break;
		at.pos = table.pos;
		rc = q2_io_read(&at, record, sizeof record);
		if (rc != QCOW2_OK)
			return rc;
		if (record[FEATURE_NAME_AT] == 0u) /* an empty name ends the table */
			break;
		if (record[0] == kind && record[1] == bit) {
			memcpy(name, record + FEATURE_NAME_AT, FEATURE_NAME_LEN);
			name[FEATURE_NAME_LEN] = '\0';
			return QCOW2_OK;
		}
		table.pos += FEATURE_RECORD_LEN;
	}
	return QCOW2_E_NOT_FOUND;
}
