/* SPDX-License-Identifier: MIT */
/*
 * Few large, aligned reads in place of many small ones anywhere.
 */
#include "uefi.h"

/* Straight reads at a time: some drivers of real firmware fail at more. */
enum { DIRECT_MAX = 1024 * 1024 };

static uint8_t *line_memory(const struct qu_cache *cache, uint32_t i)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): AllocatePages gives addresses as numbers. */
	return (uint8_t *)(uintptr_t)cache->memory + (size_t)i * QU_LINE_LEN;
}

/* The line that has a position, or the one that was not used for the longest time. */
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

/* Makes the line at pos be there. */
static int line_get(struct qu_cache *cache, uint64_t pos, const uint8_t **bytes)
{
	uint32_t i = line_find(cache, pos);
	struct qu_line *line = &cache->lines[i];
	uint64_t left = cache->below.size - pos;
	int rc = 0;

	*bytes = line_memory(cache, i);
	if (line->last_use == 0u || line->pos != pos) {
		line->last_use = 0;
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

/* May this be read straight into the caller's memory? */
static bool is_direct(const struct qu_cache *cache, uint64_t pos, const void *buf, size_t len)
{
	return len >= QU_LINE_LEN && ((uint32_t)pos & (cache->unit - 1u)) == 0u &&
	       ((uintptr_t)buf & (cache->align - 1u)) == 0u;
}

/* Reads at most *len bytes, and says how many. */
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
	if (rc == 0)
		memcpy(buf, line + at, *len);
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
		qu_say("qcow2: no memory for a cache\n");
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
