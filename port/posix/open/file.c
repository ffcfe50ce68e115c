/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A file as the core's io: pread on a descriptor.
 */
#include "file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../failure.h"
#include "direct.h"

/* The most that one pread(2) is asked for. Systems differ in how much they accept. */
#define PREAD_MAX ((size_t)1 << 30)

ssize_t qp_file_pread(const struct qp_file *file, void *buf, size_t len, uint64_t pos)
{
	return pread(file->fd, buf, len, (off_t)(file->start + pos));
}

static int read_exactly(const struct qp_file *file, uint64_t pos, char *to, size_t len)
{
	while (len > 0u) {
		size_t want = len < PREAD_MAX ? len : PREAD_MAX;
		ssize_t got = qp_file_pread(file, to, want, pos);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno;
		if (got == 0)
			return QP_IO_SHRANK;
		to += got;
		pos += (uint64_t)got;
		len -= (size_t)got;
	}
	return 0;
}

static int file_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	const struct qp_file *file = ctx;
	int code;

	if (file->head_len > pos && len <= file->head_len - pos) {
		memcpy(buf, file->head + pos, len);
		return 0;
	}
	code = read_exactly(file, pos, buf, len);
	/* So the system refuses what is not aligned as O_DIRECT needs it. */
	return code == EINVAL ? qp_direct_read(file, pos, buf, len) : code;
}

static const struct qcow2_io_ops file_ops = { file_read };

/*
 * Finds the end of a block device by seeking, because its st_size is 0. Puts the file position back
 * even if that seek fails: other processes may share it. Sets errno on failure.
 */
static bool device_size(int fd, uint64_t *size)
{
	off_t here = lseek(fd, 0, SEEK_CUR), end;
	int error;

	if (here < 0)
		return false;
	end = lseek(fd, 0, SEEK_END);
	error = errno;
	if (lseek(fd, here, SEEK_SET) < 0)
		return false;
	errno = error;
	*size = (uint64_t)end;
	return end >= 0;
}

/* The size of the image in a file that has this many bytes. */
static uint64_t part_size(const struct qp_file *file, uint64_t whole)
{
	uint64_t rest = whole > file->start ? whole - file->start : 0u;

	return file->length != 0u && file->length < rest ? file->length : rest;
}

bool qp_file_size_now(const struct qp_file *file, uint64_t *size)
{
	struct stat st;

	/* Devices do not grow while they are open. */
	if (fstat(file->fd, &st) != 0 || !S_ISREG(st.st_mode))
		return false;
	*size = part_size(file, (uint64_t)st.st_size);
	return true;
}

/* Notes which file this is, and sets *size if it is a file of which any part can be read. */
static bool file_identify(struct qp_file *file, uint64_t *size)
{
	struct stat st;

	if (fstat(file->fd, &st) != 0) {
		qp_fail_file(file, errno, "cannot stat the file", strerror(errno));
		return false;
	}
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	if (S_ISREG(st.st_mode)) {
		*size = (uint64_t)st.st_size;
		return true;
	}
	if (S_ISBLK(st.st_mode)) {
		/* Two device nodes may be the same device. */
		file->dev = st.st_rdev;
		file->ino = 0;
		if (device_size(file->fd, size))
			return true;
		qp_fail_file(file, errno, "cannot find the size of the device", strerror(errno));
	} else if (S_ISDIR(st.st_mode)) {
		qp_fail_file(file, EISDIR, "is a directory", NULL);
	} else {
		qp_fail_file(file, ESPIPE,
		             "is a pipe, a socket or a character device; save it to a file first",
		             NULL);
	}
	return false;
}

bool qp_file_open(struct qp_file *file, int fd, char *path)
{
	uint64_t size = 0;

	file->fd = fd;
	file->path = path;
	file->io.ops = &file_ops;
	file->io.ctx = file;
	file->io.size = 0;
	if (!file_identify(file, &size))
		return false;
	if (file->start > size || (file->start == size && size != 0u)) {
		qp_fail_file(file, EINVAL, "the file ends before the image in it begins", NULL);
		return false;
	}
	file->io.size = part_size(file, size);
	return true;
}

bool qp_file_keep_head(struct qp_file *file, char buf[QP_HEAD_LEN])
{
	struct qcow2_error err = { .status = QCOW2_E_IO, .io = &file->io };
	size_t len = file->io.size < QP_HEAD_LEN ? (size_t)file->io.size : QP_HEAD_LEN;

	err.io_code = file_read(file, 0, buf, len);
	if (err.io_code != 0) {
		qp_fail_core(QCOW2_E_IO, &err);
		return false;
	}
	file->head = buf;
	file->head_len = len;
	return true;
}

void qp_file_drop_head(struct qp_file *file)
{
	file->head = NULL;
	file->head_len = 0;
}

void qp_close(int fd)
{
	int error = errno;

	if (fd >= 0)
		close(fd);
	errno = error;
}

void qp_file_close(struct qp_file *file)
{
	qp_close(file->fd);
	file->fd = -1;
	free(file->path);
	file->path = NULL;
}

bool qp_file_same(const struct qp_file *a, const struct qp_file *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}
