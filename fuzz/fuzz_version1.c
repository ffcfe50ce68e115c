/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Images of version 1: opening them, the map of the disk, and its bytes, plain and encrypted, are
 * those of a model. The model is a second parser, which shares no code with the core: it looks up
 * one byte of the disk at a time, with numbers so wide that no sum wraps.
 */
#include "common.h"

#include "model.h"
#include "qcow2/cipher.h"
#include "qcow2/version1.h"

enum { STEPS_MAX = 60, PROBES_MAX = 10, READ_MAX = 2000, HEADER = 48 };

/* ---- The model ---- */

struct v1_model {
	const uint8_t *bytes;
	uint64_t len;
	unsigned flags;
	uint64_t size, l1;
	unsigned bits, l2_bits, method;
	uint64_t name_pos;
	uint32_t name_len;
};

/* What the disk has at an offset. Only an extent with a place has a pos. */
struct v1_place {
	uint32_t kind, packed_len;
	uint64_t pos;
};

static uint64_t number(const struct v1_model *m, uint64_t pos, unsigned n)
{
	return fuzz_number(m->bytes, m->len, pos, n);
}

static bool there(const struct v1_model *m, uint64_t pos, uint64_t len)
{
	if ((m->flags & QCOW2_OPEN_TRUNCATED) != 0 || len == 0)
		return true;
	return pos < m->len && len <= m->len - pos;
}

/* If the answer is QCOW2_E_HEADER, *pos is the position of the field. */
static int model_open(struct v1_model *m, uint64_t *pos)
{
	uint64_t last;

	if (number(m, 0, 4) != 0x514649fb)
		return QCOW2_E_NOT_QCOW2;
	if (number(m, 4, 4) != 1)
		return QCOW2_E_VERSION;
	if (m->len < HEADER)
		return QCOW2_E_TRUNCATED;
	m->size = number(m, 24, 8);
	m->bits = (unsigned)number(m, 32, 1);
	m->l2_bits = (unsigned)number(m, 33, 1);
	m->method = (unsigned)number(m, 36, 4);
	m->l1 = number(m, 40, 8);
	m->name_pos = number(m, 8, 8);
	m->name_len = m->name_pos == 0 ? 0 : (uint32_t)number(m, 16, 4);
	*pos = 24;
	if (m->size < 2)
		return QCOW2_E_HEADER;
	if (m->bits < 9 || m->bits > 16)
		return QCOW2_E_CLUSTER_BITS;
	*pos = 33;
	if (m->l2_bits < 6 || m->l2_bits > 13)
		return QCOW2_E_HEADER;
	if (m->method > 1 || (m->method == 1 && (m->flags & QCOW2_OPEN_INSPECT) == 0))
		return QCOW2_E_ENCRYPTED;
	last = (m->size - 1) >> (m->bits + m->l2_bits);
	if (last + 1 > 0x7fffffff / 8)
		return QCOW2_E_TOO_BIG;
	if (m->l1 >= UINT64_C(0x7fffffff00000000))
		return QCOW2_E_L1;
	if (!there(m, m->l1, (last + 1) * 8))
		return QCOW2_E_TRUNCATED;
	*pos = 8;
	if (m->name_pos > UINT32_MAX && m->name_len != 0)
		return QCOW2_E_HEADER;
	*pos = 16;
	if (m->name_len > QCOW2_NAME_MAX)
		return QCOW2_E_HEADER;
	return there(m, m->name_pos, m->name_len) ? QCOW2_OK : QCOW2_E_TRUNCATED;
}

static int model_entry(const struct v1_model *m, uint64_t table, uint64_t index, uint64_t *entry)
{
	if (table >= UINT64_C(0x7fffffff00000000))
		return QCOW2_E_L2_ENTRY;
	if (!there(m, table + 8 * index, 8))
		return QCOW2_E_TRUNCATED;
	*entry = number(m, table + 8 * index, 8);
	return QCOW2_OK;
}

