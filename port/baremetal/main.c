/* SPDX-License-Identifier: MIT */
/*
 * Reads a qcow2 image, or an image and the one below it, from block devices, and prints size and
 * CRC-32 of the disk; or what is wrong, and where. No libc, no heap, 16 KiB of RAM for all.
 *	PROGRAM IMAGE [BACKING]
 */
#include "qcow2/block.h"
#include "qcow2/reader.h"

#include "board.h"

enum { MAX_LAYERS = 2, SECTOR = 512, STATUS_FAILED = 1, STATUS_USAGE = 2 };

struct layer {
	const char *name;
	struct disk disk;
	struct qcow2_block block;
	struct qcow2_io io;
	struct qcow2_image image;
	uint32_t bounce[DISK_BLOCK_LEN / 4];
};

static struct layer layers[MAX_LAYERS]; /* from the top down */
static struct qcow2_reader reader;
static uint64_t memory[QCOW2_READER_MEMORY_DEFLATE / 8];
static uint8_t sector[SECTOR];

static const struct qcow2_block_ops disk_ops = { disk_read };
static const struct qcow2_codec *const codecs[] = { &qcow2_deflate, NULL };

static int open_layer(struct layer *layer, const char *name, struct qcow2_error *error)
{
	layer->name = name;
	error->io = &layer->io;
	error->io_code = disk_open(&layer->disk, name);
	if (error->io_code != DISK_OK)
		return error->status = QCOW2_E_IO;
	layer->block.ops = &disk_ops;
	layer->block.ctx = &layer->disk;
	layer->block.size = layer->disk.size;
	layer->block.block_len = DISK_BLOCK_LEN;
	layer->block.align = DISK_ALIGN;
	layer->block.max_blocks = DISK_MAX_BLOCKS;
	layer->block.bounce = layer->bounce;
	error->status = qcow2_block_init(&layer->block, &layer->io);
	if (error->status != QCOW2_OK)
		return error->status;
	return qcow2_image_open(&layer->image, &layer->io, 0, error);
}

static int open_chain(int n, char *names[], struct qcow2_error *error)
{
	for (int i = n - 1; i >= 0; i--) {
		int rc = open_layer(&layers[i], names[i], error);

		if (rc == QCOW2_OK && i < n - 1)
			rc = qcow2_image_attach_backing(&layers[i].image, &layers[i + 1].image);
		if (rc != QCOW2_OK)
			return rc;
	}
	return QCOW2_OK;
}

static int start_reader(void)
{
	int rc = qcow2_reader_init(&reader, &layers[0].image, memory, sizeof memory);

	return rc == QCOW2_OK ? qcow2_reader_codecs(&reader, codecs) : rc;
}

/* CRC-32 as in zip and Ethernet, four bits at a time. */
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

/* Which of the images an error is about: the io in it is the layer's, or the image's copy of it. */
static const char *name_of(const struct qcow2_io *io)
{
	for (int i = 0; i < MAX_LAYERS; i++) {
		if (io == &layers[i].io || io == &layers[i].image.io)
			return layers[i].name;
	}
	return layers[0].name;
}

/* "base.qcow2: compressed data is corrupt, at byte 0x50000" */
static void complain(const struct qcow2_error *error)
{
	say(name_of(error->io));
	say(": ");
	say(qcow2_status_text(error->status));
	if (error->io != NULL && error->status <= QCOW2_E_IO) { /* not a mistake of ours */
		say(", at byte ");
		say_hex(error->pos);
	}
	if (error->status == QCOW2_E_IO) {
		say(", the disk says ");
		say_number((uint32_t)error->io_code);
	}
	say("\n");
}

static void report(uint64_t size, uint32_t crc)
{
	say(layers[0].name);
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
	uint32_t crc;

	if (argc < 2 || argc > 1 + MAX_LAYERS) {
		say("usage: IMAGE [BACKING]\n");
		return STATUS_USAGE;
	}
	if (open_chain(argc - 1, argv + 1, &error) != QCOW2_OK) {
		complain(&error);
		return STATUS_FAILED;
	}
	if (start_reader() != QCOW2_OK || checksum(layers[0].image.size, &crc) != QCOW2_OK) {
		complain(&reader.error);
		return STATUS_FAILED;
	}
	report(layers[0].image.size, crc);
	return stack_peak() < stack_len() ? 0 : STATUS_FAILED;
}
