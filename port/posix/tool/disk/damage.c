/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Maps a disk that is damaged.
 */
#include "damage.h"

#include <string.h>

bool damage_is_local(void)
{
	return qcow2_last_failure()->length != 0u;
}

int damage_map(struct qcow2 *q, uint64_t at, uint64_t len, struct qcow2_segment *segment,
               bool *damaged)
{
	const struct qcow2_failure *failure = qcow2_last_failure();
	int rc = qcow2_map(q, at, len, segment);

	*damaged = false;
	/* If a read of tables fails, the call fails, although what comes before is known. */
	if (rc < 0 && damage_is_local() && failure->offset > at)
		rc = qcow2_map(q, at, failure->offset - at, segment);
	if (rc >= 0 || !damage_is_local() || failure->offset != at)
		return rc;
	memset(segment, 0, sizeof *segment);
	segment->start = at;
	segment->length = failure->length;
	segment->fd = -1;
	*damaged = true;
	return 1;
}
