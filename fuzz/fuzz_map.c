/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * L1 and L2 tables, also extended ones. The target maps the disk with little and with much memory,
 * which must agree. No call makes more io calls than reader.h allows, and a repeated call makes
 * none. What map calls zeros reads as zeros, and what it calls data reads as the bytes at that
 * place.
 */
#include "common.h"

enum { STEPS_MAX = 300, PIECE_MAX = 64 };

struct walker {
	struct fuzz_files *files;
	struct fuzz_choices *choices;
	struct qcow2_image image;
	struct fuzz_reader small, large, content;
};

/* The position after the extent in its file. */
static uint64_t pos_after(const struct qcow2_extent *e)
{
	return e->io != NULL && e->kind != QCOW2_EXTENT_COMPRESSED ? e->pos + e->len : e->pos;
}

/* True if `b`, an answer for an offset inside `a`, agrees with `a`. */
static bool agree(const struct qcow2_extent *a, const struct qcow2_extent *b)
{
	uint64_t before = b->off - a->off;
	uint64_t pos =
		a->io != NULL && a->kind != QCOW2_EXTENT_COMPRESSED ? a->pos + before : a->pos;

	return a->kind == b->kind && a->image == b->image && a->io == b->io &&
	       a->depth == b->depth && a->packed_len == b->packed_len &&
	       (a->io == NULL || b->pos == pos);
}

/* Maps, and checks what must be true of each call. */
static int ask(struct walker *w, struct fuzz_reader *r, uint64_t off, uint64_t len,
               struct qcow2_extent *e)
{
	int rc;

	fuzz_calls_reset(w->files, 0);
	rc = qcow2_reader_map(&r->reader, off, len, e);
	fuzz_buf_check(r->memory, r->memory_len);
	if (rc != QCOW2_OK) {
		CHECK(r->reader.error.status == rc && rc != QCOW2_E_IO);
		CHECK(fuzz_calls(w->files) <= 4);
		return rc;
	}
	CHECK(e->off == off && e->len > 0 && e->len <= len && e->image == &w->image);
	CHECK(e->depth == 0 && pos_after(e) >= e->pos);
	CHECK(fuzz_calls(w->files) <=
	      fuzz_map_cost(&w->image, e, r == &w->small ? FUZZ_SMALL : FUZZ_LARGE));
	return rc;
}

/* Asks again a reader that has the tables: the same answer without io calls. */
static void ask_again(struct walker *w, uint64_t off, uint64_t len, const struct qcow2_extent *e)
{
	struct qcow2_extent again;

	CHECK(ask(w, &w->large, off, e->len, &again) == QCOW2_OK);
	CHECK(agree(e, &again) && again.len == e->len && fuzz_calls(w->files) == 0);
	CHECK(ask(w, &w->large, off, len, &again) == QCOW2_OK && agree(e, &again));
}

/* Asks for a part of the extent, after the reader has mapped another place. */
static void ask_inside(struct walker *w, const struct qcow2_extent *e)
{
	uint64_t before = fuzz_choose(w->choices, e->len);
	struct qcow2_extent part;

	ask(w, &w->small, fuzz_choose(w->choices, w->image.size), 1, &part);
	CHECK(ask(w, &w->small, e->off + before, e->len - before, &part) == QCOW2_OK);
	CHECK(agree(e, &part));
}

/* Reads some bytes, `before` bytes after the beginning of the extent, and checks them. */
static void check_bytes(struct walker *w, const struct qcow2_extent *e, uint64_t before)
{
	size_t len = e->len - before < PIECE_MAX ? (size_t)(e->len - before) : PIECE_MAX;
	uint8_t *buf = fuzz_buf_new(len);
	int rc;
	size_t i;

	fuzz_calls_reset(w->files, 0);
	rc = qcow2_reader_read(&w->content.reader, e->off + before, buf, len);
	fuzz_buf_check(w->content.memory, w->content.memory_len);
	if (e->kind != QCOW2_EXTENT_COMPRESSED) {
		CHECK(rc == QCOW2_OK);
		CHECK(fuzz_calls(w->files) <= 1 + fuzz_map_cost(&w->image, e, FUZZ_LARGE));
	}
	for (i = 0; i < len && e->kind != QCOW2_EXTENT_COMPRESSED; i++) {
		uint64_t pos = e->pos + before + i;
		uint8_t want = 0;

		if (e->kind == QCOW2_EXTENT_DATA && pos < e->io->size)
			want = ((const struct fuzz_file *)e->io->ctx)->bytes[pos];
		CHECK(buf[i] == want);
	}
	fuzz_buf_free(buf, len);
}

