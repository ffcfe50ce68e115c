/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Internal snapshots: finds one by id or name, lists them all.
 */
#include "snapshots.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cancel.h"
#include "failure.h"
#include "handle.h"
#include "open/cut.h"
#include "printable.h"
#include "qcow2/snapshot.h"

/* The longest snapshot table that QEMU accepts, in bytes. */
enum { SNAPSHOT_TABLE_MAX = 64 * 1024 * 1024 };

/*
 * The table is read strictly even with QCOW2_ALLOW_TRUNCATED: zeros past the end of the file would
 * be snapshots that never existed. Only an id or a name may end in zeros then.
 */

/* Notes that the snapshot table cannot be read. */
static void table_failed(const struct qcow2_image *image, int rc, const struct qcow2_error *err,
                         bool zeros_help)
{
	if (rc == QCOW2_E_TRUNCATED)
		qp_fail_cut(image, "the snapshot table", image->snapshots_pos, SNAPSHOT_TABLE_MAX,
		            zeros_help);
	else
		qp_fail_core(rc, err);
}

/* Sets *text to the id of a snapshot followed by its name; the caller frees it. */
static bool snapshot_text(const struct qcow2_image *image, const struct qcow2_snapshot *s,
                          char **text)
{
	struct qcow2_error err;
	int rc;

	*text = malloc((size_t)s->id_len + s->name_len + 1u);
	if (*text == NULL) {
		qp_fail_memory();
		return false;
	}
	rc = qcow2_snapshot_strings(image, s, *text, &err);
	if (rc != QCOW2_OK) {
		free(*text);
		table_failed(image, rc, &err, true);
		return false;
	}
	return true;
}

/* Is this the id, or the name, of the snapshot? Returns 1, 0, or -1 on failure. */
static int snapshot_matches(const struct qcow2_image *image, const struct qcow2_snapshot *s,
                            const char *wanted, bool by_name)
{
	size_t len = by_name ? s->name_len : s->id_len;
	char *text;
	int same;

	if (len != strlen(wanted))
		return 0;
	if (!snapshot_text(image, s, &text))
		return -1;
	same = memcmp(text + (by_name ? s->id_len : 0u), wanted, len) == 0;
	free(text);
	return same;
}

/* Finds a snapshot by its id or by its name. Returns 1, 0 if there is none, or -1 on failure. */
static int snapshot_find(const struct qcow2_image *image, const char *wanted, bool by_name,
                         struct qcow2_snapshot *s)
{
	const struct qcow2_image strict = qp_strict(image);
	const struct qcow2_snapshot *previous = NULL;
	struct qcow2_error err;
	int rc;

	while ((rc = qcow2_snapshot_next(&strict, previous, s, &err)) == QCOW2_OK) {
		int found = snapshot_matches(image, s, wanted, by_name);

		if (found != 0)
			return found;
		previous = s;
	}
	if (rc == QCOW2_E_NOT_FOUND)
		return 0;
	table_failed(image, rc, &err, false);
	return -1;
}

/* Notes that the image of a snapshot, or of its state, does not open. */
static void image_failed(const struct qcow2_image *image, const struct qcow2_snapshot *s, int rc,
                         const struct qcow2_error *err, bool state)
{
	if (rc == QCOW2_E_TRUNCATED)
		qp_fail_cut(image, "the L1 table of the snapshot", s->l1_pos,
		            (uint64_t)s->l1_entries * 8u, true);
	else if (rc == QCOW2_E_NOT_FOUND)
		qp_fail_text(ENOENT, rc, "the snapshot has no saved state of the machine");
	else if (rc == QCOW2_E_L1 && state && err->detail == s->vm_state_size)
		qp_fail(EINVAL, rc, "invalid L1 table",
		        "the L1 table of the snapshot is too short for the %llu bytes of its saved "
		        "state",
		        (unsigned long long)s->vm_state_size);
	else
		qp_fail_core(rc, err);
}

bool qp_snapshot_select(struct qcow2 *q, const char *id_or_name, bool state)
{
	const struct qcow2_image *image = &q->top->image;
	struct qcow2_snapshot s;
	struct qcow2_error err;
	int rc, found = snapshot_find(image, id_or_name, false, &s);

	if (found == 0)
		found = snapshot_find(image, id_or_name, true, &s);
	if (found == 0) {
		char shown[QP_PRINTABLE];

		qp_fail(ENOENT, QCOW2_E_NOT_FOUND, "the image has no such snapshot",
		        "the image has no snapshot '%s'",
		        qp_printable(shown, id_or_name, strlen(id_or_name)));
	}
	if (found != 1)
		return false;
	rc = state ? qcow2_snapshot_state_image(&q->snapshot, image, &s, &err)
	           : qcow2_snapshot_image(&q->snapshot, image, &s, &err);
	if (rc == QCOW2_OK)
		q->image = &q->snapshot;
	else
		image_failed(image, &s, rc, &err, state);
	return rc == QCOW2_OK;
}

