/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What is wrong with a disk that was walked over, in whatever form its map was shown.
 */
#include "map_report.h"

#include <inttypes.h>

#include "../disk/open.h"
#include "../message.h"

int map_report(struct map_walk *w, const struct args *args, int last)
{
	map_walk_end(w);
	past_end_warn_cut(&w->past_end, args);
	past_end_warn_zeros(&w->past_end, args);
	if (last < 0)
		return tool_failed(args);
	if (w->damage.entries > 0u)
		return tool_error(args->image,
		                  "damaged ranges: %" PRIu64 ", %" PRIu64
		                  " bytes in all; the first: %s",
		                  w->damage.entries, w->damage.bytes, w->damage.first);
	return EXIT_OK;
}
