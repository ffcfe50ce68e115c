/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * One open file, as an io of the core.
 */
#ifndef QCOW2_POSIX_FILE_H
#define QCOW2_POSIX_FILE_H

#include "../posix.h"

#include <sys/types.h>

#include "qcow2/io.h"

/* Bytes of a file that are read at once when it is opened: a header and the names in it. */
enum { QP_HEAD_LEN = 4096 };

struct qp_file {
	struct qcow2_io io; /* its ctx is this struct; its positions begin at `start` */
	int fd;             /* -1 if none */
	unsigned depth;     /* of the image that the file belongs to */
	bool is_data;       /* this is the external data file of that image */
	char *path;         /* owned; NULL if unknown */
	dev_t dev;          /* with ino: which file this is */
	ino_t ino;
	uint64_t start;     /* where the image begins in the file; 0 but for the top image */
	uint64_t length;    /* of the image in the file, at most; 0: to the end of the file */
	uint32_t table_len; /* tables end at multiples of this; 0 for raw and data files */
	const char *head;   /* the first head_len bytes while the image is opened, else NULL */
	size_t head_len;
};

/*
 * Starts to use a file, or the part of it that start and length choose. The struct owns fd and path
 * (from malloc, or NULL) from the call on, even if it fails: qp_file_close releases them. Fails
 * unless fd is a regular file or a block device.
 */
bool qp_file_open(struct qp_file *file, int fd, char *path);
void qp_file_close(struct qp_file *file);

/*
 * Reads the head of the file into buf. Until qp_file_drop_head, reads inside the head are served
 * from there. Both calls come before other threads can see the file.
 */
bool qp_file_keep_head(struct qp_file *file, char buf[QP_HEAD_LEN]);
void qp_file_drop_head(struct qp_file *file);

/* Asks for the size again, as io.size has it. Returns false if the system does not say. */
bool qp_file_size_now(const struct qp_file *file, uint64_t *size);

/* pread(2) at a position of the image, once. */
ssize_t qp_file_pread(const struct qp_file *file, void *buf, size_t len, uint64_t pos);

/* Where a position of the image is in the file of this io. */
static inline uint64_t qp_file_place(const struct qcow2_io *io, uint64_t pos)
{
	const struct qp_file *file = io->ctx;

	return file->start + pos;
}

/* Are these the same file or device? */
bool qp_file_same(const struct qp_file *a, const struct qp_file *b);

/* Closes a descriptor; -1 is allowed. Keeps errno. */
void qp_close(int fd);

#endif
