/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The two mechanisms of Linux behind one call. seccomp filters system calls by number and by the
 * values in their arguments; it cannot see the names that pointers refer to. Landlock limits names.
 */
#include "sandbox.h"

/* The runtime of a sanitizer opens files and makes calls of its own. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
	__has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

#if defined(__linux__) && !defined(SANITIZED)
#include <sys/prctl.h>

#include "sandbox_filter.h"
#include "sandbox_names.h"

void sandbox_enter(bool off, const struct sandbox_needs *needs)
{
	if (off)
		return;
	/* The kernel asks for this of processes that are not root: no set-user-ID program may
	 * inherit the limits. If it fails, so do the calls that follow. */
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	sandbox_limit_names(needs->beside); /* first: the filter refuses the calls that it makes */
	sandbox_limit_calls(needs);
}
#else
void sandbox_enter(bool off, const struct sandbox_needs *needs)
{
	(void)off;
	(void)needs;
}
#endif

void sandbox_enter_reading(bool off)
{
	static const struct sandbox_needs nothing = { .files = { -1, -1 }, .beside = NULL };

	sandbox_enter(off, &nothing);
}
