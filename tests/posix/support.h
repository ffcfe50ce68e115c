/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the POSIX library share: cmocka, files, and system calls that fail on demand.
 * The calls are caught by the linker: -Wl,--wrap, POSIX_TEST_LDFLAGS in port/posix/posix.mk.
 */
#ifndef TEST_POSIX_SUPPORT_H
#define TEST_POSIX_SUPPORT_H

#define _GNU_SOURCE       1
#define _FILE_OFFSET_BITS 64

#include "image/image.h"
#include "qcow2.h"
#include "support/check.h"
#include "support/guard.h"

/* What a segment is aligned to, at most. */
enum { SEGMENT_ALIGN = 8 };

/* The calls that are caught: those of the library that can fail. */
enum call {
	CALL_ALLOC,    /* malloc, calloc, strdup, strndup: ENOMEM */
	CALL_PREAD,    /* ENODATA */
	CALL_OPEN,     /* open, openat, openat2, fcntl(F_DUPFD_CLOEXEC): EMFILE */
	CALL_STAT,     /* fstat, fstatat: EOVERFLOW */
	CALL_LSEEK,    /* ENXIO */
	CALL_REALPATH, /* ENOMEM */
	CALLS
};

extern const int call_errno[CALLS];

/* What the caught calls do. All zeros: what they always do. */
struct hooks {
	unsigned fail_at[CALLS]; /* the number of the call that fails, from 1; 0: none */
	bool persistent;         /* and all after it */
	unsigned eintr;          /* every n-th read is interrupted first */
	size_t pread_most;       /* no read gives more than this; 0: no limit */
	bool no_openat2;         /* the kernel does not have it */
	bool block_device;       /* what fstat says of each file */
	bool no_sysconf;         /* it does not know */

	unsigned n[CALLS];    /* what has been called, */
	unsigned n_failed;    /* and failed */
	unsigned n_inherited; /* opens below a directory that a program started now would inherit */
};

extern struct hooks hooks;
void hooks_reset(void);

/* A new directory, as the working directory; removed at exit with all that is in it. */
int dir_setup(void **state);
int dir_teardown(void **state);
const char *dir_path(void);

void file_write(const char *path, const void *bytes, size_t len);
/* Finishes the image, if it is not, and writes it, and its data file if data_path is not NULL. */
void image_to_file(struct image *img, const char *path, const char *data_path);
/* Finishes the image, if it is not, and gives a descriptor of a file with it that has no name. */
int image_to_fd(struct image *img);

/* An image with one data cluster, 64 KiB clusters, 256 KiB. */
void small_image(struct image *img);
/* Writes such an image, which names a backing file; format NULL: does not say which. */
void write_overlay(const char *path, const char *backing, const char *format);

int open_read(const char *path);
bool fd_is_open(int fd);
unsigned count_fds(void);

/* qcow2_open, which must succeed and leave errno and the message alone. */
struct qcow2 *open_good(int fd);
/* qcow2_open_options on a file with these flags. */
struct qcow2 *open_with(const char *path, unsigned flags);
/*
 * qcow2_read and qcow2_map, which get memory of just that length between guard pages for what they
 * are to fill. From there it is copied.
 */
int read_guarded(struct qcow2 *q, void *buf, size_t len, uint64_t off);
int map_guarded(struct qcow2 *q, uint64_t off, uint64_t len, struct qcow2_segment *segment);
/* Opens, and checks that it fails with this errno, and that no descriptor is left. */
void fails_with(const char *path, const struct qcow2_options *options, int error);

#endif
