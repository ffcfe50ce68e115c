/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The statuses that calls of the core return, and the details of a failure.
 *
 * Every call returns QCOW2_OK, which is 0, or one of the negative statuses below; its comment lists
 * those that it fails with. A call that fails leaves the image and the reader usable: when the
 * cause is gone, the same call succeeds.
 */
#ifndef QCOW2_STATUS_H
#define QCOW2_STATUS_H

#include "qcow2/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "detail" and "pos" are members of struct qcow2_error, below. */
enum qcow2_status {
	/* The call succeeded. */
	QCOW2_OK = 0,

	/* ---- The caller made a mistake: -1 to -15 ---- */

	/* An argument breaks the rules of the call: a NULL pointer, a closed image, ... */
	QCOW2_E_ARGUMENT = -1,
	/* The offset or the length is outside the disk. */
	QCOW2_E_RANGE = -2,
	/* The caller gave too little memory; detail is the number of bytes that are needed. */
	QCOW2_E_MEMORY = -3,
	/* The image names a backing file, and no image is attached for it. */
	QCOW2_E_BACKING = -4,
	/* The image has its data in an external file, and that file is not attached. */
	QCOW2_E_DATA_FILE = -5,
	/* The backing chain has more than QCOW2_CHAIN_MAX images, or it is a loop. */
	QCOW2_E_DEPTH = -6,
	/* The list has no further snapshot or bitmap, or the image has no name for a feature. */
	QCOW2_E_NOT_FOUND = -7,
	/* The password opens no slot; detail is the number of slots tried. Or the key is wrong. */
	QCOW2_E_KEY = -8,
	/* A check needs more io calls than the caller allows, or one of its callbacks ended it. */
	QCOW2_E_LIMIT = -9,

	/* ---- The storage or a library failed: -16 to -17 ---- */

	/* The io callback failed; io_code is what it returned, pos is where the read began. */
	QCOW2_E_IO = -16,
	/* A cipher or a primitive of crypto.h failed, or the cryptographic library lacks it. */
	QCOW2_E_CRYPTO = -17,

	/* ---- The file is of a kind that the core does not read: -32 to -47 ---- */

	/* The file does not begin with the magic number of qcow2. */
	QCOW2_E_NOT_QCOW2 = -32,
	/* The version is neither 2 nor 3; detail is the version, which is 1 for qcow. */
	QCOW2_E_VERSION = -33,
	/* The image has an incompatible feature that the core does not know; detail is the bits. */
	QCOW2_E_FEATURE = -34,
	/* The image is encrypted, without a key; detail is its crypt_method: 1: AES, 2: LUKS. */
	QCOW2_E_ENCRYPTED = -35,
	/* The core does not know the compression type of the image; detail is the type. */
	QCOW2_E_COMPRESSION = -36,
	/* The cluster is compressed, and the reader has no codec for it; detail is the type. */
	QCOW2_E_CODEC = -37,
	/* A size or a count exceeds the limits of QEMU or of the caller; detail is its value. */
	QCOW2_E_TOO_BIG = -38,
	/* The clusters are shorter than 512 bytes or longer than 2 MiB; detail is cluster_bits. */
	QCOW2_E_CLUSTER_BITS = -39,
	/* The image has an external data file, so its snapshots cannot be read. */
	QCOW2_E_SNAPSHOT_DATA_FILE = -40,

	/* ---- The file is damaged: -48 and below ---- */

	/* A header field is invalid; pos is that of the field. */
	QCOW2_E_HEADER = -48,
	/* A header extension is invalid; pos is that of the extension. */
	QCOW2_E_EXTENSION = -49,
	/* The L1 table is at an invalid position, or too short for the size of the disk. */
	QCOW2_E_L1 = -50,
	/* An entry of an L1 or L2 table is invalid; pos is that of the entry. */
	QCOW2_E_L2_ENTRY = -51,
	/* Compressed data does not decode to a whole cluster; pos is where that data begins. */
	QCOW2_E_COMPRESSED = -52,
	/* An entry of the snapshot table is invalid; pos is that of the entry. */
	QCOW2_E_SNAPSHOT = -53,
	/* The file ends before something that it must contain; pos is the end of the file. */
	QCOW2_E_TRUNCATED = -54,
	/* The refcount table, or an entry of it, is invalid; pos is that of the entry. */
	QCOW2_E_REFCOUNT = -55,
	/* The bitmap directory, an entry of it or of a bitmap table is invalid; pos is where. */
	QCOW2_E_BITMAP = -56,
	/* The bitmap may lack changes of the disk; pos is that of its entry in the directory. */
	QCOW2_E_INCONSISTENT = -57,
	/* The LUKS header is missing, invalid or not supported; pos is that of the field. */
	QCOW2_E_LUKS = -58
};

struct qcow2_io;

/*
 * The details of a failed call. If the call succeeded, only `status` is valid. `pos` is valid if
 * `io` is not NULL and the call reads the file. `detail` is valid if the comment at the status
 * names it.
 */
struct qcow2_error {
	int status;                /* enum qcow2_status: what the call returned */
	int io_code;               /* what the io callback returned if QCOW2_E_IO, otherwise 0 */
	uint64_t pos;              /* byte position in the file *io */
	uint64_t detail;           /* a number that belongs to the status */
	const struct qcow2_io *io; /* the file that the failure is about, NULL if none */
};

/*
 * Returns a static text for a status, without a newline: "compressed data is corrupt". It is never
 * NULL: an unknown status gets "unknown status". Programs that do not call this do not link the
 * texts.
 */
const char *qcow2_status_text(int status);

#ifdef __cplusplus
}
#endif
#endif
