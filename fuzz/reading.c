/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The properties of map and read, on a part of the disk (a "window"):
 *
 *   reading in pieces, in any order, gives the bytes and the errors of reading at once;
 *   a reader with little memory gives the answers of one with much, except QCOW2_E_MEMORY;
 *   what map calls zeros reads as zeros, and what it calls data reads as the bytes at that place;
 *   map fails where read fails;
 *   no call makes more io calls than reader.h allows;
 *   a fault of the storage is reported as QCOW2_E_IO, and the same call after it succeeds.
 */
#include "common.h"

#include <stdlib.h>

enum { PIECES_MAX = FUZZ_WINDOW / 512 + 2 };

const struct qcow2_codec *const fuzz_codecs[] = { &qcow2_deflate_small, NULL };

/* The part of the disk that is checked, and its content as far as it is known. */
struct window {
	const struct qcow2_image *image;
	struct fuzz_files *files;
	struct fuzz_choices *choices;
	uint64_t off;
	size_t len;
	uint8_t *bytes; /* the content, read piece by piece with much memory */
	size_t piece;
	size_t n_pieces;
	int status[PIECES_MAX]; /* of each piece */
	bool has_packed[PIECES_MAX];
	uint64_t cost[2]; /* the most io calls for reading it at once: FUZZ_SMALL, FUZZ_LARGE */
};

/* ---- Readers ---- */

static unsigned largest_cluster_bits(const struct qcow2_image *image)
{
	unsigned bits = 9;

	for (; image != NULL; image = image->backing)
		if (image->cluster_bits > bits)
			bits = image->cluster_bits;
	return bits;
}

int fuzz_reader_start(struct fuzz_reader *r, const struct qcow2_image *image, int how)
{
	size_t min = 0, good = 0, most;
	int rc = qcow2_reader_memory(image, fuzz_codecs, &min, &good);

	r->memory = NULL;
	if (rc != QCOW2_OK)
		return rc;
	CHECK(min <= good && min >= QCOW2_READER_MEMORY);
	/* All memory that decoding can use, but not room for all tables, which is only slow. */
	most = QCOW2_READER_MEMORY_CLUSTER(largest_cluster_bits(image), QCOW2_DEFLATE_SMALL_WORK) +
	       63 * QCOW2_READER_SLICE;
	r->memory_len = how == FUZZ_SMALL ? min : good < most ? good : most;
	r->memory = fuzz_buf_new(r->memory_len);
	CHECK(qcow2_reader_init(&r->reader, image, r->memory, r->memory_len) == QCOW2_OK);
	CHECK(qcow2_reader_codecs(&r->reader, fuzz_codecs) == QCOW2_OK);
	return QCOW2_OK;
}

void fuzz_reader_stop(struct fuzz_reader *r)
{
	if (r->memory != NULL)
		fuzz_buf_free(r->memory, r->memory_len);
}

/* Reads [off, off + len) into a buffer between canaries; on success copies it to bytes. */
static int read_guarded(struct fuzz_reader *r, uint64_t off, size_t len, uint8_t *bytes)
{
	uint8_t *buf = fuzz_buf_new(len);
	int rc = qcow2_reader_read(&r->reader, off, buf, len);

	CHECK(rc == QCOW2_OK || r->reader.error.status == rc);
	CHECK((rc == QCOW2_E_IO) == (rc != QCOW2_OK && r->reader.error.io_code != 0));
	fuzz_buf_check(r->memory, r->memory_len);
	if (rc == QCOW2_OK)
		memcpy(bytes, buf, len);
	fuzz_buf_free(buf, len);
	return rc;
}

/* ---- Piece by piece ---- */

static size_t piece_len(const struct window *w, size_t i)
{
	size_t at = i * w->piece;

	return w->len - at < w->piece ? w->len - at : w->piece;
}

static void read_pieces(struct window *w, struct fuzz_reader *r)
{
	size_t i;

	for (i = 0; i < w->n_pieces; i++) {
		w->status[i] = read_guarded(r, w->off + i * w->piece, piece_len(w, i),
		                            w->bytes + i * w->piece);
		CHECK(w->status[i] <= 0 && w->status[i] != QCOW2_E_IO);
		CHECK(w->status[i] != QCOW2_E_MEMORY && w->status[i] != QCOW2_E_RANGE);
	}
}

