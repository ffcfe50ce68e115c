/* SPDX-License-Identifier: MIT */
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

/* The most that one pread(2) is asked for. Systems differ in how much they accept. */
#define PREAD_MAX ((size_t)1 << 30)

static int read_exactly(int fd, uint64_t pos, char *to, size_t len)
{
	while (len > 0u) {
		size_t want = len < PREAD_MAX ? len : PREAD_MAX;
		ssize_t got = pread(fd, to, want, (off_t)pos);

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

	if (file->head_len > pos && len <= file->head_len - pos) {
		memcpy(buf, file->head + pos, len);
		return 0;
	}
	return read_exactly(file->fd, pos, buf, len);
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

static bool file_identify(struct qp_file *file)
{
	struct stat st;

	if (fstat(file->fd, &st) != 0) {
		qp_fail_file(file, errno, "cannot stat the file", strerror(errno));
		return false;
	}
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	if (S_ISREG(st.st_mode)) {
		file->io.size = (uint64_t)st.st_size;
		return true;
	}
	if (S_ISBLK(st.st_mode)) {
		/* Two device nodes may be the same device. */
		file->dev = st.st_rdev;
		file->ino = 0;
		if (device_size(file->fd, &file->io.size))
			return true;
		qp_fail_file(file, errno, "cannot find the size of the device", strerror(errno));
	} else if (S_ISDIR(st.st_mode)) {
		qp_fail_file(file, EISDIR, "is a directory", NULL);
	} else {
		qp_fail_file(file, ESPIPE,
		             "is a pipe, a socket or a character device; copy it to a file first",
		             NULL);
	}
	return false;
}

bool qp_file_open(struct qp_file *file, int fd, char *path)
{
	file->fd = fd;
	file->path = path;
	file->io.ops = &file_ops;
	file->io.ctx = file;
	file->io.size = 0;
	return file_identify(file);
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
