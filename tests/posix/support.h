/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What the tests of the POSIX library share: files, and system calls that fail on demand. The
 * linker redirects these calls to the functions in support.c (-Wl,--wrap; POSIX_TEST_LDFLAGS in
 * posix.mk).
 */
#ifndef TEST_POSIX_SUPPORT_H
#define TEST_POSIX_SUPPORT_H

#define _GNU_SOURCE       1
#define _FILE_OFFSET_BITS 64

#include "image/image.h"
#include "qcow2.h"
#include "support/check.h"
#include "support/guard.h"

/* The alignment of a segment, at most. */
enum { SEGMENT_ALIGN = 8 };

/* The redirected calls, and the errno with which each fails. */
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

/* What the redirected calls do. If it is all zeros, they are the original calls. */
struct hooks {
	unsigned fail_at[CALLS]; /* the number of the call that fails, from 1; 0: none */
	bool persistent;         /* all calls after it also fail */
	unsigned eintr;          /* every n-th read is interrupted at first; 0: none */
	size_t pread_most;       /* no read returns more than this; 0: no limit */
	bool no_openat2;         /* it fails as on a kernel without it */
	bool no_proc;            /* readlink fails as without /proc */
	bool block_device;       /* fstat reports each file as a block device */
	bool direct;             /* pread and the flags are those of a descriptor with O_DIRECT */
	int pread_error;         /* errno of a pread that fails; 0: that of call_errno */
	enum call swap_call;     /* before the n-th of these calls, `swap` is called */
	unsigned swap_at;        /* this n; 0: never */
	void (*swap)(void);
	bool no_sysconf; /* it fails */

	unsigned n[CALLS];    /* calls of each kind since hooks_reset() */
	unsigned n_failed;    /* those of them that failed */
	unsigned n_inherited; /* openat calls whose directory a new program would inherit */
};

extern struct hooks hooks;
void hooks_reset(void);

/* Makes a new directory the working directory. It is removed at exit, with its content. */
int dir_setup(void **state);
int dir_teardown(void **state);
const char *dir_path(void);

void file_write(const char *path, const void *bytes, size_t len);
/* Finishes the image if needed and writes it, and its data file if data_path is not NULL. */
void image_to_file(struct image *img, const char *path, const char *data_path);
/* Finishes the image if needed, and returns a descriptor of an unnamed file that has it. */
int image_to_fd(struct image *img);

/* Initialises an image of 256 KiB with 64 KiB clusters, one of which has data. */
void small_image(struct image *img);
/* Writes such an image with a backing file name, and its format if that is not NULL. */
void write_overlay(const char *path, const char *backing, const char *format);

int open_read(const char *path);
bool fd_is_open(int fd);
unsigned count_fds(void);

/* Calls qcow2_open, which must succeed and not change errno or the message. */
struct qcow2 *open_good(int fd);
/* Calls qcow2_open_options on a file with these flags. */
struct qcow2 *open_with(const char *path, unsigned flags);
/* Call qcow2_read and qcow2_map with memory of exactly the right length, beside a guard page. */
int read_guarded(struct qcow2 *q, void *buf, size_t len, uint64_t off);
int map_guarded(struct qcow2 *q, uint64_t off, uint64_t len, struct qcow2_segment *segment);
/* Opening must fail with this errno, and leave no descriptor open. */
void fails_with(const char *path, const struct qcow2_options *options, int error);

#endif
