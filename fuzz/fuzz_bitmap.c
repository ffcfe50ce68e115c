/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Bitmaps: the entries of the directory, their names, and the extents of dirty and clean parts are
 * those of a model. The model is a second parser, which shares no code with the core: it looks up
 * one bit at a time in the bytes of the file.
 */
#include "common.h"

#include "model.h"
#include "qcow2/bitmap.h"

enum {
	BITMAPS_MOST = 6, /* whose bits are checked */
	ENTRIES_MOST = 40,
	STEPS_MOST = 24, /* of a walk over the disk */
	PROBES_MOST = 40000,
	SLICES_MOST = 6
};

/* ---- The model ---- */

struct bitmap_model {
	const uint8_t *bytes;
	uint64_t len;
	struct qcow2_image image; /* its header and extensions, by fuzz_model_open */
	uint64_t n, at, left;     /* of the directory; then what is left of it */
};

/* A bit, found by an offset in the disk. */
struct bit {
	uint32_t kind;
	bool is_stored; /* in a cluster of bits */
	uint64_t pos;   /* of the table entry, or of what is wrong */
	uint64_t end;   /* where an extent ends at the latest */
};

static uint64_t bitmap_number(const struct bitmap_model *m, uint64_t pos, unsigned n)
{
	return fuzz_number(m->bytes, m->len, pos, n);
}

static bool is_there(const struct bitmap_model *m, uint64_t pos, uint64_t len)
{
	return len == 0 || (pos < m->len && len <= m->len - pos);
}

static int model_directory(struct bitmap_model *m, uint64_t *pos)
{
	const struct qcow2_span *extension = &m->image.bitmaps;

	m->n = m->at = m->left = 0;
	if (extension->len == 0)
		return QCOW2_OK;
	*pos = extension->pos;
	if (extension->len != 24)
		return QCOW2_E_BITMAP;
	if (!is_there(m, extension->pos, 24))
		return QCOW2_E_TRUNCATED;
	m->n = bitmap_number(m, extension->pos, 4);
	m->left = bitmap_number(m, extension->pos + 8, 8);
	m->at = bitmap_number(m, extension->pos + 16, 8);
	if (m->n > 65535 || m->left > m->n * 1024)
		return QCOW2_E_BITMAP;
	return is_there(m, m->at, m->left) ? QCOW2_OK : QCOW2_E_TRUNCATED;
}

/* Answers like qcow2_bitmap_next for entry number `index`, which is at m->at. */
static int model_bitmap(struct bitmap_model *m, uint32_t index, struct qcow2_bitmap *want,
                        uint64_t *pos)
{
	uint64_t len;

	memset(want, 0, sizeof *want);
	if (index >= m->n)
		return QCOW2_E_NOT_FOUND;
	*pos = m->at;
	if (m->left < 24)
		return QCOW2_E_BITMAP;
	want->pos = m->at;
	want->table_pos = bitmap_number(m, m->at, 8);
	want->table_entries = (uint32_t)bitmap_number(m, m->at + 8, 4);
	want->flags = (uint32_t)bitmap_number(m, m->at + 12, 4);
	if ((m->image.autoclear & 1) == 0)
		want->flags |= 1;
	want->type = (uint8_t)bitmap_number(m, m->at + 16, 1);
	want->granularity_bits = (uint8_t)bitmap_number(m, m->at + 17, 1);
	want->name_len = (uint16_t)bitmap_number(m, m->at + 18, 2);
	want->extra_len = (uint32_t)bitmap_number(m, m->at + 20, 4);
	want->name_pos = m->at + 24 + want->extra_len;
	len = 24 + (uint64_t)want->extra_len + want->name_len;
	if (len > m->left || want->granularity_bits > 63)
		return QCOW2_E_BITMAP;
	len = (len + 7) / 8 * 8;
	m->at += len < m->left ? len : m->left;
	m->left -= len < m->left ? len : m->left;
	return QCOW2_OK;
}

