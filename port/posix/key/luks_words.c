/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The core reports the position of the field that is wrong. This names the field, by its place in
 * the header: LUKS On-Disk Format Specification 1, figure 1.
 */
#include "luks_words.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../failure.h"
#include "../open/chain.h"
#include "qcow2.h"

/* A field ends where the next one begins. */
struct luks_field {
	uint32_t at;
	const char *wrong;
};

static const struct luks_field header_fields[] = {
	{ 0, "the magic number is missing" },
	{ 6, "the version is not 1" },
	{ 8, "the cipher is unknown" },
	{ 40, "the cipher mode is unknown, or the cipher cannot be used in it" },
	{ 72, "the hash is unknown" },
	{ 108, "the cipher has no keys of this length" },
	{ 112, "the digest has no iterations" },
};

static const char *field_wrong(uint64_t at)
{
	size_t i = sizeof header_fields / sizeof header_fields[0] - 1u;

	while (header_fields[i].at > at)
		i--;
	return header_fields[i].wrong;
}

/* What is wrong `at` bytes into the header. */
static void luks_reason(char *buf, size_t room, uint64_t at)
{
	if (at < QCOW2_LUKS_SLOTS_AT)
		snprintf(buf, room, "%s", field_wrong(at));
	else
		snprintf(buf, room, "the state, the stripes or the place of key slot %u is invalid",
		         (unsigned)(at - QCOW2_LUKS_SLOTS_AT) / QCOW2_LUKS_SLOT_LEN);
}

void qp_fail_luks(const struct qp_layer *layer, const struct qcow2_luks *luks, int status,
                  const struct qcow2_error *err)
{
	char reason[128], what[160];

	if (status != QCOW2_E_LUKS) {
		qp_fail_core(status, err);
		return;
	}
	if (layer->image.crypto.len == 0u)
		snprintf(reason, sizeof reason, "the image has none");
	else if (err->pos == layer->image.crypto.pos)
		snprintf(reason, sizeof reason, "its place or length is invalid");
	else
		luks_reason(reason, sizeof reason, err->pos - luks->pos);
	snprintf(what, sizeof what, "invalid LUKS header: %s", reason);
	qp_fail_core_what(status, err, what);
}

void qp_luks_uuid(char *buf, size_t room, const struct qcow2_luks *luks)
{
	const char *uuid = (const char *)luks->header + QCOW2_LUKS_UUID_AT;

	qcow2_printable(buf, room, uuid, strnlen(uuid, QCOW2_LUKS_UUID_LEN));
}
