/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Open, attach, map, and reading an extent: any image, any arguments, any failure. The reader has
 * memory for exactly SLICES slices.
 */
#include "proof.h"
#include "../../src/internal.h"

#ifndef SLICES
#define SLICES 1
#endif

static uint64_t memory[SLICES * QCOW2_READER_SLICE / 8];
static uint64_t too_little[QCOW2_READER_SLICE / 8 - 1];
static uint8_t out[1024];
static struct qcow2_image top, base;
static struct qcow2_reader reader;
static struct qcow2_io file, data;

/* Calls that must fail: NULL for each argument, closed images, raw ones. */
static void refused(void)
{
	static struct qcow2_io no_ops;
	struct qcow2_image none = { 0 }, raw, bad;
	struct qcow2_reader other;
	struct qcow2_extent extent;
	struct qcow2_span span = { Frama_C_unsigned_int_interval(0, UINT32_MAX),
		                   Frama_C_unsigned_int_interval(0, sizeof out) };

	(void)qcow2_image_raw(&raw, &data);
	(void)qcow2_image_open(&bad, &no_ops, 0, NULL);
	(void)qcow2_image_open(&bad, &file, 0, NULL);
	(void)qcow2_image_raw(NULL, &data);
	(void)qcow2_image_raw(&bad, NULL);
	(void)qcow2_image_extensions(NULL, NULL);
	(void)qcow2_image_extensions(&raw, NULL);
	(void)qcow2_image_attach_data(NULL, &data);
	(void)qcow2_image_attach_data(&raw, &data);
	(void)qcow2_image_attach_data(&top, NULL);
	(void)qcow2_image_attach_data(&top, &no_ops);
	(void)qcow2_image_attach_backing(NULL, &raw);
	(void)qcow2_image_attach_backing(&raw, &raw);
	(void)qcow2_image_attach_backing(&top, NULL);
	(void)qcow2_image_attach_backing(&top, &none);
	(void)qcow2_image_bytes(NULL, span, out, NULL);
	(void)qcow2_image_bytes(&none, span, out, NULL);
	(void)qcow2_image_bytes(&top, span, NULL, NULL);
	(void)qcow2_image_bytes(&top, span, out, NULL);
	(void)qcow2_reader_init(NULL, &top, memory, sizeof memory);
	(void)qcow2_reader_init(&other, &top, memory, sizeof memory);
	(void)qcow2_reader_init(&other, NULL, memory, sizeof memory);
	(void)qcow2_reader_init(&other, &none, memory, sizeof memory);
	(void)qcow2_reader_init(&other, &top, NULL, sizeof memory);
	(void)qcow2_reader_init(&other, &top, (uint8_t *)memory + 1, sizeof memory - 1);
	(void)qcow2_reader_map(&other, any64(), any64(), &extent);
	(void)qcow2_reader_map(NULL, any64(), any64(), &extent);
	(void)qcow2_reader_map(&reader, any64(), any64(), NULL);
}

static int start(void)
{
	struct qcow2_error err;
	int rc;

	/*@ slevel 50; */
	rc = qcow2_image_open(&top, &file, Frama_C_unsigned_int_interval(0, 7), &err);
	if (rc != QCOW2_OK)
		return rc;
	refused();
	(void)qcow2_image_extensions(&top, &err);
	(void)qcow2_image_attach_data(&top, &data);
	rc = qcow2_image_raw(&base, &data);
	if (rc != QCOW2_OK)
		return rc;
	if (Frama_C_interval(0, 1))
		(void)qcow2_image_attach_backing(&top, &base);
	/*
	 * This has to fail. If it does not, the harness uses the reader, and Eva raises an alarm.
	 */
	if (qcow2_reader_init(&reader, &top, too_little, sizeof too_little) == QCOW2_OK)
		return QCOW2_OK;
	return qcow2_reader_init(&reader, &top, memory, sizeof memory);
}

/*
 * Reads any extent of this kind, with or without a file, instead of the one that map returned: Eva
 * does not relate the members of that to each other. So the harness must assume that data has a
 * file.
 */
static void read_extent(uint32_t kind, const struct qcow2_io *io)
{
	struct qcow2_extent *e = &reader.extent;

	e->kind = kind;
	e->io = io;
	e->image = Frama_C_interval(0, 1) ? &top : &base;
	e->off = any64();
	e->len = any64();
	e->pos = any64();
	(void)q2_extent_read(&reader, out, Frama_C_unsigned_int_interval(1, sizeof out));
}

int main(void)
{
	const struct qcow2_io *ios[] = { &top.io, &base.io, &data };
	struct qcow2_extent extent;
	int rc;

	any_io(&file);
	any_io(&data);
	Frama_C_make_unknown((char *)memory, sizeof memory);
	rc = start();
	if (rc != QCOW2_OK)
		return rc;
	while (Frama_C_interval(0, 1)) {
		(void)qcow2_reader_map(&reader, any64(), any64(), &extent);
		read_extent(Frama_C_interval(QCOW2_EXTENT_ABSENT, QCOW2_EXTENT_ZERO), NULL);
		read_extent(Frama_C_interval(QCOW2_EXTENT_DATA, QCOW2_EXTENT_COMPRESSED),
		            ios[Frama_C_interval(0, 2)]);
	}
	return 0;
}
