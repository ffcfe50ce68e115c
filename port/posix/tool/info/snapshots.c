/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 snapshots: lists the internal snapshots.
 */
#include "../commands.h"

#include <stdlib.h>
#include <time.h>

#include "../disk/open.h"
#include "../sandbox/sandbox.h"
#include "snapshot_list.h"

int run_snapshots(struct args *args)
{
	struct json j = { stdout, 0, true };
	struct qcow2_snapshot_entry *list = NULL;
	struct qcow2 *q;
	int n;

	/* The list is in the image file itself, so no other file is needed. */
	args->options.flags |= QCOW2_INSPECT;
	q = tool_open(args);
	if (q == NULL)
		return EXIT_FAILED;
	tzset(); /* localtime(3) opens a file at its first use */
	sandbox_enter_reading(args->no_sandbox);
	n = qcow2_list_snapshots(q, &list);
	if (n < 0) {
		tool_failed(args);
		qcow2_close(q);
		return EXIT_FAILED;
	}
	if (args->json)
		snapshots_print_json(&j, NULL, list, n);
	else
		snapshots_print_text(list, n);
	free(list);
	qcow2_close(q);
	return EXIT_OK;
}
