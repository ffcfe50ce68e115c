/* SPDX-License-Identifier: MIT */
/*
 * Deflate by the core's own decoder, the fast one.
 */
#include "qp.h"

#include <stdlib.h>

struct qcow2_codec *qp_deflate_new(bool *no_memory)
{
	struct qcow2_codec *codec = malloc(sizeof *codec);

	if (codec == NULL)
		*no_memory = true;
	else
		*codec = qcow2_deflate_whole;
	return codec;
}

void qp_deflate_free(struct qcow2_codec *codec)
{
	free(codec);
}
