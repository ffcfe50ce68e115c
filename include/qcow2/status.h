/* SPDX-License-Identifier: MIT */
/*
 * What a call of the core answers, and what it knows about a failure.
 *
 * Every call returns QCOW2_OK (0) or one of the negative statuses below. A call that fails leaves
 * image and reader as usable as before; the same call after a passing fault succeeds.
 */
#ifndef QCOW2_STATUS_H
#define QCOW2_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum qcow2_status {
	QCOW2_OK = 0,

	/* The caller's mistake. */
	QCOW2_E_ARGUMENT = -1,  /* an argument that can never be right: NULL, misaligned memory */
	QCOW2_E_RANGE = -2,     /* offset or length outside the disk */
	QCOW2_E_MEMORY = -3,    /* the memory given is too small; detail = bytes that are needed */
	QCOW2_E_BACKING = -4,   /* the image needs its backing file attached first */
	QCOW2_E_DATA_FILE = -5, /* the image needs its external data file attached first */
	QCOW2_E_DEPTH = -6,     /* the backing chain is longer than QCOW2_CHAIN_MAX, or a loop */
	QCOW2_E_NOT_FOUND = -7, /* no such snapshot, or no name for that feature bit */

	/* The storage below failed. */
	QCOW2_E_IO = -16, /* the io callback failed; io_code = what it returned */

	/* A valid file of a kind that is not read here. */
	QCOW2_E_NOT_QCOW2 = -32,    /* the magic is not there */
	QCOW2_E_VERSION = -33,      /* neither version 2 nor 3; detail = the version (1: qcow) */
	QCOW2_E_FEATURE = -34,      /* unknown incompatible feature; detail = the unknown bits */
	QCOW2_E_ENCRYPTED = -35,    /* encrypted; detail = crypt_method (1: AES, 2: LUKS) */
	QCOW2_E_COMPRESSION = -36,  /* unknown compression type; detail = the type */
	QCOW2_E_CODEC = -37,        /* compressed cluster, and no codec for it; detail = the type */
	QCOW2_E_TOO_BIG = -38,      /* a size beyond the limits; detail = the value */
	QCOW2_E_CLUSTER_BITS = -39, /* cluster size out of 512 ... 2 MiB; detail = cluster_bits */
	QCOW2_E_SNAPSHOT_DATA_FILE = -40, /* snapshots of an image with external data */

	/* The file is damaged. */
	QCOW2_E_HEADER = -48,     /* a header field that cannot be; pos = the field */
	QCOW2_E_EXTENSION = -49,  /* a header extension that cannot be; pos = the extension */
	QCOW2_E_L1 = -50,         /* L1 table: misplaced, or too small for the disk */
	QCOW2_E_L2_ENTRY = -51,   /* L1 or L2 entry that cannot be; pos = the entry */
	QCOW2_E_COMPRESSED = -52, /* compressed data that does not decode; pos = its start */
	QCOW2_E_SNAPSHOT = -53,   /* snapshot table entry that cannot be; pos = the entry */
	QCOW2_E_TRUNCATED = -54,  /* the file ends before what it must hold; pos = where that is */
	QCOW2_E_REFCOUNT = -55,   /* refcount table entry that cannot be; pos = the entry */
	QCOW2_E_BITMAP = -56      /* bitmap directory that cannot be; pos = the entry */
};

struct qcow2_io;

/* What is known about the last failure. */
struct qcow2_error {
	int status;                /* enum qcow2_status */
	int io_code;               /* QCOW2_E_IO: what the io callback returned; else 0 */
	uint64_t pos;              /* byte position in the file *io, if that is told */
	uint64_t detail;           /* if the status says what */
	const struct qcow2_io *io; /* the file in which it was seen; NULL: none */
};

/*
 * A static text for a status, without a newline: "compressed data is corrupt". Never NULL; an
 * unknown value gets a text that says so. In an object of its own: not called, not linked.
 */
const char *qcow2_status_text(int status);

#ifdef __cplusplus
}
#endif
#endif
