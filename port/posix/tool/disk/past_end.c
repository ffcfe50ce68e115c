/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What is odd at the end of the image files. None of it stops the library from reading: QEMU reads
 * zeros there, and so does the library. But images that were written properly are not so.
 */
#include "past_end.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "../message.h"
#include "damage.h"

enum {
	STEP_CLUSTERS = 4096, /* 32 KiB of L2 entries */
	STEPS_MAX = 1024      /* 32 MiB of them: the tables of 256 GiB, with clusters of 64 KiB */
};

void past_end_begin(struct past_end *p)
{
	memset(p, 0, sizeof *p);
}

/* The length of the file in which an image has its data, from where the image begins in it. */
static uint64_t data_length(struct qcow2 *q, unsigned depth, const struct qcow2_info *info)
{
	struct stat st;

	if (info->version == 0u) /* a raw disk ends wherever it ends */
		return UINT64_MAX;
	if ((info->flags & QCOW2_INFO_DATA_FILE) == 0u)
		return info->file_size;
	if (fstat(qcow2_get_data_fd(q, depth), &st) != 0 || !S_ISREG(st.st_mode))
		return UINT64_MAX;
	return (uint64_t)st.st_size;
}

/* Learns where the files of the image at this depth end, once. */
static void learn_end(struct past_end *p, struct qcow2 *q, unsigned depth)
{
	struct qcow2_info info = { .struct_size = sizeof info };
	uint64_t start, length, clusters;

	if (p->is_known[depth])
		return;
	p->is_known[depth] = true;
	p->end[depth] = UINT64_MAX;
	p->zeros_end[depth] = UINT64_MAX;
	if (qcow2_get_info(q, depth, &info) != 0)
		return;
	length = data_length(q, depth, &info);
	if (length > INT64_MAX)
		return;
	start = (info.flags & QCOW2_INFO_DATA_FILE) == 0u ? info.file_start : 0u;
	p->end[depth] = start + length;
	/*
	 * QEMU does not write the cluster that it allocates last if it is all zeros. A data file
	 * need not reach as far as the zeros of the disk.
	 */
	clusters = length / info.cluster_size + (length % info.cluster_size != 0u) + 1u;
	if ((info.flags & QCOW2_INFO_DATA_FILE) == 0u)
		p->zeros_end[depth] = start + clusters * info.cluster_size;
}

/* How many bytes of the segment are before this end of its file? */
static uint64_t bytes_before(const struct qcow2_segment *s, uint64_t end)
{
	uint64_t n = s->file_offset < end ? end - s->file_offset : 0u;

	return n < s->length ? n : s->length;
}

static void oddity_add(struct oddity *o, const struct qcow2_segment *s, uint64_t before)
{
	if (o->bytes == 0u) {
		o->offset = s->start + before;
		o->file_offset = s->file_offset + before;
		o->fd = s->fd;
		o->depth = s->depth;
	}
	o->bytes += s->length - before;
}

void past_end_look(struct past_end *p, struct qcow2 *q, const struct qcow2_segment *s)
{
	uint64_t before;

	if ((s->flags & QCOW2_SEGMENT_AT) == 0u || s->depth >= PAST_END_DEPTHS)
		return;
	learn_end(p, q, s->depth);
	if ((s->flags & QCOW2_SEGMENT_DATA) != 0u) {
		before = bytes_before(s, p->end[s->depth]);
		if (before > 0u && before < s->length)
			oddity_add(&p->cut, s, before);
	} else {
		before = bytes_before(s, p->zeros_end[s->depth]);
		if (before < s->length)
			oddity_add(&p->zeros, s, before);
	}
}

void past_end_walk(struct past_end *p, struct qcow2 *q, uint64_t from, uint64_t to)
{
	struct qcow2_info info = { .struct_size = sizeof info };
	struct qcow2_segment s;
	uint64_t step, least;
	int steps = 0;
	bool damaged;

	if (qcow2_get_info(q, 0, &info) != 0 || info.version == 0u)
		return;
	least = info.cluster_size * STEP_CLUSTERS;
	for (step = least; from < to && steps < STEPS_MAX; steps++) {
		if (damage_map(q, from, step < to - from ? step : to - from, &s, &damaged) <= 0)
			return;
		if (!damaged)
			past_end_look(p, q, &s);
		from += s.length;
		/* Where there is nothing, a step may be longer: few tables are read. */
		step = s.flags == QCOW2_SEGMENT_ZERO && step <= UINT64_MAX / 2u ? 2u * step : least;
	}
}

bool past_end_may_be_cut(struct qcow2 *q)
{
	struct qcow2_info info = { .struct_size = sizeof info };
	unsigned depth;

	for (depth = 0; qcow2_get_info(q, depth, &info) == 0; depth++)
		if (info.version != 0u && data_length(q, depth, &info) % info.cluster_size != 0u)
			return true;
	return false;
}

/* Has the file grown past the place since it was opened? Then another program writes to it. */
static bool has_grown(const struct oddity *o)
{
	struct stat st;

	return fstat(o->fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	       (uint64_t)st.st_size > o->file_offset;
}

static void warn_of(const struct args *args, const struct oddity *o, const char *what,
                    const char *hint)
{
	char below[64] = "";

	if (o->bytes == 0u || (args->options.flags & QCOW2_ALLOW_TRUNCATED) != 0u)
		return;
	if (o->depth > 0u)
		snprintf(below, sizeof below, "backing file at depth %u: ", o->depth);
	tool_error(args->image,
	           "warning: %s%s (at file offset %" PRIu64 ", disk offset %" PRIu64 ", %" PRIu64
	           " bytes); %s",
	           below, what, o->file_offset, o->offset, o->bytes, hint);
}

void past_end_warn_cut(const struct past_end *p, const struct args *args)
{
	if (p->cut.bytes != 0u && has_grown(&p->cut))
		warn_of(args, &p->cut,
		        "the file ended inside a data cluster when it was opened, and has grown",
		        "another program writes to it, and what was read may be older");
	else
		warn_of(args, &p->cut,
		        "the file ends inside a data cluster, whose rest is read as zeros",
		        "the end of the file may be lost");
}

void past_end_warn_zeros(const struct past_end *p, const struct args *args)
{
	if (p->zeros.bytes == 0u || has_grown(&p->zeros))
		return;
	warn_of(args, &p->zeros, "zero clusters point past the end of the file",
	        "a table may be damaged");
}
