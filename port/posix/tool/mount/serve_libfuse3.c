/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * FUSE by libfuse's low-level interface, which passes inode numbers instead of paths.
 *
 * What is mounted never changes, so the kernel may keep everything that it has been told: names,
 * attributes and data. Each thread takes requests from the kernel by itself, and has a buffer for
 * what it reads. The data takes one copy to that buffer and one to the kernel; or only one, by a
 * pipe, if a file of the chain holds it as it is. libfuse has pipes of its own (fuse_reply_data),
 * but opens them when they are first used, which the sandbox refuses, and takes the end of a file
 * that has become shorter for the end of the disk.
 */
#include "serve.h"

#define FUSE_USE_VERSION 34

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <fuse_opt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../message.h"
#include "serve_relay.h"

/* How long the kernel may keep names and attributes: years. */
#define KEPT_SECONDS 1e8

enum {
	MESSAGE_LEN = 512,
	RELAY_MIN = 32 * 1024, /* copying less is faster than the calls that a pipe takes */
	DOTS = 2               /* the entries "." and ".." of each directory */
};

/* The buffer of a thread. */
static __thread char *read_buffer;
static __thread size_t read_room;

/* A thread that answers. */
struct worker {
	struct fuse_session *session;
	struct relay relay;
	const void *request; /* that it answers, as the kernel wrote it */
};

static struct worker workers[SERVE_THREADS_MAX];
static __thread struct worker *own; /* of this thread */

/* The last message of libfuse; "" if it has printed none. */
static char fuse_message[MESSAGE_LEN];

/*
 * Makes the buffer of this thread large enough. It begins where a page begins, because the kernel
 * copies an answer to pages: if each of them came from two pages of the buffer, the kernel would
 * look up twice as many, and copy in unaligned pieces.
 */
static char *buffer_of(size_t len)
{
	void *memory = NULL;

	if (len <= read_room)
		return read_buffer;
	free(read_buffer);
	read_room = posix_memalign(&memory, (size_t)sysconf(_SC_PAGESIZE), len) == 0 ? len : 0u;
	read_buffer = read_room != 0u ? memory : NULL;
	return read_buffer;
}

static struct tree *tree_of(fuse_req_t request)
{
	return fuse_req_userdata(request);
}

static void serve_init(void *tree, struct fuse_conn_info *connection)
{
	(void)tree;
	/* The kernel would ask for attributes to see whether data that it keeps is still valid. */
	connection->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
	connection->want |= connection->capable & FUSE_CAP_CACHE_SYMLINKS;
}

static void serve_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = { .attr_timeout = KEPT_SECONDS,
		                          .entry_timeout = KEPT_SECONDS };

	entry.ino = tree_find(tree_of(request), parent, name);
	/* The kernel may keep that there is no such name: an inode number of 0. */
	if ((entry.ino == 0u && errno != ENOENT) ||
	    (entry.ino != 0u && !tree_stat(tree_of(request), entry.ino, &entry.attr)))
		fuse_reply_err(request, errno);
	else
		fuse_reply_entry(request, &entry);
}

static void serve_getattr(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct stat st;

	(void)file;
	if (tree_stat(tree_of(request), ino, &st))
		fuse_reply_attr(request, &st, KEPT_SECONDS);
	else
		fuse_reply_err(request, errno);
}

static void serve_readlink(fuse_req_t request, fuse_ino_t ino)
{
	char target[SNAPSHOT_NAME_LEN];

	tree_link(tree_of(request), ino, target);
	fuse_reply_readlink(request, target);
}

static void serve_opendir(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	(void)ino;
	file->keep_cache = 1;
	file->cache_readdir = 1;
	fuse_reply_open(request, file);
}

/* Gets the entry at a position: "." and "..", then those of the tree. */
static bool dirent_at(struct tree *tree, fuse_ino_t directory, uint64_t position,
                      struct tree_entry *entry)
{
	if (position >= DOTS)
		return tree_entry_at(tree, directory, position - DOTS, entry);
	snprintf(entry->name, sizeof entry->name, "%s", position == 0u ? "." : "..");
	entry->ino = position == 0u ? directory : TREE_ROOT;
	entry->type = S_IFDIR;
	return true;
}

