/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads tables ahead, for a reader that goes through them in order.
 */
#ifndef QCOW2_POSIX_AHEAD_H
#define QCOW2_POSIX_AHEAD_H

#include "../posix.h"

#include "../open/file.h"
#include "qcow2/reader.h"

/* What has been read ahead, for one reader. Zero everything but bytes to start. */
struct qp_ahead {
	const struct qp_file *file; /* the file that the last slice came from */
	uint64_t expected;          /* where the next slice is if they come in order */
	uint64_t pos;               /* `bytes` has len bytes of the file from pos on */
	size_t len;
	char bytes[16 * 1024]; /* 32 slices: the L2 tables of 128 MiB, with 64 KiB clusters */
};

/* A reader of the core, with what it needs to read ahead. */
struct qp_reader {
	struct qcow2_reader core; /* first: its error leads qp_ahead_fetch to this struct */
	struct qp_ahead *ahead;
	int (*fetch)(struct qcow2_error *at, void *buf, size_t len); /* the core's own */
};

/* The hook qcow2_reader.fetch for the core's reader in a qp_reader. */
int qp_ahead_fetch(struct qcow2_error *at, void *buf, size_t len);

#endif
