/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- A file in memory ---- */

static void copy_part(uint8_t *buf, uint64_t pos, size_t len, const uint8_t *data, uint64_t at,
                      uint64_t n)
{
	uint64_t from = pos > at ? pos : at;
	uint64_t to = pos + len < at + n ? pos + len : at + n;

	if (from < to)
		memcpy(buf + (size_t)(from - pos), data + (size_t)(from - at), (size_t)(to - from));
}

static int test_io_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	struct test_io *t = ctx;

	t->calls++;
	t->bytes += len;
	if (len > t->longest)
		t->longest = len;
	TRUE(len > 0);
	TRUE(buf != NULL);
	LE(pos, t->io.size);
	LE(len, t->io.size - pos);
	if (t->fail_at != 0 && (t->persistent ? t->calls >= t->fail_at : t->calls == t->fail_at)) {
		t->faults++;
		memset(buf, 0xfa, len);
		return IO_FAULT;
	}
	if (pos < t->bad_to && pos + len > t->bad_from) {
		t->faults++;
		memset(buf, 0xfa, len);
		return IO_FAULT + 1;
	}
	memset(buf, 0, len);
	copy_part(buf, pos, len, t->data, 0, t->len);
	if (t->far != NULL)
		copy_part(buf, pos, len, t->far, t->far_pos, t->far_len);
	return 0;
}

static const struct qcow2_io_ops test_io_ops = { .read = test_io_read };

void test_io_bytes(struct test_io *t, const void *data, uint64_t len)
{
	memset(t, 0, sizeof *t);
	t->io.ops = &test_io_ops;
	t->io.ctx = t;
	t->io.size = len;
	t->data = data;
	t->len = len;
}

void test_io_init(struct test_io *t, const struct image_buf *buf)
{
	test_io_bytes(t, buf->data, buf->len);
}

void test_io_reset(struct test_io *t)
{
	t->calls = 0;
	t->bytes = 0;
	t->longest = 0;
	t->faults = 0;
	t->fail_at = 0;
	t->persistent = false;
}

/* ---- Guarded memory ---- */

void guard_check(const struct guarded *g)
{
	TRUE(guard_intact(g));
}

void guard_free(struct guarded *g)
{
	guard_check(g);
	guard_unmap(g);
}

/* ---- Images and readers ---- */

const struct qcow2_codec *const deflate_only[] = { &qcow2_deflate_small, NULL };

int open_whole(struct qcow2_image *image, const struct qcow2_io *io, unsigned flags,
               struct qcow2_error *err)
{
	int rc = qcow2_image_open(image, io, flags, err);

	if (rc != QCOW2_OK)
		return rc;
	rc = qcow2_image_extensions(image, err);
	if (rc == QCOW2_OK)
		return rc;
	if (err != NULL) {
		EQ((uintptr_t)err->io, (uintptr_t)&image->io);
		err->io = io;
	}
	memset(image, 0, sizeof *image);
	return rc;
}

void test_image_open_flags(struct test_image *s, unsigned flags)
{
	if (!s->img.finished)
		image_finish(&s->img);
	test_io_init(&s->io, &s->img.file);
	test_io_init(&s->data, &s->img.data);
	EQ(open_whole(&s->image, &s->io.io, flags, &s->err), QCOW2_OK);
	if (s->img.has_data_file)
		EQ(qcow2_image_attach_data(&s->image, &s->data.io), QCOW2_OK);
}

void test_image_open(struct test_image *s)
{
	test_image_open_flags(s, 0);
}

void test_image_free(struct test_image *s)
{
	image_free(&s->img);
}

void test_reader_init(struct test_reader *reader, const struct qcow2_image *image, size_t memory,
                      const struct qcow2_codec *const *codecs)
{
	size_t good = 0;

	if (memory == 0)
		EQ(qcow2_reader_memory(image, codecs, &memory, &good), QCOW2_OK);
	guard_init(&reader->memory, memory, 8);
	EQ(qcow2_reader_init(&reader->q, image, reader->memory.p, memory), QCOW2_OK);
	if (codecs != NULL)
		EQ(qcow2_reader_codecs(&reader->q, codecs), QCOW2_OK);
}

void test_reader_free(struct test_reader *reader)
{
	guard_free(&reader->memory);
}

int test_reader_read(struct test_reader *reader, uint64_t off, const void *want, size_t len)
{
	struct guarded g;
	int rc = 0;

	guard_init(&g, len, 1);
	rc = qcow2_reader_read(&reader->q, off, g.p, len);
	guard_check(&reader->memory);
	if (rc == QCOW2_OK)
		SAME(g.p, want, len);
	guard_free(&g);
	return rc;
}

/* Puts a layer over what is below it, and zeros past its end. */
static void expect_layer(const struct layer *layer, uint64_t off, uint8_t *buf, size_t len)
{
	size_t inside = len;

	if (off >= layer->size)
		inside = 0;
	else if (layer->size - off < len)
		inside = (size_t)(layer->size - off);
	if (inside != 0 && layer->img != NULL) {
		image_expect(layer->img, layer->table ? layer->table : &layer->img->active, off,
		             buf, inside);
	} else if (inside != 0) {
		memset(buf, 0, inside);
		copy_part(buf, off, inside, layer->raw->data, 0, layer->raw->len);
	}
	memset(buf + inside, 0, len - inside);
}

void expect_chain(const struct layer *layers, size_t n, uint64_t off, uint8_t *buf, size_t len)
{
	memset(buf, 0, len);
	while (n-- > 0)
		expect_layer(&layers[n], off, buf, len);
}

static struct place place_in(const struct image_cluster *c, bool external, uint64_t cluster,
                             uint64_t in_cluster)
{
	struct place p = { .kind = QCOW2_EXTENT_ABSENT, .unit = cluster };
	uint64_t sub = cluster / 32;
	unsigned bit = (unsigned)(in_cluster / sub);

	if (c->kind == IMAGE_ZERO || c->kind == IMAGE_ZERO_ALLOC)
		p.kind = QCOW2_EXTENT_ZERO;
	else if (c->kind == IMAGE_DATA)
		p.kind = QCOW2_EXTENT_DATA;
	else if (c->kind == IMAGE_COMPRESSED)
		p.kind = QCOW2_EXTENT_COMPRESSED;
	if (c->kind == IMAGE_SUBCLUSTERS) {
		p.unit = sub;
		if (c->bitmap >> bit & 1)
			p.kind = QCOW2_EXTENT_DATA;
		else if (c->bitmap >> (32 + bit) & 1)
			p.kind = QCOW2_EXTENT_ZERO;
	}
	p.has_io = c->kind != IMAGE_ZERO && c->kind != IMAGE_ABSENT && (c->pos != 0 || external);
	p.pos = c->kind == IMAGE_COMPRESSED ? c->pos : p.has_io ? c->pos + in_cluster : 0;
	return p;
}

struct place model_place(const struct image *img, const struct image_table *t, uint64_t off)
{
	uint64_t cluster = image_cluster_size(img);
	struct place none = { .kind = QCOW2_EXTENT_ABSENT, .unit = cluster };
	size_t low = 0;
	size_t high = t->n_clusters;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (t->clusters[mid].index < off / cluster)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == t->n_clusters || t->clusters[low].index != off / cluster)
		return none;
	return place_in(&t->clusters[low], img->has_data_file, cluster, off % cluster);
}
