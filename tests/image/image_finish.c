/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Writes tables, refcounts, snapshots and header of an image. */
#include "image.h"

#include <stdlib.h>
#include <string.h>

/* qcow2.txt "Header". */
static const struct {
	const char *name;
	uint8_t pos;
	uint8_t len;
} fields[IMAGE_N_FIELDS] = {
	[IMAGE_MAGIC] = { "magic", 0, 4 },
	[IMAGE_VERSION] = { "version", 4, 4 },
	[IMAGE_BACKING_FILE_OFFSET] = { "backing_file_offset", 8, 8 },
	[IMAGE_BACKING_FILE_SIZE] = { "backing_file_size", 16, 4 },
	[IMAGE_CLUSTER_BITS] = { "cluster_bits", 20, 4 },
	[IMAGE_SIZE] = { "size", 24, 8 },
	[IMAGE_CRYPT_METHOD] = { "crypt_method", 32, 4 },
	[IMAGE_L1_SIZE] = { "l1_size", 36, 4 },
	[IMAGE_L1_TABLE_OFFSET] = { "l1_table_offset", 40, 8 },
	[IMAGE_REFCOUNT_TABLE_OFFSET] = { "refcount_table_offset", 48, 8 },
	[IMAGE_REFCOUNT_TABLE_CLUSTERS] = { "refcount_table_clusters", 56, 4 },
	[IMAGE_NB_SNAPSHOTS] = { "nb_snapshots", 60, 4 },
	[IMAGE_SNAPSHOTS_OFFSET] = { "snapshots_offset", 64, 8 },
	[IMAGE_INCOMPATIBLE_FEATURES] = { "incompatible_features", 72, 8 },
	[IMAGE_COMPATIBLE_FEATURES] = { "compatible_features", 80, 8 },
	[IMAGE_AUTOCLEAR_FEATURES] = { "autoclear_features", 88, 8 },
	[IMAGE_REFCOUNT_ORDER] = { "refcount_order", 96, 4 },
	[IMAGE_HEADER_LENGTH] = { "header_length", 100, 4 },
	[IMAGE_COMPRESSION_TYPE] = { "compression_type", 104, 1 },
};

const char *image_field_name(enum image_field field)
{
	return fields[field].name;
}

unsigned image_field_pos(enum image_field field)
{
	return fields[field].pos;
}

unsigned image_field_len(enum image_field field)
{
	return fields[field].len;
}

static bool once(const struct image *img, uint64_t pos)
{
	uint64_t i = pos >> img->cluster_bits;

	return img->has_data_file || (i < img->n_refs && img->refs[i] == 1);
}

static bool wants_copied(const struct image *img, const struct image_cluster *c)
{
	bool host = c->kind == IMAGE_DATA || c->kind == IMAGE_ZERO_ALLOC ||
	            (c->kind == IMAGE_SUBCLUSTERS && (c->pos != 0 || img->has_data_file));

	if (c->kind == IMAGE_SUBCLUSTERS && img->has_data_file && c->pos == 0)
		host = (c->bitmap & IMAGE_ALL_ALLOCATED) != 0;
	return host && once(img, c->pos);
}

static void place_l2_tables(struct image *img, struct image_table *t)
{
	uint64_t n = image_l2_entries(img);
	uint64_t last = UINT64_MAX;

	for (size_t i = 0; i < t->n_clusters; i++) {
		if (t->clusters[i].index / n != last)
			image_place_l2(img, t, t->clusters[i].index / n);
		last = t->clusters[i].index / n;
	}
}

static void write_table(struct image *img, const struct image_table *t)
{
	uint64_t n = image_l2_entries(img);
	size_t l1 = 0;

	for (size_t i = 0; i < t->n_clusters; i++) {
		const struct image_cluster *c = &t->clusters[i];
		unsigned len = img->extended_l2 ? 16 : 8;
		uint64_t pos = 0;

		while (t->l1[l1].index < c->index / n)
			l1++;
		if (t->l1[l1].raw)
			continue;
		pos = t->l1[l1].value + c->index % n * len;
		image_put(&img->file, pos, c->entry | (wants_copied(img, c) ? IMAGE_COPIED : 0), 8);
		if (img->extended_l2)
			image_put(&img->file, pos + 8, c->bitmap, 8);
	}
	for (size_t i = 0; i < t->n_l1; i++) {
		if (t->l1[i].index < t->l1_entries)
			image_put(&img->file, t->l1_pos + t->l1[i].index * 8,
			          t->l1[i].value | (t->l1[i].raw ? 0 : IMAGE_COPIED), 8);
	}
}

/* ---- Snapshots, qcow2.txt "Snapshots" ---- */

static uint64_t snapshot_len(const struct image_snapshot *s)
{
	return ((uint64_t)40 + s->extra_len + strlen(s->id) + strlen(s->name) + 7) & ~UINT64_C(7);
}

