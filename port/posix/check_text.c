/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Describes the findings of a check, and passes them to the caller. Programs look for the lines of
 * `qemu-img check`, so a finding that QEMU also has gets QEMU's line.
 */
#include "check_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "open/file.h"
#include "printable.h"
#include "qcow2.h"

/* qcow2.txt "L2 table entry": QEMU prints a compressed entry without this bit. */
#define ENTRY_COPIED (UINT64_C(1) << 63)

/* The id and the name of the snapshot that the check is at, as QEMU prints them: "1 (name)". */
static void snapshot_label(char *buf, size_t room, const struct qcow2_check *check)
{
	const struct qcow2_snapshot *s = &check->snapshot;
	char *text = malloc((size_t)s->id_len + s->name_len + 1u);

	snprintf(buf, room, "number %" PRIu32, s->index);
	if (text == NULL)
		return;
	if (qcow2_snapshot_strings(&check->image, s, text, NULL) == QCOW2_OK) {
		char id[QP_PRINTABLE], name[QP_PRINTABLE];

		snprintf(buf, room, "%s (%s)", qp_printable(id, text, s->id_len),
		         qp_printable(name, text + s->id_len, s->name_len));
	}
	free(text);
}

static void snapshot_finding_text(char *buf, size_t room, const struct qcow2_check *check,
                                  const struct qcow2_check_finding *f)
{
	char label[2 * QP_PRINTABLE + 8];

	snapshot_label(label, sizeof label, check);
	if (f->code == QCOW2_CHECK_SNAPSHOT_UNALIGNED)
		snprintf(buf, room,
		         "ERROR snapshot %s l1_offset=%#" PRIx64
		         ": L1 table is not cluster aligned; snapshot table entry corrupted",
		         label, f->value);
	else if (f->code == QCOW2_CHECK_SNAPSHOT_TOO_BIG)
		snprintf(buf, room,
		         "ERROR snapshot %s l1_size=%#" PRIx64
		         ": L1 table is too large; snapshot table entry corrupted",
		         label, f->value);
	else
		snprintf(buf, room,
		         "ERROR snapshot %s: L1 table is too short for the size of its disk",
		         label);
}

static const char *owner_name(uint32_t owner)
{
	static const char *const names[] = {
		[QCOW2_OWNER_HEADER] = "the header",
		[QCOW2_OWNER_L1] = "the L1 table",
		[QCOW2_OWNER_L2] = "an L2 table",
		[QCOW2_OWNER_DATA] = "data",
		[QCOW2_OWNER_COMPRESSED] = "compressed data",
		[QCOW2_OWNER_SNAPSHOT_L1] = "the L1 table of a snapshot",
		[QCOW2_OWNER_SNAPSHOT_TABLE] = "the snapshot table",
		[QCOW2_OWNER_REFCOUNT_TABLE] = "the refcount table",
		[QCOW2_OWNER_REFCOUNT_BLOCK] = "a refcount block",
		[QCOW2_OWNER_CRYPTO] = "the encryption header",
		[QCOW2_OWNER_BITMAP_DIRECTORY] = "the bitmap directory",
		[QCOW2_OWNER_BITMAP_TABLE] = "a bitmap table",
		[QCOW2_OWNER_BITMAP_DATA] = "a bitmap",
	};

	return owner < sizeof names / sizeof names[0] ? names[owner] : "an unknown part";
}

