/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The table of decompressors.
 */
#include "codecs.h"

#include <string.h>

#include "qcow2.h"

/* qcow2.txt "compression_type": the names are those of QEMU, which calls deflate zlib. */
static const struct {
	uint8_t type;
	const char *name;
	void (*init)(struct qp_codec *codec);
	void (*end)(struct qp_codec *codec); /* NULL if it keeps nothing to free */
	const char *const *decoder;
} codec_table[] = {
	{ QCOW2_COMPRESSION_DEFLATE, "zlib", qp_deflate_init, qp_deflate_end, &qp_deflate_decoder },
	{ QCOW2_COMPRESSION_ZSTD, "zstd", qp_zstd_init, NULL, &qp_zstd_decoder },
};

#define CODECS (sizeof codec_table / sizeof codec_table[0])

typedef char codecs_fit[CODECS <= QP_CODECS_MAX ? 1 : -1];

void qp_codecs_init(struct qp_codecs *codecs)
{
	size_t i;

	memset(codecs, 0, sizeof *codecs);
	for (i = 0; i < CODECS; i++) {
		struct qp_codec *codec = &codecs->codec[i];

		codec->state = &codecs->state[i];
		codec->last = &codecs->last;
		codec_table[i].init(codec);
		codecs->list[i] = &codec->core;
	}
}

void qp_codecs_end(struct qp_codecs *codecs)
{
	size_t i;

	for (i = 0; i < CODECS; i++)
		if (codec_table[i].end != NULL)
			codec_table[i].end(&codecs->codec[i]);
}

const char *qp_compression_name(uint64_t type)
{
	size_t i;

	for (i = 0; i < CODECS; i++)
		if (codec_table[i].type == type)
			return codec_table[i].name;
	return "unknown type";
}

int qcow2_get_decoder(unsigned index, const char **compression, const char **decoder)
{
	if (index >= CODECS)
		return 0;
	*compression = codec_table[index].name;
	*decoder = *codec_table[index].decoder;
	return 1;
}
