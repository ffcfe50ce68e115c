/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* The model: bytes, content, clusters. image_finish.c writes the tables. */
#include "image.h"

#include <stdlib.h>
#include <string.h>

#include "pack.h"

static void *need(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* Copies bytes and appends a NUL. */
static void *copy_bytes(const void *bytes, size_t len)
{
	char *p = need(malloc(len + 1));

	if (len != 0)
		memcpy(p, bytes, len);
	p[len] = '\0';
	return p;
}

/* Makes room for another element. */
static void *grow(void *array, size_t n, size_t *cap, size_t element)
{
	if (n < *cap)
		return array;
	*cap = *cap ? 2 * *cap : 16;
	return need(realloc(array, *cap * element));
}

/* ---- Bytes ---- */

void image_buf_resize(struct image_buf *buf, size_t len)
{
	if (len > buf->cap) {
		size_t cap = buf->cap ? buf->cap : 4096;

		while (cap < len)
			cap *= 2;
		buf->data = need(realloc(buf->data, cap));
		buf->cap = cap;
	}
	if (len > buf->len)
		memset(buf->data + buf->len, 0, len - buf->len);
	buf->len = len;
}

static uint8_t *buf_at(struct image_buf *buf, uint64_t pos, size_t len)
{
	if (pos > SIZE_MAX / 4 || len > SIZE_MAX / 4)
		abort();
	if (pos + len > buf->len)
		image_buf_resize(buf, (size_t)pos + len);
	return buf->data + (size_t)pos;
}

void image_buf_put(struct image_buf *buf, uint64_t pos, const void *bytes, size_t len)
{
	if (len != 0)
		memcpy(buf_at(buf, pos, len), bytes, len);
}

void image_buf_fill(struct image_buf *buf, uint64_t pos, uint8_t byte, size_t len)
{
	if (len != 0)
		memset(buf_at(buf, pos, len), byte, len);
}

void image_put(struct image_buf *buf, uint64_t pos, uint64_t value, unsigned n_bytes)
{
	uint8_t *p = buf_at(buf, pos, n_bytes);

	for (unsigned i = n_bytes; i-- > 0; value >>= 8)
		p[i] = (uint8_t)value;
}

uint64_t image_get(const struct image_buf *buf, uint64_t pos, unsigned n_bytes)
{
	uint64_t value = 0;

	if (pos > buf->len || n_bytes > buf->len - pos)
		abort();
	for (unsigned i = 0; i < n_bytes; i++)
		value = value << 8 | buf->data[(size_t)pos + i];
	return value;
}

/* ---- Content ---- */

static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Of every 64 bytes, 48 are one value and 16 are noise, at a place that varies. */
static uint64_t pattern_word(uint64_t seed, uint64_t word)
{
	uint64_t unit = mix(seed ^ mix(word >> 3));
	uint64_t run = (unit & 0xff) * UINT64_C(0x0101010101010101);

	if ((word & 6) == (unit >> 8 & 6))
		run = mix(seed ^ mix(~word));
	return run;
}

static uint8_t pattern_byte(uint64_t word, unsigned i)
{
	uint8_t byte = (uint8_t)(word >> 8 * i);

	return byte ? byte : 0x5a;
}

uint8_t image_pattern(uint64_t seed, uint64_t off)
{
	return pattern_byte(pattern_word(seed, off >> 3), (unsigned)(off & 7));
}

void image_fill(uint8_t *buf, size_t len, uint64_t seed, uint64_t off)
{
	size_t i = 0;

	while (i < len) {
		uint64_t word = pattern_word(seed, (off + i) >> 3);

		do {
			buf[i] = pattern_byte(word, (unsigned)((off + i) & 7));
			i++;
		} while (i < len && ((off + i) & 7) != 0);
	}
}

static void content(const struct image_cluster *c, uint8_t *buf, uint64_t in_cluster, size_t len,
                    uint64_t cluster)
{
	if (c->plain != NULL)
		memcpy(buf, c->plain + (size_t)in_cluster, len);
	else
		image_fill(buf, len, c->seed, c->index * cluster + in_cluster);
}

static void expect_subclusters(const struct image_cluster *c, uint8_t *buf, uint64_t in_cluster,
                               size_t len, uint64_t cluster)
{
	uint64_t sub = cluster / 32;

	while (len != 0) {
		unsigned i = (unsigned)(in_cluster / sub);
		uint64_t rest = sub - in_cluster % sub;
		size_t n = rest < len ? (size_t)rest : len;

		if (c->bitmap >> i & 1)
			content(c, buf, in_cluster, n, cluster);
		else if (c->bitmap >> (32 + i) & 1)
			memset(buf, 0, n);
		buf += n;
		in_cluster += n;
		len -= n;
	}
}

static void expect_cluster(const struct image_cluster *c, uint8_t *buf, uint64_t in_cluster,
                           size_t len, uint64_t cluster)
{
	switch (c->kind) {
	case IMAGE_ZERO:
	case IMAGE_ZERO_ALLOC: memset(buf, 0, len); break;
	case IMAGE_DATA:
	case IMAGE_COMPRESSED:
	case IMAGE_STORED: content(c, buf, in_cluster, len, cluster); break;
	case IMAGE_SUBCLUSTERS: expect_subclusters(c, buf, in_cluster, len, cluster); break;
	default: break;
	}
}

static size_t find_cluster(const struct image_table *t, uint64_t index)
{
	size_t low = 0;
	size_t high = t->n_clusters;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (t->clusters[mid].index < index)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

void image_expect(const struct image *img, const struct image_table *t, uint64_t off, uint8_t *buf,
                  size_t len)
{
	uint64_t cluster = image_cluster_size(img);
	size_t i = find_cluster(t, off / cluster);

	for (; i < t->n_clusters && t->clusters[i].index * cluster < off + len; i++) {
		uint64_t start = t->clusters[i].index * cluster;
		uint64_t from = start < off ? off : start;
		uint64_t to = off + len - start < cluster ? off + len : start + cluster;

		expect_cluster(&t->clusters[i], buf + (size_t)(from - off), from - start,
		               (size_t)(to - from), cluster);
	}
}

/* ---- Host clusters ---- */

uint64_t image_cluster_size(const struct image *img)
{
	return UINT64_C(1) << img->cluster_bits;
}

uint64_t image_l2_entries(const struct image *img)
{
	return image_cluster_size(img) / (img->extended_l2 ? 16 : 8);
}

void image_ref(struct image *img, uint64_t pos, uint64_t len)
{
	uint64_t from = pos >> img->cluster_bits;
	uint64_t to = (pos + len - 1) >> img->cluster_bits;

	if (len == 0)
		return;
	if (to >= img->n_refs) {
		size_t n = 2 * (size_t)(to + 1);

		img->refs = need(realloc(img->refs, n * sizeof *img->refs));
		memset(img->refs + img->n_refs, 0, (n - img->n_refs) * sizeof *img->refs);
		img->n_refs = n;
	}
	for (; from <= to; from++)
		img->refs[from]++;
}

static uint64_t next_random(struct image *img)
{
	img->random = mix(img->random);
	return img->random;
}

/* Takes one of the 16 clusters before next that is still free. */
static uint64_t alloc_shuffled(struct image *img)
{
	unsigned i = (unsigned)(next_random(img) & 15);

	if (img->shuffle == 0) {
		img->next += 16;
		img->shuffle = 0xffff;
	}
	while (!(img->shuffle >> i & 1))
		i = (i + 1) & 15;
	img->shuffle &= ~(UINT32_C(1) << i);
	return img->next - 16 + i;
}

uint64_t image_alloc(struct image *img, uint64_t n)
{
	uint64_t at = 0;

	if (img->place == IMAGE_SHUFFLED && n == 1)
		return alloc_shuffled(img) << img->cluster_bits;
	if (img->place == IMAGE_GAPS)
		img->next += next_random(img) & 3;
	/* If larger pieces come in between, the rest of the 16 stays unused. */
	if (img->place == IMAGE_SHUFFLED)
		img->shuffle = 0;
	at = img->next;
	img->next += n;
	return at << img->cluster_bits;
}

/* ---- Images ---- */

void image_init(struct image *img, unsigned version, unsigned cluster_bits, uint64_t size)
{
	memset(img, 0, sizeof *img);
	img->version = version;
	img->cluster_bits = cluster_bits;
	img->size = size;
	img->refcounts = true;
	img->refcount_order = 4;
	img->header_length = version >= 3 ? 112 : 72;
	img->active.seed = 1;
	img->next = 1;
	img->random = 1;
}

static void free_table(struct image_table *t)
{
	for (size_t i = 0; i < t->n_clusters; i++) {
		free(t->clusters[i].bytes);
		free(t->clusters[i].plain);
	}
	free(t->clusters);
	free(t->l1);
}

void image_free(struct image *img)
{
	free_table(&img->active);
	for (size_t i = 0; i < img->n_snapshots; i++) {
		free_table(&img->snapshots[i].table);
		free(img->snapshots[i].id);
		free(img->snapshots[i].name);
	}
	for (size_t i = 0; i < img->n_ext; i++)
		free(img->ext[i].bytes);
	free(img->snapshots);
	free(img->ext);
	free(img->backing);
	free(img->refs);
	free(img->file.data);
	free(img->data.data);
	memset(img, 0, sizeof *img);
}

void image_set(struct image *img, enum image_field field, uint64_t value)
{
	img->field_set[field] = true;
	img->field[field] = value;
}

void image_add_ext(struct image *img, uint32_t type, uint32_t says_len, const void *bytes,
                   size_t n_bytes)
{
	img->ext = need(realloc(img->ext, (img->n_ext + 1) * sizeof *img->ext));
	img->ext[img->n_ext++] = (struct image_ext){ .type = type,
		                                     .len = says_len,
		                                     .bytes = copy_bytes(bytes, n_bytes),
		                                     .n_bytes = n_bytes };
}

void image_add_feature_name(struct image *img, unsigned kind, unsigned bit, const void *name,
                            size_t name_len)
{
	struct image_ext *e = NULL;

	for (size_t i = 0; i < img->n_ext; i++) {
		if (img->ext[i].type == IMAGE_EXT_FEATURE_NAMES)
			e = &img->ext[i];
	}
	if (e == NULL) {
		image_add_ext(img, IMAGE_EXT_FEATURE_NAMES, 0, NULL, 0);
		e = &img->ext[img->n_ext - 1];
	}
	e->bytes = need(realloc(e->bytes, e->n_bytes + 48));
	memset(e->bytes + e->n_bytes, 0, 48);
	e->bytes[e->n_bytes] = (uint8_t)kind;
	e->bytes[e->n_bytes + 1] = (uint8_t)bit;
	memcpy(e->bytes + e->n_bytes + 2, name, name_len < 46 ? name_len : 46);
	e->n_bytes += 48;
	e->len = (uint32_t)e->n_bytes;
}

void image_set_backing(struct image *img, const void *name, size_t len, uint64_t pos)
{
	free(img->backing);
	img->backing = copy_bytes(name, len);
	img->backing_len = len;
	img->backing_pos = pos;
}

struct image_snapshot *image_add_snapshot(struct image *img, const char *id, const char *name)
{
	struct image_snapshot *s = NULL;

	img->snapshots =
		need(realloc(img->snapshots, (img->n_snapshots + 1) * sizeof *img->snapshots));
	s = &img->snapshots[img->n_snapshots++];
	memset(s, 0, sizeof *s);
	s->id_len = (uint32_t)strlen(id);
	s->name_len = (uint32_t)strlen(name);
	s->id = copy_bytes(id, s->id_len);
	s->name = copy_bytes(name, s->name_len);
	s->extra_len = 16;
	s->disk_size = img->size;
	s->icount = UINT64_MAX;
	s->date_sec = 1700000000 + (uint32_t)img->n_snapshots;
	s->date_nsec = 123456789;
	s->vm_clock_nsec = UINT64_C(5000000000);
	s->table.seed = 100 + img->n_snapshots;
	return s;
}

/* ---- Clusters ---- */

static struct image_cluster *new_cluster(struct image_table *t, uint64_t index,
                                         enum image_kind kind)
{
	size_t i = find_cluster(t, index);
	struct image_cluster *c = NULL;

	if (i < t->n_clusters && t->clusters[i].index == index) {
		c = &t->clusters[i];
		free(c->bytes);
		free(c->plain);
	} else {
		t->clusters =
			grow(t->clusters, t->n_clusters, &t->cap_clusters, sizeof *t->clusters);
		c = &t->clusters[i];
		memmove(c + 1, c, (t->n_clusters - i) * sizeof *c);
		t->n_clusters++;
	}
	memset(c, 0, sizeof *c);
	c->index = index;
	c->kind = (uint8_t)kind;
	c->seed = t->seed;
	return c;
}

/* The bytes of a data cluster as they go to the file. */
static void host_bytes(const struct image *img, const struct image_cluster *c, uint8_t *buf)
{
	uint64_t cluster = image_cluster_size(img);
	bool data = c->kind == IMAGE_DATA;

	memset(buf, IMAGE_GARBAGE, (size_t)cluster);
	if (c->kind == IMAGE_SUBCLUSTERS) {
		struct image_cluster only = *c;

		only.bitmap &= IMAGE_ALL_ALLOCATED;
		expect_subclusters(&only, buf, 0, (size_t)cluster, cluster);
	} else if (data) {
		content(c, buf, 0, (size_t)cluster, cluster);
	}
}

static void add_host(struct image *img, struct image_cluster *c)
{
	uint64_t cluster = image_cluster_size(img);
	uint8_t *buf = need(malloc((size_t)cluster));

	host_bytes(img, c, buf);
	if (img->has_data_file) {
		c->pos = c->index * cluster;
	} else {
		c->pos = image_alloc(img, 1);
		image_ref(img, c->pos, cluster);
	}
	if (img->encrypt != NULL)
		img->encrypt(img->encrypt_ctx, c->index * cluster, c->pos, buf, (size_t)cluster);
	image_buf_put(img->has_data_file ? &img->data : &img->file, c->pos, buf, (size_t)cluster);
	c->entry |= c->pos;
	free(buf);
}

static void add_packed_pattern(struct image *img, struct image_table *t, uint64_t index,
                               bool stored)
{
	size_t cluster = (size_t)image_cluster_size(img);
	uint8_t *plain = need(malloc(cluster));
	uint8_t *packed = need(malloc(pack_bound(cluster)));
	size_t n = 0;

	image_fill(plain, cluster, t->seed, index * cluster);
	if (img->compression_type != 0)
		n = pack_zstd(packed, plain, cluster);
	else if (stored)
		n = pack_stored(packed, plain, cluster);
	else
		n = pack_fixed(packed, plain, cluster, 4096);
	image_add_packed(img, t, index, packed, n, IMAGE_ANYWHERE, 0, NULL);
	free(packed);
	free(plain);
}

void image_add(struct image *img, struct image_table *t, uint64_t index, enum image_kind kind)
{
	struct image_cluster *c = NULL;

	if (kind == IMAGE_COMPRESSED || kind == IMAGE_STORED) {
		add_packed_pattern(img, t, index, kind == IMAGE_STORED);
		return;
	}
	c = new_cluster(t, index, kind);
	if (kind == IMAGE_ZERO || kind == IMAGE_ZERO_ALLOC) {
		c->entry = img->extended_l2 ? 0 : 1;
		c->bitmap = IMAGE_ALL_ZERO;
	} else if (kind == IMAGE_DATA) {
		c->bitmap = IMAGE_ALL_ALLOCATED;
	}
	if (kind == IMAGE_DATA || kind == IMAGE_ZERO_ALLOC)
		add_host(img, c);
}

void image_add_range(struct image *img, struct image_table *t, uint64_t index, uint64_t n,
                     enum image_kind kind)
{
	for (uint64_t i = 0; i < n; i++)
		image_add(img, t, index + i, kind);
}

void image_add_subclusters(struct image *img, struct image_table *t, uint64_t index,
                           uint64_t bitmap, bool host)
{
	struct image_cluster *c = new_cluster(t, index, IMAGE_SUBCLUSTERS);

	c->bitmap = bitmap;
	if (host || (bitmap & IMAGE_ALL_ALLOCATED) != 0)
		add_host(img, c);
}

void image_add_raw(struct image *img, struct image_table *t, uint64_t index, uint64_t entry,
                   uint64_t bitmap)
{
	struct image_cluster *c = new_cluster(t, index, IMAGE_RAW);

	(void)img;
	c->entry = entry;
	c->bitmap = bitmap;
}

uint64_t image_packed_entry(unsigned cluster_bits, uint64_t pos, size_t n_bytes, unsigned sectors)
{
	unsigned x = 62 - (cluster_bits - 8);
	uint64_t n = sectors;

	if (sectors == 0)
		n = (pos % 512 + (n_bytes ? n_bytes : 1) + 511) / 512;
	return IMAGE_COMPRESSED_FLAG | (n - 1) << x | pos;
}

/* Places packed bytes after the last ones if their cluster has room, else in new clusters. */
static uint64_t place_packed(struct image *img, size_t n_bytes, unsigned align)
{
	uint64_t cluster = image_cluster_size(img);
	uint64_t pos = img->packed_pos;
	uint64_t have = (cluster - pos % cluster) % cluster;
	uint64_t in_sector = align < 512 ? align : 0;
	uint64_t missing = 0;

	if (align < 512)
		pos += (align + 512 - pos % 512) % 512;
	missing = pos - img->packed_pos + n_bytes > have
	                  ? (pos - img->packed_pos + n_bytes - have + cluster - 1) / cluster
	                  : 0;
	if (missing != 0) {
		uint64_t at = image_alloc(img, missing);

		if (img->packed_pos == 0 || at != img->packed_pos + have) {
			pos = at + in_sector;
			if (pos + n_bytes > at + missing * cluster)
				pos = image_alloc(img, missing + 1) + in_sector;
		}
	}
	img->packed_pos = pos + n_bytes;
	return pos;
}

static struct image_cluster *new_packed(struct image *img, struct image_table *t, uint64_t index,
                                        uint64_t pos, size_t n_bytes, unsigned sectors)
{
	struct image_cluster *c = new_cluster(t, index, IMAGE_COMPRESSED);
	uint64_t says = 0;

	c->pos = pos;
	c->entry = image_packed_entry(img->cluster_bits, pos, n_bytes, sectors);
	/* qcow2.txt counts whole sectors, even if only a part of one is used. */
	says = (c->entry & ~IMAGE_COMPRESSED_FLAG) >> (62 - (img->cluster_bits - 8));
	image_ref(img, pos & ~UINT64_C(511), (says + 1) * 512);
	return c;
}

void image_add_packed(struct image *img, struct image_table *t, uint64_t index, const void *bytes,
                      size_t n_bytes, unsigned align, unsigned sectors, const uint8_t *plain)
{
	uint64_t pos = place_packed(img, n_bytes, align);
	struct image_cluster *c = new_packed(img, t, index, pos, n_bytes, sectors);

	image_buf_put(&img->file, pos, bytes, n_bytes);
	if (plain != NULL)
		c->plain = copy_bytes(plain, (size_t)image_cluster_size(img));
}

void image_add_last(struct image *img, struct image_table *t, uint64_t index, size_t n_bytes)
{
	struct image_cluster *c = new_cluster(t, index, IMAGE_DATA);
	size_t cluster = (size_t)image_cluster_size(img);
	size_t n_plain = img->encrypt != NULL ? n_bytes / 512 * 512 : n_bytes;

	c->bitmap = IMAGE_ALL_ALLOCATED;
	c->last = true;
	c->plain = need(calloc(cluster, 1)); /* beyond n_plain: zeros */
	image_fill(c->plain, n_plain, t->seed, index * cluster);
	c->bytes = need(calloc(cluster, 1)); /* write_last encrypts whole sectors */
	image_fill(c->bytes, n_bytes, t->seed, index * cluster);
	c->n_bytes = n_bytes;
}

void image_add_last_packed(struct image *img, struct image_table *t, uint64_t index,
                           const void *bytes, size_t n_bytes, unsigned align, unsigned sectors)
{
	struct image_cluster *c = new_cluster(t, index, IMAGE_COMPRESSED);

	c->last = true;
	c->bytes = copy_bytes(bytes, n_bytes);
	c->n_bytes = n_bytes;
	/* The alignment, until the position is known. */
	c->pos = align < 512 ? align : 0;
	c->entry = image_packed_entry(img->cluster_bits, c->pos, n_bytes, sectors);
}

void image_share(struct image *img, struct image_table *to, const struct image_table *from,
                 uint64_t index)
{
	struct image_cluster c = from->clusters[find_cluster(from, index)];
	struct image_cluster *copy = new_cluster(to, index, IMAGE_ABSENT);
	uint64_t cluster = image_cluster_size(img);

	if (c.index != index || c.last)
		abort();
	if (c.plain != NULL)
		c.plain = copy_bytes(c.plain, (size_t)cluster);
	*copy = c;
	if (c.kind == IMAGE_COMPRESSED) {
		uint64_t says =
			(c.entry & ~IMAGE_COMPRESSED_FLAG) >> (62 - (img->cluster_bits - 8));

		image_ref(img, c.pos & ~UINT64_C(511), (says + 1) * 512);
	} else if (c.pos != 0 && !img->has_data_file) {
		image_ref(img, c.pos, cluster);
	}
}

/* ---- Tables ---- */

static struct image_l1_entry *l1_entry(struct image_table *t, uint64_t index)
{
	size_t i = 0;

	while (i < t->n_l1 && t->l1[i].index < index)
		i++;
	if (i == t->n_l1 || t->l1[i].index != index) {
		t->l1 = grow(t->l1, t->n_l1, &t->cap_l1, sizeof *t->l1);
		memmove(&t->l1[i + 1], &t->l1[i], (t->n_l1 - i) * sizeof *t->l1);
		t->l1[i] = (struct image_l1_entry){ .index = index };
		t->n_l1++;
	}
	return &t->l1[i];
}

void image_set_l1(struct image *img, struct image_table *t, uint64_t l1_index, uint64_t value)
{
	struct image_l1_entry *e = l1_entry(t, l1_index);

	(void)img;
	e->raw = true;
	e->value = value;
}

uint64_t image_place_l2(struct image *img, struct image_table *t, uint64_t l1_index)
{
	struct image_l1_entry *e = l1_entry(t, l1_index);

	if (!e->raw && e->value == 0) {
		e->value = image_alloc(img, 1);
		image_ref(img, e->value, image_cluster_size(img));
		image_buf_fill(&img->file, e->value, 0, (size_t)image_cluster_size(img));
	}
	return e->value;
}

void image_place_l1(struct image *img, struct image_table *t)
{
	uint64_t cluster = image_cluster_size(img);
	uint64_t covered = image_l2_entries(img) * cluster;
	uint64_t len = 0;

	if (t->l1_pos != 0)
		return;
	if (t->l1_entries == 0)
		t->l1_entries = (uint32_t)(img->size / covered + (img->size % covered != 0));
	len = (uint64_t)t->l1_entries * 8;
	len += (cluster - len % cluster) % cluster;
	if (len != 0) {
		t->l1_pos = image_alloc(img, len / cluster);
		image_ref(img, t->l1_pos, len);
		image_buf_fill(&img->file, t->l1_pos, 0, (size_t)len);
	}
}

uint64_t image_l1_entry_pos(const struct image *img, const struct image_table *t, uint64_t index)
{
	(void)img;
	return t->l1_pos + index * 8;
}

uint64_t image_l2_entry_pos(const struct image *img, const struct image_table *t, uint64_t index)
{
	uint64_t n = image_l2_entries(img);

	for (size_t i = 0; i < t->n_l1; i++) {
		if (t->l1[i].index == index / n && !t->l1[i].raw)
			return t->l1[i].value + index % n * (img->extended_l2 ? 16 : 8);
	}
	abort();
}
