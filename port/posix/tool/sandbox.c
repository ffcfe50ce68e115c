/* SPDX-License-Identifier: MIT */
/*
 * The two mechanisms of Linux behind one call. seccomp filters system calls by number and by the
 * values in their arguments; it cannot see the names that pointers refer to. Landlock limits names.
 */
#include "sandbox.h"

#if defined(__linux__)
#include <sys/prctl.h>

#include "sandbox_filter.h"
#include "sandbox_names.h"

void sandbox_enter(bool off, const struct sandbox_needs *needs)
{
	if (off)
		return;
	/* The kernel asks for this of processes that are not root: no set-user-ID program may
	 * inherit the limits. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return;
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
