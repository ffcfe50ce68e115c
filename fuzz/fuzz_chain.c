/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Backing chains in which the fuzzer makes every image, compared with a simple model. The model
 * asks each image alone, with a reader of its own, and goes to the next image for what it does not
 * hold.
 *
 * The input is a container: "LAYR", three lengths of 4 bytes, big-endian, and then the images, the
 * top one first. The rest after the three lengths is the fourth image. An image below the top that
 * is no qcow2 image is a raw disk and ends the chain.
 */
#include "common.h"

enum { LAYERS_MAX = 4, HEAD_LEN = 16 };

struct chain {
	struct fuzz_file file[LAYERS_MAX], external;
	struct fuzz_files files;
	struct fuzz_choices choices;
	struct qcow2_image image[LAYERS_MAX]; /* attached to each other */
	struct qcow2_image alone[LAYERS_MAX];
	struct fuzz_reader reader[LAYERS_MAX]; /* of the images alone */
	unsigned n;
	unsigned flags;
};

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Finds the bytes of each layer and returns the number of layers. */
static unsigned split(const uint8_t *data, size_t len, const uint8_t **bytes, size_t *lens)
{
	size_t at = HEAD_LEN;
	unsigned n;

	if (len < HEAD_LEN || memcmp(data, "LAYR", 4) != 0)
		return 0;
	for (n = 0; n < LAYERS_MAX && at < len; n++) {
		lens[n] = n < 3 ? be32(data + 4 + 4 * n) : len - at;
		if (lens[n] == 0 || lens[n] > len - at)
			lens[n] = len - at;
		bytes[n] = data + at;
		at += lens[n];
	}
	return n;
}

static int open_layer(struct chain *c, unsigned i)
{
	struct qcow2_image *image = &c->alone[i];
	int rc = qcow2_image_open(image, &c->file[i].io, c->flags, NULL);

	if (rc == QCOW2_E_NOT_QCOW2 && i > 0)
		return qcow2_image_raw(image, &c->file[i].io);
	if (rc == QCOW2_OK && (image->incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) != 0)
		CHECK(qcow2_image_attach_data(image, &c->external.io) == QCOW2_OK);
	return rc;
}

/* Opens layers until one fails; false if the top one does. */
static bool open_all(struct chain *c, const uint8_t *data, size_t len)
{
	const uint8_t *bytes[LAYERS_MAX];
	size_t lens[LAYERS_MAX];
	unsigned n = split(data, len, bytes, lens);

	if (n == 0)
		return false;
	fuzz_choices_init(&c->choices, bytes[0], lens[0]);
	fuzz_file_init(&c->external, bytes[n - 1], lens[n - 1]);
	c->files.file[c->files.n++] = &c->external;
	c->flags = QCOW2_OPEN_LAYER | (unsigned)fuzz_choose(&c->choices, 2);
	for (c->n = 0; c->n < n; c->n++) {
		fuzz_file_init(&c->file[c->n], bytes[c->n], lens[c->n]);
		c->files.file[c->files.n++] = &c->file[c->n];
		if (open_layer(c, c->n) != QCOW2_OK)
			return c->n > 0;
		if (c->alone[c->n].version == 0) {
			c->n++;
			break;
		}
	}
	return true;
}

static void put_together(struct chain *c)
{
	unsigned i = c->n;

	while (i-- > 0) {
		c->image[i] = c->alone[i];
		if (i + 1 < c->n)
			CHECK(qcow2_image_attach_backing(&c->image[i], &c->image[i + 1]) ==
			      QCOW2_OK);
		CHECK(fuzz_reader_start(&c->reader[i], &c->alone[i], FUZZ_LARGE) == QCOW2_OK);
	}
}

/* The model: reads [off, off + len), which is at most a sector. */
static int model_read(struct chain *c, uint64_t off, uint8_t *buf, size_t len)
{
	struct qcow2_extent e;
	unsigned i;
	int rc;

	for (i = 0;; i++) {
		/* Past the end of an image, the disk is zeros, whatever is below. */
		if (i == c->n || off >= c->alone[i].size) {
			memset(buf, 0, len);
			return QCOW2_OK;
		}
		rc = qcow2_reader_map(&c->reader[i].reader, off, len, &e);
		if (rc != QCOW2_OK)
			return rc;
		if (e.kind != QCOW2_EXTENT_ABSENT)
			return qcow2_reader_read(&c->reader[i].reader, off, buf, len);
	}
}

static void check_model(struct chain *c, struct fuzz_reader *r, uint64_t off)
{
	uint8_t want, got;
	int rc = qcow2_reader_read(&r->reader, off, &got, 1);

	if (rc == QCOW2_E_MEMORY)
		return;
	CHECK(model_read(c, off, &want, 1) == rc);
	CHECK(rc != QCOW2_OK || got == want);
}

static void check_chain(struct chain *c)
{
	struct fuzz_reader r;
	unsigned n;

	CHECK(fuzz_reader_start(&r, &c->image[0], (int)fuzz_choose(&c->choices, 2)) == QCOW2_OK);
	for (n = 0; n < 60 && c->image[0].size != 0; n++) {
		unsigned layer = (unsigned)fuzz_choose(&c->choices, c->n);
		uint64_t off = fuzz_choose_offset(&c->choices, &c->alone[layer],
		                                  c->file[layer].bytes, c->file[layer].io.size);

		/* The byte before it, the byte, or the one after it. */
		off += fuzz_choose(&c->choices, 3) - 1;
		if (off < c->image[0].size)
			check_model(c, &r, off);
	}
	fuzz_reader_stop(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct chain c;
	unsigned i;

	memset(&c, 0, sizeof c);
	if (!open_all(&c, data, len))
		return 0;
	put_together(&c);
	check_chain(&c);
	fuzz_check_windows(&c.image[0], &c.files, &c.choices, 2);
	for (i = 0; i < c.n; i++)
		fuzz_reader_stop(&c.reader[i]);
	return 0;
}