static void check_piece(const struct window *w, struct fuzz_reader *r, size_t i)
{
	static uint8_t got[FUZZ_WINDOW];
	int rc = read_guarded(r, w->off + i * w->piece, piece_len(w, i), got);

	if (rc == QCOW2_E_MEMORY) {
		CHECK(r->reader.error.detail > r->memory_len);
		return;
	}
	CHECK(rc == w->status[i]);
	CHECK(rc != QCOW2_OK || memcmp(got, w->bytes + i * w->piece, piece_len(w, i)) == 0);
}

/*
 * Reads pieces in any order, some of them again after one or two others. If clusters are large
 * there are few of them, because each may decode its cluster again.
 */
static void check_pieces(const struct window *w, struct fuzz_reader *r)
{
	size_t n = largest_cluster_bits(w->image) > 16 ? 4 : 16;
	size_t first = 0, second = 0;

	while (n-- > 0) {
		size_t i = first;

		if (fuzz_choose(w->choices, 3) != 0)
			i = (size_t)fuzz_choose(w->choices, w->n_pieces);
		check_piece(w, r, i);
		first = second;
		second = i;
	}
}

/* ---- At once ---- */

/* The status of reading at once: that of the first piece that cannot be read. */
static int window_status(const struct window *w)
{
	size_t i;

	for (i = 0; i < w->n_pieces; i++)
		if (w->status[i] != QCOW2_OK)
			return w->status[i];
	return QCOW2_OK;
}

static void check_whole(const struct window *w, struct fuzz_reader *r)
{
	static uint8_t got[FUZZ_WINDOW];
	int rc = read_guarded(r, w->off, w->len, got);

	if (rc == QCOW2_E_MEMORY)
		return;
	CHECK(rc == window_status(w));
	CHECK(rc != QCOW2_OK || memcmp(got, w->bytes, w->len) == 0);
}

/* ---- Map ---- */

/*
 * log2 of the bytes of the disk for which reader.h allows 2 io calls in an image: 64 clusters, or
 * 32 with extended entries. If there are too few slices ("crowded"), one cluster or subcluster.
 */
static unsigned step_bits(const struct qcow2_image *image, bool is_crowded)
{
	bool extended = (image->incompatible & QCOW2_INCOMPATIBLE_EXTENDED_L2) != 0;

	if (is_crowded)
		return image->cluster_bits - (extended ? 5u : 0u);
	return image->cluster_bits + (extended ? 5u : 6u);
}

uint64_t fuzz_map_cost(const struct qcow2_image *image, const struct qcow2_extent *extent, int how)
{
	/* With few slices, the L1 and the L2 table push each other out at the end of a step. */
	bool is_crowded = image->backing != NULL || how == FUZZ_SMALL;
	uint64_t last = extent->off + (extent->len - 1);
	const struct qcow2_image *layer;
	unsigned least = 64, bits;
	uint64_t n = 0;

	/* If slices push each other out, a step in one image makes those above it look up again. */
	for (layer = image; layer != NULL && layer->version != 0; layer = layer->backing)
		if (step_bits(layer, is_crowded) < least)
			least = step_bits(layer, is_crowded);
	for (; image != NULL && image->version != 0; image = image->backing) {
		bits = is_crowded ? least : step_bits(image, is_crowded);
		/*
		 * Plus the steps at both ends, because map also looks up what follows the extent.
		 * In version 1, an entry can go from one slice to the next.
		 */
		n += (image->version == 1 ? 4 : 2) * ((last >> bits) - (extent->off >> bits) + 2);
	}
	return n;
}

uint64_t fuzz_data_cost(const struct qcow2_extent *extent, int how)
{
	uint32_t piece = how == FUZZ_SMALL ? 512 : UINT32_C(1) << extent->image->cluster_bits;

	if (extent->kind == QCOW2_EXTENT_DATA)
		return 1;
	return extent->kind == QCOW2_EXTENT_COMPRESSED ? (extent->packed_len - 1) / piece + 1 : 0;
}

static bool is_known(const struct window *w, const struct qcow2_io *io)
{
	unsigned i;

	for (i = 0; i < w->files->n; i++)
		if (io->ctx == w->files->file[i])
			return io->size == w->files->file[i]->io.size;
	return false;
}

