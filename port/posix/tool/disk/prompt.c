/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Asks for a password on the terminal. The signals that end or stop the process wait while the
 * terminal does not show what is typed, except during ppoll(2), which ends when one comes. Then the
 * terminal is restored before the signal takes effect.
 */
#include "prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "../show/text.h"

static const int prompt_signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

enum { PROMPT_SIGNALS = sizeof prompt_signals / sizeof prompt_signals[0] };

static volatile sig_atomic_t prompt_signal; /* the one that came, or 0 */

static void note_signal(int number)
{
	prompt_signal = number;
}

/* What the process had before the prompt. */
struct before {
	struct sigaction actions[PROMPT_SIGNALS];
	sigset_t mask;
	struct termios terminal;
};

static void hold_signals(struct before *before)
{
	struct sigaction action;
	sigset_t held;
	int i;

	memset(&action, 0, sizeof action);
	action.sa_handler = note_signal;
	sigemptyset(&action.sa_mask);
	sigemptyset(&held);
	for (i = 0; i < PROMPT_SIGNALS; i++)
		sigaddset(&held, prompt_signals[i]);
	sigprocmask(SIG_BLOCK, &held, &before->mask);
	prompt_signal = 0;
	for (i = 0; i < PROMPT_SIGNALS; i++) {
		sigaction(prompt_signals[i], NULL, &before->actions[i]);
		/* What the caller of the program ignores stays ignored. */
		if (before->actions[i].sa_handler != SIG_IGN)
			sigaction(prompt_signals[i], &action, NULL);
	}
}

static void release_signals(const struct before *before)
{
	int i;

	for (i = 0; i < PROMPT_SIGNALS; i++)
		sigaction(prompt_signals[i], &before->actions[i], NULL);
	if (prompt_signal != 0)
		raise(prompt_signal);
	sigprocmask(SIG_SETMASK, &before->mask, NULL);
}

static void prompt_show(int terminal, const char *name)
{
	int fd = dup(terminal);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (f == NULL && fd >= 0)
		close(fd);
	if (f == NULL)
		return;
	fputs("Password of ", f);
	text_print(f, name, strlen(name)); /* the image may have chosen its name */
	fputs(": ", f);
	fclose(f);
}

/* Waits for input. A signal that asks for progress does not end the wait. */
static bool wait_for_line(int terminal, const struct before *before)
{
	struct pollfd input = { .fd = terminal, .events = POLLIN };
	int n;

	do
		n = ppoll(&input, 1, NULL, &before->mask);
	while (n < 0 && errno == EINTR && prompt_signal == 0);
	return n > 0;
}

/* Reads a line. Returns its length, or -1. */
static int read_line(int terminal, const struct before *before, char *buf)
{
	ssize_t n;

	if (!wait_for_line(terminal, before))
		return -1;
	n = read(terminal, buf, PROMPT_ROOM);
	if (n > 0 && buf[n - 1] == '\n')
		return (int)(n - 1);
	/* Ctrl-D ended the line, so the terminal is still in it. Messages start on a line of their
	 * own. */
	if (write(terminal, "\n", 1) < 0 || n <= 0)
		return -1;
	return (int)n;
}

static int prompt_once(int terminal, const char *name, char *buf)
{
	struct before before;
	struct termios silent;
	int len = -1;

	if (tcgetattr(terminal, &before.terminal) != 0)
		return -1;
	silent = before.terminal;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	silent.c_lflag |= ICANON | ECHONL;
	hold_signals(&before);
	prompt_show(terminal, name);
	if (tcsetattr(terminal, TCSAFLUSH, &silent) == 0)
		len = read_line(terminal, &before, buf);
	tcsetattr(terminal, TCSAFLUSH, &before.terminal);
	release_signals(&before);
	return len;
}

int prompt_password(const char *name, char buf[PROMPT_ROOM])
{
	int terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int len;

	if (terminal < 0)
		return -1;
	do
		len = prompt_once(terminal, name, buf);
	while (len < 0 && prompt_signal == SIGTSTP); /* the process was stopped, and goes on */
	close(terminal);
	return len;
}
