/* SPDX-License-Identifier: MIT */
/*
 * Runs a command and prints what it has cost.
 *
 *	measure [-p] [-r] SECONDS COMMAND [ARGUMENT...]
 *
 * Prints "STATUS CPU WALL PEAK": exit status (128 + signal if it was killed), seconds of user and
 * system time of the command and of all that it has waited for, seconds it took, and peak memory
 * of the largest of these processes in KiB. The command's standard input is empty and its output
 * goes to /dev/null, or with -p to a pipe that is emptied by a process that does not count. A
 * command that takes longer than SECONDS is killed, with its process group. With -r it goes before
 * all others on the machine, if that is allowed (to root), so that the time that passes is its own.
 *
 * A program of its own, because the peak of a process is never less than that of the process that
 * started it.
 */
#define _GNU_SOURCE

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile pid_t child;

static void on_alarm(int signal_number)
{
	(void)signal_number;
	kill(-child, SIGKILL);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

/* The end of a pipe whose other end is emptied until it is closed. */
static int drained_pipe(int null)
{
	int ends[2];

	if (pipe(ends) != 0)
		return -1;
	if (fork() == 0) {
		close(ends[1]);
		while (splice(ends[0], NULL, null, NULL, 1 << 20, 0) > 0)
			;
		_exit(0);
	}
	close(ends[0]);
	return ends[1];
}

static void go_first(void)
{
	const struct sched_param lowest = { .sched_priority = 1 };

	(void)sched_setscheduler(0, SCHED_FIFO, &lowest);
}

static void start(char **command, int in, int out, bool first)
{
	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		dup2(in, STDIN_FILENO);
		dup2(out, STDOUT_FILENO);
		close(in);
		close(out);
		if (first)
			go_first();
		execvp(command[0], command);
		perror(command[0]);
		_exit(127);
	}
	setpgid(child, child);
}

int main(int argc, char **argv)
{
	bool piped = false, first = false;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int status = 0, out;
	struct rusage used;
	double began;

	for (; argc > 1 && argv[1][0] == '-'; argv++, argc--) {
		piped = piped || strcmp(argv[1], "-p") == 0;
		first = first || strcmp(argv[1], "-r") == 0;
	}
	if (argc < 3 || null < 0)
		return 2;
	out = piped ? drained_pipe(null) : null;
	signal(SIGALRM, on_alarm);
	began = now();
	start(argv + 2, null, out, first);
	if (piped)
		close(out);
	alarm((unsigned)atoi(argv[1]));
	while (wait4(child, &status, 0, &used) != child)
		;
	alarm(0);
	printf("%d %.6f %.6f %ld\n",
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
	       seconds(used.ru_utime) + seconds(used.ru_stime), now() - began, used.ru_maxrss);
	kill(-child, SIGKILL); /* what it has left behind */
	return 0;
}
