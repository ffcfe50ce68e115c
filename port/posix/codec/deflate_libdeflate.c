/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Deflate by libdeflate.
 */
#include "codecs.h"

#include <libdeflate.h>

const char *const qp_deflate_decoder = "libdeflate";

bool qp_deflate_cluster(void **state, const struct qcow2_stream *stream)
{
	size_t used; /* passing it allows the input to be longer than the stream */

	if (*state == NULL)
		*state = libdeflate_alloc_decompressor();
	return *state != NULL &&
	       libdeflate_deflate_decompress_ex(
		       *state, stream->next, (size_t)(stream->end - stream->next), stream->window,
		       stream->stop, &used, NULL) == LIBDEFLATE_SUCCESS;
}

void qp_deflate_end(struct qp_codec *codec)
{
	libdeflate_free_decompressor(*codec->state); /* NULL is allowed */
	*codec->state = NULL;
}
