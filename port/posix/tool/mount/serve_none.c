/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A build without libfuse mounts nothing.
 */
#include "serve.h"

#include "../message.h"

int serve_check(void)
{
	return tool_error("mount", "this build has no libfuse; in Debian, the package libfuse3-dev "
	                           "has what 'make' needs");
}

struct fuse_session *serve_mount(const struct args *args, const char *directory, struct tree *tree)
{
	(void)args;
	(void)directory;
	(void)tree;
	return NULL;
}

int serve_fd(struct fuse_session *session)
{
	(void)session;
	return -1;
}

unsigned serve_open_pipes(unsigned n_threads, int fds[SERVE_THREADS_MAX])
{
	(void)n_threads;
	fds[0] = -1;
	return 0;
}

void serve_requests(struct fuse_session *session, unsigned n_threads)
{
	(void)session;
	(void)n_threads;
}

void serve_leave(struct fuse_session *session)
{
	(void)session;
}

void serve_unmount(struct fuse_session *session)
{
	(void)session;
}
