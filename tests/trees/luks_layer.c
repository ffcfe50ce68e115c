/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * port/baremetal with a layer that unlocks LUKS images through port/crypto/mbedtls.c, in place of
 * its own layer_open, which is plain_layer_open here. Shows that this works where there is no libc.
 */
#include "layer.h"

#include "adapters.h"
#include "qcow2/luks.h"

int plain_layer_open(struct layer *layer, const struct qcow2_image *below,
                     struct qcow2_error *error);

/* ---- What Mbed TLS needs beside mem.c ---- */

void *calloc(size_t n, size_t len);
void free(void *memory);
int strcmp(const char *a, const char *b);

/* PBKDF2 takes some blocks and returns all of them, so returning the last one empties the heap. */
static uint64_t heap[1024 / 8];
static size_t heap_used;
static unsigned heap_blocks;

void *calloc(size_t n, size_t len)
{
	size_t words = (n * len + 7u) / 8u;
	uint64_t *memory = heap + heap_used;

	if (words > sizeof heap / 8u - heap_used)
		return NULL;
	for (size_t i = 0; i < words; i++)
		memory[i] = 0;
	heap_used += words;
	heap_blocks++;
	return memory;
}

void free(void *memory)
{
	if (memory != NULL && --heap_blocks == 0u)
		heap_used = 0;
}

int strcmp(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return (uint8_t)*a - (uint8_t)*b;
}

/* ---- Unlocking ---- */

enum { CIPHER_ROOM = 1536 };

static struct qcow2_luks luks;
static uint64_t cipher_memory[CIPHER_ROOM / 8];

static int layer_unlock(struct layer *layer, struct qcow2_error *error)
{
	static struct qcow2_luks_unlocking u = {
		.luks = &luks,
		.crypto = &qcow2_mbedtls,
		.cipher = (void *)cipher_memory,
		.password = "open-sesame",
		.password_len = 11,
		.max_iterations = 10000,
	};
	struct qcow2_cipher *cipher = u.cipher;
	int rc = qcow2_image_extensions(&layer->image, error);

	if (qcow2_mbedtls.cipher_len > sizeof cipher_memory)
		return QCOW2_E_MEMORY;
	if (rc == QCOW2_OK)
		rc = qcow2_luks_read_aes_xts(&luks, &layer->image, error);
	if (rc == QCOW2_OK)
		rc = qcow2_luks_unlock(&u, error);
	if (rc != QCOW2_OK)
		return rc;
	rc = qcow2_mbedtls.open(&qcow2_mbedtls, &luks.spec, u.key, cipher);
	qcow2_wipe(u.key, sizeof u.key);
	return rc == QCOW2_OK ? qcow2_image_attach_cipher(&layer->image, cipher) : rc;
}

int layer_open(struct layer *layer, const struct qcow2_image *below, struct qcow2_error *error)
{
	int rc = plain_layer_open(layer, below, error);

	if (rc != QCOW2_E_ENCRYPTED)
		return rc;
	rc = qcow2_image_open(&layer->image, &layer->io, QCOW2_OPEN_INSPECT, error);
	return rc == QCOW2_OK ? layer_unlock(layer, error) : rc;
}
