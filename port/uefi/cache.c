/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Turns many small reads at any position into few large, aligned ones.
 */
#include "uefi.h"

/* The most that one call reads without the cache: some firmware drivers fail if asked for more. */
enum { DIRECT_MAX = 1024 * 1024 };

static uint8_t *line_memory(const struct qu_cache *cache, uint32_t i)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): AllocatePages returns a number. */
	return (uint8_t *)(uintptr_t)cache->memory + (size_t)i * QU_LINE_LEN;
}

/* Returns the line that holds pos, or else the least recently used one. */
static uint32_t line_find(const struct qu_cache *cache, uint64_t pos)
{
	uint32_t oldest = 0;
	uint32_t i;

	for (i = 0; i < cache->n_lines; i++) {
		if (cache->lines[i].last_use != 0u && cache->lines[i].pos == pos)
			return i;
		if (cache->lines[i].last_use < cache->lines[oldest].last_use)
			oldest = i;
	}
	return oldest;
}

/* Advances the clock. When it wraps, the order of use is lost, so all lines are dropped. */
static void clock_tick(struct qu_cache *cache)
{
	uint32_t i;

	cache->clock++;
	if (cache->clock != 0u)
		return;
	for (i = 0; i < cache->n_lines; i++)
		cache->lines[i].last_use = 0;
	cache->clock = 1;
}

/* Fills the line at pos unless it is cached, and points *bytes to it. */
static int line_get(struct qu_cache *cache, uint64_t pos, const uint8_t **bytes)
{
	uint32_t i = line_find(cache, pos);
	struct qu_line *line = &cache->lines[i];
	uint64_t left = cache->below.size - pos;
	int rc = 0;

	*bytes = line_memory(cache, i);
	if (line->last_use == 0u || line->pos != pos) {
		line->last_use = 0; /* a failed read must not leave a line that looks valid */
		line->pos = pos;
		rc = cache->below.ops->read(cache->below.ctx, pos, line_memory(cache, i),
		                            left < QU_LINE_LEN ? (size_t)left : QU_LINE_LEN);
	}
	if (rc != 0)
		return rc;
	clock_tick(cache);
	line->last_use = cache->clock;
	return 0;
}

/* Can this be read directly into the caller's memory? */
static bool is_direct(const struct qu_cache *cache, uint64_t pos, const void *buf, size_t len)
{
	return len >= QU_LINE_LEN && ((uint32_t)pos & (cache->unit - 1u)) == 0u &&
	       ((uintptr_t)buf & (cache->align - 1u)) == 0u;
}

/* Reads up to *len bytes and sets *len to the number read. */
static int read_step(struct qu_cache *cache, uint64_t pos, uint8_t *buf, size_t *len)
{
	uint32_t at = (uint32_t)pos & (QU_LINE_LEN - 1u);
	const uint8_t *line;
	int rc;

	if (is_direct(cache, pos, buf, *len)) {
		*len = *len < DIRECT_MAX ? *len & ~(size_t)(cache->unit - 1u) : DIRECT_MAX;
		return cache->below.ops->read(cache->below.ctx, pos, buf, *len);
	}
	if (*len > QU_LINE_LEN - at)
		*len = QU_LINE_LEN - at;
	rc = line_get(cache, pos - at, &line);
	/* Most compressed clusters come this way, and memcpy copies by bytes at odd addresses. */
	if (rc == 0)
		qu_boot->CopyMem(buf, line + at, *len);
	return rc;
}

static int cache_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	struct qu_cache *cache = ctx;
	uint8_t *to = buf;
	int rc = 0;

	while (rc == 0 && len > 0u) {
		size_t n = len;

		rc = read_step(cache, pos, to, &n);
		pos += n;
		to += n;
		len -= n;
	}
	return rc;
}

bool qu_cache_open(struct qu_cache *cache, const struct qcow2_io *below, uint32_t unit,
                   uint32_t align, uint32_t n_lines)
{
	static const struct qcow2_io_ops ops = { cache_read };
	UINTN n_pages = (UINTN)n_lines * (QU_LINE_LEN / EFI_PAGE_SIZE);
	EFI_STATUS status;

	memset(cache, 0, sizeof *cache);
	status = qu_boot->AllocatePages(AllocateAnyPages, EfiBootServicesData, n_pages,
	                                &cache->memory);
	if (EFI_ERROR(status)) {
		cache->memory = 0;
		qu_say("qcow2: out of memory for the read cache\n");
		return false;
	}
	qu_count(n_pages * EFI_PAGE_SIZE, 0);
	cache->io.ops = &ops;
	cache->io.ctx = cache;
	cache->io.size = below->size;
	memcpy(&cache->below, below, sizeof *below);
	cache->unit = unit;
	cache->align = align;
	cache->n_lines = n_lines;
	return true;
}

void qu_cache_close(struct qu_cache *cache)
{
	UINTN n_pages = (UINTN)cache->n_lines * (QU_LINE_LEN / EFI_PAGE_SIZE);

	if (cache->memory == 0u)
		return;
	(void)qu_boot->FreePages(cache->memory, n_pages);
	qu_count(0, n_pages * EFI_PAGE_SIZE);
	cache->memory = 0;
}
