/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The commands of qemu-img that this program does not have, and what comes nearest to them.
 */
#include "qemu_img.h"

#include <string.h>

static const struct {
	const char *command;
	const char *hint;
} missing[] = {
	{ "amend", "; 'qcow2 info' shows the options of an image" },
	{ "bench", "; 'qcow2 cat IMAGE >/dev/null' reads a whole disk" },
	{ "bitmap", "; 'qcow2 bitmaps' lists the bitmaps" },
	{ "commit", "; 'qcow2 convert --follow' writes the disk of a whole chain to one file" },
	{ "create", "; 'qcow2 convert' writes the disk of an image to a raw file" },
	{ "dd", "; 'qcow2 cat --skip=OFFSET --length=LENGTH' writes a part of the disk" },
	{ "measure", "; 'qcow2 info' and 'qcow2 map' show how much a disk holds" },
	{ "rebase", "; '--backing=FILE,FORMAT' reads an image with another backing file" },
	{ "resize", "; 'qcow2 info' shows the size" },
	{ "snapshot", "; 'qcow2 snapshots' lists the snapshots, and "
	              "'qcow2 convert --snapshot=ID' extracts one" },
};

const char *qemu_img_hint(const char *command)
{
	size_t i;

	for (i = 0; i < sizeof missing / sizeof missing[0]; i++)
		if (strcmp(missing[i].command, command) == 0)
			return missing[i].hint;
	return NULL;
}