/* Findings about the refcounts of clusters. Returns false if it is none of these. */
static bool refcount_text(char *buf, size_t room, const struct qcow2_check *check,
                          const struct qcow2_check_finding *f)
{
	uint64_t pos = (uint64_t)f->cluster << check->image.cluster_bits;

	switch (f->code) {
	case QCOW2_CHECK_REFCOUNT:
	case QCOW2_CHECK_LEAK:
		snprintf(buf, room,
		         "%s cluster %" PRIu32 " refcount=%" PRIu64 " reference=%" PRIu32,
		         f->code == QCOW2_CHECK_LEAK ? "Leaked" : "ERROR", f->cluster, f->refcount,
		         f->references);
		return true;
	case QCOW2_CHECK_OVERFLOW:
		snprintf(buf, room, "ERROR: overflow cluster offset=0x%" PRIx64, pos);
		return true;
	case QCOW2_CHECK_UNREADABLE:
		snprintf(buf, room,
		         "Can't get refcount for cluster %" PRIu32 ": Input/output error",
		         f->cluster);
		return true;
	case QCOW2_CHECK_OWNER:
		snprintf(buf, room,
		         "cluster %" PRIu32 " is used by %s (at file offset %" PRIu64 ")",
		         f->cluster, owner_name(f->owner), qp_file_place(&check->image.io, f->pos));
		return true;
	case QCOW2_CHECK_L1_COPIED:
		snprintf(buf, room,
		         "ERROR OFLAG_COPIED L2 cluster: l1_index=%" PRIu32 " l1_entry=%" PRIx64
		         " refcount=%" PRIu64,
		         f->index, f->entry, f->refcount);
		return true;
	case QCOW2_CHECK_L2_COPIED:
		snprintf(buf, room,
		         "ERROR OFLAG_COPIED data cluster: l2_entry=%" PRIx64 " refcount=%" PRIu64,
		         f->entry, f->refcount);
		return true;
	default: return false;
	}
}

/* Lines that have at most one number of the finding. */
enum number { NONE, VALUE, VALUE_DECIMAL, ENTRY, INDEX };

static const struct line {
	enum qcow2_check_code code;
	enum number number;
	const char *before;
	const char *after;
} lines[] = {
	/* clang-format off */
	{ QCOW2_CHECK_BLOCK_RESERVED, INDEX, "ERROR refcount table entry ", " has reserved bits set" },
	{ QCOW2_CHECK_BLOCK_UNALIGNED, INDEX, "ERROR refcount block ",
	  " is not cluster aligned; refcount table entry corrupted" },
	{ QCOW2_CHECK_BLOCK_OUTSIDE, INDEX, "ERROR refcount block ", " is outside image" },
	{ QCOW2_CHECK_L1_RESERVED, ENTRY, "ERROR found L1 entry with reserved bits set: ", "" },
	{ QCOW2_CHECK_L2_RESERVED, ENTRY, "ERROR found l2 entry with reserved bits set: ", "" },
	{ QCOW2_CHECK_L2_UNALIGNED, VALUE, "ERROR l2_offset=",
	  ": Table is not cluster aligned; L1 entry corrupted" },
	{ QCOW2_CHECK_DATA_UNALIGNED, VALUE, "ERROR offset=",
	  ": Data cluster is not properly aligned; L2 entry corrupted." },
	{ QCOW2_CHECK_ZERO_UNALIGNED, VALUE, "ERROR offset=",
	  ": Preallocated cluster is not properly aligned; L2 entry corrupted." },
	{ QCOW2_CHECK_COMPRESSED_COPIED, VALUE, "ERROR: coffset=0x",
	  ": copied flag must never be set for compressed clusters" },
	{ QCOW2_CHECK_SUBCLUSTERS, VALUE, "ERROR offset=",
	  ": Allocated cluster has corrupted subcluster allocation bitmap" },
	{ QCOW2_CHECK_SUBCLUSTERS_NOWHERE, NONE,
	  "ERROR: Unallocated cluster has non-zero subcluster allocation map", "" },
	{ QCOW2_CHECK_SNAPSHOT_INCOMPLETE, INDEX, "ERROR snapshot table entry ", " is incomplete" },
	{ QCOW2_CHECK_SNAPSHOT_EXTERNAL, VALUE_DECIMAL, "ERROR ", " snapshots in image with data file" },
	{ QCOW2_CHECK_BITMAP_ENTRY, ENTRY, "ERROR invalid bitmap table entry: ", "" },
	{ QCOW2_CHECK_BITMAP_DIRECTORY, NONE, "ERROR invalid bitmap directory", "" },
	{ QCOW2_CHECK_TABLE_CUT, VALUE, "ERROR l2_offset=", ": the file ends inside the table" },
	{ QCOW2_CHECK_COMPRESSED_OUTSIDE, VALUE, "ERROR coffset=0x",
	  ": compressed data begins past the end of the file" },
	{ QCOW2_CHECK_ZERO_VERSION, ENTRY,
	  "ERROR l2 entry reads as zeros, which version 2 does not have: ", "" },
	{ QCOW2_CHECK_EXTERNAL_OFFSET, VALUE, "ERROR offset=",
	  ": cluster is not at its offset in the external data file" },
	{ QCOW2_CHECK_DIRTY, NONE, "the image is marked dirty: its refcounts may be out of date", "" },
	{ QCOW2_CHECK_MARKED_CORRUPT, NONE, "the image is marked corrupt", "" },
	/* clang-format on */
};