/* The bytes of the disk that an entry of the bitmap table is for. */
static uint64_t entry_span(const struct bitmap_model *m, const struct qcow2_bitmap *b)
{
	return UINT64_C(1) << (m->image.cluster_bits + 3 + b->granularity_bits);
}

/* Can the bits be read at all? */
static int model_usable(const struct bitmap_model *m, const struct qcow2_bitmap *b, unsigned flags)
{
	uint64_t span;

	if (b->type != 1 || b->granularity_bits < 9 || b->granularity_bits > 31)
		return QCOW2_E_BITMAP;
	if (b->extra_len != 0 || b->flags > 3)
		return QCOW2_E_BITMAP;
	span = entry_span(m, b);
	if (b->table_entries > 0x8000000 || b->table_entries != (m->image.size - 1) / span + 1)
		return QCOW2_E_BITMAP;
	return (b->flags & 1) != 0 && flags == 0 ? QCOW2_E_INCONSISTENT : QCOW2_OK;
}

/* A table, or a cluster of bits: bits 0-8 and 56-63 of its position are 0. */
static int model_place(const struct bitmap_model *m, uint64_t pos, uint64_t len)
{
	if (pos == 0 || pos >> 56 != 0 || pos % m->image.cluster_len != 0)
		return QCOW2_E_BITMAP;
	return is_there(m, pos, len) ? QCOW2_OK : QCOW2_E_TRUNCATED;
}

/* The bit for the byte of the disk at off, of a bitmap that is usable. */
static int model_bit(const struct bitmap_model *m, const struct qcow2_bitmap *b, uint64_t off,
                     struct bit *bit)
{
	uint64_t span = entry_span(m, b);
	uint64_t start = off - off % span;
	uint64_t n = (off - start) >> b->granularity_bits;
	uint64_t entry;
	int rc;

	bit->pos = b->pos;
	rc = model_place(m, b->table_pos, UINT64_C(8) * b->table_entries);
	if (rc != QCOW2_OK)
		return rc;
	bit->pos = b->table_pos + 8 * (off / span);
	entry = bitmap_number(m, bit->pos, 8);
	bit->kind = (uint32_t)entry;
	bit->is_stored = entry > 1;
	bit->end = start + span;
	if (!bit->is_stored)
		return QCOW2_OK;
	rc = model_place(m, entry, m->image.cluster_len);
	if (rc != QCOW2_OK)
		return rc;
	bit->kind = bitmap_number(m, entry + n / 8, 1) >> n % 8 & 1;
	bit->end = start + ((n / 4096 + 1) * 4096 << b->granularity_bits);
	return QCOW2_OK;
}

/* ---- The core ---- */

struct subject {
	struct fuzz_file file, external;
	struct fuzz_files files;
	struct fuzz_choices choices;
	struct qcow2_image image;
	struct bitmap_model model;
	struct fuzz_reader reader;
	uint32_t n_probes;
};

static bool same_entry(const struct qcow2_bitmap *a, const struct qcow2_bitmap *b)
{
	return a->table_pos == b->table_pos && a->name_pos == b->name_pos &&
	       a->table_entries == b->table_entries && a->flags == b->flags &&
	       a->name_len == b->name_len && a->type == b->type &&
	       a->granularity_bits == b->granularity_bits && a->pos == b->pos &&
	       a->extra_len == b->extra_len;
}

/* The name, which is inside the file because the directory is. */
static void check_name(struct subject *w, const struct qcow2_bitmap *b)
{
	uint8_t *buf = fuzz_buf_new(b->name_len);
	struct qcow2_error err;

	if (b->name_len != 0) {
		fuzz_calls_reset(&w->files, 1);
		CHECK(qcow2_bitmap_name(&w->image, b, buf, &err) == QCOW2_E_IO);
		CHECK(err.io == &w->image.io && err.io_code == FUZZ_FAULT);
	}
	fuzz_calls_reset(&w->files, 0);
	CHECK(qcow2_bitmap_name(&w->image, b, buf, NULL) == QCOW2_OK);
	CHECK(fuzz_calls(&w->files) == (b->name_len != 0));
	CHECK(memcmp(buf, w->file.bytes + b->name_pos, b->name_len) == 0);
	fuzz_buf_free(buf, b->name_len);
}

