/* SPDX-License-Identifier: MIT */
/*
 * qcow2 snapshots: list the internal snapshots.
 */
#include "tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "snapshots.h"

#define NSEC_PER_SEC UINT64_C(1000000000)

void snapshots_json(struct json *j, const char *key, const struct qcow2_snapshot_entry *s, int n)
{
	json_begin(j, key, '[');
	for (; n > 0; n--, s++) {
		json_begin(j, NULL, '{');
		if (s->icount != UINT64_MAX)
			json_number(j, "icount", s->icount);
		json_number(j, "vm-clock-nsec", s->vm_clock_nsec % NSEC_PER_SEC);
		json_string(j, "name", s->name, s->name_len);
		json_number(j, "date-sec", s->date_sec);
		json_number(j, "date-nsec", s->date_nsec);
		json_number(j, "vm-clock-sec", s->vm_clock_nsec / NSEC_PER_SEC);
		json_string(j, "id", s->id, s->id_len);
		json_number(j, "vm-state-size", s->vm_state_size);
		json_number(j, "disk-size", s->disk_size);
		json_end(j, '}');
	}
	json_end(j, ']');
}

static void print_date(uint64_t seconds)
{
	time_t when = (time_t)seconds;
	struct tm tm;
	char buf[32] = "?";

	if (localtime_r(&when, &tm) != NULL)
		strftime(buf, sizeof buf, "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s", buf);
}

/* Hours, minutes, seconds and milliseconds that the guest has run. */
static void print_clock(uint64_t nsec)
{
	uint64_t sec = nsec / NSEC_PER_SEC;

	printf("%02" PRIu64 ":%02u:%02u.%03u", sec / 3600u, (unsigned)(sec / 60u % 60u),
	       (unsigned)(sec % 60u), (unsigned)(nsec % NSEC_PER_SEC / 1000000u));
}

void snapshots_print(const struct qcow2_snapshot_entry *s, int n)
{
	printf("%-5s %-19s %-12s %12s %12s  %s\n", "ID", "DATE", "VM CLOCK", "VM STATE", "DISK",
	       "NAME");
	for (; n > 0; n--, s++) {
		text_print(stdout, s->id, s->id_len);
		printf("%*s ", s->id_len < 5u ? (int)(5u - s->id_len) : 0, "");
		print_date(s->date_sec);
		putchar(' ');
		print_clock(s->vm_clock_nsec);
		printf(" %12" PRIu64 " %12" PRIu64 "  ", s->vm_state_size, s->disk_size);
		text_print(stdout, s->name, s->name_len);
		putchar('\n');
	}
}

int run_snapshots(struct args *args)
{
	struct json j = { stdout, 0, true };
	struct qcow2_snapshot_entry *list = NULL;
	struct qcow2 *q;
	int n;

	/* The list is in the header's file: nothing else is needed. */
	args->options.flags |= QCOW2_INSPECT;
	q = tool_open(args);
	if (q == NULL)
		return EXIT_FAILED;
	n = qcow2_list_snapshots(q, &list);
	if (n < 0) {
		tool_failed(args);
		qcow2_close(q);
		return EXIT_FAILED;
	}
	if (args->json)
		snapshots_json(&j, NULL, list, n);
	else
		snapshots_print(list, n);
	free(list);
	qcow2_close(q);
	return EXIT_OK;
}
