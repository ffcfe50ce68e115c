/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Prints a list of snapshots: for people, and as JSON with the keys of qemu-img and "disk-size".
 */
#include "snapshot_list.h"

#include <inttypes.h>
#include <time.h>

#include "../show/text.h"

#define NSEC_PER_SEC UINT64_C(1000000000)

void snapshots_print_json(struct json *j, const char *key, const struct qcow2_snapshot_entry *s,
                          int n)
{
	json_begin(j, key, '[');
	for (; n > 0; n--, s++) {
		json_begin(j, NULL, '{');
		if (s->icount != UINT64_MAX) /* otherwise it is not recorded */
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
	char buf[32] = "?"; /* if the C library cannot express it */

	/* Without 64-bit times, a date after 2038 would look like one before 1970. */
	if ((uint64_t)when == seconds && localtime_r(&when, &tm) != NULL)
		strftime(buf, sizeof buf, "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s", buf);
}

/* How long the guest had run: hours, minutes, seconds and milliseconds. */
static void print_clock(uint64_t nsec)
{
	uint64_t sec = nsec / NSEC_PER_SEC;

	printf("%02" PRIu64 ":%02u:%02u.%03u", sec / 3600u, (unsigned)(sec / 60u % 60u),
	       (unsigned)(sec % 60u), (unsigned)(nsec % NSEC_PER_SEC / 1000000u));
}

void snapshots_print_text(const struct qcow2_snapshot_entry *s, int n)
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
