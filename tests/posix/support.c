/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct hooks hooks;
static char test_dir[64];

/* ---- Caught calls ---- */

const int call_errno[CALLS] = { ENOMEM, ENODATA, EMFILE, EOVERFLOW, ENXIO, ENOMEM };

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
ssize_t __real_pread64(int fd, void *buf, size_t len, off_t pos);
int __real_open64(const char *path, int flags, ...);
int __real_openat64(int dir_fd, const char *path, int flags, ...);
long __real_syscall(long number, ...);
ssize_t __real_readlink(const char *path, char *buf, size_t len);
int __real_fcntl64(int fd, int command, ...);
off_t __real_lseek64(int fd, off_t pos, int from);
int __real_fstat64(int fd, struct stat *st);
int __real_fstatat64(int dir_fd, const char *path, struct stat *st, int flags);
char *__real_realpath(const char *path, char *resolved);
long __real_sysconf(int name);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t pos);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_openat64(int dir_fd, const char *path, int flags, ...);
int __wrap___open64_2(const char *path, int flags);
int __wrap___openat64_2(int dir_fd, const char *path, int flags);
long __wrap_syscall(long number, ...);
ssize_t __wrap_readlink(const char *path, char *buf, size_t len);
int __wrap_fcntl64(int fd, int command, ...);
off_t __wrap_lseek64(int fd, off_t pos, int from);
int __wrap_fstat64(int fd, struct stat *st);
int __wrap_fstatat64(int dir_fd, const char *path, struct stat *st, int flags);
char *__wrap_realpath(const char *path, char *resolved);
long __wrap_sysconf(int name);

void hooks_reset(void)
{
	memset(&hooks, 0, sizeof hooks);
}

/* Threads call this as well, in tests that do not read the counters. */
static unsigned count_up(unsigned *counter)
{
	return __atomic_add_fetch(counter, 1u, __ATOMIC_RELAXED);
}

/* Counts the call. Returns true, with errno set, if the call has to fail. */
static bool fails(enum call call)
{
	unsigned n = count_up(&hooks.n[call]), at = hooks.fail_at[call];

	if (call == hooks.swap_call && hooks.swap_at == n)
		hooks.swap();
	if (at == 0u || (hooks.persistent ? n < at : n != at))
		return false;
	count_up(&hooks.n_failed);
	errno = call_errno[call];
	return true;
}

void *__wrap_malloc(size_t len)
{
	return fails(CALL_ALLOC) ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
	return fails(CALL_ALLOC) ? NULL : __real_calloc(n, len);
}

char *__wrap_strdup(const char *text)
{
	return fails(CALL_ALLOC) ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t len)
{
	return fails(CALL_ALLOC) ? NULL : __real_strndup(text, len);
}

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t pos)
{
	if (fails(CALL_PREAD)) {
		if (hooks.pread_error != 0)
			errno = hooks.pread_error;
		return -1;
	}
	if (hooks.eintr != 0u && hooks.n[CALL_PREAD] % hooks.eintr == 0u) {
		errno = EINTR;
		return -1;
	}
	if (hooks.direct && (((uintptr_t)buf | len | (size_t)pos) & 511u) != 0u) {
		errno = EINVAL;
		return -1;
	}
	if (hooks.pread_most != 0u && len > hooks.pread_most)
		len = hooks.pread_most;
	return __real_pread64(fd, buf, len, pos);
}

/* The library never creates a file, so there is no mode to pass on. */
int __wrap_open64(const char *path, int flags, ...)
{
	return fails(CALL_OPEN) ? -1 : __real_open64(path, flags);
}

int __wrap_openat64(int dir_fd, const char *path, int flags, ...)
{
	if (fails(CALL_OPEN))
		return -1;
	if (dir_fd >= 0 && (__real_fcntl64(dir_fd, F_GETFD) & FD_CLOEXEC) == 0)
		count_up(&hooks.n_inherited);
	return __real_openat64(dir_fd, path, flags);
}

