/* SPDX-License-Identifier: MIT */
/*
 * Snapshots and feature names: any image, any arguments, any failure.
 */
#include "proof.h"
#include "../../src/internal.h"
#include "qcow2/snapshot.h"

static struct qcow2_image image, old;
static struct qcow2_io file;

static void snapshots(void)
{
	static char strings[2 * 65535];
	struct qcow2_snapshot snapshot;
	struct qcow2_error err;

	if (qcow2_snapshot_next(&image, NULL, &snapshot, &err) != QCOW2_OK)
		return;
	while (Frama_C_interval(0, 1)) {
		(void)qcow2_snapshot_strings(&image, &snapshot, strings, &err);
		(void)qcow2_snapshot_image(&old, &image, &snapshot, &err);
		if (qcow2_snapshot_next(&image, &snapshot, &snapshot, NULL) != QCOW2_OK)
			return;
	}
}

int main(void)
{
	char name[47];

	any_io(&file);
	(void)qcow2_feature_name(&file, Frama_C_unsigned_int_interval(0, UINT32_MAX),
	                         Frama_C_unsigned_int_interval(0, UINT32_MAX), name);
	if (qcow2_image_open(&image, &file, Frama_C_unsigned_int_interval(0, 7), NULL) == QCOW2_OK)
		snapshots();
	return 0;
}
