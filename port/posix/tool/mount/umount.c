/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 umount: ends a mount of `qcow2 mount`.
 */
#include "../commands.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <mntent.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../message.h"

/*
 * Makes the name of the directory absolute. The directory itself cannot be asked for if the process
 * behind it has been killed; then its parent can.
 */
static bool resolve(const char *directory, char absolute[PATH_MAX])
{
	char copy[PATH_MAX], parent[PATH_MAX], last[PATH_MAX];

	if (realpath(directory, absolute) != NULL)
		return true;
	if (errno != ENOTCONN)
		return false;
	snprintf(copy, sizeof copy, "%s", directory);
	if (realpath(dirname(copy), parent) == NULL)
		return false;
	snprintf(copy, sizeof copy, "%s", directory);
	snprintf(last, sizeof last, "%s", basename(copy));
	return snprintf(absolute, PATH_MAX, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, last) <
	       PATH_MAX;
}

/* Is the directory a mount of this command? Of several mounts on it, the last one is on top. */
static bool is_mount(const char *absolute)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	const struct mntent *entry;
	bool found = false;

	while (mounts != NULL && (entry = getmntent(mounts)) != NULL)
		if (strcmp(entry->mnt_dir, absolute) == 0)
			found = strcmp(entry->mnt_type, "fuse.qcow2") == 0;
	if (mounts != NULL)
		endmntent(mounts);
	return found;
}

/* Unmounts without root, with the set-user-ID program. It prints why it fails. */
static int run_fusermount(const char *absolute)
{
	char *const arguments[] = { (char[]){ "fusermount3" }, (char[]){ "-u" }, (char[]){ "--" },
		                    strdup(absolute), NULL };
	int status = 0, error = ENOMEM;
	pid_t pid, ended;

	if (arguments[3] != NULL)
		error = posix_spawnp(&pid, arguments[0], NULL, NULL, arguments, environ);
	free(arguments[3]);
	if (error != 0)
		return tool_error("fusermount3", "%s; in Debian, the package fuse3 has it",
		                  strerror(error));
	do
		ended = waitpid(pid, &status, 0);
	while (ended < 0 && errno == EINTR);
	return ended == pid && status == 0 ? EXIT_OK : EXIT_FAILED;
}

int run_umount(struct args *args)
{
	char absolute[PATH_MAX];

	signal(SIGCHLD, SIG_DFL); /* a caller that ignores it would hide how fusermount3 ends */
	if (!resolve(args->image, absolute))
		return tool_error(args->image, "%s", strerror(errno));
	if (!is_mount(absolute))
		return tool_error(args->image, "not mounted by 'qcow2 mount'");
	if (umount2(absolute, UMOUNT_NOFOLLOW) == 0)
		return EXIT_OK;
	if (errno == EPERM)
		return run_fusermount(absolute);
	return tool_error(args->image, errno == EBUSY ? "%s; a program still uses it" : "%s",
	                  strerror(errno));
}
