/* SPDX-License-Identifier: MIT */
/*
 * Open, attach, map and one step of read: any image, any arguments, any failure. SLICES says how
 * much memory the reader has, exactly.
 */
#include "proof.h"
#include "../../src/q2.h"

#ifndef SLICES
#define SLICES 1
#endif

static uint64_t memory[SLICES * QCOW2_READER_SLICE / 8];
static uint8_t out[1024];
static struct qcow2_image top, base;
static struct qcow2_reader reader;
static struct qcow2_io file, data;

static int start(void)
{
	struct qcow2_error err;
	int rc = qcow2_image_open(&top, &file, Frama_C_unsigned_int_interval(0, 7), &err);

	if (rc != QCOW2_OK)
		return rc;
	(void)qcow2_image_attach_data(&top, &data);
	rc = qcow2_image_raw(&base, &data);
	if (rc != QCOW2_OK)
		return rc;
	if (Frama_C_interval(0, 1))
		(void)qcow2_image_attach_backing(&top, &base);
	return qcow2_reader_init(&reader, &top, memory, sizeof memory);
}

int main(void)
{
	struct qcow2_extent extent;
	int rc;

	any_io(&file);
	any_io(&data);
	Frama_C_make_unknown((char *)memory, sizeof memory);
	rc = start();
	if (rc != QCOW2_OK)
		return rc;
	while (Frama_C_interval(0, 1)) {
		uint64_t off = any64();
		size_t len = Frama_C_unsigned_int_interval(1, sizeof out);

		(void)qcow2_reader_map(&reader, any64(), any64(), &extent);
		if (off > top.size || len > top.size - off)
			continue;
		(void)q2_read_step(&reader, off, out, &len);
	}
	return 0;
}