/* What open and openat become with _FORTIFY_SOURCE if the flags are not constant. */
int __wrap___open64_2(const char *path, int flags)
{
	return __wrap_open64(path, flags);
}

int __wrap___openat64_2(int dir_fd, const char *path, int flags)
{
	return __wrap_openat64(dir_fd, path, flags);
}

/* The library has one use for it: openat2. */
long __wrap_syscall(long number, ...)
{
	void *how;
	const char *path;
	size_t len;
	va_list args;
	int fd;

	if (hooks.no_openat2) {
		errno = ENOSYS;
		return -1;
	}
	if (fails(CALL_OPEN))
		return -1;
	va_start(args, number);
	fd = va_arg(args, int);
	path = va_arg(args, const char *);
	how = va_arg(args, void *);
	len = va_arg(args, size_t);
	va_end(args);
	return __real_syscall(number, fd, path, how, len);
}

/* The library has one use for it: the path of an open file. */
ssize_t __wrap_readlink(const char *path, char *buf, size_t len)
{
	if (hooks.no_proc) {
		errno = ENOENT;
		return -1;
	}
	return __real_readlink(path, buf, len);
}

/* The library duplicates descriptors with it, and asks for locks; the tests ask for flags. */
int __wrap_fcntl64(int fd, int command, ...)
{
	struct flock *lock;
	va_list args;
	int least;

	if (hooks.direct && command == F_GETFL)
		return O_RDONLY | O_DIRECT;
	if (command != F_DUPFD_CLOEXEC && command != F_OFD_GETLK && command != F_OFD_SETLK)
		return __real_fcntl64(fd, command);
	va_start(args, command);
	if (command != F_DUPFD_CLOEXEC) {
		lock = va_arg(args, struct flock *);
		va_end(args);
		return __real_fcntl64(fd, command, lock);
	}
	least = va_arg(args, int);
	va_end(args);
	return fails(CALL_OPEN) ? -1 : __real_fcntl64(fd, command, least);
}

/* A seek that fails may have moved the position, as on some devices. */
off_t __wrap_lseek64(int fd, off_t pos, int from)
{
	if (!fails(CALL_LSEEK))
		return __real_lseek64(fd, pos, from);
	if (from == SEEK_END)
		(void)__real_lseek64(fd, pos, from);
	errno = call_errno[CALL_LSEEK];
	return -1;
}

int __wrap_fstat64(int fd, struct stat *st)
{
	int rc = __real_fstat64(fd, st);

	if (fails(CALL_STAT))
		return -1;
	if (hooks.block_device) {
		st->st_mode = (st->st_mode & ~(mode_t)S_IFMT) | S_IFBLK;
		st->st_size = 0;
		st->st_rdev = st->st_ino;
	}
	return rc;
}

int __wrap_fstatat64(int dir_fd, const char *path, struct stat *st, int flags)
{
	return fails(CALL_STAT) ? -1 : __real_fstatat64(dir_fd, path, st, flags);
}

char *__wrap_realpath(const char *path, char *resolved)
{
	return fails(CALL_REALPATH) ? NULL : __real_realpath(path, resolved);
}

long __wrap_sysconf(int name)
{
	return hooks.no_sysconf ? -1 : __real_sysconf(name);
}

/* ---- Files ---- */