/* What an entry says about the byte that is `in` bytes behind the beginning of its cluster. */
static int model_cluster(const struct v1_model *m, uint64_t entry, uint64_t in, struct v1_place *p)
{
	uint64_t mask = (UINT64_C(1) << m->bits) - 1;

	if (entry >> 63 != 0) {
		p->kind = QCOW2_EXTENT_COMPRESSED;
		p->packed_len = (uint32_t)(entry >> (63 - m->bits) & mask);
		p->pos = entry & ((UINT64_C(1) << (63 - m->bits)) - 1);
		return QCOW2_OK;
	}
	p->pos = entry + in;
	p->kind = m->method == 0 ? QCOW2_EXTENT_DATA : QCOW2_EXTENT_ENCRYPTED;
	if (entry % 512 != 0)
		return QCOW2_E_L2_ENTRY;
	/* A cluster may be cut, but a sector that is cut cannot be decrypted. */
	if (m->method == 0)
		return there(m, entry, 1) ? QCOW2_OK : QCOW2_E_TRUNCATED;
	return there(m, p->pos / 512 * 512, 512) ? QCOW2_OK : QCOW2_E_TRUNCATED;
}

static int model_at(const struct v1_model *m, uint64_t off, struct v1_place *p)
{
	uint64_t cluster = off >> m->bits;
	uint64_t entry;
	int rc = model_entry(m, m->l1, cluster >> m->l2_bits, &entry);

	memset(p, 0, sizeof *p);
	if (rc != QCOW2_OK || entry == 0)
		return rc;
	rc = model_entry(m, entry, cluster % (UINT64_C(1) << m->l2_bits), &entry);
	if (rc != QCOW2_OK || entry == 0)
		return rc;
	return model_cluster(m, entry, off % (UINT64_C(1) << m->bits), p);
}

/* The byte of the disk; for compressed clusters unknown. */
static uint8_t model_byte(const struct v1_model *m, uint64_t off, const struct v1_place *p)
{
	if (p->kind == QCOW2_EXTENT_DATA)
		return (uint8_t)number(m, p->pos, 1);
	if (p->kind != QCOW2_EXTENT_ENCRYPTED || p->pos / 512 >= m->len / 512)
		return 0;
	return (uint8_t)(number(m, p->pos, 1) ^ (off / 512 * 7 + off));
}

/* ---- The core ---- */

struct subject {
	struct fuzz_file file;
	struct fuzz_files files;
	struct fuzz_choices choices;
	struct qcow2_image image;
	struct v1_model model;
	struct qcow2_cipher cipher;
	struct fuzz_reader reader;
};

/* As model_byte says. */
static int v1_decrypt(const struct qcow2_cipher *self, uint64_t sector, void *buf, size_t n)
{
	uint8_t *bytes = buf;
	size_t i;

	(void)self;
	for (i = 0; i < n * 512; i++)
		bytes[i] ^= (uint8_t)((sector + i / 512) * 7 + i);
	return QCOW2_OK;
}

/* Opens with these flags, twice and with a fault. */
static int check_open(struct subject *w, unsigned flags)
{
	struct v1_model *m = &w->model;
	struct qcow2_image *image = &w->image;
	struct qcow2_error err;
	uint64_t pos = 0;
	int want;

	m->bytes = w->file.bytes;
	m->len = w->file.io.size;
	m->flags = flags;
	want = model_open(m, &pos);
	fuzz_calls_reset(&w->files, 1);
	CHECK(qcow2_image_open_v1(image, &w->file.io, flags, &err) ==
	      (m->len == 0 ? want : QCOW2_E_IO));
	fuzz_calls_reset(&w->files, 0);
	CHECK(qcow2_image_open_v1(image, &w->file.io, flags, &err) == want);
	CHECK(fuzz_calls(&w->files) <= 1 && err.status == want);
	CHECK(want != QCOW2_E_HEADER || err.pos == pos);
	if (want != QCOW2_OK) {
		CHECK(err.io == &w->file.io && image->io.ops == NULL);
		return want;
	}
	CHECK(image->version == 1 && image->size == m->size && image->flags == flags);
	CHECK(image->cluster_bits == m->bits && image->cluster_len == UINT32_C(1) << m->bits);
	CHECK(image->l1_entry_bits == m->bits + m->l2_bits && image->l1_pos == m->l1);
	CHECK(image->crypt_method == m->method && image->backing_name.len == m->name_len);
	CHECK(m->name_len == 0 || image->backing_name.pos == m->name_pos);
	CHECK(image->incompatible == 0 && image->n_snapshots == 0);
	return QCOW2_OK;
}

