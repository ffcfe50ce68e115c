/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the adapters share: an image with clusters of all kinds and a storage for it
 * that counts and fails, a heap that counts and fails.
 */
#ifndef GLUE_H
#define GLUE_H

#include "../unit/support.h"

enum { GLUE_SECTOR = 512, GLUE_FAULT = -1234 };

/* ---- The image, and what is in it ---- */

struct glue_disk {
	struct image img;
	uint8_t *want; /* the content, and zeros up to whole sectors */
	size_t size;   /* of the content */
	size_t sectors;
};

void glue_disk_init(struct glue_disk *disk);
void glue_disk_free(struct glue_disk *disk);
/* Makes the first compressed cluster's data invalid. */
void glue_disk_damage(struct glue_disk *disk);
/* An image that needs a backing file: what adapters without chains refuse. */
void glue_overlay_init(struct image *img);

/* ---- The storage below: the file somewhere in it ---- */

struct glue_storage {
	uint8_t *bytes;
	size_t len;
	unsigned calls;
	unsigned fail_at; /* the number of the call that fails, from 1; 0: none */
	bool persistent;  /* and all after it */
};

void glue_storage_init(struct glue_storage *storage, const struct image_buf *file, size_t pos,
                       size_t len);
void glue_storage_free(struct glue_storage *storage);
/* 0, or GLUE_FAULT; out of range is an error of the test. */
int glue_storage_read(struct glue_storage *storage, size_t pos, void *buf, size_t len);

/* ---- What is read to: guarded memory, one buffer at a time ---- */

uint8_t *glue_dest(size_t len);
void glue_dest_check(void);

/* ---- The console ---- */

int glue_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Has this been said? Forgets the message. */
bool glue_was_said(const char *part);

/* ---- The heap: each piece guarded, and filled with garbage ---- */

enum { GLUE_PIECES_MAX = 256 };

extern struct glue_heap {
	unsigned live;
	unsigned calls;
	unsigned fail_at; /* as above */
	bool persistent;
	struct guarded pieces[GLUE_PIECES_MAX];
} glue_heap;

void glue_heap_reset(void);
void *glue_alloc(size_t align, size_t len);
void *glue_zalloc(size_t len);
void glue_release(void *p);
size_t glue_size(const void *p); /* as it was asked for */

#endif
