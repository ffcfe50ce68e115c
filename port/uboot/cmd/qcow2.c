// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The qcow2 reader authors
/*
 * Creates and removes block devices for the disks in qcow2 images
 */
#include <blk.h>
#include <command.h>
#include <dm.h>
#include <errno.h>
#include <part.h>
#include <qcow2_blk.h>
#include <vsprintf.h>

static int current_dev = -1;

static const char *reason(int ret)
{
	switch (ret) {
	case -EINVAL:
		return "blocks of this length are not supported";
	case -ENOENT:
		return "no such file";
	case -EPROTONOSUPPORT:
		return "neither a FAT nor an ext4 file system";
	case -ENAMETOOLONG:
		return "the name is too long, or has characters beyond ASCII";
	case -EFBIG:
		return "the disk, or the file, is too large";
	case -ENOMEM:
		return "not enough memory";
	case -EIO:
		return "read error";
	default:
		return NULL;
	}
}

static void print_reason(int ret)
{
	if (ret == -EBADMSG) /* it is printed already */
		return;
	if (reason(ret))
		printf("qcow2: %s\n", reason(ret));
	else
		printf("qcow2: error %d\n", ret);
}

static int do_create(struct cmd_tbl *cmdtp, int flag, int argc,
		     char *const argv[])
{
	const char *path = argc == 4 ? argv[3] : NULL;
	struct blk_desc *below, *desc;
	struct disk_partition part;
	struct udevice *dev;
	int ret;

	(void)cmdtp;
	(void)flag;
	if (argc != 3 && argc != 4)
		return CMD_RET_USAGE;
	if (blk_get_device_part_str(argv[1], argv[2], &below, &part, 1) < 0)
		return CMD_RET_FAILURE;
	ret = qcow2_blk_create(below, &part, path, &dev);
	if (ret) {
		print_reason(ret);
		return CMD_RET_FAILURE;
	}
	desc = dev_get_uclass_plat(dev);
	printf("qcow2 %d: the disk of %s %s%s%s, %llu bytes\n", desc->devnum,
	       argv[1], argv[2], path ? " " : "", path ? path : "",
	       (unsigned long long)desc->lba * desc->blksz);
	return CMD_RET_SUCCESS;
}

static int do_destroy(struct cmd_tbl *cmdtp, int flag, int argc,
		      char *const argv[])
{
	struct blk_desc *desc;
	char *end;
	int devnum, ret;

	(void)cmdtp;
	(void)flag;
	if (argc != 2)
		return CMD_RET_USAGE;
	devnum = (int)dectoul(argv[1], &end);
	if (end == argv[1] || *end)
		return CMD_RET_USAGE;
	desc = blk_get_devnum_by_uclass_id(UCLASS_QCOW2, devnum);
	if (!desc) {
		printf("qcow2: no device %s\n", argv[1]);
		return CMD_RET_FAILURE;
	}
	ret = qcow2_blk_destroy(desc->bdev);
	if (ret) {
		printf("qcow2: cannot remove device %s: error %d\n", argv[1],
		       ret);
		return CMD_RET_FAILURE;
	}
	return CMD_RET_SUCCESS;
}

static int do_common(struct cmd_tbl *cmdtp, int flag, int argc,
		     char *const argv[])
{
	(void)cmdtp;
	(void)flag;
	/* blk_common_cmd() expects the name of the command before these. */
	return blk_common_cmd(argc + 1, argv - 1, UCLASS_QCOW2, &current_dev);
}

U_BOOT_CMD_WITH_SUBCMDS(
	qcow2, "disks in qcow2 images",
	"create <interface> <dev[:part]> - the image fills this partition\n"
	"qcow2 create <interface> <dev[:part]> <file> - it is a file on it\n"
	"qcow2 destroy <dev> - remove the device\n"
	"qcow2 info - list the devices\n"
	"qcow2 part [<dev>] - list the partitions of a device\n"
	"qcow2 dev [<dev>] - show or set the current device\n"
	"qcow2 read <addr> <blk#> <cnt>\n",
	U_BOOT_SUBCMD_MKENT(create, 4, 0, do_create),
	U_BOOT_SUBCMD_MKENT(destroy, 2, 0, do_destroy),
	U_BOOT_SUBCMD_MKENT(info, 1, 1, do_common),
	U_BOOT_SUBCMD_MKENT(part, 2, 1, do_common),
	U_BOOT_SUBCMD_MKENT(dev, 2, 1, do_common),
	U_BOOT_SUBCMD_MKENT(read, 4, 1, do_common));
