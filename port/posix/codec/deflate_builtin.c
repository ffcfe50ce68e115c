/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Deflate by the core's fast decoder.
 */
#include "codecs.h"

const char *const qp_deflate_decoder = "built in";

static void builtin_begin(const struct qcow2_codec *self, void *work)
{
	(void)qp_codec_claim(qp_codec_of(self));
	qcow2_deflate_fast.begin(&qcow2_deflate_fast, work);
}

void qp_deflate_init(struct qp_codec *codec)
{
	codec->core = qcow2_deflate_fast;
	codec->core.begin = builtin_begin;
}

void qp_deflate_end(struct qp_codec *codec)
{
	(void)codec; /* it keeps nothing outside of the reader's memory */
}