/* The model has, at off, what the extent has there. */
static void check_probe(const struct subject *w, const struct qcow2_extent *e, uint64_t off)
{
	struct v1_place p;

	CHECK(model_at(&w->model, off, &p) == QCOW2_OK);
	CHECK(p.kind == e->kind && p.packed_len == e->packed_len);
	CHECK((p.kind == QCOW2_EXTENT_ABSENT) == (e->io == NULL));
	if (p.kind == QCOW2_EXTENT_DATA || p.kind == QCOW2_EXTENT_ENCRYPTED)
		CHECK(p.pos == e->pos + (off - e->off));
	else if (p.kind == QCOW2_EXTENT_COMPRESSED)
		CHECK(p.pos == e->pos && off >> w->model.bits == e->off >> w->model.bits);
}

/* The extent goes as far as it can, or to the end of what was asked for. */
static void check_end(const struct subject *w, const struct qcow2_extent *e, uint64_t end)
{
	uint64_t off = e->off + e->len;
	struct v1_place p;

	if (off == end || e->kind == QCOW2_EXTENT_COMPRESSED)
		return;
	CHECK(model_at(&w->model, off, &p) != QCOW2_OK || p.kind != e->kind ||
	      (e->io != NULL && p.pos != e->pos + e->len));
}

static void check_extent(struct subject *w, const struct qcow2_extent *e, uint64_t off,
                         uint64_t end)
{
	uint64_t cluster = w->image.cluster_len;
	uint64_t last = e->off + (e->len - 1);
	int i;

	CHECK(e->off == off && e->len > 0 && e->len <= end - off && e->depth == 0);
	CHECK(e->image == &w->image && (e->io == NULL || e->io == &w->image.io));
	check_probe(w, e, last);
	for (i = 0; i < PROBES_MAX && off <= last; i++) {
		check_probe(w, e, off);
		check_probe(w, e, off + fuzz_choose(&w->choices, last - off + 1));
		off += cluster - off % cluster;
	}
	check_end(w, e, end);
}

/* Where a walk ends. The L1 table of a file that is cut may be much longer than the file. */
static uint64_t walk_end(const struct qcow2_image *image, uint64_t off)
{
	uint64_t most = UINT64_C(512) << image->l1_entry_bits;

	return image->size - off < most ? image->size : off + most;
}