static void write_snapshot(struct image *img, const struct image_snapshot *s, uint64_t pos)
{
	struct image_buf *f = &img->file;
	const uint64_t extra[3] = { s->vm_state_size_large, s->disk_size, s->icount };

	image_buf_fill(f, pos, 0, (size_t)snapshot_len(s));
	image_put(f, pos, s->l1_pos_set ? s->l1_pos : s->table.l1_pos, 8);
	image_put(f, pos + 8, s->l1_entries_set ? s->l1_entries : s->table.l1_entries, 4);
	image_put(f, pos + 12, s->id_len, 2);
	image_put(f, pos + 14, s->name_len, 2);
	image_put(f, pos + 16, s->date_sec, 4);
	image_put(f, pos + 20, s->date_nsec, 4);
	image_put(f, pos + 24, s->vm_clock_nsec, 8);
	image_put(f, pos + 32, s->vm_state_size, 4);
	image_put(f, pos + 36, s->extra_len, 4);
	image_buf_fill(f, pos + 40, IMAGE_GARBAGE, s->extra_len);
	for (unsigned i = 0; i < 3 && 8 * (i + 1) <= s->extra_len; i++)
		image_put(f, pos + 40 + 8 * i, extra[i], 8);
	image_buf_put(f, pos + 40 + s->extra_len, s->id, strlen(s->id));
	image_buf_put(f, pos + 40 + s->extra_len + strlen(s->id), s->name, strlen(s->name));
}

static void write_snapshots(struct image *img)
{
	uint64_t cluster = image_cluster_size(img);
	uint64_t len = 0;
	uint64_t pos = 0;

	for (size_t i = 0; i < img->n_snapshots; i++)
		len += snapshot_len(&img->snapshots[i]);
	if (len == 0)
		return;
	pos = image_alloc(img, (len + cluster - 1) / cluster);
	img->snapshots_pos = pos;
	image_ref(img, pos, len);
	for (size_t i = 0; i < img->n_snapshots; i++) {
		write_snapshot(img, &img->snapshots[i], pos);
		pos += snapshot_len(&img->snapshots[i]);
	}
}

/* ---- What comes at the end of the file ---- */

static uint64_t last_len(const struct image_cluster *c)
{
	uint64_t in_sector = c->kind == IMAGE_COMPRESSED ? c->pos % 512 : 0;

	return c->n_bytes + in_sector != 0 ? c->n_bytes + in_sector : 1;
}

/* How many host clusters the last pieces take. */
static uint64_t last_clusters(const struct image *img)
{
	const struct image_table *t = &img->active;
	uint64_t n = 0;

	for (size_t i = 0; i < t->n_clusters; i++) {
		if (t->clusters[i].last)
			n += (last_len(&t->clusters[i]) - 1) / image_cluster_size(img) + 1;
	}
	return n;
}

static void place_last(struct image *img)
{
	struct image_table *t = &img->active;

	for (size_t i = 0; i < t->n_clusters; i++) {
		struct image_cluster *c = &t->clusters[i];
		uint64_t len = last_len(c);
		uint64_t at = img->next << img->cluster_bits;

		if (!c->last)
			continue;
		if (c->kind == IMAGE_COMPRESSED)
			c->entry &= ~(uint64_t)511;
		c->pos = at + (c->kind == IMAGE_COMPRESSED ? c->pos % 512 : 0);
		c->entry |= c->pos;
		image_ref(img, at, len);
		img->next += (len - 1) / image_cluster_size(img) + 1;
	}
}

static void write_last(struct image *img)
{
	const struct image_table *t = &img->active;

	for (size_t i = 0; i < t->n_clusters; i++) {
		const struct image_cluster *c = &t->clusters[i];

		if (!c->last)
			continue;
		if (img->encrypt != NULL && c->kind == IMAGE_DATA)
			img->encrypt(img->encrypt_ctx, c->index << img->cluster_bits, c->pos,
			             c->bytes, (c->n_bytes + 511) / 512 * 512);
		image_buf_put(&img->file, c->pos, c->bytes, c->n_bytes);
		image_buf_resize(&img->file, (size_t)c->pos + c->n_bytes);
	}
}

/* ---- Refcounts, qcow2.txt "Host cluster management" ---- */

static void put_refcount(struct image *img, uint64_t block, uint64_t index, unsigned count)
{
	unsigned bits = 1u << img->refcount_order;
	uint64_t at = block + index * bits / 8;

	if (bits >= 8)
		image_put(&img->file, at, count, bits / 8);
	else
		img->file.data[at] = (uint8_t)(img->file.data[at] | (count & ((1u << bits) - 1))
		                                                            << index * bits % 8);
}

/* Places table and blocks in one piece. They also count themselves and the clusters that follow. */
static void place_refcounts(struct image *img, uint64_t *table, uint64_t *blocks)
{
	uint64_t per_block = image_cluster_size(img) * 8 >> img->refcount_order;
	uint64_t per_table = image_cluster_size(img) / 8;
	uint64_t others = img->next + last_clusters(img);
	uint64_t want = 1;

	do {
		*blocks = want;
		*table = (*blocks + per_table - 1) / per_table;
		want = (others + *blocks + *table + per_block - 1) / per_block;
	} while (want > *blocks);
	img->refcount_table_pos = img->next << img->cluster_bits;
	img->refcount_table_clusters = (uint32_t)*table;
	img->next += *table + *blocks;
	image_ref(img, img->refcount_table_pos, (*table + *blocks) << img->cluster_bits);
}