/* Checks the beginning of the extent and a place in it. */
static void check_content(struct walker *w, const struct qcow2_extent *e)
{
	check_bytes(w, e, 0);
	check_bytes(w, e, fuzz_choose(w->choices, e->len));
}

static void walk(struct walker *w, uint64_t off, uint64_t end)
{
	uint64_t cluster = UINT64_C(1) << w->image.cluster_bits;
	struct qcow2_extent e, e2;
	int i, rc;

	for (i = 0; i < STEPS_MAX && off < end; i++) {
		rc = ask(w, &w->large, off, end - off, &e);
		CHECK(ask(w, &w->small, off, end - off, &e2) == rc);
		if (rc != QCOW2_OK) { /* an error of one cluster only */
			off += cluster - off % cluster;
			continue;
		}
		CHECK(agree(&e, &e2));
		if (i % 16 == 0)
			ask_again(w, off, end - off, &e);
		if (i % 2 == 1 || e.len > cluster)
			ask_inside(w, &e);
		if (i % 4 == 0)
			check_content(w, &e);
		off += e.len;
	}
}

static void check_fault(struct walker *w, uint64_t off, uint64_t end)
{
	struct qcow2_extent before = { .len = 77 }, e = before, want;
	int rc, rc_want;

	if (off >= end)
		return;
	rc_want = ask(w, &w->small, off, end - off, &want);
	ask(w, &w->small, fuzz_choose(w->choices, w->image.size), 1, &before);
	memset(&before, 0x5a, sizeof before);
	memcpy(&e, &before, sizeof e);
	fuzz_calls_reset(w->files, 1 + fuzz_choose(w->choices, 4));
	rc = qcow2_reader_map(&w->small.reader, off, end - off, &e);
	if (fuzz_has_failed(w->files)) {
		CHECK(rc == QCOW2_E_IO && w->small.reader.error.io_code == FUZZ_FAULT);
		CHECK(memcmp(&before, &e, sizeof e) == 0);
	}
	CHECK(ask(w, &w->small, off, end - off, &e) == rc_want);
	CHECK(rc_want != QCOW2_OK || agree(&want, &e));
}

/* Where a walk ends. In a truncated image a table may be much larger than the file. */
static uint64_t walk_end(const struct qcow2_image *image, uint64_t off)
{
	uint64_t most = (image->flags & QCOW2_OPEN_TRUNCATED) != 0 ? 512 : 1 << 17;
	unsigned bits = 2u * image->cluster_bits - 3;

	if (bits >= 63 || most > UINT64_MAX >> bits)
		return image->size;
	most <<= bits;
	return image->size - off < most ? image->size : off + most;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_file file, external;
	struct fuzz_files files = { { &file, &external }, 2 };
	struct fuzz_choices choices;
	struct walker w = { .files = &files, .choices = &choices };
	uint64_t off;

	fuzz_choices_init(&choices, data, len);
	fuzz_file_init(&file, data, len);
	fuzz_file_init(&external, data, len);
	if (qcow2_image_open(&w.image, &file.io,
	                     QCOW2_OPEN_LAYER | (unsigned)fuzz_choose(&choices, 2),
	                     NULL) != QCOW2_OK)
		return 0;
	if ((w.image.incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) != 0)
		CHECK(qcow2_image_attach_data(&w.image, &external.io) == QCOW2_OK);
	CHECK(fuzz_reader_start(&w.small, &w.image, FUZZ_SMALL) == QCOW2_OK);
	CHECK(fuzz_reader_start(&w.large, &w.image, FUZZ_LARGE) == QCOW2_OK);
	CHECK(fuzz_reader_start(&w.content, &w.image, FUZZ_LARGE) == QCOW2_OK);
	walk(&w, 0, walk_end(&w.image, 0));
	off = fuzz_choose_offset(&choices, &w.image, data, len);
	walk(&w, off, walk_end(&w.image, off));
	check_fault(&w, off, walk_end(&w.image, off));
	fuzz_reader_stop(&w.small);
	fuzz_reader_stop(&w.large);
	fuzz_reader_stop(&w.content);
	return 0;
}
