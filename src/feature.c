/* SPDX-License-Identifier: MIT */
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
 * Finds the table, in an image that does not open. Without a usable header, image->feature_names
 * stays absent and this succeeds.
 */
static int feature_table(const struct qcow2_io *io, struct qcow2_image *image,
                         struct qcow2_error *err)
{
	int rc = q2_image_reset(image, io);

	if (rc != QCOW2_OK)
		return rc;
	err->io = io;
	image->flags = QCOW2_OPEN_INSPECT;
	rc = q2_header_read(image, err);
	if (rc == QCOW2_OK || rc == QCOW2_E_FEATURE) {
		/*
		 * header.c refuses an unknown feature before it reads the encryption method.
		 * Assuming LUKS lets the extensions contain the pointer to a LUKS header.
		 */
		image->crypt_method = QCOW2_CRYPT_LUKS;
		rc = q2_extensions_read(image, err);
	}
	/* If an extension after the table is damaged, the table is still good. */
	return rc == QCOW2_E_IO ? rc : QCOW2_OK;
}

int qcow2_feature_name(const struct qcow2_io *io, unsigned kind, unsigned bit,
                       char name[QCOW2_FEATURE_NAME_ROOM])
{
	struct qcow2_image image;
	uint8_t record[FEATURE_RECORD_LEN];
	struct qcow2_error unseen;
	uint32_t at;
	int rc;

	if (name == NULL)
		return QCOW2_E_ARGUMENT;
	rc = feature_table(io, &image, &unseen);
	if (rc != QCOW2_OK)
		return rc;
	for (at = 0; image.feature_names.len - at >= FEATURE_RECORD_LEN; at += FEATURE_RECORD_LEN) {
		rc = q2_image_read(&image, image.feature_names.pos + at, record, sizeof record,
		                   &unseen);
		if (rc == QCOW2_E_IO)
			return rc;
		/* An empty name, or the end of the file, ends the table. */
		if (rc != QCOW2_OK || record[FEATURE_NAME_AT] == 0u)
			break;
		if (record[0] == kind && record[1] == bit) {
			memcpy(name, record + FEATURE_NAME_AT, FEATURE_NAME_LEN);
			name[FEATURE_NAME_LEN] = '\0';
			return QCOW2_OK;
		}
	}
	return QCOW2_E_NOT_FOUND;
}
