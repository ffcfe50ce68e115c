/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Landlock by its system calls, because the C library has no functions for them: landlock(7).
 */
#include "sandbox_names.h"

#include "../tool.h"

#if defined(__linux__) && defined(__has_include)
#if __has_include(<linux/landlock.h>)
#define HAVE_LANDLOCK 1
#endif
#endif

#ifdef HAVE_LANDLOCK
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * All architectures have the same numbers; the headers of Debian 12 have them, older ones do not.
 */
enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446 };

/* Every right of the first version of Landlock (Linux 5.13). */
#define ALL_RIGHTS                                                                                 \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |                              \
	 LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |                              \
	 LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                          \
	 LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |                              \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |                              \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |                            \
	 LANDLOCK_ACCESS_FS_MAKE_SYM)

/* Renaming a file removes the old name and makes the new one. */
#define RENAME_RIGHTS (LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)

/* Opens the directory that a file is in. Returns -1 if that fails. */
static int open_directory(const char *file)
{
	/* dirname(3) changes its argument. The file is open, so its name is no longer than this. */
	char copy[PATH_MAX];

	snprintf(copy, sizeof copy, "%s", file);
	return open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool allow_renames(int ruleset, const char *beside)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = RENAME_RIGHTS };
	bool added;

	rule.parent_fd = open_directory(beside);
	if (rule.parent_fd < 0)
		return false;
	added = syscall(ADD_RULE, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
	close(rule.parent_fd);
	return added;
}

void sandbox_limit_names(const char *beside)
{
	struct landlock_ruleset_attr rights = { .handled_access_fs = ALL_RIGHTS };
	int ruleset = (int)syscall(CREATE_RULESET, &rights, sizeof rights, 0);

	if (ruleset < 0)
		return;
	/* Without the rule the output could not get its name, so the limits are left out. */
	if (beside == NULL || allow_renames(ruleset, beside))
		syscall(RESTRICT_SELF, ruleset, 0);
	close(ruleset);
}
#else
void sandbox_limit_names(const char *beside)
{
	(void)beside;
}
#endif
