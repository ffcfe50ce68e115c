/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 check: finds damage in an image.
 */
#include "../commands.h"

#include <errno.h>
#include <inttypes.h>

#include "../disk/open.h"
#include "../message.h"
#include "../sandbox/sandbox.h"
#include "../show/progress.h"
#include "check_print.h"

/* Notes are printed up to this number: a damaged table can be the owner of a million clusters. */
enum { NOTES_MOST = 100 };

/* The exit statuses of qemu-img check; EXIT_FAILED is "cannot check". */
enum { EXIT_CORRUPT = 2, EXIT_LEAKS = 3, EXIT_NOTHING_TO_CHECK = 63 };

struct checking {
	struct progress progress;
	uint64_t n_notes;
};

static int print_finding(void *ctx, const struct qcow2_finding *finding)
{
	struct checking *checking = ctx;
	bool is_note = finding->kind == QCOW2_FINDING_NOTE;

	if (is_note && checking->n_notes++ >= NOTES_MOST)
		return 0;
	flockfile(stderr);
	progress_break();
	fprintf(stderr, "%s%s\n", is_note ? "note: " : "", finding->text);
	funlockfile(stderr);
	return 0;
}

static int show_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct checking *checking = ctx;

	progress_show(&checking->progress, done, total);
	return 0;
}

static int exit_status(const struct qcow2_check_result *result)
{
	if (result->errors != 0u)
		return EXIT_FAILED;
	if (result->corruptions != 0u)
		return EXIT_CORRUPT;
	return result->leaks != 0u ? EXIT_LEAKS : EXIT_OK;
}

/* The check failed. With ENOTSUP, the format of the image has no refcounts. */
static int check_failed(const struct args *args)
{
	bool nothing = qcow2_last_failure()->error == ENOTSUP;
	int rc = tool_failed(args);

	return nothing ? EXIT_NOTHING_TO_CHECK : rc;
}

static int check_image(const struct args *args, struct qcow2 *q)
{
	struct checking checking = { .n_notes = 0 };
	struct qcow2_check_options options = {
		.struct_size = sizeof options,
		.flags = QCOW2_CHECK_TELL_OWNERS | (args->deep ? QCOW2_CHECK_DEEP : 0u),
		.memory = args->memory < SIZE_MAX ? (size_t)args->memory : SIZE_MAX,
		.max_reads = args->max_reads,
		.report = print_finding,
		.progress = show_progress,
		.ctx = &checking,
	};
	struct qcow2_check_result result = { .struct_size = sizeof result };
	int rc;

	progress_begin(&checking.progress, args->progress, args->quiet);
	rc = qcow2_check(q, &options, &result);
	progress_end(&checking.progress);
	if (rc < 0)
		return check_failed(args);
	if (rc > 0) /* the callbacks above never end a check */
		return tool_error(args->image,
		                  "not checked to the end: the tables need more than %" PRIu32
		                  " reads (--max-reads)",
		                  args->max_reads);
	if (checking.n_notes > NOTES_MOST)
		fprintf(stderr, "note: %" PRIu64 " more notes like these\n",
		        checking.n_notes - NOTES_MOST);
	if (args->json)
		check_print_json(args, &result);
	else if (!args->quiet)
		check_print_text(&result);
	return exit_status(&result);
}

int run_check(struct args *args)
{
	struct qcow2 *q;
	int rc;

	if (args->repair)
		return tool_error(
			args->image,
			"this program only reads images; repair it with 'qemu-img check -r'");
	/* The tables are in the image itself. Data may be in an external file. */
	args->options.flags |=
		args->deep ? QCOW2_LAYER_ONLY : QCOW2_INSPECT | QCOW2_ALLOW_TRUNCATED;
	progress_catch_signals();
	q = tool_open_disk(args);
	if (q == NULL)
		return EXIT_FAILED;
	sandbox_enter_reading(args->no_sandbox);
	rc = check_image(args, q);
	qcow2_close(q);
	return rc;
}
