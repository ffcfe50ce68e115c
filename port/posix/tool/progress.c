/* SPDX-License-Identifier: MIT */
/*
 * A progress bar on standard error.
 */
#include "progress.h"

#include <unistd.h>

enum { BAR_LEN = 40 };

/* The cursor is on the bar's line. Global, because any message must end that line first. */
static bool bar_is_open;

void progress_break(void)
{
	if (bar_is_open)
		fputc('\n', stderr);
	bar_is_open = false;
}

void progress_begin(struct progress *p, bool always, bool never)
{
	p->on = !never && (always || isatty(STDERR_FILENO));
	p->shown = -1;
}

void progress_show(struct progress *p, uint64_t done, uint64_t total)
{
	char bar[BAR_LEN + 1];
	int permille = total != 0u ? (int)((double)done / (double)total * 1000) : 1000;
	int i;

	if (!p->on || permille == p->shown)
		return;
	p->shown = permille;
	for (i = 0; i < BAR_LEN; i++)
		bar[i] = i * 1000 < permille * BAR_LEN ? '#' : '.';
	bar[BAR_LEN] = '\0';
	fprintf(stderr, "\r[%s] %3d.%d %%", bar, permille / 10, permille % 10);
	fflush(stderr);
	bar_is_open = true;
}

void progress_end(struct progress *p)
{
	p->on = false;
	progress_break();
}
