/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The yardstick for encrypted images: pread, and libgcrypt alone. Takes any file for sectors that
 * are encrypted with AES-256 in mode XTS, and decrypts them. What comes out means nothing.
 */
#include <gcrypt.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/file.h"
#include "bench/reader.h"

enum { SECTOR = 512, KEY_LEN = 64, IV_LEN = 16 };

struct reader {
	struct file file;
	gcry_cipher_hd_t cipher;
};

static bool cipher_open(gcry_cipher_hd_t *cipher)
{
	unsigned char key[KEY_LEN];
	int i;

	for (i = 0; i < KEY_LEN; i++)
		key[i] = (unsigned char)i;
	gcry_check_version(NULL);
	return gcry_cipher_open(cipher, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_XTS, 0) == 0 &&
	       gcry_cipher_setkey(*cipher, key, sizeof key) == 0;
}

struct reader *reader_open(const char *path)
{
	struct reader *reader = malloc(sizeof *reader);

	if (reader == NULL || !file_open(&reader->file, path)) {
		free(reader);
		return NULL;
	}
	if (!cipher_open(&reader->cipher)) {
		fprintf(stderr, "%s: libgcrypt has no AES-256-XTS\n", path);
		file_close(&reader->file);
		free(reader);
		return NULL;
	}
	return reader;
}

uint64_t reader_size(struct reader *reader)
{
	return reader->file.size;
}

/* The offset and the length are multiples of a sector. */
bool reader_read(struct reader *reader, void *buf, size_t len, uint64_t off)
{
	unsigned char iv[IV_LEN] = { 0 };
	unsigned char *sector = buf;
	uint64_t number = off / SECTOR;
	size_t done;
	int i;

	if (!file_read(&reader->file, buf, len, off))
		return false;
	for (done = 0; done < len; done += SECTOR, number++) {
		for (i = 0; i < 8; i++)
			iv[i] = (unsigned char)(number >> (8 * i));
		if (gcry_cipher_setiv(reader->cipher, iv, sizeof iv) != 0 ||
		    gcry_cipher_decrypt(reader->cipher, sector + done, SECTOR, NULL, 0) != 0)
			return false;
	}
	return true;
}

void reader_close(struct reader *reader)
{
	gcry_cipher_close(reader->cipher);
	file_close(&reader->file);
	free(reader);
}
