/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What a deadly signal does to an output that is not complete.
 */
#include "unfinished.h"

#include <string.h>
#include <unistd.h>

/* The signals that end a program and that a user or the system sends in normal operation. */
static const int deadly_signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ, SIGPIPE };

enum { N_SIGNALS = sizeof deadly_signals / sizeof deadly_signals[0] };

/* Global for the signal handler. */
static const char *volatile to_remove;
static const char *volatile to_say;

/* Ends the program as the signal would have done, so that its parent sees the same status. */
static void end_program(int signal_number)
{
	const char *notice = to_say;

	if (to_remove != NULL)
		unlink(to_remove);
	/* The program ends whether or not the notice can be written. */
	if (notice != NULL && write(STDERR_FILENO, notice, strlen(notice)) < 0)
		to_say = NULL;
	signal(signal_number, SIG_DFL);
	if (raise(signal_number) != 0)
		_exit(128 + signal_number);
}

/* Signals that the parent has set to be ignored stay ignored: nohup(1) relies on that. */
static void handle_signals(void (*handler)(int))
{
	struct sigaction action, old;
	size_t i;

	memset(&action, 0, sizeof action);
	action.sa_handler = handler;
	sigemptyset(&action.sa_mask);
	for (i = 0; i < N_SIGNALS; i++)
		if (sigaction(deadly_signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(deadly_signals[i], &action, NULL);
}

void unfinished_begin(void)
{
	handle_signals(end_program);
}

void unfinished_remove(const char *path)
{
	to_remove = path;
}

void unfinished_say(const char *notice)
{
	to_say = notice;
}

void unfinished_done(void)
{
	unfinished_remove(NULL);
	unfinished_say(NULL);
	handle_signals(SIG_IGN);
}

void unfinished_hold_signals(sigset_t *before)
{
	sigset_t held;
	size_t i;

	sigemptyset(&held);
	for (i = 0; i < N_SIGNALS; i++)
		sigaddset(&held, deadly_signals[i]);
	pthread_sigmask(SIG_BLOCK, &held, before);
}

void unfinished_release_signals(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}