/* Gets the entry after *b into *b: with a fault, into another object, and in place. */
static int next_of_core(struct subject *w, uint32_t index, struct qcow2_bitmap *b,
                        struct qcow2_error *err)
{
	struct qcow2_bitmap other;
	int rc, again;

	memset(&other, 0xa5, sizeof other);
	fuzz_calls_reset(&w->files, 0);
	rc = qcow2_bitmap_next(&w->image, index == 0 ? NULL : b, &other, err);
	CHECK(err->status == rc && fuzz_calls(&w->files) <= 1 + (index == 0));
	fuzz_calls_reset(&w->files, 1 + 2 * fuzz_choose(&w->choices, 2));
	again = qcow2_bitmap_next(&w->image, index == 0 ? NULL : b, b, NULL);
	CHECK(fuzz_has_failed(&w->files) ? again == QCOW2_E_IO : again == rc);
	if (fuzz_has_failed(&w->files)) {
		fuzz_calls_reset(&w->files, 0);
		CHECK(qcow2_bitmap_next(&w->image, index == 0 ? NULL : b, b, NULL) == rc);
	}
	CHECK(rc != QCOW2_OK || (same_entry(b, &other) && b->index == other.index));
	return rc;
}

/* Checks the directory. Returns how many of the bitmaps went to `found`. */
static unsigned check_directory(struct subject *w, struct qcow2_bitmap *found)
{
	struct qcow2_bitmap b, want;
	struct qcow2_error err;
	uint64_t pos = 0;
	uint32_t i;
	int expect = model_directory(&w->model, &pos);

	for (i = 0; i < ENTRIES_MOST; i++) {
		if (expect == QCOW2_OK)
			expect = model_bitmap(&w->model, i, &want, &pos);
		CHECK(next_of_core(w, i, &b, &err) == expect);
		if (expect == QCOW2_E_BITMAP)
			CHECK(err.io == &w->image.io && err.pos == pos);
		if (expect != QCOW2_OK)
			break;
		CHECK(same_entry(&b, &want) && b.index == i);
		check_name(w, &b);
		if (i < BITMAPS_MOST)
			found[i] = b;
	}
	return i < BITMAPS_MOST ? i : BITMAPS_MOST;
}

/* Where an extent that begins at off must end. */
static uint64_t extent_end(struct subject *w, const struct qcow2_bitmap *b, uint64_t off)
{
	uint64_t size = w->model.image.size;
	uint64_t granule = UINT64_C(1) << b->granularity_bits;
	struct bit bit, other;
	uint64_t at;

	CHECK(model_bit(&w->model, b, off, &bit) == QCOW2_OK);
	if (bit.end > size)
		bit.end = size;
	at = off - off % granule + granule;
	for (; bit.is_stored && at < bit.end; at += granule) {
		w->n_probes++;
		CHECK(model_bit(&w->model, b, at, &other) == QCOW2_OK);
		if (other.kind != bit.kind)
			return at;
	}
	return bit.end;
}

/* Asks for the extent at e->off. It is that of the model, or fails as the model does. */
static int check_extent(struct subject *w, const struct qcow2_bitmap *b, unsigned flags,
                        struct qcow2_extent *e)
{
	const struct qcow2_error *err = &w->reader.reader.error;
	uint64_t off = e->off;
	struct bit bit = { .pos = b->pos, .is_stored = true };
	int want = model_usable(&w->model, b, flags);
	int rc;

