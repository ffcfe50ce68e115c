/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Version 1 of the format, which QEMU calls qcow: opens such an image. Everything else works as for
 * an image of version 2: attaching a backing file, readers, codecs for compressed clusters.
 *
 * Such an image has clusters of 512 bytes to 64 KiB, and no format of the backing file, external
 * data file, header extensions, snapshots, bitmaps or refcounts. qcow2.txt does not describe it.
 */
#ifndef QCOW2_VERSION1_H
#define QCOW2_VERSION1_H

#include "qcow2/image.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Opens an image of version 1: reads and checks its header. flags and *io are as for
 * qcow2_image_open, which refuses such an image with QCOW2_E_VERSION and detail 1. On failure
 * *image is a closed image that no other call accepts.
 *
 * The image has version 1 and these members: io, size, flags, cluster_bits, cluster_len,
 * l1_entry_bits, l2_entry_bits (3), l1_pos, l1_entries, crypt_method (0 or 1, AES) and
 * backing_name. The size is exact; QEMU rounds it down to a multiple of 512.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT      image or io is NULL, or *io has no callback
 *	QCOW2_E_NOT_QCOW2     the file does not begin with the magic number
 *	QCOW2_E_VERSION       the version is not 1
 *	QCOW2_E_CLUSTER_BITS  the clusters are shorter than 512 bytes or longer than 64 KiB
 *	QCOW2_E_HEADER        a header field is invalid: the disk has less than 2 bytes, an L2 table
 *	                      has less than 64 or more than 8192 entries, or the name of the backing
 *	                      file is longer than 1023 bytes or past the first 4 GiB of the file;
 *	                      err->pos is the position of the field
 *	QCOW2_E_ENCRYPTED     the image is encrypted and flags has no QCOW2_OPEN_INSPECT, or the
 *	                      encryption method is unknown
 *	QCOW2_E_TOO_BIG       the L1 table would be longer than 2 GiB; err->detail is the size of
 *	                      the disk
 *	QCOW2_E_L1            the L1 table is at 2^63 - 2^32 or higher; err->pos is the position of
 *	                      the field
 *	QCOW2_E_TRUNCATED     the file ends before the header does, or, without
 *	                      QCOW2_OPEN_TRUNCATED, before the L1 table or the name of the backing
 *	                      file does
 *	QCOW2_E_IO            the io callback failed
 *
 * Cost: one io call. Mapping costs what reader.h says, and at most one io call more for a table
 * entry that is not aligned to 8 bytes.
 */
int qcow2_image_open_v1(struct qcow2_image *image, const struct qcow2_io *io, unsigned flags,
                        struct qcow2_error *err);

#ifdef __cplusplus
}
#endif
#endif
