/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Encrypted images: the cipher that decrypts the data of an image.
 *
 *	qcow2_image_open(&image, &io, QCOW2_OPEN_INSPECT, &err);
 *	... make a cipher, from a key that luks.h unlocks or in another way ...
 *	qcow2_image_attach_cipher(&image, &cipher);
 *	qcow2_reader_init(&reader, &image, memory, sizeof memory);
 *
 * Only the content of data clusters is encrypted. Tables, names, snapshots and bitmaps are not, and
 * neither are compressed clusters: QEMU stores them as plain text. Each image of a chain has a
 * method and a key of its own.
 *
 * Data is encrypted in sectors of 512 bytes, each with its number. A reader reads whole sectors
 * straight into the caller's buffer and decrypts them there. For a part of a sector it uses one of
 * its slices, so it needs no more memory than any other reader.
 *
 * The core has no cipher of its own, and never holds a key. The conventions are in image.h.
 */
#ifndef QCOW2_CIPHER_H
#define QCOW2_CIPHER_H

#include "qcow2/image.h"
#include "qcow2/reader.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Encryption methods: qcow2.txt "Header", bytes 32-35. */
enum { QCOW2_CRYPT_NONE = 0, QCOW2_CRYPT_AES = 1, QCOW2_CRYPT_LUKS = 2 };

/* Bytes of a sector: what a cipher decrypts at once. */
enum { QCOW2_SECTOR_LEN = 512 };

/*
 * A cipher with its key. The caller makes it, as the first member of a struct of its own that has
 * the key. crypto.h describes how libraries make one.
 */
struct qcow2_cipher {
	/*
	 * Decrypts n_sectors > 0 sectors of 512 bytes in place. `sector` is the number of the first
	 * one; the others follow it. Readers on different threads call it at the same time, on
	 * different buffers. buf may have any alignment.
	 *
	 * Returns QCOW2_OK, or QCOW2_E_CRYPTO if that fails. Then buf may contain anything.
	 */
	int (*decrypt)(const struct qcow2_cipher *self, uint64_t sector, void *buf,
	               size_t n_sectors);

	/* Private: reads the first len bytes of reader->extent. The call below sets it. */
	int (*read)(struct qcow2_reader *reader, uint8_t *buf, size_t len);
};

/*
 * Attaches the cipher for the data of an encrypted image. *cipher is not copied, and it may be
 * attached to several images that have the same key. This call writes to it, so attach it to all of
 * them before a reader on another thread uses one. Whether its key is right cannot be seen here:
 * with a wrong key, data reads as noise. LUKS can tell (luks.h), AES cannot.
 *
 * The images of its snapshots that are made later (snapshot.h) have the same cipher. A program that
 * only maps, and has no key, may attach a cipher that always fails.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT  image is NULL, closed or not encrypted, or has a cipher already; cipher is
 *	                  NULL or has no callback
 *
 * Cost: no io call.
 */
int qcow2_image_attach_cipher(struct qcow2_image *image, struct qcow2_cipher *cipher);

/*
 * Returns the number of the sector in which an extent of kind QCOW2_EXTENT_ENCRYPTED begins, for a
 * program that reads and decrypts by itself. The extent begins pos % 512 bytes into the sector. The
 * number counts from the beginning of the disk with AES, and from the beginning of the file *io
 * with LUKS.
 */
uint64_t qcow2_extent_sector(const struct qcow2_extent *extent);

#ifdef __cplusplus
}
#endif
#endif
