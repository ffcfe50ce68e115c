/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Mounting a tree with FUSE, and answering the kernel's requests. serve_libfuse3.c does it with
 * libfuse; a build without that library has serve_none.c, which only says so.
 */
#ifndef QCOW2_TOOL_SERVE_H
#define QCOW2_TOOL_SERVE_H

#include "../sandbox/sandbox.h"
#include "tree.h"

struct fuse_session; /* of libfuse */

/* Each has a pipe, which the sandbox must know. */
enum { SERVE_THREADS_MAX = SANDBOX_WRITABLE };

/* Can this build, and this user, mount anything? Returns EXIT_OK, or EXIT_FAILED after a message.
 */
int serve_check(void);

/*
 * Mounts on a directory, whose path is absolute. The tree is used by requests only, so it can be
 * filled later. Returns NULL after a message.
 */
struct fuse_session *serve_mount(const struct args *args, const char *directory, struct tree *tree);

/* The descriptor to which the answers are written. */
int serve_fd(struct fuse_session *session);

/*
 * Opens the pipes of n_threads threads, at most SERVE_THREADS_MAX. Puts the descriptors that the
 * threads write to in fds, and returns how many they are. Without pipes, data is copied.
 */
unsigned serve_open_pipes(unsigned n_threads, int fds[SERVE_THREADS_MAX]);

/* Answers requests with n_threads threads, this one among them, at most SERVE_THREADS_MAX, until
 * the directory is unmounted. */
void serve_requests(struct fuse_session *session, unsigned n_threads);

/* Leaves the mount to another process. */
void serve_leave(struct fuse_session *session);

/* Unmounts, unless that has been done, even if files are open. Ends the session. */
void serve_unmount(struct fuse_session *session);

#endif
