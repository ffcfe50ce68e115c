/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the tests of the firmware ports share: an image with clusters of all kinds, a storage and a
 * heap that count their calls and fail on demand, and the loops over those faults.
 */
#ifndef GLUE_H
#define GLUE_H

#include "../unit/support.h"

enum { GLUE_SECTOR = 512, GLUE_FAULT = -1234 };

/* ---- The image and its content ---- */

struct glue_disk {
	struct image img;
	uint8_t *want; /* the content, with zeros up to a whole sector */
	size_t size;   /* of the content */
	size_t sectors;
};

void glue_disk_init(struct glue_disk *disk);
void glue_disk_free(struct glue_disk *disk);
/* Calls the function for a disk in each compression type. */
typedef void (*glue_disk_read)(const struct glue_disk *disk);
void glue_disk_reads(glue_disk_read run);
/* Makes the data of the first compressed cluster invalid. */
void glue_disk_damage(struct glue_disk *disk);
/* An image that needs a backing file, which ports without chains must refuse. */
void glue_overlay_init(struct image *img);

/* ---- The storage, which has the image at some position ---- */

struct glue_storage {
	uint8_t *bytes;
	size_t len;
	unsigned calls;
	unsigned fail_at; /* the number of the call that fails, from 1; 0 if none fails */
	bool persistent;  /* all calls after it fail as well */
};

void glue_storage_init(struct glue_storage *storage, const struct image_buf *file, size_t pos,
                       size_t len);
void glue_storage_free(struct glue_storage *storage);
/* Returns 0 or GLUE_FAULT. A read outside the storage fails the test. */
int glue_storage_read(struct glue_storage *storage, size_t pos, void *buf, size_t len);

/* ---- The destination of a read: guarded memory, one buffer at a time ---- */

uint8_t *glue_dest(size_t len);
/* Checks that nothing was written beside the buffer. */
void glue_dest_check(void);

/* ---- The console ---- */

int glue_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Does the last message contain this text? Forgets the message. */
bool glue_printed(const char *part);

/* ---- The heap: each piece of memory is guarded and filled with garbage ---- */

enum { GLUE_PIECES_MAX = 4200 }; /* an overlay of port/uefi has 4096 */

extern struct glue_heap {
	unsigned live;
	unsigned calls;
	unsigned fail_at; /* as in struct glue_storage */
	bool persistent;
	struct guarded pieces[GLUE_PIECES_MAX];
} glue_heap;

/* Checks that everything was freed, and resets the heap. */
void glue_heap_reset(void);
void *glue_alloc(size_t align, size_t len);
void *glue_zalloc(size_t len);
void glue_release(void *p);
size_t glue_size(const void *p); /* as the caller asked for */

/* ---- Faults: the n-th call fails, for each n, once and then persistently ---- */

/* Runs a disk with a fault in its storage. Returns false if there was no n-th read. */
typedef bool (*glue_storage_fault)(const struct glue_disk *disk, unsigned n, bool persistent);
void glue_storage_fails(glue_storage_fault run);

/*
 * Runs a disk with a fault in the heap. Returns true if the disk could still be opened, with less
 * memory. Sets *fired to whether there was an n-th allocation.
 */
typedef bool (*glue_heap_fault)(const struct glue_disk *disk, unsigned n, bool persistent,
                                bool *fired);
/* `first` is the number of the first allocation that belongs to the port. */
void glue_heap_fails(unsigned first, glue_heap_fault run);

#endif