static void check_extent(const struct window *w, const struct qcow2_extent *e)
{
	const struct qcow2_image *image = w->image;
	uint32_t depth;

	CHECK(e->len > 0 && e->len <= w->len - (e->off - w->off));
	for (depth = 0; depth < e->depth && image != NULL; depth++)
		image = image->backing;
	CHECK(e->image != NULL && e->image == image);
	CHECK(e->io == NULL || is_known(w, e->io));
	switch ((enum qcow2_extent_kind)e->kind) {
	case QCOW2_EXTENT_ABSENT:
	case QCOW2_EXTENT_ZERO: break;
	case QCOW2_EXTENT_ENCRYPTED:
	case QCOW2_EXTENT_DATA: CHECK(e->io != NULL && e->pos <= UINT64_MAX - e->len); break;
	case QCOW2_EXTENT_COMPRESSED:
		CHECK(e->io != NULL && (e->packed_len > 0 || image->version == 1));
		CHECK(e->packed_len <= UINT32_C(2) << image->cluster_bits);
		CHECK((e->off ^ (e->off + e->len - 1)) >> image->cluster_bits == 0);
		break;
	default: fuzz_fail(__FILE__, __LINE__, "a kind of extent");
	}
	CHECK(e->kind == QCOW2_EXTENT_COMPRESSED || e->packed_len == 0);
}

/* Checks that byte number `at` of the extent is the byte that was read. */
static void check_byte(const struct window *w, const struct qcow2_extent *e, uint64_t at)
{
	uint8_t want = 0;

	if (e->kind == QCOW2_EXTENT_DATA && e->pos + at < e->io->size)
		want = ((const struct fuzz_file *)e->io->ctx)->bytes[e->pos + at];
	CHECK(w->bytes[e->off - w->off + at] == want);
}

static void check_content(struct window *w, const struct qcow2_extent *e)
{
	uint64_t at;

	for (at = 0; at < e->len; at++) {
		size_t i = (size_t)(e->off - w->off + at) / w->piece;

		if (e->kind == QCOW2_EXTENT_COMPRESSED)
			w->has_packed[i] = true;
		else if (w->status[i] == QCOW2_OK)
			check_byte(w, e, at);
	}
}

/* True if two answers for the same offset agree in all but their length. */
static bool same_extent(const struct qcow2_extent *a, const struct qcow2_extent *b)
{
	return a->off == b->off && a->kind == b->kind && a->image == b->image && a->io == b->io &&
	       (a->io == NULL || a->pos == b->pos) && a->depth == b->depth &&
	       a->packed_len == b->packed_len;
}

/*
 * Maps the window with a reader, which was started as `how` says, and compares each answer with
 * that of the other reader.
 */
static void walk(struct window *w, struct fuzz_reader *r, struct fuzz_reader *other, int how)
{
	bool fails[PIECES_MAX] = { false };
	struct qcow2_extent e, e2;
	size_t at = 0, i;

	while (at < w->len) {
		uint64_t off = w->off + at;
		int rc;

		fuzz_calls_reset(w->files, 0);
		rc = qcow2_reader_map(&r->reader, off, w->len - at, &e);
		CHECK(rc != QCOW2_OK || e.off == off);
		CHECK(rc != QCOW2_OK || fuzz_calls(w->files) <= fuzz_map_cost(w->image, &e, how));
		CHECK(qcow2_reader_map(&other->reader, off, w->len - at, &e2) == rc);
		if (rc != QCOW2_OK) {
			i = at / w->piece;
			CHECK(w->status[i] != QCOW2_OK);
			CHECK(w->status[i] == rc || w->has_packed[i]);
			fails[i] = true;
			at = (i + 1) * w->piece;
			continue;
		}
		CHECK(same_extent(&e, &e2));
		check_extent(w, &e);
		check_content(w, &e);
		w->cost[how] += fuzz_map_cost(w->image, &e, how) + fuzz_data_cost(&e, how);
		at += e.len;
	}
	for (i = 0; i < w->n_pieces; i++)
		CHECK(w->status[i] == QCOW2_OK || fails[i] || w->has_packed[i]);
}

/* ---- Cost and faults, each with a new reader ---- */

