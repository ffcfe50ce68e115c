/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2-attach: the part of the qcow2 command that early boot needs, as a small static program.
 */
#include "../posix/tool/commands.h"
#include "../posix/tool/run.h"

static const struct command commands[] = {
	{ "attach", FOR_ATTACH, "IMAGE DEVICE",
	  "Show the disk as the block device DEVICE, /dev/nbd0 or the like.", 2, 2, true,
	  run_attach },
	{ "detach", FOR_DETACH, "DEVICE", "End what attach has begun.", 1, 1, false, run_detach },
	{ NULL, 0, NULL, NULL, 0, 0, false, NULL },
};

int main(int argc, char **argv)
{
	return tool_run(commands, argc, argv);
}
