/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Messages, the command line and the exit status, by semihosting. */
#include "console.h"

#include <stddef.h>
#include <stdint.h>

#include "semihost.h"

enum { COMMAND_LINE_MAX = 128, EXIT_REASON = 0x20026 /* ADP_Stopped_ApplicationExit */ };

void say(const char *text)
{
	(void)semihost(SEMIHOST_WRITE0, text);
}

void leave(int status)
{
	const uintptr_t block[] = { EXIT_REASON, (uintptr_t)status };

	for (;;)
		(void)semihost(SEMIHOST_EXIT, block);
}

/* Splits the command line into words. The first one is the name of the program. */
int command_line(char *words[], int max)
{
	static char line[COMMAND_LINE_MAX];
	const uintptr_t block[] = { (uintptr_t)line, sizeof line };
	int n = 0;

	if (semihost(SEMIHOST_COMMAND_LINE, block) != 0)
		return 0;
	for (char *at = line; *at != '\0' && n < max;) {
		words[n++] = at;
		while (*at != ' ' && *at != '\0')
			at++;
		while (*at == ' ')
			*at++ = '\0';
	}
	return n;
}
