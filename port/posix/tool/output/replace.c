/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Whether a file can be replaced by renaming another one.
 */
#include "replace.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifndef STATX_TYPE
#include <linux/stat.h> /* musl before 1.2.5 has no statx(2) */
#endif

/*
 * The attributes of statx(2), 0 where the system does not know them. Linux before 5.8 does not tell
 * mount points, so that there the rename fails at the end.
 */
static uint64_t file_attributes(const char *path)
{
	struct statx sx;

	if (syscall(SYS_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &sx) != 0)
		return 0;
	return sx.stx_attributes & sx.stx_attributes_mask;
}

/* May this process rename and remove the files of others in a directory with the sticky bit? */
static bool acts_as_owner(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return syscall(SYS_capget, &header, data) == 0 &&
	       (data[0].effective & 1u << CAP_FOWNER) != 0u;
}

static bool is_kept_by_sticky_bit(const char *directory, const struct stat *st)
{
	struct stat dir;

	return stat(directory, &dir) == 0 && (dir.st_mode & S_ISVTX) != 0u &&
	       dir.st_uid != geteuid() && st->st_uid != geteuid() && !acts_as_owner();
}

static enum replace how_in_directory(const char *directory, const struct stat *st)
{
	bool append_only = (file_attributes(directory) & STATX_ATTR_APPEND) != 0u;

	return append_only || is_kept_by_sticky_bit(directory, st) ? REPLACE_IN_PLACE
	                                                           : REPLACE_BY_RENAME;
}

enum replace replace_how(const char *path, const struct stat *st)
{
	uint64_t attributes = file_attributes(path);
	char copy[PATH_MAX]; /* dirname(3) changes its argument */

	if ((attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)) != 0u) {
		errno = EPERM;
		return REPLACE_NEVER;
	}
	if ((attributes & STATX_ATTR_MOUNT_ROOT) != 0u)
		return REPLACE_IN_PLACE;
	snprintf(copy, sizeof copy, "%s", path);
	return how_in_directory(dirname(copy), st);
}

bool replace_beside_is_refused(int error)
{
	return error == EACCES || error == EPERM || error == EROFS || error == ENOSYS ||
	       error == EOPNOTSUPP || error == ENAMETOOLONG;
}