/* Maps [off, end). An error is that of the model, and concerns one cluster or sector. */
static void check_map(struct subject *w, uint64_t off, uint64_t end)
{
	struct qcow2_reader *reader = &w->reader.reader;
	struct qcow2_extent e;
	struct v1_place p;
	int i, rc;

	for (i = 0; i < STEPS_MAX && off < end; i++) {
		fuzz_calls_reset(&w->files, 1 + fuzz_choose(&w->choices, 40));
		rc = qcow2_reader_map(reader, off, end - off, &e);
		CHECK((rc == QCOW2_E_IO) == fuzz_has_failed(&w->files));
		fuzz_calls_reset(&w->files, 0);
		rc = qcow2_reader_map(reader, off, end - off, &e);
		fuzz_buf_check(w->reader.memory, w->reader.memory_len);
		if (rc != QCOW2_OK) {
			CHECK(reader->error.status == rc && model_at(&w->model, off, &p) == rc);
			off += 512 - off % 512;
			continue;
		}
		check_extent(w, &e, off, end);
		/* Each of two entries may go from one slice to the next. */
		CHECK(qcow2_reader_map(reader, fuzz_choose(&w->choices, w->image.size), 1, &e) !=
		      QCOW2_E_RANGE);
		fuzz_calls_reset(&w->files, 0);
		CHECK(qcow2_reader_map(reader, off, 1, &e) == QCOW2_OK && e.off == off);
		CHECK(fuzz_calls(&w->files) <= 4);
		rc = qcow2_reader_map(reader, off, end - off, &e);
		CHECK(rc == QCOW2_OK);
		off += e.len;
	}
}

/* Reads a piece. The bytes, and the first error, are those of the model, up to packed data. */
static void check_read(struct subject *w, uint64_t off, size_t len)
{
	uint8_t *buf = fuzz_buf_new(len);
	int rc = qcow2_reader_read(&w->reader.reader, off, buf, len);
	int want = QCOW2_OK;
	bool has_packed = false;
	size_t i;

	fuzz_buf_check(w->reader.memory, w->reader.memory_len);
	for (i = 0; i < len && want == QCOW2_OK; i++) {
		struct v1_place p;

		want = model_at(&w->model, off + i, &p);
		if (want == QCOW2_OK && p.kind == QCOW2_EXTENT_COMPRESSED)
			has_packed = true;
		else if (want == QCOW2_OK && rc == QCOW2_OK)
			CHECK(buf[i] == model_byte(&w->model, off + i, &p));
	}
	CHECK(rc == want || (has_packed && rc != QCOW2_OK));
	fuzz_buf_free(buf, len);
}

static void check_disk(struct subject *w)
{
	uint64_t size = w->image.size;
	int i;

	for (i = 0; i < 2; i++) {
		uint64_t off =
			fuzz_choose_offset(&w->choices, &w->image, w->file.bytes, w->file.io.size);

		CHECK(fuzz_reader_start(&w->reader, &w->image, i) == QCOW2_OK);
		check_map(w, 0, walk_end(&w->image, 0));
		check_map(w, off, walk_end(&w->image, off));
		fuzz_reader_stop(&w->reader);
	}
	CHECK(fuzz_reader_start(&w->reader, &w->image, FUZZ_LARGE) == QCOW2_OK);
	for (i = 0; i < 4; i++) {
		uint64_t off =
			fuzz_choose_offset(&w->choices, &w->image, w->file.bytes, w->file.io.size);
		uint64_t len = 1 + fuzz_choose(&w->choices, i % 2 == 0 ? 700 : READ_MAX);

		if (off < size)
			check_read(w, off, (size_t)(len < size - off ? len : size - off));
	}
	fuzz_reader_stop(&w->reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct subject w;
	unsigned flags;

	fuzz_choices_init(&w.choices, data, len);
	fuzz_file_init(&w.file, data, len);
	w.files.file[0] = &w.file;
	w.files.n = 1;
	for (flags = 0; flags < 8; flags++)
		(void)check_open(&w, flags);
	flags = QCOW2_OPEN_LAYER | QCOW2_OPEN_INSPECT | (unsigned)fuzz_choose(&w.choices, 2);
	if (check_open(&w, flags) != QCOW2_OK)
		return 0;
	if (w.image.crypt_method != 0) {
		w.cipher.decrypt = v1_decrypt;
		CHECK(qcow2_image_attach_cipher(&w.image, &w.cipher) == QCOW2_OK);
	}
	check_disk(&w);
	/* What reading.c knows about bytes is for data that is not encrypted. */
	if (w.image.crypt_method == 0)
		fuzz_check_windows(&w.image, &w.files, &w.choices, 1);
	return 0;
}
