/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads a qcow2 image, or an image and its backing file, from block devices. Prints the size and
 * the CRC-32 of the disk, or an error with its position. Needs no libc and no heap, and 16 KiB of
 * RAM.
 *	PROGRAM IMAGE [BACKING]
 */
#include "board.h"
#include "layer.h"

enum { MAX_LAYERS = 2, SECTOR = 512, STATUS_FAILED = 1, STATUS_USAGE = 2 };

static struct layer layers[MAX_LAYERS]; /* from the top of the chain down */
static const char *const *names;
static struct qcow2_reader reader;
static uint8_t sector[SECTOR];

static int open_chain(int n, struct qcow2_error *error)
{
	const struct qcow2_image *below = NULL;

	for (int i = n - 1; i >= 0; i--) {
		int rc;

		error->io = &layers[i].io;
		error->io_code = disk_open(&layers[i].disk, names[i]);
		rc = error->io_code == DISK_OK ? layer_open(&layers[i], below, error) : QCOW2_E_IO;
		if (rc != QCOW2_OK)
			return rc;
		below = &layers[i].image;
	}
	return QCOW2_OK;
}

/* CRC-32 as in zip and Ethernet, four bits at a time to keep the table small. */
static uint32_t crc32_add(uint32_t crc, const uint8_t *bytes, size_t len)
{
	static const uint32_t table[16] = {
		0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u,
		0x4db26158u, 0x5005713cu, 0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu,
		0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu,
	};

	for (size_t i = 0; i < len; i++) {
		crc ^= bytes[i];
		crc = crc >> 4 ^ table[crc & 15u];
		crc = crc >> 4 ^ table[crc & 15u];
	}
	return crc;
}

static int checksum(uint64_t size, uint32_t *result)
{
	uint32_t crc = UINT32_MAX;

	for (uint64_t off = 0; off < size; off += SECTOR) {
		size_t len = size - off < SECTOR ? (size_t)(size - off) : SECTOR;
		int rc = qcow2_reader_read(&reader, off, sector, len);

		if (rc != QCOW2_OK)
			return rc;
		crc = crc32_add(crc, sector, len);
	}
	*result = ~crc;
	return QCOW2_OK;
}

/* The name of the image that an error is about: its io is the layer's or the image's copy of it. */
static const char *name_of(const struct qcow2_io *io)
{
	for (int i = 0; i < MAX_LAYERS; i++) {
		if (io == &layers[i].io || io == &layers[i].image.io)
			return names[i];
	}
	return names[0];
}

/* "base.qcow2: compressed data is corrupt, at byte 0x50000" */
static int complain(int status, const struct qcow2_error *error)
{
	say(name_of(error->io));
	say(": ");
	say(qcow2_status_text(status));
	if (status <= QCOW2_E_IO) { /* the caller's mistakes have no position */
		say(", at byte ");
		say_hex(error->pos);
	}
	if (status == QCOW2_E_IO) {
		say(", disk error ");
		say_number((uint32_t)error->io_code);
	}
	say("\n");
	return STATUS_FAILED;
}

static void report(uint64_t size, uint32_t crc)
{
	say(names[0]);
	say(": ");
	say_number(size);
	say(" bytes, CRC-32 ");
	say_hex(crc);
	say("\nstack: ");
	say_number(stack_peak());
	say(" of ");
	say_number(stack_len());
	say(" bytes; RAM in all: ");
	say_number(ram_used());
	say(" bytes\n");
}

int main(int argc, char **argv)
{
	struct qcow2_error error = { 0 };
	uint32_t crc = 0;
	int rc;

	if (argc < 2 || argc > 1 + MAX_LAYERS) {
		say("usage: IMAGE [BACKING]\n");
		return STATUS_USAGE;
	}
	names = (const char *const *)argv + 1;
	rc = open_chain(argc - 1, &error);
	if (rc != QCOW2_OK)
		return complain(rc, &error);
	rc = reader_start(&reader, &layers[0].image);
	if (rc == QCOW2_OK)
		rc = checksum(layers[0].image.size, &crc);
	if (rc != QCOW2_OK)
		return complain(rc, &reader.error);
	report(layers[0].image.size, crc);
	return stack_peak() < stack_len() ? 0 : STATUS_FAILED;
}