	if (want == QCOW2_OK)
		want = model_bit(&w->model, b, off, &bit);
	fuzz_calls_reset(&w->files, 0);
	rc = qcow2_bitmap_extent(&w->reader.reader, b, flags, e);
	fuzz_buf_check(w->reader.memory, w->reader.memory_len);
	CHECK(rc == want && err->status == rc);
	CHECK(fuzz_calls(&w->files) <= (rc == QCOW2_OK && bit.is_stored ? 2 : 1));
	if (rc == QCOW2_E_BITMAP)
		CHECK(err->io == &w->image.io && err->pos == bit.pos);
	if (rc == QCOW2_OK)
		CHECK(e->off == off && e->kind == bit.kind &&
		      off + e->len == extent_end(w, b, off));
	return rc;
}

/* The same after a fault, and after the reader has mapped another place. */
static int check_disturbed(struct subject *w, const struct qcow2_bitmap *b, unsigned flags,
                           struct qcow2_extent *e)
{
	struct qcow2_reader *reader = &w->reader.reader;
	struct qcow2_extent other = { .off = e->off };

	if (fuzz_choose(&w->choices, 3) == 0)
		(void)qcow2_reader_map(reader, fuzz_choose(&w->choices, w->image.size), 1, &other);
	if (fuzz_choose(&w->choices, 3) == 0) {
		int rc;

		other.off = fuzz_choose(&w->choices, 2) == 0
		                    ? e->off
		                    : fuzz_choose(&w->choices, w->image.size);
		fuzz_calls_reset(&w->files, 1 + 2 * fuzz_choose(&w->choices, 2));
		rc = qcow2_bitmap_extent(reader, b, flags, &other);
		CHECK((rc == QCOW2_E_IO) == fuzz_has_failed(&w->files));
		if (rc == QCOW2_E_IO)
			CHECK(reader->error.io == &w->image.io &&
			      reader->error.io_code == FUZZ_FAULT);
	}
	return check_extent(w, b, flags, e);
}

/* Starts a reader with room for this many slices, or a little more. */
static bool start(struct subject *w, uint64_t n_slices)
{
	size_t more = (size_t)fuzz_choose(&w->choices, QCOW2_READER_SLICE / 8) * 8;

	w->reader.memory_len = (size_t)n_slices * QCOW2_READER_SLICE + more;
	w->reader.memory = fuzz_buf_new(w->reader.memory_len);
	if (qcow2_reader_init(&w->reader.reader, &w->image, w->reader.memory,
	                      w->reader.memory_len) == QCOW2_OK)
		return true;
	fuzz_reader_stop(&w->reader);
	return false;
}

/* An offset of the disk, often near the border of an entry or of 4096 bits. */
static uint64_t choose_offset(struct subject *w, const struct qcow2_bitmap *b)
{
	uint64_t size = w->image.size;
	unsigned bits = b->granularity_bits < 40 ? b->granularity_bits : 40;
	uint64_t off = fuzz_choose(&w->choices, size);

	switch (fuzz_choose(&w->choices, 5)) {
	case 0: off = 0; break;
	case 1: off = size - 1 - fuzz_choose(&w->choices, size < 600 ? size : 600); break;
	case 2: off = off >> (bits + 12) << (bits + 12); break;
	case 3:
		off = off >> (bits + 12) << (bits + 12);
		off -= off != 0;
		break;
	default: break;
	}
	return off;
}

/* The cost of a walk in the order of the disk, as bitmap.h allows it while the cache grows. */
static void check_order(struct subject *w, const struct qcow2_bitmap *b)
{
	struct qcow2_extent e = { .off = choose_offset(w, b) };
	uint64_t end = 0, group = UINT64_MAX, n_pieces = 0, n_groups = 0, calls = 0;
	int i;

	if (model_usable(&w->model, b, 1) != QCOW2_OK)
		return;
	for (i = 0; i < STEPS_MOST && e.off < w->image.size; i++) {
		struct bit bit;
		uint64_t index = e.off / entry_span(&w->model, b);

		if (w->n_probes > PROBES_MOST || check_extent(w, b, 1, &e) != QCOW2_OK)
			return;
		calls += fuzz_calls(&w->files);
		CHECK(model_bit(&w->model, b, e.off, &bit) == QCOW2_OK);
		n_groups += group != index / 64;
		n_pieces += bit.is_stored && end != bit.end;
		group = index / 64;
		end = bit.end;
		CHECK(calls <= n_groups + n_pieces + n_pieces / 2);
		e.off += e.len;
	}
}

