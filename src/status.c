/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The texts of the statuses, in an object of their own: a program that does not show them does not
 * link them. The ports build their messages from these texts.
 */
#include "qcow2/status.h"

const char *qcow2_status_text(int status)
{
	switch (status) {
	case QCOW2_OK: return "no error";
	case QCOW2_E_ARGUMENT: return "invalid argument";
	case QCOW2_E_RANGE: return "outside the disk";
	case QCOW2_E_MEMORY: return "not enough memory";
	case QCOW2_E_BACKING: return "needs its backing file";
	case QCOW2_E_DATA_FILE: return "needs its external data file";
	case QCOW2_E_DEPTH: return "backing chain is too long or a loop";
	case QCOW2_E_NOT_FOUND: return "not found";
	case QCOW2_E_KEY: return "wrong password or key";
	case QCOW2_E_LIMIT: return "ended before it was complete";
	case QCOW2_E_IO: return "read error";
	case QCOW2_E_CRYPTO: return "cipher or hash failed";
	case QCOW2_E_NOT_QCOW2: return "not a qcow2 image";
	case QCOW2_E_VERSION: return "unsupported qcow version";
	case QCOW2_E_FEATURE: return "unknown incompatible feature";
	case QCOW2_E_ENCRYPTED: return "image is encrypted";
	case QCOW2_E_COMPRESSION: return "unknown compression type";
	case QCOW2_E_CODEC: return "no decoder for compressed cluster";
	case QCOW2_E_TOO_BIG: return "size exceeds the limits";
	case QCOW2_E_CLUSTER_BITS: return "unsupported cluster size";
	case QCOW2_E_SNAPSHOT_DATA_FILE: return "snapshot with external data";
	case QCOW2_E_HEADER: return "invalid header field";
	case QCOW2_E_EXTENSION: return "invalid header extension";
	case QCOW2_E_L1: return "invalid L1 table";
	case QCOW2_E_L2_ENTRY: return "invalid L1 or L2 table entry";
	case QCOW2_E_COMPRESSED: return "compressed data is corrupt";
	case QCOW2_E_SNAPSHOT: return "invalid snapshot table";
	case QCOW2_E_TRUNCATED: return "image is truncated";
	case QCOW2_E_REFCOUNT: return "invalid refcount table entry";
	case QCOW2_E_BITMAP: return "invalid bitmap directory";
	case QCOW2_E_INCONSISTENT: return "bitmap is inconsistent";
	case QCOW2_E_LUKS: return "invalid LUKS header";
	default: return "unknown status";
	}
}
