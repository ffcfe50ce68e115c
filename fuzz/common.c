/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "common.h"

#include <stdio.h>
#include <stdlib.h>

enum { CHOICES_POS = 48, CHOICES_LEN = 12, CANARY = 0xc5, RUBBISH = 0xa5 };

void fuzz_fail(const char *file, int line, const char *property)
{
	fprintf(stderr, "%s:%d: property does not hold: %s\n", file, line, property);
	abort();
}

/* ---- Files ---- */

static int file_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	struct fuzz_file *file = ctx;

	CHECK(len > 0 && pos <= file->io.size && len <= file->io.size - pos);
	file->n_calls++;
	if (file->n_calls == file->fail_at) {
		memset(buf, RUBBISH, len);
		file->has_failed = true;
		return FUZZ_FAULT;
	}
	memcpy(buf, file->bytes + pos, len);
	return 0;
}

void fuzz_file_init(struct fuzz_file *file, const uint8_t *bytes, size_t len)
{
	static const struct qcow2_io_ops ops = { file_read };

	file->io.ops = &ops;
	file->io.ctx = file;
	file->io.size = len;
	file->bytes = bytes;
	file->n_calls = 0;
	file->fail_at = 0;
	file->has_failed = false;
}

uint64_t fuzz_calls(const struct fuzz_files *files)
{
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < files->n; i++)
		n += files->file[i]->n_calls;
	return n;
}

void fuzz_calls_reset(struct fuzz_files *files, uint64_t fail)
{
	unsigned i;

	for (i = 0; i < files->n; i++) {
		files->file[i]->n_calls = 0;
		files->file[i]->fail_at = 0;
		files->file[i]->has_failed = false;
	}
	if (fail != 0)
		files->file[(fail - 1) % files->n]->fail_at = (fail - 1) / files->n + 1;
}

bool fuzz_has_failed(const struct fuzz_files *files)
{
	unsigned i;

	for (i = 0; i < files->n; i++)
		if (files->file[i]->has_failed)
			return true;
	return false;
}

/* ---- Choices: xorshift64* ---- */

void fuzz_choices_init(struct fuzz_choices *choices, const uint8_t *data, size_t len)
{
	size_t i;

	choices->state = UINT64_C(0x9e3779b97f4a7c15);
	for (i = CHOICES_POS; i < CHOICES_POS + CHOICES_LEN && i < len; i++)
		choices->state = (choices->state ^ data[i]) * UINT64_C(0x100000001b3);
	if (choices->state == 0)
		choices->state = 1;
}

uint64_t fuzz_choose(struct fuzz_choices *choices, uint64_t n)
{
	uint64_t x = choices->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	choices->state = x;
	x *= UINT64_C(0x2545f4914f6cdd1d);
	return n != 0 ? (x ^ x >> 32) % n : 0;
}

static uint64_t be64(const uint8_t *p)
{
	uint64_t value = 0;
	int i;

	for (i = 0; i < 8; i++)
		value = value << 8 | p[i];
	return value;
}

/* The index of an L1 entry that is not 0, chosen by n; or 0 if there is none. */
static uint64_t used_l1_entry(const struct qcow2_image *image, const uint8_t *bytes, size_t len,
                              uint64_t n)
{
	uint64_t used[16];
	unsigned n_used = 0;
	uint64_t i;

	for (i = 0; i < image->l1_entries && n_used < 16; i++) {
		if (image->l1_pos > len || len - image->l1_pos < 8 * (i + 1))
			break;
		if (be64(bytes + image->l1_pos + 8 * i) != 0)
			used[n_used++] = i;
	}
	return n_used != 0 ? used[n % n_used] : 0;
}

uint64_t fuzz_choose_offset(struct fuzz_choices *choices, const struct qcow2_image *image,
                            const uint8_t *bytes, size_t len)
{
	uint64_t off = 0;

	if (image->version != 0)
		off = used_l1_entry(image, bytes, len, fuzz_choose(choices, 16))
		      << image->l1_entry_bits;
	switch (fuzz_choose(choices, 6)) {
	case 0: off += fuzz_choose(choices, FUZZ_WINDOW); break;
	case 1: off += fuzz_choose(choices, 256) << image->cluster_bits; break;
	case 2: off = fuzz_choose(choices, image->size); break;
	case 3: off = image->size - fuzz_choose(choices, FUZZ_WINDOW); break;
	default: break;
	}
	return off <= image->size ? off : fuzz_choose(choices, image->size);
}

/* ---- Memory ---- */

uint8_t *fuzz_buf_new(size_t len)
{
	uint8_t *block = malloc(len + 2 * FUZZ_CANARY_LEN);

	if (block == NULL)
		abort();
	memset(block, CANARY, FUZZ_CANARY_LEN);
	/* Filling all of a large buffer would be slow; its beginning is enough to show a bug. */
	memset(block + FUZZ_CANARY_LEN, RUBBISH, len < FUZZ_WINDOW ? len : FUZZ_WINDOW);
	memset(block + FUZZ_CANARY_LEN + len, CANARY, FUZZ_CANARY_LEN);
	return block + FUZZ_CANARY_LEN;
}

void fuzz_buf_check(const uint8_t *buf, size_t len)
{
	int i;

	for (i = 0; i < FUZZ_CANARY_LEN; i++)
		CHECK(buf[i - FUZZ_CANARY_LEN] == CANARY && buf[len + (size_t)i] == CANARY);
}

void fuzz_buf_free(uint8_t *buf, size_t len)
{
	fuzz_buf_check(buf, len);
	free(buf - FUZZ_CANARY_LEN);
}
