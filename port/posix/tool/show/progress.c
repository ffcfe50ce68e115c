/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * How far a command is, for example "42 %  1.2 of 3.0 GiB  410 MiB/s  4 s left".
 */
#include "progress.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_ROOM = 120 };

/* Seconds between two changes of the line, so that writing them costs nothing. */
static const double interval = 0.1;

/* The length of the changing line that the cursor is on, or 0. Global, because any message must end
 * that line first. */
static int line_len;

/* Set by the signal handler, in any thread. */
static int line_wanted;

static void want_line(int signal_number)
{
	(void)signal_number;
	__atomic_store_n(&line_wanted, 1, __ATOMIC_RELAXED);
}

/* Like dd(1). A signal that the parent has set to be ignored stays ignored. */
void progress_catch_signals(void)
{
	static const int signals[] = {
		SIGUSR1,
#ifdef SIGINFO
		SIGINFO,
#endif
	};
	struct sigaction action, old;
	size_t i;

	memset(&action, 0, sizeof action);
	action.sa_handler = want_line;
	action.sa_flags = SA_RESTART;
	sigemptyset(&action.sa_mask);
	for (i = 0; i < sizeof signals / sizeof signals[0]; i++)
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
}

double progress_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A unit in which bytes have at most three digits before the point; sets *factor to its bytes. */
static const char *unit_of(double bytes, double *factor)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned i;

	*factor = 1;
	for (i = 0; bytes / *factor >= 999.5 && i < 6u; i++)
		*factor *= 1024;
	return units[i];
}

/* Each of these puts a part of the line at `at` and returns where it ends. */

static char *put_share(char *at, const char *end, const struct progress *p)
{
	double total = (double)p->total, done = (double)p->done, factor;
	const char *unit = unit_of(total, &factor);
	int digits = factor > 1 ? 1 : 0;
	int percent = p->done < p->total ? (int)(done / total * 100) : 100;

	return at + snprintf(at, (size_t)(end - at), "%3d %%  %.*f of %.*f %s", percent, digits,
	                     done / factor, digits, total / factor, unit);
}

static char *put_rate(char *at, const char *end, double rate)
{
	double factor;
	const char *unit = unit_of(rate, &factor);

	return at + snprintf(at, (size_t)(end - at), "  %.3g %s/s", rate / factor, unit);
}

static char *put_time(char *at, const char *end, double seconds)
{
	unsigned long s = (unsigned long)(seconds + 0.5);
	size_t room = (size_t)(end - at);

	if (s < 60u)
		return at + snprintf(at, room, "%lu s", s);
	if (s < 3600u)
		return at + snprintf(at, room, "%lu min %lu s", s / 60u, s % 60u);
	return at + snprintf(at, room, "%lu h %lu min", s / 3600u, s / 60u % 60u);
}

/* Makes the line. The rate is that of the whole time, and at first it means nothing. */
static void make_line(char line[LINE_ROOM], const struct progress *p, double elapsed)
{
	const char *end = line + (LINE_ROOM - 1); /* the last byte */
	char *at = put_share(line, end, p);
	double rate, left;

	if (elapsed < interval || p->done == 0u)
		return;
	rate = (double)p->done / elapsed;
	at = put_rate(at, end, rate);
	left = (double)(p->total - p->done) / rate;
	if (p->done == p->total) {
		at += snprintf(at, (size_t)(end - at), "  in ");
		put_time(at, end, elapsed);
	} else if (left < 1e6) {
		at += snprintf(at, (size_t)(end - at), "  ");
		at = put_time(at, end, left);
		snprintf(at, (size_t)(end - at), " left");
	}
}

/* Writes the line over the one before it, which may have been longer. */
static void change_line(const struct progress *p, double elapsed)
{
	char line[LINE_ROOM];
	int len;

	make_line(line, p, elapsed);
	len = (int)strlen(line);
	flockfile(stderr);
	fprintf(stderr, "\r%s%*s", line, line_len > len ? line_len - len : 0, "");
	fflush(stderr);
	line_len = len;
	funlockfile(stderr);
}

/* Prints the line that a signal asks for. A signal that comes meanwhile gets another line. */
static void answer_signal(const struct progress *p)
{
	char line[LINE_ROOM];

	if (__atomic_exchange_n(&line_wanted, 0, __ATOMIC_RELAXED) == 0)
		return;
	make_line(line, p, progress_clock() - p->began);
	flockfile(stderr);
	progress_break();
	fprintf(stderr, "%s\n", line + strspn(line, " "));
	funlockfile(stderr);
}

void progress_break(void)
{
	if (line_len > 0)
		fputc('\n', stderr);
	line_len = 0;
}

void progress_begin(struct progress *p, bool always, bool never)
{
	memset(p, 0, sizeof *p);
	p->on = !never && (always || isatty(STDERR_FILENO));
	p->began = progress_clock();
	p->shown_at = -1;
}

void progress_show(struct progress *p, uint64_t done, uint64_t total)
{
	bool news = done != p->done || p->shown_at < 0;
	double at;

	p->done = done;
	p->total = total;
	answer_signal(p);
	if (!p->on || !news)
		return;
	at = progress_clock();
	if (p->shown_at >= 0 && at - p->shown_at < interval && done < total)
		return;
	p->shown_at = at;
	change_line(p, at - p->began);
}

void progress_end(struct progress *p)
{
	answer_signal(p);
	p->on = false;
	progress_break();
}
