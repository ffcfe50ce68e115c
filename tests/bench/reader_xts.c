/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The yardstick for encrypted images: pread, and libgcrypt alone. Takes any file for sectors that
 * are encrypted with AES-256 in mode XTS, and decrypts them. What comes out means nothing.
 */
#define _FILE_OFFSET_BITS 64
#define _XOPEN_SOURCE     700

#include "bench/reader.h"

#include <fcntl.h>
#include <gcrypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512, KEY_LEN = 64, IV_LEN = 16 };

struct reader {
	int fd;
	uint64_t size;
	gcry_cipher_hd_t cipher;
};

struct reader *reader_open(const char *path)
{
	struct reader *reader = malloc(sizeof *reader);
	unsigned char key[KEY_LEN];
	struct stat st;
	int i;

	if (reader == NULL)
		return NULL;
	for (i = 0; i < KEY_LEN; i++)
		key[i] = (unsigned char)i;
	gcry_check_version(NULL);
	reader->fd = open(path, O_RDONLY);
	if (reader->fd < 0 || fstat(reader->fd, &st) != 0 ||
	    gcry_cipher_open(&reader->cipher, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_XTS, 0) != 0 ||
	    gcry_cipher_setkey(reader->cipher, key, sizeof key) != 0) {
		perror(path);
		free(reader);
		return NULL;
	}
	reader->size = (uint64_t)st.st_size;
	return reader;
}

uint64_t reader_size(struct reader *reader)
{
	return reader->size;
}

/* The offset and the length are multiples of a sector. */
bool reader_read(struct reader *reader, void *buf, size_t len, uint64_t off)
{
	unsigned char iv[IV_LEN] = { 0 };
	unsigned char *sector = buf;
	uint64_t number = off / SECTOR;
	size_t done;
	int i;

	if (pread(reader->fd, buf, len, (off_t)off) != (ssize_t)len)
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
	close(reader->fd);
	free(reader);
}
