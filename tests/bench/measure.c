/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Runs a command and prints its cost.
 *
 *	measure [-p] [-r] SECONDS COMMAND [ARGUMENT...]
 *
 * Prints "STATUS CPU WALL PEAK": the exit status (128 + signal if a signal killed the command); the
 * seconds of user and system time of the command and of all children that it waited for; the
 * seconds that passed; and the peak memory, in KiB, of the largest of these processes. Standard
 * input is empty. Output goes to /dev/null, or with -p to a pipe that another process empties,
 * whose cost does not count. A command that takes longer than SECONDS is killed with its process
 * group. With -r, and if the user is root, the command runs with priority over everything else on
 * the machine, so that the time that passes is its own.
 *
 * This is a program of its own because the peak of a process is never less than the peak of the
 * process that started it.
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

/* Returns the end of a pipe for writing. A child empties the other end until this one is closed. */
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
	kill(-child, SIGKILL); /* processes that the command left behind */
	return 0;
}