static void serve_readdir(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
                          struct fuse_file_info *file)
{
	char *buf = buffer_of(size);
	struct tree_entry entry;
	size_t used = 0;

	(void)file;
	errno = ENOMEM;
	while (buf != NULL && dirent_at(tree_of(request), ino, (uint64_t)offset, &entry)) {
		struct stat st = { .st_ino = entry.ino, .st_mode = entry.type };
		size_t n = fuse_add_direntry(request, buf + used, size - used, entry.name, &st,
		                             ++offset);

		errno = 0;
		if (n > size - used)
			break; /* it does not fit: the kernel asks for the rest */
		used += n;
	}
	if (used == 0u && errno != 0)
		fuse_reply_err(request, errno);
	else
		fuse_reply_buf(request, buf, used);
}

static void serve_open(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	(void)ino;
	file->keep_cache = 1;
	fuse_reply_open(request, file);
}

/* Answers a read by the pipe. Returns false if it cannot. */
static bool relay_data(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset)
{
	struct tree_extent extent;
	bool done;

	if (size < RELAY_MIN || size > own->relay.room ||
	    !tree_take_extent(tree_of(request), ino, size, (uint64_t)offset, &extent))
		return false;
	done = relay_answer(&own->relay, own->request, serve_fd(own->session), extent.fd,
	                    extent.pos, extent.len);
	tree_give_extent(tree_of(request), &extent);
	if (done)
		fuse_reply_none(request);
	return done;
}

/*
 * If any part of a read fails, all of it fails, because the kernel takes a short answer as the end
 * of the file. The kernel then asks for each page by itself, so in the end only damaged pages fail.
 */
static void serve_read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *file)
{
	ssize_t n = -1;
	char *buf;

	(void)file;
	if (relay_data(request, ino, size, offset))
		return;
	buf = buffer_of(size);
	errno = ENOMEM;
	if (buf != NULL)
		n = tree_read(tree_of(request), ino, buf, size, (uint64_t)offset);
	if (n < 0)
		fuse_reply_err(request, errno);
	else
		fuse_reply_buf(request, buf, (size_t)n);
}

/* The kernel asks only for SEEK_DATA and SEEK_HOLE. */
static void serve_lseek(fuse_req_t request, fuse_ino_t ino, off_t offset, int whence,
                        struct fuse_file_info *file)
{
	int64_t found = tree_seek(tree_of(request), ino, (uint64_t)offset, whence == SEEK_DATA);

	(void)file;
	if (found < 0)
		fuse_reply_err(request, errno);
	else
		fuse_reply_lseek(request, found);
}

static const struct fuse_lowlevel_ops operations = {
	.init = serve_init,
	.lookup = serve_lookup,
	.getattr = serve_getattr,
	.readlink = serve_readlink,
	.opendir = serve_opendir,
	.readdir = serve_readdir,
	.open = serve_open,
	.read = serve_read,
	.lseek = serve_lseek,
};

/*
 * Keeps the last message of libfuse, which comes in pieces: "fuse: unknown option(s): `", "-o x",
 * ...
 */
static void keep_message(enum fuse_log_level level, const char *format, va_list values)
	__attribute__((format(printf, 2, 0)));
static void keep_message(enum fuse_log_level level, const char *format, va_list values)
{
	size_t used = strcspn(fuse_message, "\n");

	(void)level;
	if (fuse_message[used] == '\n')
		used = 0;
	vsnprintf(fuse_message + used, sizeof fuse_message - used, format, values);
}

/* Prints what libfuse says, or else the reason that is given. */
static void print_message(const char *subject, const char *otherwise)
{
	static const char name[] = "fuse: ";
	const char *text = fuse_message[0] != '\0' ? fuse_message : otherwise;

	if (strncmp(text, name, strlen(name)) == 0)
		text += strlen(name);
	tool_error(subject, "%.*s", (int)strcspn(text, "\n"), text);
}

/* Can the program be started? libfuse looks for it in the same places. */
static bool has_fusermount(void)
{
	const char *path = getenv("PATH");
	char name[PATH_MAX];

	if (access("/usr/bin/fusermount3", X_OK) == 0)
		return true;
	while (path != NULL && *path != '\0') {
		size_t len = strcspn(path, ":");

		snprintf(name, sizeof name, "%.*s/fusermount3", (int)len, path);
		if (access(name, X_OK) == 0)
			return true;
		path += len;
		path += strspn(path, ":");
	}
	return false;
}

