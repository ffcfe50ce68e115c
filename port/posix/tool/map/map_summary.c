/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * How many bytes of a disk are of which kind, and at which depth of the chain.
 */
#include "map_summary.h"

#include <inttypes.h>

#include "../show/json.h"
#include "../show/text.h"

void map_summary_add(struct map_summary *s, const struct map_entry *entry)
{
	struct map_sum *of = &s->of[map_kind_of(entry)][entry->depth];

	of->entries++;
	of->bytes += entry->length;
	s->total.entries++;
	s->total.bytes += entry->length;
	if (entry->dirty && !entry->damaged)
		s->dirty += entry->length;
}

static void print_dirty(const struct map_summary *s, bool human)
{
	char share[TEXT_SIZE_MAX];

	printf("%-10s %5s %10s ", "dirty", "", "");
	text_print_bytes(s->dirty, human, human ? 10 : 20);
	printf(" %8s\n", text_share(share, s->dirty, s->total.bytes));
}

static void print_line(const char *kind, const char *depth, const struct map_sum *sum,
                       const char *share, bool human)
{
	printf("%-10s %5s %10" PRIu64 " ", kind, depth, sum->entries);
	text_print_bytes(sum->bytes, human, human ? 10 : 20);
	printf(" %8s\n", share);
}

void map_summary_print(const struct map_summary *s, bool human, bool bitmaps)
{
	char share[TEXT_SIZE_MAX], depth[TEXT_SIZE_MAX];
	unsigned kind, d;

	printf("%-10s %5s %10s %*s %8s\n", "KIND", "DEPTH", "ENTRIES", human ? 10 : 20,
	       human ? "SIZE" : "BYTES", "SHARE");
	for (kind = 0; kind < MAP_KINDS; kind++)
		for (d = 0; d < MAP_DEPTH_MAX; d++) {
			const struct map_sum *sum = &s->of[kind][d];

			if (sum->entries == 0u)
				continue;
			snprintf(depth, sizeof depth, "%u", d);
			text_share(share, sum->bytes, s->total.bytes);
			print_line(map_kind_name(kind), depth, sum, share, human);
		}
	text_share(share, s->total.bytes, s->total.bytes);
	print_line("total", "", &s->total, share, human);
	if (bitmaps)
		print_dirty(s, human);
}

void map_summary_print_json(const struct map_summary *s, bool bitmaps)
{
	struct json j = { stdout, 0, true };
	unsigned kind, d;

	json_begin(&j, NULL, '{');
	json_number(&j, "length", s->total.bytes);
	json_number(&j, "entries", s->total.entries);
	if (bitmaps)
		json_number(&j, "dirty", s->dirty);
	json_begin(&j, "kinds", '[');
	for (kind = 0; kind < MAP_KINDS; kind++)
		for (d = 0; d < MAP_DEPTH_MAX; d++) {
			if (s->of[kind][d].entries == 0u)
				continue;
			json_begin(&j, NULL, '{');
			json_text(&j, "kind", map_kind_name(kind));
			json_number(&j, "depth", d);
			json_number(&j, "entries", s->of[kind][d].entries);
			json_number(&j, "length", s->of[kind][d].bytes);
			json_end(&j, '}');
		}
	json_end(&j, ']');
	json_end(&j, '}');
}

void map_summary_print_kinds(const struct map_summary *s, bool human)
{
	const char *comma = "";
	unsigned kind, d;

	for (kind = 0; kind < MAP_KINDS; kind++) {
		uint64_t bytes = 0;

		for (d = 0; d < MAP_DEPTH_MAX; d++)
			bytes += s->of[kind][d].bytes;
		if (bytes == 0u)
			continue;
		fputs(comma, stdout);
		text_print_bytes(bytes, human, 0);
		printf(" %s", map_kind_name(kind));
		comma = ", ";
	}
}
