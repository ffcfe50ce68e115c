/* SPDX-License-Identifier: MIT */
/*
 * Opening the image that the command line names, and saying what went wrong.
 */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "qcow2/status.h"

int tool_error(const char *subject, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	progress_break();
	fputs("qcow2: ", stderr);
	text_print(stderr, subject, strlen(subject));
	fputs(": ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return EXIT_FAILED;
}

/* The option that would help. */
static const char *failure_hint(const struct args *args, const struct qcow2_failure *failure)
{
	bool truncated_allowed = (args->options.flags & QCOW2_ALLOW_TRUNCATED) != 0u;

	if (failure->status == QCOW2_E_BACKING)
		return "; give --follow, --backing FILE[,FORMAT] or --layer-only";
	if (failure->status == QCOW2_E_DATA_FILE)
		return "; give --follow or --data-file FILE";
	if (failure->status == QCOW2_E_ARGUMENT && failure->error == ENOTSUP)
		return "; give --backing-format FORMAT";
	if (failure->status == QCOW2_E_TRUNCATED && !truncated_allowed)
		return "; --allow-truncated reads zeros there, but for compressed data";
	if (failure->error == EPERM || failure->error == ELOOP)
		return failure->status == 0 ? "; --follow=any lifts that limit" : "";
	return "";
}

int tool_failed(const struct args *args)
{
	const struct qcow2_failure *failure = qcow2_last_failure();

	return tool_error(args->image, "%s%s", failure->message, failure_hint(args, failure));
}

static int image_fd(const struct args *args)
{
	if (strcmp(args->image, "-") == 0)
		return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	return open(args->image, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static struct qcow2 *open_flags(const struct args *args, unsigned flags, bool *no_file)
{
	struct qcow2_options options = args->options;
	int fd = image_fd(args);

	*no_file = fd < 0;
	if (fd < 0)
		return NULL;
	options.flags = flags;
	options.reader_memory = 1; /* the least: all commands go through a disk in order */
	if (strcmp(args->image, "-") != 0)
		options.path = args->image;
	return qcow2_open_options(fd, &options, NULL);
}

struct qcow2 *tool_open_quietly(const struct args *args, unsigned flags)
{
	bool no_file;

	return open_flags(args, flags, &no_file);
}

struct qcow2 *tool_open(const struct args *args)
{
	bool no_file;
	struct qcow2 *q = open_flags(args, args->options.flags, &no_file);

	if (q == NULL && no_file)
		tool_error(args->image, "%s", strerror(errno));
	else if (q == NULL)
		tool_failed(args);
	return q;
}

int tool_finish_stdout(void)
{
	bool failed = ferror(stdout) != 0;
	int error = fclose(stdout) != 0 ? errno : 0;

	if (error == 0 && !failed)
		return EXIT_OK;
	if (error == EPIPE)
		return EXIT_FAILED;
	return tool_error("standard output", "%s", error != 0 ? strerror(error) : "write error");
}
