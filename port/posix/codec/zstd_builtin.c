/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * zstd by the core's fast decoder.
 */
#include "codecs.h"

const char *const qp_zstd_decoder = "built in";

static void zstd_builtin_begin(const struct qcow2_codec *self, void *work)
{
	(void)qp_codec_claim(qp_codec_of(self));
	qcow2_zstd_fast.begin(&qcow2_zstd_fast, work);
}

void qp_zstd_init(struct qp_codec *codec)
{
	codec->core = qcow2_zstd_fast;
	codec->core.begin = zstd_builtin_begin;
}