static void write_refcounts(struct image *img, uint64_t table, uint64_t blocks)
{
	uint64_t cluster = image_cluster_size(img);
	uint64_t per_block = cluster * 8 >> img->refcount_order;
	uint64_t pos = img->refcount_table_pos;

	image_buf_fill(&img->file, pos, 0, (size_t)((table + blocks) * cluster));
	for (uint64_t b = 0; b < blocks; b++) {
		uint64_t block = pos + (table + b) * cluster;

		image_put(&img->file, pos + 8 * b, block, 8);
		for (uint64_t i = b * per_block; i < (b + 1) * per_block && i < img->n_refs; i++) {
			if (img->refs[i] != 0)
				put_refcount(img, block, i - b * per_block, img->refs[i]);
		}
	}
}

/* ---- Header and extensions ---- */

static uint64_t write_extensions(struct image *img, uint64_t pos)
{
	for (size_t i = 0; i < img->n_ext; i++) {
		const struct image_ext *e = &img->ext[i];

		image_put(&img->file, pos, e->type, 4);
		image_put(&img->file, pos + 4, e->len, 4);
		image_buf_put(&img->file, pos + 8, e->bytes, e->n_bytes);
		pos += 8 + ((e->n_bytes + 7) & ~(size_t)7);
	}
	img->ext_end = pos;
	if (!img->no_end) {
		image_put(&img->file, pos, 0, 8);
		pos += 8;
	}
	return pos;
}

static uint64_t features(const struct image *img)
{
	return (img->has_data_file ? 4u : 0u) | (img->compression_type != 0 ? 8u : 0u) |
	       (img->extended_l2 ? 16u : 0u);
}

static void header_values(const struct image *img, uint64_t *v)
{
	v[IMAGE_MAGIC] = 0x514649fb;
	v[IMAGE_VERSION] = img->version;
	v[IMAGE_CLUSTER_BITS] = img->cluster_bits;
	v[IMAGE_SIZE] = img->size;
	v[IMAGE_L1_SIZE] = img->active.l1_entries;
	v[IMAGE_L1_TABLE_OFFSET] = img->active.l1_pos;
	v[IMAGE_REFCOUNT_TABLE_OFFSET] = img->refcount_table_pos;
	v[IMAGE_REFCOUNT_TABLE_CLUSTERS] = img->refcount_table_clusters;
	v[IMAGE_NB_SNAPSHOTS] = img->n_snapshots;
	v[IMAGE_SNAPSHOTS_OFFSET] = img->snapshots_pos;
	v[IMAGE_INCOMPATIBLE_FEATURES] = features(img);
	v[IMAGE_REFCOUNT_ORDER] = img->refcount_order;
	v[IMAGE_HEADER_LENGTH] = img->header_length;
	v[IMAGE_COMPRESSION_TYPE] = img->compression_type;
	if (img->backing != NULL) {
		v[IMAGE_BACKING_FILE_OFFSET] = img->backing_pos;
		v[IMAGE_BACKING_FILE_SIZE] = img->backing_len;
	}
}

static void write_header(struct image *img)
{
	uint64_t v[IMAGE_N_FIELDS] = { 0 };
	uint64_t end = 0;

	img->ext_pos = img->version >= 3 ? img->header_length : 72;
	end = write_extensions(img, img->ext_pos);
	if (img->backing != NULL) {
		if (img->backing_pos == 0)
			img->backing_pos = end;
		image_buf_put(&img->file, img->backing_pos, img->backing, img->backing_len);
	}
	header_values(img, v);
	for (unsigned i = 0; i < IMAGE_N_FIELDS; i++) {
		bool there = fields[i].pos < 72 ||
		             (img->version >= 3 && fields[i].pos < img->header_length);

		if (img->field_set[i])
			image_put(&img->file, fields[i].pos, img->field[i], fields[i].len);
		else if (there)
			image_put(&img->file, fields[i].pos, v[i], fields[i].len);
	}
}

void image_finish(struct image *img)
{
	uint64_t table = 0;
	uint64_t blocks = 0;

	if (img->finished)
		abort();
	img->finished = true;
	image_ref(img, 0, image_cluster_size(img));
	for (size_t i = 0; i < img->n_snapshots; i++)
		place_l2_tables(img, &img->snapshots[i].table);
	place_l2_tables(img, &img->active);
	for (size_t i = 0; i < img->n_snapshots; i++)
		image_place_l1(img, &img->snapshots[i].table);
	image_place_l1(img, &img->active);
	write_snapshots(img);
	if (img->refcounts)
		place_refcounts(img, &table, &blocks);
	place_last(img);
	write_refcounts(img, table, blocks);
	for (size_t i = 0; i < img->n_snapshots; i++)
		write_table(img, &img->snapshots[i].table);
	write_table(img, &img->active);
	write_header(img);
	if (img->file.len < img->next << img->cluster_bits)
		image_buf_resize(&img->file, (size_t)(img->next << img->cluster_bits));
	write_last(img);
}
