/* SPDX-License-Identifier: MIT */
/* An image as a whole, read with little and with much memory: the properties in reading.c. */
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
	/* An external data file that is the image itself: data at its place passes for data. */
	fuzz_file_init(&external, data, len);
	flags = QCOW2_OPEN_LAYER | (unsigned)fuzz_choose(&choices, 2);
	if (qcow2_image_open(&image, &file.io, flags, NULL) != QCOW2_OK)
		return 0;
	if ((image.incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) != 0)
		CHECK(qcow2_image_attach_data(&image, &external.io) == QCOW2_OK);
	fuzz_check_windows(&image, &files, &choices, 2);
	return 0;
}
