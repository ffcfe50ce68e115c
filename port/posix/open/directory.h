/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The directory of an image, in which the names that the image holds are looked up.
 */
#ifndef QCOW2_POSIX_DIRECTORY_H
#define QCOW2_POSIX_DIRECTORY_H

#include "../posix.h"

/* A directory that stays the same one whatever happens to its name. */
struct qp_directory {
	int fd;     /* -1 if it is not open */
	char *path; /* for messages and qcow2_get_path; from malloc, NULL if fd is -1 */
};

/*
 * Finds the directory of the open file fd, which was opened by this path: not that of a symbolic
 * link to it. Returns false and sets errno on failure.
 */
bool qp_directory_of(struct qp_directory *directory, int fd, const char *path);

/* The directory part of a path, without the last '/'; "." if there is none. From malloc. */
char *qp_directory_part(const char *path);

void qp_directory_close(struct qp_directory *directory);

#endif
