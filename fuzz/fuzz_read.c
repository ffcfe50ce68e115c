/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Reads an image with little and with much memory; reading.c has the properties. */
#include "common.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_file file, external;
	struct fuzz_files files = { { &file, &external }, 2 };
	struct fuzz_choices choices;
	struct qcow2_image image;
	unsigned flags;

	fuzz_choices_init(&choices, data, len);
	fuzz_file_init(&file, data, len);
	/* The external data file is the image itself, so that its data has known bytes. */
	fuzz_file_init(&external, data, len);
	flags = QCOW2_OPEN_LAYER | (unsigned)fuzz_choose(&choices, 2);
	if (qcow2_image_open(&image, &file.io, flags, NULL) != QCOW2_OK)
		return 0;
	if ((image.incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) != 0)
		CHECK(qcow2_image_attach_data(&image, &external.io) == QCOW2_OK);
	fuzz_check_windows(&image, &files, &choices, 2);
	return 0;
}