static void check_cost(const struct window *w, int how)
{
	struct fuzz_reader r;

	CHECK(fuzz_reader_start(&r, w->image, how) == QCOW2_OK);
	fuzz_calls_reset(w->files, 0);
	check_whole(w, &r);
	if (window_status(w) == QCOW2_OK)
		CHECK(fuzz_calls(w->files) <= w->cost[how]);
	fuzz_reader_stop(&r);
}

/*
 * A read that meets a fault: of the whole window, or of the piece after two pieces that were just
 * read. (With little memory the first decodes a whole cluster, the second decodes what it needs,
 * and the third continues there.)
 */
static int read_faulty(const struct window *w, struct fuzz_reader *r, size_t piece, bool is_part)
{
	static uint8_t got[FUZZ_WINDOW];

	if (is_part && piece > 1) {
		check_piece(w, r, piece - 2);
		check_piece(w, r, piece - 1);
	}
	fuzz_calls_reset(w->files, 1 + fuzz_choose(w->choices, is_part ? 4 : 40));
	if (is_part)
		return read_guarded(r, w->off + piece * w->piece, piece_len(w, piece), got);
	return read_guarded(r, w->off, w->len, got);
}

static void check_faults(const struct window *w, int how)
{
	struct fuzz_reader r;
	int rc, n;

	CHECK(fuzz_reader_start(&r, w->image, how) == QCOW2_OK);
	for (n = 0; n < 4; n++) {
		size_t piece = (size_t)fuzz_choose(w->choices, w->n_pieces);

		rc = read_faulty(w, &r, piece, n % 2 == 1);
		CHECK(fuzz_has_failed(w->files) == (rc == QCOW2_E_IO));
		CHECK(rc != QCOW2_E_IO || r.reader.error.io_code == FUZZ_FAULT);
		fuzz_calls_reset(w->files, 0);
		check_piece(w, &r, piece);
		check_whole(w, &r);
	}
	fuzz_reader_stop(&r);
}

void fuzz_check_reading(const struct qcow2_image *image, struct fuzz_files *files,
                        struct fuzz_choices *choices, uint64_t off, size_t len)
{
	struct window w = { .image = image, .files = files, .choices = choices };
	struct fuzz_reader small, large;

	if (len == 0 || len > FUZZ_WINDOW)
		return;
	w.off = off;
	w.len = len;
	w.piece = (size_t)512 << fuzz_choose(choices, 4);
	w.n_pieces = (len - 1) / w.piece + 1;
	w.bytes = malloc(len);
	if (w.bytes == NULL)
		abort();
	CHECK(fuzz_reader_start(&small, image, FUZZ_SMALL) == QCOW2_OK);
	CHECK(fuzz_reader_start(&large, image, FUZZ_LARGE) == QCOW2_OK);
	read_pieces(&w, &large);
	check_pieces(&w, &small);
	check_pieces(&w, &large);
	walk(&w, &small, &large, FUZZ_SMALL);
	walk(&w, &large, &small, FUZZ_LARGE);
	check_whole(&w, &small);
	check_whole(&w, &large);
	check_cost(&w, FUZZ_SMALL);
	check_cost(&w, FUZZ_LARGE);
	check_faults(&w, (int)fuzz_choose(choices, 2));
	fuzz_calls_reset(files, 0);
	fuzz_reader_stop(&small);
	fuzz_reader_stop(&large);
	free(w.bytes);
}

void fuzz_check_windows(const struct qcow2_image *image, struct fuzz_files *files,
                        struct fuzz_choices *choices, unsigned n)
{
	const struct fuzz_file *file = image->io.ctx;

	while (n-- > 0) {
		uint64_t off = fuzz_choose_offset(choices, image, file->bytes, file->io.size);
		uint64_t most = fuzz_choose(choices, 4) == 0 ? FUZZ_WINDOW : 6000;
		uint64_t len = image->size - off;

		/* Usually start at a sector, so that pieces consist of sectors. */
		if (fuzz_choose(choices, 4) != 0)
			off -= off % 512;
		len = len < most ? len : 1 + fuzz_choose(choices, most);
		if (len > image->size - off)
			len = image->size - off;
		fuzz_check_reading(image, files, choices, off, (size_t)len);
	}
}
