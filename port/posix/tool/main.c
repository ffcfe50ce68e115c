/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The qcow2 command: shows what qcow2 disk images hold, and extracts their content.
 */
#include "commands.h"
#include "run.h"

static const struct command commands[] = {
	{ "info", FOR_INFO, "IMAGE...",
	  "Show what an image is: sizes, features, names, partitions, snapshots.", 1, 256, false,
	  run_info },
	{ "map", FOR_MAP, "IMAGE",
	  "Show which parts of the disk hold data, and where in which file.", 1, 1, false,
	  run_map },
	{ "cat", FOR_CAT, "IMAGE", "Write the content of the disk to standard output.", 1, 1, false,
	  run_cat },
	{ "convert", FOR_CONVERT, "IMAGE OUT",
	  "Write the content of the disk to OUT: a sparse raw file, a device or a pipe.", 2, 2,
	  true, run_convert },
	{ "compare", FOR_COMPARE, "IMAGE-A IMAGE-B",
	  "Compare the content of two disks. Exit status: 0 equal, 1 different, 2 trouble.", 2, 2,
	  false, run_compare },
	{ "check", FOR_CHECK, "IMAGE",
	  "Find damage. Exit status: 0 none, 1 trouble, 2 corruption, 3 only leaks.", 1, 1, false,
	  run_check },
	{ "snapshots", FOR_SNAPSHOTS, "IMAGE", "List the internal snapshots.", 1, 1, false,
	  run_snapshots },
	{ "bitmaps", FOR_BITMAPS, "IMAGE", "List the persistent dirty bitmaps.", 1, 1, false,
	  run_bitmaps },
	{ "attach", FOR_ATTACH, "IMAGE DEVICE",
	  "Show the disk as the block device DEVICE, /dev/nbd0 or the like (Linux, root).", 2, 2,
	  true, run_attach },
	{ "detach", FOR_DETACH, "DEVICE", "End what attach has begun.", 1, 1, false, run_detach },
	{ "help", FOR_HELP, "[COMMAND]", "Print this help, or that of COMMAND.", 0, 1, false,
	  run_help },
	{ "version", FOR_VERSION, "", "Print the version and the built-in decoders.", 0, 0, false,
	  run_version },
	{ NULL, 0, NULL, NULL, 0, 0, false, NULL },
};

int main(int argc, char **argv)
{
	return tool_run(commands, argc, argv);
}
