/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the harnesses of Eva share: a variable with any value, and a file with any content, whose
 * reads may fail at any time.
 */
#ifndef PROOF_H
#define PROOF_H

#include <string.h> /* the specifications of memcpy and memset */

#include "__fc_builtin.h"
#include "qcow2/io.h"

static uint64_t any64(void)
{
	return Frama_C_unsigned_long_long_interval(0, UINT64_MAX);
}

/* Every possible image: each read gives any bytes or fails. Two reads may give different bytes. */
static int any_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	(void)ctx;
	(void)pos;
	if (len > 0u)
		Frama_C_make_unknown((char *)buf, len);
	return Frama_C_interval(-1, 0);
}

static const struct qcow2_io_ops any_ops = { any_read };

static void any_io(struct qcow2_io *io)
{
	static char nothing;

	io->ops = &any_ops;
	io->ctx = &nothing;
	io->size = any64();
}

#endif
