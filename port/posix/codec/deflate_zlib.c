/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Deflate by zlib.
 */
#include "codecs.h"

#include <stdlib.h>

#define ZLIB_CONST /* next_in points to const bytes */
#include <zlib.h>

const char *const qp_deflate_decoder = "zlib";

/* Negative: a raw stream, without a zlib header. 15 is the largest window, 32 KiB. */
enum { RAW_WINDOW_BITS = -15 };

static z_stream *zlib_new(void)
{
	z_stream *z = calloc(1, sizeof *z);

	if (z == NULL || inflateInit2(z, RAW_WINDOW_BITS) == Z_OK)
		return z;
	free(z);
	return NULL;
}

bool qp_deflate_cluster(void **state, const struct qcow2_stream *stream)
{
	z_stream *z;

	if (*state == NULL)
		*state = zlib_new();
	z = *state;
	if (z == NULL || inflateReset(z) != Z_OK)
		return false;
	z->next_in = stream->next;
	z->avail_in = (uInt)(stream->end - stream->next);
	z->next_out = stream->window;
	z->avail_out = stream->stop;
	return inflate(z, Z_FINISH) == Z_STREAM_END && z->avail_out == 0u;
}

void qp_deflate_end(struct qp_codec *codec)
{
	if (*codec->state != NULL)
		inflateEnd(*codec->state);
	free(*codec->state);
	*codec->state = NULL;
}
