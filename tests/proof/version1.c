/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Version 1 of the format: open and map, with any image, any arguments, any failure. The reader has
 * memory for exactly one slice, so that the parts of a table entry push each other out.
 */
#include "proof.h"
#include "../../src/internal.h"
#include "qcow2/cipher.h"
#include "qcow2/version1.h"

static uint64_t memory[QCOW2_READER_SLICE / 8];
static struct qcow2_image image;
static struct qcow2_reader reader;
static struct qcow2_io file;

static int no_decrypt(const struct qcow2_cipher *self, uint64_t sector, void *buf, size_t n)
{
	(void)self;
	(void)sector;
	(void)buf;
	(void)n;
	return QCOW2_E_CRYPTO;
}

int main(void)
{
	static struct qcow2_cipher cipher = { no_decrypt, NULL };
	struct qcow2_error err;
	struct qcow2_extent extent;
	int rc;

	any_io(&file);
	Frama_C_make_unknown((char *)memory, sizeof memory);
	(void)qcow2_image_open_v1(NULL, &file, 0, NULL);
	(void)qcow2_image_open_v1(&image, NULL, 0, &err);
	rc = qcow2_image_open_v1(&image, &file, Frama_C_unsigned_int_interval(0, 7), &err);
	if (rc != QCOW2_OK)
		return rc;
	(void)qcow2_image_attach_cipher(&image, &cipher);
	rc = qcow2_reader_init(&reader, &image, memory, sizeof memory);
	if (rc != QCOW2_OK)
		return rc;
	while (Frama_C_interval(0, 1)) {
		/* Eva would take the file of the last error for that of the next one. */
		reader.error.io = &file;
		(void)qcow2_reader_map(&reader, any64(), any64(), &extent);
	}
	return 0;
}
