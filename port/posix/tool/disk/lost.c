/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The list of what is lost.
 *
 * The report is complete JSON whenever the list has written to it: its last lines are written each
 * time, and the next ranges replace them. So it can be read even if the command is killed.
 */
#include "lost.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../message.h"

enum { RANGES_MAX = 4096 };

/* Writes the lines that complete the report, and returns to where they begin. */
static void report_complete(struct lost *lost, bool complete)
{
	struct json j = lost->json;

	lost->end = ftello(lost->report);
	json_end(&j, ']');
	json_number(&j, "lost-ranges", lost->written);
	json_number(&j, "lost-bytes", lost->bytes);
	json_bool(&j, "complete", complete);
	json_end(&j, '}');
	fflush(lost->report);
	if (complete && ftello(lost->report) > 0)
		(void)!ftruncate(fileno(lost->report), ftello(lost->report));
	if (fseeko(lost->report, lost->end, SEEK_SET) != 0)
		lost->may_seek = false;
}

int lost_begin(struct lost *lost, const char *image, FILE *report)
{
	memset(lost, 0, sizeof *lost);
	lost->image = image;
	lost->report = report;
	lost->ranges = malloc(RANGES_MAX * sizeof *lost->ranges);
	if (lost->ranges == NULL) {
		if (report != NULL)
			fclose(report);
		return tool_error(image, "out of memory");
	}
	if (report == NULL)
		return EXIT_OK;
	lost->may_seek = fseeko(report, 0, SEEK_SET) == 0;
	lost->json = (struct json){ report, 0, true };
	json_begin(&lost->json, NULL, '{');
	json_text(&lost->json, "image", image);
	json_begin(&lost->json, "lost", '[');
	if (lost->may_seek)
		report_complete(lost, false);
	return EXIT_OK;
}

static const char *reason_of(const struct lost_range *r)
{
	return r->reason != NULL ? r->reason : "?";
}

static void report_range(struct json *j, const struct lost_range *r)
{
	json_begin(j, NULL, '{');
	json_number(j, "start", r->off);
	json_number(j, "length", r->len);
	json_number(j, "depth", r->depth);
	json_text(j, "reason", reason_of(r));
	json_end(j, '}');
}

/* Prints the first n ranges, and removes them from the list. */
static void write_out(struct lost *lost, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct lost_range *r = &lost->ranges[i];

		tool_error(lost->image, "lost: %" PRIu64 " bytes at disk offset %" PRIu64 ": %s",
		           r->len, r->off, reason_of(r));
		if (lost->report != NULL)
			report_range(&lost->json, r);
		lost->written++;
		lost->bytes += r->len;
		free(r->reason);
	}
	lost->n -= n;
	memmove(lost->ranges, lost->ranges + n, lost->n * sizeof *lost->ranges);
	if (lost->report != NULL && lost->may_seek)
		report_complete(lost, false);
}

/* The number of the first range that ends at `off` or after it. */
static size_t find(const struct lost *lost, uint64_t off)
{
	size_t low = 0, high = lost->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2u;
		const struct lost_range *r = &lost->ranges[middle];

		if (r->off + r->len < off)
			low = middle + 1u;
		else
			high = middle;
	}
	return low;
}

/* Is the range adjacent to what begins at off, and lost for the same reason? */
static bool joins(const struct lost_range *r, uint64_t off, const struct qcow2_failure *failure)
{
	return r->off + r->len == off && r->status == failure->status && r->depth == failure->depth;
}

/* Joins range number i with the next one, if that continues it. */
static void join_next(struct lost *lost, size_t i)
{
	struct lost_range *r = &lost->ranges[i], *next = r + 1;

	if (i + 1u >= lost->n || r->off + r->len != next->off || r->status != next->status ||
	    r->depth != next->depth)
		return;
	r->len += next->len;
	free(next->reason);
	lost->n--;
	memmove(next, next + 1, (lost->n - i - 1u) * sizeof *next);
}

/* Puts a new range before `at`, which is one of the list or its end. */
static void insert(struct lost *lost, struct lost_range *at, const struct lost_range *r)
{
	memmove(at + 1, at, (size_t)(lost->ranges + lost->n - at) * sizeof *at);
	lost->n++;
	*at = *r;
}

void lost_add(struct lost *lost, uint64_t off, uint64_t len)
{
	const struct qcow2_failure *failure = qcow2_last_failure();
	struct lost_range r = { off, len, failure->status, failure->depth, NULL };
	size_t i = find(lost, off);

	if (i < lost->n && joins(&lost->ranges[i], off, failure)) {
		lost->ranges[i].len += len;
		join_next(lost, i);
		return;
	}
	if (lost->n == RANGES_MAX) {
		write_out(lost, RANGES_MAX / 2);
		i = find(lost, off);
	}
	if (i < lost->n && lost->ranges[i].off < off)
		i++;
	r.reason = strdup(failure->message);
	insert(lost, &lost->ranges[i], &r);
	join_next(lost, i);
}

int lost_end(struct lost *lost, bool complete, const char *report_name)
{
	bool failed;

	write_out(lost, lost->n);
	free(lost->ranges);
	if (lost->report == NULL)
		return EXIT_OK;
	report_complete(lost, complete);
	failed = ferror(lost->report) != 0;
	if (fclose(lost->report) != 0 || failed)
		return tool_error(report_name, "%s", failed ? "write error" : strerror(errno));
	return EXIT_OK;
}
