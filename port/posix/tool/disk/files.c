/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Compares files by what they are, not by their names.
 */
#include "files.h"

bool file_is(int fd, const struct stat *st)
{
	struct stat other;

	if (fd < 0 || fstat(fd, &other) != 0)
		return false;
	if (S_ISBLK(other.st_mode) && S_ISBLK(st->st_mode))
		return other.st_rdev == st->st_rdev;
	return other.st_dev == st->st_dev && other.st_ino == st->st_ino;
}

bool file_is_input(struct qcow2 *q, const struct stat *st)
{
	unsigned depth;
	int fd;

	for (depth = 0; (fd = qcow2_get_fd(q, depth)) >= 0; depth++)
		if (file_is(fd, st) || file_is(qcow2_get_data_fd(q, depth), st))
			return true;
	return false;
}
