/* SPDX-License-Identifier: MIT */
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

/* Has the check of the tables told this failure already? */
static bool is_of_tables(int status)
{
	return status == QCOW2_E_L2_ENTRY || status == QCOW2_E_TRUNCATED;
}

/*
 * The last read or map failed in the part of the disk that *failure has. Tells it, unless the check
 * of the tables has. Returns false if the check cannot go on.
 */
static bool tell_failure(struct qp_check *check, const struct qcow2_failure *failure)
{
	char text[sizeof failure->message + 8];
	struct qcow2_finding finding = { .cluster = UINT64_MAX, .text = text };

	if (failure->length == 0u)
		return false;
	if (is_of_tables(failure->status))
		return true;
	if (failure->status == QCOW2_E_COMPRESSED) {
		finding.kind = QCOW2_FINDING_CORRUPTION;
		check->unread++;
	} else if (failure->status == QCOW2_E_IO) {
		finding.kind = QCOW2_FINDING_ERROR;
		check->errors++;
	} else {
		return false;
	}
	snprintf(text, sizeof text, "ERROR %s", failure->message);
	finding.position = failure->pos;
	qp_check_tell(check, &finding);
	return true;
}

/* Reads [*offset, end). After a failure, *offset goes on behind it. Returns false if it cannot. */
static bool read_part(struct qp_check *check, struct qcow2 *q, uint64_t *offset, uint64_t end,
                      void *buf)
{
	size_t len = end - *offset < READ_LEN ? (size_t)(end - *offset) : READ_LEN;
	const struct qcow2_failure *failure;

	if (qcow2_read(q, buf, len, *offset) >= 0) {
		*offset += len;
		return true;
	}
	failure = qcow2_last_failure();
	if (!tell_failure(check, failure))
		return false;
	*offset = failure->offset + failure->length;
	return true;
}

/* Finds the next part of the disk that has data, from *offset on. Returns false if it cannot. */
static bool find_part(struct qp_check *check, struct qcow2 *q, uint64_t *offset, uint64_t *end)
{
	uint64_t size = qcow2_get_size(q);
	struct qcow2_segment s;

	*end = *offset;
	if (qcow2_map(q, *offset, size - *offset, &s) < 0) {
		const struct qcow2_failure *failure = qcow2_last_failure();

		if (!tell_failure(check, failure))
			return false;
		*offset = failure->offset + failure->length;
		*end = *offset;
		return true;
	}
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
