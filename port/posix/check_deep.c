/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads the whole disk to find what the tables do not show: compressed clusters that do not decode,
 * and parts of files that cannot be read.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "failure.h"
#include "handle.h"
#include "qcow2/status.h"

enum { READ_LEN = 2 * 1024 * 1024 }; /* the longest cluster */

/*
 * Has the check of the tables reported this failure already? That checks one image. It also reports
 * some of what is past the end of the file, but not what begins before it, nor what is in another
 * file. So all of that is reported here, even if it is the second time.
 */
static bool is_of_tables(const struct qp_check *check, const struct qcow2_failure *failure)
{
	return failure->status == QCOW2_E_L2_ENTRY && failure->depth == check->options->depth;
}

/* The kind of finding that a failure in a part of the disk is; 0: the check cannot go on. */
static int finding_kind(const struct qcow2_failure *failure)
{
	if (failure->length == 0u)
		return 0;
	switch (failure->status) {
	case QCOW2_E_IO: return QCOW2_FINDING_ERROR;
	case QCOW2_E_L2_ENTRY:
	case QCOW2_E_COMPRESSED:
	case QCOW2_E_TRUNCATED: return QCOW2_FINDING_CORRUPTION;
	default: return 0;
	}
}

/*
 * The last read or map failed in a part of the disk. Reports it, unless the check of the tables
 * has, and sets *offset to the end of the part. Returns false if the check cannot go on.
 */
static bool tell_failure(struct qp_check *check, uint64_t *offset)
{
	/* The callback may make calls of its own, which change the last failure. */
	struct qcow2_failure failure = *qcow2_last_failure();
	struct qcow2_finding finding = { .kind = finding_kind(&failure), .cluster = UINT64_MAX };
	char text[sizeof failure.message + 8];

	if (finding.kind == 0)
		return false;
	*offset = failure.offset + failure.length;
	if (is_of_tables(check, &failure))
		return true;
	if (finding.kind == QCOW2_FINDING_ERROR)
		check->errors++;
	else
		check->unread++;
	snprintf(text, sizeof text, "ERROR %s", failure.message);
	finding.text = text;
	finding.position = failure.pos;
	qp_check_tell(check, &finding);
	return true;
}

/*
 * Reads [*offset, end), and moves *offset: after a failure, past the damage. Returns false if the
 * check cannot go on.
 */
static bool read_part(struct qp_check *check, struct qcow2 *q, uint64_t *offset, uint64_t end,
                      void *buf)
{
	size_t len = end - *offset < READ_LEN ? (size_t)(end - *offset) : READ_LEN;

	if (qcow2_read(q, buf, len, *offset) >= 0) {
		*offset += len;
		return true;
	}
	return tell_failure(check, offset);
}

/* Finds the next part of the disk that has data, from *offset on. Returns false if it cannot. */
static bool find_part(struct qp_check *check, struct qcow2 *q, uint64_t *offset, uint64_t *end)
{
	uint64_t size = qcow2_get_size(q);
	struct qcow2_segment s = { 0 };

	*end = *offset;
	if (qcow2_map(q, *offset, size - *offset, &s) < 0)
		return tell_failure(check, offset);
	*end = s.start + s.length;
	if ((s.flags & QCOW2_SEGMENT_DATA) == 0u)
		*offset = *end;
	return true;
}

bool qp_check_disk(struct qp_check *check, struct qcow2 *q)
{
	uint64_t size = qcow2_get_size(q), offset = 0, end = 0;
	void *buf = malloc(READ_LEN);
	bool good = buf != NULL;

	if (!good)
		qp_fail_memory();
	check->shown = 0;
	check->total = size;
	while (good && !check->ended && offset < size) {
		good = offset < end ? read_part(check, q, &offset, end, buf)
		                    : find_part(check, q, &offset, &end);
		if (good)
			qp_check_show(check, offset < size ? offset : size);
	}
	free(buf);
	return good;
}
