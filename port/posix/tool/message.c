/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Messages on standard error, and closing standard output.
 */
#include "message.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "show/progress.h"
#include "show/text.h"

int tool_error(const char *subject, const char *format, ...)
{
	va_list args;

	/* Output that comes before the failure must also appear before the message. */
	fflush(stdout);
	flockfile(stderr); /* for the whole message, and for progress */
	progress_break();
	fputs("qcow2: ", stderr);
	text_print(stderr, subject, strlen(subject));
	fputs(": ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	funlockfile(stderr);
	return EXIT_FAILED;
}

int tool_finish_stdout(void)
{
	bool failed = ferror(stdout) != 0;
	int error = fclose(stdout) != 0 ? errno : 0;

	if (error == 0 && !failed)
		return EXIT_OK;
	if (error == EPIPE)
		return EXIT_FAILED;
	/* An earlier write failed: its errno is lost. */
	return tool_error("standard output", "%s", error != 0 ? strerror(error) : "write error");
}