static void check_anywhere(struct subject *w, const struct qcow2_bitmap *b)
{
	unsigned flags = (unsigned)fuzz_choose(&w->choices, 4) != 0 ? QCOW2_BITMAP_IN_USE : 0;
	struct qcow2_extent e = { .off = choose_offset(w, b) };
	int i;

	for (i = 0; i < STEPS_MOST && w->n_probes < PROBES_MOST; i++) {
		int rc = check_disturbed(w, b, flags, &e);

		e.off = rc == QCOW2_OK && fuzz_choose(&w->choices, 4) != 0 ? e.off + e.len
		                                                           : choose_offset(w, b);
		if (e.off >= w->image.size)
			e.off = choose_offset(w, b);
	}
}

static void check_range(struct subject *w, const struct qcow2_bitmap *b)
{
	uint64_t size = w->image.size;
	struct qcow2_extent e = { .off = size };
	struct qcow2_reader *reader = &w->reader.reader;

	fuzz_calls_reset(&w->files, 0);
	CHECK(qcow2_bitmap_extent(reader, b, 1, &e) == QCOW2_E_RANGE);
	e.off = size + fuzz_choose(&w->choices, UINT64_MAX - size);
	CHECK(qcow2_bitmap_extent(reader, b, 1, &e) == QCOW2_E_RANGE);
	CHECK(reader->error.status == QCOW2_E_RANGE && fuzz_calls(&w->files) == 0);
}

static void check_bits(struct subject *w, const struct qcow2_bitmap *b)
{
	if (!start(w, 1 + fuzz_choose(&w->choices, SLICES_MOST)))
		return;
	check_range(w, b);
	if (w->image.size != 0)
		check_anywhere(w, b);
	fuzz_reader_stop(&w->reader);
	if (w->image.size == 0 || !start(w, 2 + fuzz_choose(&w->choices, SLICES_MOST)))
		return;
	check_order(w, b);
	fuzz_reader_stop(&w->reader);
}

/* Opens the image, in the core and in the model. */
static bool open_both(struct subject *w, unsigned flags)
{
	struct fuzz_model header = { w->file.bytes, w->file.io.size, flags };
	uint64_t pos = 0;

	if (qcow2_image_open(&w->image, &w->file.io, flags, NULL) != QCOW2_OK)
		return false;
	CHECK(fuzz_model_open(&header, &w->model.image, &pos) == QCOW2_OK);
	CHECK(qcow2_image_extensions(&w->image, NULL) ==
	      fuzz_model_extensions(&header, &w->model.image));
	if ((w->image.incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) != 0)
		CHECK(qcow2_image_attach_data(&w->image, &w->external.io) == QCOW2_OK);
	w->model.bytes = w->file.bytes;
	w->model.len = w->file.io.size;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct subject w = { .n_probes = 0 };
	struct qcow2_bitmap found[BITMAPS_MOST];
	unsigned flags, n, i;

	fuzz_choices_init(&w.choices, data, len);
	fuzz_file_init(&w.file, data, len);
	fuzz_file_init(&w.external, data, len);
	w.files.file[0] = &w.file;
	w.files.file[1] = &w.external;
	w.files.n = 2;
	flags = QCOW2_OPEN_LAYER | (unsigned)fuzz_choose(&w.choices, 8);
	if (!open_both(&w, flags))
		return 0;
	n = check_directory(&w, found);
	for (i = 0; i < n; i++)
		check_bits(&w, &found[i]);
	return 0;
}
