/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "glue.h"

#include "qcow2/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct glue_heap glue_heap;

enum { CLUSTER_BITS = 12, DISK_SIZE = 40 * 4096 + 1000 };

static void disk_init(struct glue_disk *disk, uint8_t compression_type)
{
	struct image *img = &disk->img;

	image_init(img, 3, CLUSTER_BITS, DISK_SIZE);
	img->compression_type = compression_type;
	image_add_range(img, &img->active, 0, 3, IMAGE_DATA);
	image_add_range(img, &img->active, 3, 3, IMAGE_COMPRESSED);
	image_add(img, &img->active, 8, IMAGE_STORED);
	image_add(img, &img->active, 9, IMAGE_ZERO);
	image_add(img, &img->active, 10, IMAGE_ZERO_ALLOC);
	image_add_range(img, &img->active, 20, 7, IMAGE_DATA);
	image_add_range(img, &img->active, 39, 2, IMAGE_DATA); /* to the end */
	image_finish(img);
	disk->size = DISK_SIZE;
	disk->sectors = (disk->size + GLUE_SECTOR - 1) / GLUE_SECTOR;
	disk->want = calloc(disk->sectors, GLUE_SECTOR);
	TRUE(disk->want != NULL);
	image_expect(img, &img->active, 0, disk->want, disk->size);
}

void glue_disk_init(struct glue_disk *disk)
{
	disk_init(disk, QCOW2_COMPRESSION_DEFLATE);
}

void glue_disk_free(struct glue_disk *disk)
{
	image_free(&disk->img);
	free(disk->want);
}

void glue_disk_reads(glue_disk_read run)
{
	static const uint8_t types[] = { QCOW2_COMPRESSION_DEFLATE, QCOW2_COMPRESSION_ZSTD };

	for (size_t i = 0; i < COUNT(types); i++) {
		struct glue_disk disk;

		test_case("compression type %u", types[i]);
		disk_init(&disk, types[i]);
		run(&disk);
		glue_disk_free(&disk);
	}
}

void glue_disk_damage(struct glue_disk *disk)
{
	const struct image_table *t = &disk->img.active;
	size_t i = 0;

	while (i < t->n_clusters && t->clusters[i].kind != IMAGE_COMPRESSED)
		i++;
	TRUE(i < t->n_clusters);
	disk->img.file.data[t->clusters[i].pos] = 0xff; /* a reserved type of block */
}

void glue_overlay_init(struct image *img)
{
	image_init(img, 3, CLUSTER_BITS, DISK_SIZE);
	image_set_backing(img, "base", 4, 0);
	image_finish(img);
}

void glue_storage_init(struct glue_storage *storage, const struct image_buf *file, size_t pos,
                       size_t len)
{
	memset(storage, 0, sizeof *storage);
	LE(pos + file->len, len);
	storage->len = len;
	storage->bytes = malloc(len);
	TRUE(storage->bytes != NULL);
	memset(storage->bytes, 0xdd, len);
	memcpy(storage->bytes + pos, file->data, file->len);
}

void glue_storage_free(struct glue_storage *storage)
{
	free(storage->bytes);
}

/* Must this call fail? */
static bool is_due(unsigned call, unsigned fail_at, bool persistent)
{
	return fail_at != 0 && (persistent ? call >= fail_at : call == fail_at);
}

int glue_storage_read(struct glue_storage *storage, size_t pos, void *buf, size_t len)
{
	LE(pos, storage->len);
	LE(len, storage->len - pos);
	storage->calls++;
	if (is_due(storage->calls, storage->fail_at, storage->persistent)) {
		memset(buf, 0xfa, len);
		return GLUE_FAULT;
	}
	memcpy(buf, storage->bytes + pos, len);
	return 0;
}

static struct guarded dest;

uint8_t *glue_dest(size_t len)
{
	if (dest.map == NULL)
		guard_map(&dest, MIB);
	guard_place(&dest, len, 1, 0);
	return dest.p;
}

void glue_dest_check(void)
{
	guard_check(&dest);
}

static char glue_said[256]; /* the last message */

int glue_say(const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(glue_said, sizeof glue_said, format, args);
	va_end(args);
	return n;
}

bool glue_printed(const char *part)
{
	bool was = strstr(glue_said, part) != NULL;

	*glue_said = '\0';
	return was;
}

void glue_heap_reset(void)
{
	EQ(glue_heap.live, 0);
	memset(&glue_heap, 0, sizeof glue_heap);
}

/* The place of a piece in the list, or a free place if p is NULL. */
static struct guarded *piece_of(const void *p)
{
	size_t i = 0;

	while (i < GLUE_PIECES_MAX && glue_heap.pieces[i].p != p)
		i++;
	TRUE(i < GLUE_PIECES_MAX); /* otherwise it is not of this heap, or was freed before */
	return &glue_heap.pieces[i];
}

void *glue_alloc(size_t align, size_t len)
{
	struct guarded *piece;

	if (is_due(++glue_heap.calls, glue_heap.fail_at, glue_heap.persistent))
		return NULL;
	piece = piece_of(NULL);
	guard_init(piece, len, align);
	memset(piece->p, 0xa5, len < 65536 ? len : 65536);
	glue_heap.live++;
	return piece->p;
}

void *glue_zalloc(size_t len)
{
	void *p = glue_alloc(64, len);

	return p != NULL ? memset(p, 0, len) : NULL;
}

void glue_release(void *p)
{
	struct guarded *piece;

	if (p == NULL)
		return;
	piece = piece_of(p);
	guard_free(piece);
	piece->p = NULL;
	glue_heap.live--;
}

size_t glue_size(const void *p)
{
	return piece_of(p)->len;
}

void glue_storage_fails(glue_storage_fault run)
{
	struct glue_disk disk;

	glue_disk_init(&disk);
	for (int persistent = 0; persistent <= 1; persistent++) {
		unsigned n = 1;

		while (run(&disk, n, persistent))
			n++;
		LE(10, n); /* the loop did find reads that can fail */
	}
	glue_disk_free(&disk);
}

void glue_heap_fails(unsigned first, glue_heap_fault run)
{
	struct glue_disk disk;
	unsigned survived = 0;
	bool fired = true;

	glue_disk_init(&disk);
	for (unsigned n = first; fired; n++)
		survived += run(&disk, n, false, &fired);
	EQ(survived, 1); /* without the memory that makes it fast, the reader takes less */
	fired = true;
	for (unsigned n = first; fired; n++)
		TRUE(!run(&disk, n, true, &fired));
	glue_disk_free(&disk);
}
