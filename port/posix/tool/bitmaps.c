/* SPDX-License-Identifier: MIT */
/*
 * The names of the persistent bitmaps, qcow2.txt "Bitmaps extension" and "Bitmap directory".
 */
#include "info.h"

#include <stdlib.h>

/* Limits of the reference implementation, and lengths. */
enum {
	BITMAPS_MAX = 65535,
	BITMAP_EXTENSION_LEN = 24,
	BITMAP_ENTRY_LEN = 24, /* without extra data and name */
	BITMAP_ENTRY_MAX = 1024
};

enum { BITMAP_IN_USE = 1, BITMAP_AUTO = 2 };

/* Takes the entry at *at; false: it cannot be. */
static bool bitmap_take(const unsigned char *directory, size_t len, size_t *at,
                        struct bitmap_entry *bitmap)
{
	const unsigned char *e = directory + *at;
	size_t left = len - *at;
	size_t name_len, extra_len, entry_len;
	uint64_t flags;

	if (left < BITMAP_ENTRY_LEN)
		return false;
	flags = bytes_be(e + 12, 4);
	name_len = (size_t)bytes_be(e + 18, 2);
	extra_len = (size_t)bytes_be(e + 20, 4);
	if (extra_len > left - BITMAP_ENTRY_LEN || e[17] > 63u ||
	    name_len > left - BITMAP_ENTRY_LEN - extra_len)
		return false;
	entry_len = (BITMAP_ENTRY_LEN + extra_len + name_len + 7u) & ~(size_t)7;
	bitmap->name = (const char *)e + BITMAP_ENTRY_LEN + extra_len;
	bitmap->name_len = name_len;
	bitmap->granularity = UINT64_C(1) << e[17];
	bitmap->in_use = (flags & BITMAP_IN_USE) != 0u;
	bitmap->automatic = (flags & BITMAP_AUTO) != 0u;
	*at += entry_len < left ? entry_len : left;
	return true;
}

static bool bitmaps_parse(struct info *info, size_t n, size_t directory_len)
{
	size_t at = 0;

	for (info->n_bitmaps = 0; info->n_bitmaps < n; info->n_bitmaps++)
		if (!bitmap_take(info->bitmap_directory, directory_len, &at,
		                 &info->bitmaps[info->n_bitmaps])) {
			info->n_bitmaps = 0;
			return false;
		}
	return true;
}

bool bitmaps_load(struct info *info)
{
	const struct qcow2_image *image = info->image;
	unsigned char extension[BITMAP_EXTENSION_LEN];
	size_t n, len;

	/* Without the autoclear bit the extension is a leftover. */
	if (image->bitmaps.len == 0u || (image->autoclear & QCOW2_AUTOCLEAR_BITMAPS) == 0u)
		return true;
	if (image->bitmaps.len != sizeof extension ||
	    !image_bytes(image, image->bitmaps.pos, extension, sizeof extension))
		return false;
	n = (size_t)bytes_be(extension, 4);
	if (n > BITMAPS_MAX || bytes_be(extension + 8, 8) > (uint64_t)n * BITMAP_ENTRY_MAX)
		return false;
	len = (size_t)bytes_be(extension + 8, 8);
	if (bytes_be(extension + 16, 8) > image->io.size || len > image->io.size)
		return false;
	info->bitmaps = calloc(n + 1u, sizeof *info->bitmaps);
	info->bitmap_directory = malloc(len + 1u);
	return info->bitmaps != NULL && info->bitmap_directory != NULL &&
	       image_bytes(image, bytes_be(extension + 16, 8), info->bitmap_directory, len) &&
	       bitmaps_parse(info, n, len);
}
