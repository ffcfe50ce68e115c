/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "heap_reader.h"

#include "qcow2/codec.h"

int port_heap_reader_start(struct qcow2_reader *reader, const struct qcow2_image *image,
                           void *(*alloc)(size_t len), void **memory)
{
	static const struct qcow2_codec *const fast[] = { &qcow2_deflate_fast, &qcow2_zstd_fast,
		                                          NULL };
	static const struct qcow2_codec *const small[] = { &qcow2_deflate_small, &qcow2_zstd_small,
		                                           NULL };
	const struct qcow2_codec *const *codecs = fast;
	size_t min, good, least = QCOW2_READER_MEMORY_DEFLATE;

	if (qcow2_reader_memory(image, codecs, &min, &good) != QCOW2_OK)
		min = good = least; /* the start fails, with the reason */
	*memory = alloc(good);
	if (*memory == NULL) {
		good = min;
		*memory = alloc(good);
	}
	if (*memory == NULL) {
		codecs = small;
		(void)qcow2_reader_memory(image, codecs, &least, &min);
		good = least;
		*memory = alloc(good);
	}
	if (*memory == NULL)
		return QCOW2_E_MEMORY;
	return qcow2_reader_start(reader, image, codecs, *memory, good);
}