static void number_text(char buf[24], enum number number, const struct qcow2_check_finding *f)
{
	buf[0] = '\0';
	switch (number) {
	case VALUE: snprintf(buf, 24, "%" PRIx64, f->value); break;
	case VALUE_DECIMAL: snprintf(buf, 24, "%" PRIu64, f->value); break;
	case ENTRY: snprintf(buf, 24, "%" PRIx64, f->entry); break;
	case INDEX: snprintf(buf, 24, "%" PRIu32, f->index); break;
	case NONE:
	default: break;
	}
}

static void line_text(char *buf, size_t room, const struct qcow2_check_finding *f)
{
	const struct line *line = lines;
	char number[24];

	while (line->code != f->code && line < lines + sizeof lines / sizeof lines[0] - 1)
		line++;
	number_text(number, line->number, f);
	snprintf(buf, room, "%s%s%s", line->before, number, line->after);
}

/* Findings with two numbers about an entry. Returns false if it is none of these. */
static bool entry_text(char *buf, size_t room, const struct qcow2_check_finding *f)
{
	switch (f->code) {
	case QCOW2_CHECK_PAST_END:
		snprintf(buf, room,
		         "ERROR: counting reference for region exceeding the end of the file by "
		         "one cluster or more: offset 0x%" PRIx64 " size 0x%" PRIx64,
		         f->value, f->length);
		return true;
	case QCOW2_CHECK_COMPRESSED_EXTERNAL:
		snprintf(buf, room,
		         "ERROR compressed cluster %" PRIu32 " with data file, entry=0x%" PRIx64,
		         f->index, f->entry & ~ENTRY_COPIED);
		return true;
	case QCOW2_CHECK_COMPRESSED_SUBCLUSTERS:
		snprintf(buf, room,
		         "ERROR compressed cluster %" PRIu32
		         " with non-zero subcluster allocation bitmap, entry=0x%" PRIx64,
		         f->index, f->entry & ~ENTRY_COPIED);
		return true;
	case QCOW2_CHECK_BLOCK_SHARED:
		snprintf(buf, room, "ERROR refcount block %" PRIu32 " refcount=%" PRIu32, f->index,
		         f->references);
		return true;
	default: return false;
	}
}

int qp_check_text(char *buf, size_t room, const struct qcow2_check *check,
                  const struct qcow2_check_finding *finding)
{
	static const int kinds[QCOW2_CHECK_KINDS] = {
		[QCOW2_CHECK_CORRUPTIONS] = QCOW2_FINDING_CORRUPTION,
		[QCOW2_CHECK_LEAKS] = QCOW2_FINDING_LEAK,
		[QCOW2_CHECK_ERRORS] = QCOW2_FINDING_ERROR,
		[QCOW2_CHECK_NOTES] = QCOW2_FINDING_NOTE,
	};

	if (finding->code == QCOW2_CHECK_SNAPSHOT_UNALIGNED ||
	    finding->code == QCOW2_CHECK_SNAPSHOT_TOO_BIG ||
	    finding->code == QCOW2_CHECK_SNAPSHOT_SHORT)
		snapshot_finding_text(buf, room, check, finding);
	else if (!refcount_text(buf, room, check, finding) && !entry_text(buf, room, finding))
		line_text(buf, room, finding);
	return kinds[finding->code / QCOW2_CHECK_KIND];
}

bool qp_check_tell(struct qp_check *check, const struct qcow2_finding *finding)
{
	const struct qcow2_check_options *o = check->options;

	if (o->report != NULL && o->report(o->ctx, finding) != 0)
		check->ended = true;
	return !check->ended;
}

bool qp_check_show(struct qp_check *check, uint64_t done)
{
	const struct qcow2_check_options *o = check->options;

	if (done > check->shown)
		check->shown = done;
	if (o->progress != NULL && o->progress(o->ctx, check->shown, check->total) != 0)
		check->ended = true;
	return !check->ended;
}