int dir_setup(void **state)
{
	const char *base = getenv("TMPDIR");

	(void)state;
	snprintf(test_dir, sizeof test_dir, "%s/qcow2-test-XXXXXX",
	         base != NULL && strlen(base) < 32u ? base : "/tmp");
	return mkdtemp(test_dir) == NULL || chdir(test_dir) != 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

int dir_teardown(void **state)
{
	(void)state;
	return chdir("/") != 0 || nftw(test_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0;
}

const char *dir_path(void)
{
	return test_dir;
}

void file_write(const char *path, const void *bytes, size_t len)
{
	FILE *out = fopen(path, "wb");

	TRUE(out != NULL);
	EQ(fwrite(bytes, 1, len, out), len);
	EQ(fclose(out), 0);
}

void image_to_file(struct image *img, const char *path, const char *data_path)
{
	if (!img->finished)
		image_finish(img);
	file_write(path, img->file.data, img->file.len);
	if (data_path != NULL)
		file_write(data_path, img->data.data, img->data.len);
}

int image_to_fd(struct image *img)
{
	int fd = memfd_create("image", 0);

	if (!img->finished)
		image_finish(img);
	TRUE(fd >= 0);
	EQ(write(fd, img->file.data, img->file.len), img->file.len);
	return fd;
}

void small_image(struct image *img)
{
	image_init(img, 3, 16, 256 * 1024);
	image_add(img, &img->active, 1, IMAGE_DATA);
}

void write_overlay(const char *path, const char *backing, const char *format)
{
	struct image img;

	small_image(&img);
	image_set_backing(&img, backing, strlen(backing), 0);
	if (format != NULL)
		image_add_ext(&img, IMAGE_EXT_BACKING_FORMAT, (uint32_t)strlen(format), format,
		              strlen(format));
	image_to_file(&img, path, NULL);
	image_free(&img);
}

int open_read(const char *path)
{
	int fd = __real_open64(path, O_RDONLY | O_CLOEXEC);

	TRUE(fd >= 0);
	return fd;
}

bool fd_is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

unsigned count_fds(void)
{
	unsigned n = 0;
	int fd;

	for (fd = 0; fd < 1024; fd++)
		n += fd_is_open(fd);
	return n;
}

struct qcow2 *open_good(int fd)
{
	static const char untouched[] = "untouched";
	const char *text = untouched;
	struct qcow2 *q;

	errno = EXDEV;
	q = qcow2_open(fd, &text);
	TRUE(q != NULL);
	TRUE(text == untouched);
	EQ(errno, EXDEV);
	return q;
}

struct qcow2 *open_with(const char *path, unsigned flags)
{
	struct qcow2_options options = { .struct_size = sizeof options };
	struct qcow2 *q;

	options.flags = flags;
	options.path = path;
	q = qcow2_open_options(open_read(path), &options, NULL);
	if (q == NULL)
		print_message("%s: %s\n", path, qcow2_last_failure()->message);
	return q;
}

/* Guarded memory that starts with the content of the buffer, to see what the call fills. */
static void guard_begin(struct guarded *g, const void *bytes, size_t len, size_t align)
{
	guard_init(g, len, align);
	memcpy(g->p, bytes, len);
}

static void guard_end(struct guarded *g, void *bytes)
{
	int error = errno;

	TRUE(guard_intact(g));
	memcpy(bytes, g->p, g->len);
	guard_unmap(g);
	errno = error;
}

int read_guarded(struct qcow2 *q, void *buf, size_t len, uint64_t off)
{
	struct guarded g;
	int n;

	guard_begin(&g, buf, len, 1);
	n = qcow2_read(q, g.p, len, off);
	guard_end(&g, buf);
	return n;
}

int map_guarded(struct qcow2 *q, uint64_t off, uint64_t len, struct qcow2_segment *segment)
{
	struct guarded g;
	int rc;

	guard_begin(&g, segment, sizeof *segment, SEGMENT_ALIGN);
	rc = qcow2_map(q, off, len, (void *)g.p);
	guard_end(&g, segment);
	return rc;
}

void fails_with(const char *path, const struct qcow2_options *options, int error)
{
	unsigned before = count_fds();
	const char *text = NULL;
	struct qcow2 *q;
	int fd = open_read(path);

	errno = 0;
	q = qcow2_open_options(fd, options, &text);
	if (q == NULL && errno != error)
		print_message("%s: %s\n", path, qcow2_last_failure()->message);
	EQ(errno, error);
	TRUE(q == NULL);
	TRUE(text != NULL);
	EQ(qcow2_last_failure()->error, error);
	TRUE(qcow2_last_failure()->message[0] != '\0');
	EQ(count_fds(), before);
}
