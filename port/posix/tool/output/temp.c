/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Files that a deadly signal removes while they are not complete.
 *
 * mkstemp(3) is not used: it ignores the umask and the access control list of the directory, and
 * not each file system lets the mode be changed later.
 */
#include "temp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "unfinished.h"

enum { RANDOM_LEN = 6, TRIES_MAX = 100 };

/* NAME is cut to 200 bytes, as file systems allow 255. */
char *temp_name(const char *target)
{
	/* Not NULL: tool_error() is never EXIT_OK. NOLINTNEXTLINE(clang-analyzer-core.NonNull*) */
	const char *slash = strrchr(target, '/');
	const char *base = slash != NULL ? slash + 1 : target;
	int dir_len = (int)(base - target);
	size_t room = strlen(target) + 16u;
	char *temp = malloc(room);

	if (temp != NULL)
		snprintf(temp, room, "%.*s.%.200s.XXXXXX", dir_len, target, base);
	return temp;
}

/* A name that others cannot guess is not needed: the file is created only if there is none. */
static void make_random(char *end, unsigned attempt)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	struct timespec now = { 0, 0 };
	uint64_t value;
	int i;

	clock_gettime(CLOCK_REALTIME, &now);
	value = (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 20 ^ (uint64_t)getpid() << 12;
	value += attempt * UINT64_C(2654435761);
	for (i = 1; i <= RANDOM_LEN; i++) {
		end[-i] = letters[value % (sizeof letters - 1u)];
		value /= sizeof letters - 1u;
	}
}

int temp_create(char *name, mode_t mode, bool random)
{
	unsigned attempt = 0;
	sigset_t before;
	int fd;

	unfinished_begin();
	unfinished_hold_signals(&before);
	do {
		if (random)
			make_random(name + strlen(name), attempt);
		fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	} while (fd < 0 && errno == EEXIST && random && ++attempt < TRIES_MAX);
	if (fd >= 0)
		unfinished_remove(name);
	unfinished_release_signals(&before);
	return fd;
}
