/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* The checksum of zstd frames: any bytes, of exactly LEN. */
#include "proof.h"
#include "../../src/zstd_format.h"

#ifndef LEN
#define LEN 100
#endif

static uint8_t bytes[LEN];

int main(void)
{
	Frama_C_make_unknown((char *)bytes, sizeof bytes);
	(void)q2_xxh64(bytes, LEN);
	return 0;
}