/* Counts the snapshots, and the bytes of their strings with the terminators. */
static bool list_measure(const struct qcow2_image *image, size_t *n, size_t *bytes)
{
	const struct qcow2_image strict = qp_strict(image);
	const struct qcow2_snapshot *previous = NULL;
	struct qcow2_snapshot s;
	struct qcow2_error err;
	int rc;

	*n = 0;
	*bytes = 0;
	while ((rc = qcow2_snapshot_next(&strict, previous, &s, &err)) == QCOW2_OK) {
		/* With this limit no sum here wraps. */
		if (s.next_pos - image->snapshots_pos > SNAPSHOT_TABLE_MAX) {
			qp_fail_text(EFBIG, QCOW2_E_TOO_BIG,
			             "the snapshot table is larger than 64 MiB");
			return false;
		}
		*n += 1u;
		*bytes += (size_t)s.id_len + s.name_len + 2u;
		previous = &s;
	}
	if (rc != QCOW2_E_NOT_FOUND)
		table_failed(image, rc, &err, false);
	return rc == QCOW2_E_NOT_FOUND;
}

static void entry_fill(struct qcow2_snapshot_entry *entry, const struct qcow2_snapshot *s)
{
	entry->id_len = s->id_len;
	entry->name_len = s->name_len;
	entry->disk_size = s->disk_size;
	entry->vm_state_size = s->vm_state_size;
	entry->vm_clock_nsec = s->vm_clock_nsec;
	entry->icount = s->has_icount ? s->icount : UINT64_MAX;
	entry->date_sec = s->date_sec;
	entry->date_nsec = s->date_nsec;
}

/* Fills n entries, and puts their strings at `text`, which ends at `end`. */
static bool list_fill(const struct qcow2_image *image, struct qcow2_snapshot_entry *entry, size_t n,
                      char *text, const char *end)
{
	const struct qcow2_snapshot *previous = NULL;
	struct qcow2_snapshot s;
	struct qcow2_error err = { 0 };
	int rc = QCOW2_OK;

	for (; n > 0u && rc == QCOW2_OK; n--, entry++) {
		rc = qcow2_snapshot_next(image, previous, &s, &err);
		/* The file may have changed since list_measure. */
		if (rc == QCOW2_OK && (size_t)(end - text) < (size_t)s.id_len + s.name_len + 2u)
			rc = QCOW2_E_SNAPSHOT;
		if (rc == QCOW2_OK)
			rc = qcow2_snapshot_strings(image, &s, text, &err);
		if (rc != QCOW2_OK)
			break;
		entry_fill(entry, &s);
		memmove(text + s.id_len + 1u, text + s.id_len, s.name_len);
		text[s.id_len] = '\0';
		entry->id = text;
		entry->name = text + s.id_len + 1u;
		text += (size_t)s.id_len + s.name_len + 2u;
		text[-1] = '\0';
		previous = &s;
	}
	if (rc != QCOW2_OK)
		table_failed(image, rc, &err, true);
	return rc == QCOW2_OK;
}

static int snapshots_list(struct qcow2 *q, struct qcow2_snapshot_entry **list)
{
	const struct qcow2_image *image = &q->top->image;
	struct qcow2_snapshot_entry *entries;
	size_t n, bytes;
	char *text;

	if (!list_measure(image, &n, &bytes))
		return qp_failed();
	entries = malloc(n * sizeof *entries + bytes + 1u); /* for 0 bytes it may return NULL */
	if (entries == NULL) {
		qp_fail_memory();
		return qp_failed();
	}
	text = (char *)(entries + n);
	if (!list_fill(image, entries, n, text, text + bytes)) {
		free(entries);
		return qp_failed();
	}
	*list = entries;
	return (int)n;
}

int qcow2_list_snapshots(struct qcow2 *q, struct qcow2_snapshot_entry **list)
{
	int cancel_state = qp_cancel_hold();
	int rc = snapshots_list(q, list);

	qp_cancel_restore(cancel_state);
	return rc;
}