int serve_check(void)
{
	if (access("/dev/fuse", F_OK) != 0)
		return tool_error("/dev/fuse", "%s; is the module loaded? 'modprobe fuse' loads it",
		                  strerror(errno));
	if (access("/dev/fuse", R_OK | W_OK) != 0)
		return tool_error("/dev/fuse", "%s; its mode should be 0666", strerror(errno));
	if (geteuid() != 0 && !has_fusermount())
		return tool_error("fusermount3",
		                  "not found; it mounts for users other than root; in Debian, the "
		                  "package fuse3 has it");
	return EXIT_OK;
}

/* Puts the options in `list`: those of the user, and what is always so, which counts if both
 * differ. */
static bool collect_mount_options(struct fuse_args *list, const struct args *args)
{
	char *always = NULL, *absolute = realpath(args->image, NULL), name[PATH_MAX + 16];
	bool good = fuse_opt_add_arg(list, "qcow2") == 0;
	size_t i;

	snprintf(name, sizeof name, "fsname=%s", absolute != NULL ? absolute : args->image);
	free(absolute);
	for (i = 0; i < args->n_mount_options && good; i++)
		good = fuse_opt_add_arg(list, "-o") == 0 &&
		       fuse_opt_add_arg(list, args->mount_options[i]) == 0;
	good = good && fuse_opt_add_opt_escaped(&always, name) == 0 &&
	       fuse_opt_add_opt(&always, "subtype=qcow2,ro,nosuid,nodev") == 0 &&
	       fuse_opt_add_arg(list, "-o") == 0 && fuse_opt_add_arg(list, always) == 0;
	free(always);
	return good;
}

struct fuse_session *serve_mount(const struct args *args, const char *directory, struct tree *tree)
{
	struct fuse_args list = FUSE_ARGS_INIT(0, NULL);
	struct fuse_session *session = NULL;

	fuse_set_log_func(keep_message);
	if (collect_mount_options(&list, args))
		session = fuse_session_new(&list, &operations, sizeof operations, tree);
	fuse_opt_free_args(&list);
	if (session == NULL) {
		print_message("mount", "out of memory");
		return NULL;
	}
	if (fuse_session_mount(session, directory) != 0) {
		print_message(args->out, "cannot mount");
		fuse_session_destroy(session);
		return NULL;
	}
	fuse_set_log_func(NULL); /* from now on, several threads may have something to say */
	return session;
}

int serve_fd(struct fuse_session *session)
{
	return fuse_session_fd(session);
}

unsigned serve_open_pipes(unsigned n_threads, int fds[SERVE_THREADS_MAX])
{
	unsigned i, n = 0;

	for (i = 0; i < n_threads; i++) {
		relay_open(&workers[i].relay);
		if (workers[i].relay.room > 0u)
			fds[n++] = workers[i].relay.ends[1];
	}
	return n;
}

/* A thread. The kernel ends its last read when the directory is unmounted. */
static void *answer_requests(void *worker)
{
	struct fuse_buf request = { .mem = NULL };
	int n;

	own = worker;
	while ((n = fuse_session_receive_buf(own->session, &request)) > 0 || n == -EINTR) {
		own->request = request.mem;
		if (n > 0)
			fuse_session_process_buf(own->session, &request);
	}
	free(request.mem);
	free(read_buffer);
	read_buffer = NULL;
	read_room = 0;
	return NULL;
}

void serve_requests(struct fuse_session *session, unsigned n_threads)
{
	pthread_t threads[SERVE_THREADS_MAX];
	unsigned n;

	for (n = 0; n < n_threads; n++)
		workers[n].session = session;
	n = 1; /* the first is this thread */
	while (n < n_threads &&
	       pthread_create(&threads[n], NULL, answer_requests, &workers[n]) == 0)
		n++;
	answer_requests(&workers[0]);
	while (n > 1u)
		pthread_join(threads[--n], NULL);
}

void serve_leave(struct fuse_session *session)
{
	fuse_session_destroy(session);
}

void serve_unmount(struct fuse_session *session)
{
	fuse_session_unmount(session);
	fuse_session_destroy(session);
}
