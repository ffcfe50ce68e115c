/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Owner, group, mode, access control list and extended attributes of a file that is replaced.
 */
#include "attributes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

/* An access control list, as Linux stores it. It also holds the permission bits of the mode. */
static const char acl_name[] = "system.posix_acl_access";

mode_t attributes_first_mode(const struct stat *old)
{
	return old->st_mode & 0700;
}

static bool has_owner(int fd, const struct stat *old, bool *same_group)
{
	struct stat now;

	*same_group = false;
	if (fstat(fd, &now) != 0)
		return false;
	*same_group = now.st_gid == old->st_gid;
	return now.st_uid == old->st_uid;
}

/* A user may give a file to a group that he is in, but not to another user. */
static bool copy_owner(int fd, const struct stat *old, bool *same_group)
{
	if (has_owner(fd, old, same_group) && *same_group)
		return true;
	if (fchown(fd, old->st_uid, old->st_gid) != 0 && fchown(fd, (uid_t)-1, old->st_gid) != 0)
		return has_owner(fd, old, same_group);
	return has_owner(fd, old, same_group);
}

/* Where the group is another one, it gets no more than all users have. */
static void copy_mode(int fd, const struct stat *old, bool same_group)
{
	mode_t mode = old->st_mode & 0777;
	struct stat now;

	if (!same_group)
		mode &= (mode_t)(0707 | (mode & 07) << 3);
	if (fstat(fd, &now) == 0 && (now.st_mode & 07777) == mode)
		return;
	fchmod(fd, mode); /* file systems without modes refuse this, which is no reason to fail */
}

/* Reads one attribute of the old file into *value, which grows as needed. */
static ssize_t read_attribute(const char *path, const char *name, char **value, size_t *room)
{
	ssize_t len = getxattr(path, name, NULL, 0);
	char *larger;

	if (len > 0 && (size_t)len > *room) {
		larger = realloc(*value, (size_t)len);
		if (larger == NULL)
			return -1;
		*value = larger;
		*room = (size_t)len;
	}
	return len > 0 ? getxattr(path, name, *value, *room) : len;
}

/*
 * The system keeps some attributes for itself: that it refuses them is no reason to fail. Returns
 * false if there is an access control list that could not be copied, or that was left out.
 */
static bool copy_listed(int fd, const char *path, const char *names, ssize_t len, bool with_acl)
{
	bool whole = true;
	char *value = NULL;
	size_t room = 0;
	ssize_t at, n;

	for (at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
		bool is_acl = strcmp(names + at, acl_name) == 0, copied = false;

		if (with_acl || !is_acl) {
			n = read_attribute(path, names + at, &value, &room);
			copied = n >= 0 && fsetxattr(fd, names + at, value, (size_t)n, 0) == 0;
		}
		whole = whole && (copied || !is_acl);
	}
	free(value);
	return whole;
}

/*
 * The directory may have given the new file an access control list that the old one has not. The
 * list of the old file is only right for the same group. Returns false if it could not be copied:
 * then the group bits of the old mode mean nothing, because they are the mask of the list.
 */
static bool copy_extended(int fd, const char *path, bool same_group)
{
	ssize_t len = listxattr(path, NULL, 0);
	char *names;
	bool whole;

	fremovexattr(fd, acl_name);
	names = len > 0 ? malloc((size_t)len) : NULL;
	if (names == NULL)
		return len <= 0;
	len = listxattr(path, names, (size_t)len);
	whole = copy_listed(fd, path, names, len, same_group);
	free(names);
	return whole;
}

bool attributes_copy(int fd, const char *path, const struct stat *old)
{
	bool same_group;
	bool same_owner = copy_owner(fd, old, &same_group);

	copy_mode(fd, old, copy_extended(fd, path, same_group) && same_group);
	return same_owner && same_group;
}
