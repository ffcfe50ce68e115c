/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#define _GNU_SOURCE 1

#include "fault_server.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A request is a packet of strings, each with its NUL, and three descriptors. */
enum { DIRECTORY, IGNORED_SIGNALS, FAULT, COUNTS, ARGUMENTS, STRINGS = 32 };
enum { STANDARD = 3, ROOM = 1 << 14 };

struct request {
	char text[ROOM];
	char *strings[STRINGS + 1];
	int n_strings;
	int fd[STANDARD];
};

static void must(bool is_true)
{
	if (!is_true)
		abort();
}

/* Returns false at the end of the requests. */
static bool receive(int socket, struct request *request)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof request->fd)];
	} control;
	struct iovec text = { request->text, sizeof request->text };
	struct msghdr message = { .msg_iov = &text,
		                  .msg_iovlen = 1,
		                  .msg_control = &control,
		                  .msg_controllen = sizeof control };
	ssize_t len = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
	char *at = request->text;

	if (len <= 0)
		return false;
	must(rights != NULL && rights->cmsg_len == CMSG_LEN(sizeof request->fd));
	memcpy(request->fd, CMSG_DATA(rights), sizeof request->fd);
	must((message.msg_flags & MSG_TRUNC) == 0 && at[len - 1] == '\0');
	for (request->n_strings = 0; at < request->text + len; at += strlen(at) + 1u) {
		must(request->n_strings < STRINGS);
		request->strings[request->n_strings++] = at;
	}
	must(request->n_strings > ARGUMENTS);
	return true;
}

/* Makes this process what the request asks for. It ends with its parent, even if it hangs. */
static void become(const struct request *request)
{
	char *number = request->strings[IGNORED_SIGNALS];
	int i;

	must(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	must(chdir(request->strings[DIRECTORY]) == 0);
	for (; *number != '\0'; number += strspn(number, " "))
		must(signal((int)strtol(number, &number, 10), SIG_IGN) != SIG_ERR);
	for (i = 0; i < STANDARD; i++) {
		must(request->fd[i] >= STANDARD && dup2(request->fd[i], i) == i);
		close(request->fd[i]);
	}
	must(setenv("QCOW2_CALLS", request->strings[COUNTS], 1) == 0);
	if (request->strings[FAULT][0] != '\0')
		must(setenv("QCOW2_FAULT", request->strings[FAULT], 1) == 0);
}

bool serve(int socket, int *argc, char ***argv)
{
	static struct request request;
	int i, status;
	pid_t child;

	must(unsetenv("QCOW2_SERVER") == 0);
	while (receive(socket, &request)) {
		child = fork();
		must(child >= 0);
		if (child == 0) {
			close(socket);
			become(&request);
			*argv = request.strings + ARGUMENTS;
			*argc = request.n_strings - ARGUMENTS;
			request.strings[request.n_strings] = NULL;
			return true;
		}
		for (i = 0; i < STANDARD; i++)
			close(request.fd[i]);
		must(waitpid(child, &status, 0) == child);
		must(send(socket, &status, sizeof status, MSG_NOSIGNAL) == (ssize_t)sizeof status);
	}
	return false;
}
