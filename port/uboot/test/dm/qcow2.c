// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The qcow2 reader authors
/*
 * Tests for the disks in qcow2 images: an image in memory, as a blkmap device
 */
#include <blk.h>
#include <blkmap.h>
#include <command.h>
#include <dm.h>
#include <part.h>
#include <qcow2_blk.h>
#include <asm/unaligned.h>
#include <dm/test.h>
#include <linux/string.h>
#include <test/test.h>
#include <test/ut.h>

enum {
	BLKSZ = 512, /* and the length of a cluster of the image */
	L1 = 1,	     /* block of each part of the image */
	L2 = 2,
	DATA = 3,
	PACKED = 4,
	BLOCKS = 6,
	DISK_BLOCKS = 4,
};

static u8 image[BLOCKS * BLKSZ];

/*
 * A disk of four clusters: the first one is stored, the second one is
 * compressed, the others are absent. Compressed data is a stored block of
 * deflate. See docs/interop/qcow2.txt of QEMU.
 */
static void make_image(void)
{
	u8 *packed = image + PACKED * BLKSZ;

	memset(image, 0, sizeof(image));
	put_unaligned_be32(0x514649fb, image);		     /* magic */
	put_unaligned_be32(3, image + 4);		     /* version */
	put_unaligned_be32(9, image + 20);		     /* cluster_bits */
	put_unaligned_be64(DISK_BLOCKS * BLKSZ, image + 24); /* size */
	put_unaligned_be32(1, image + 36);		     /* l1_size */
	put_unaligned_be64(L1 * BLKSZ, image + 40); /* l1_table_offset */
	put_unaligned_be32(4, image + 96);	    /* refcount_order */
	put_unaligned_be32(104, image + 100);	    /* header_length */
	put_unaligned_be64(1ULL << 63 | L2 * BLKSZ, image + L1 * BLKSZ);
	put_unaligned_be64(1ULL << 63 | DATA * BLKSZ, image + L2 * BLKSZ);
	/* Bit 62: compressed. Bit 61: one sector more than the first. */
	put_unaligned_be64(3ULL << 61 | PACKED * BLKSZ, image + L2 * BLKSZ + 8);
	memset(image + DATA * BLKSZ, 'd', BLKSZ);
	packed[0] = 1;
	put_unaligned_le16(BLKSZ, packed + 1);
	put_unaligned_le16((u16)~BLKSZ, packed + 3);
	memset(packed + 5, 'p', BLKSZ);
}

static int map_image(struct unit_test_state *uts, struct udevice **devp)
{
	struct udevice *blk;

	make_image();
	ut_assertok(blkmap_create("qcow2", devp));
	ut_assertok(blk_get_from_parent(*devp, &blk));
	ut_assertok(blkmap_map_mem(*devp, 0, BLOCKS, image));
	return 0;
}

static int open_image(struct blk_desc *below, struct udevice **devp)
{
	struct disk_partition part = { .size = BLOCKS, .blksz = BLKSZ };

	/* U-Boot does not see that a test changes the memory of the image. */
	blkcache_invalidate(below->uclass_id, below->devnum);
	return qcow2_blk_create(below, &part, NULL, devp);
}

static int dm_test_qcow2_read(struct unit_test_state *uts)
{
	static u8 buf[DISK_BLOCKS * BLKSZ];
	struct udevice *map, *blk, *dev;

	ut_assertok(map_image(uts, &map));
	ut_assertok(blk_get_from_parent(map, &blk));
	ut_assertok(open_image(dev_get_uclass_plat(blk), &dev));
	ut_asserteq(DISK_BLOCKS, blk_read(dev, 0, DISK_BLOCKS, buf));
	ut_asserteq('d', buf[0]);
	ut_asserteq_mem(buf, image + DATA * BLKSZ, BLKSZ);
	ut_asserteq_mem(buf + BLKSZ, image + PACKED * BLKSZ + 5, BLKSZ);
	ut_asserteq(0, buf[2 * BLKSZ]);
	ut_asserteq(0, buf[DISK_BLOCKS * BLKSZ - 1]);
	ut_asserteq(-EINVAL, (int)blk_read(dev, DISK_BLOCKS, 1, buf));
	ut_assertok(qcow2_blk_destroy(dev));
	ut_assertok(blkmap_destroy(map));
	return 0;
}
DM_TEST(dm_test_qcow2_read, 0);

static int dm_test_qcow2_refuse(struct unit_test_state *uts)
{
	struct udevice *map, *blk, *dev;
	struct blk_desc *below;

	ut_assertok(map_image(uts, &map));
	ut_assertok(blk_get_from_parent(map, &blk));
	below = dev_get_uclass_plat(blk);
	image[0] = 0;
	ut_asserteq(-EBADMSG, open_image(below, &dev));
	make_image();
	put_unaligned_be64(104, image + 8); /* a backing file ... */
	put_unaligned_be32(4, image + 16);  /* ... with a name */
	ut_asserteq(-EBADMSG, open_image(below, &dev));
	make_image();
	ut_assertok(open_image(below, &dev));
	ut_assertok(qcow2_blk_destroy(dev));
	ut_assertok(blkmap_destroy(map));
	return 0;
}
DM_TEST(dm_test_qcow2_refuse, 0);

static int dm_test_qcow2_cmd(struct unit_test_state *uts)
{
	struct udevice *map;
	char cmd[40];

	ut_assertok(map_image(uts, &map));
	snprintf(cmd, sizeof(cmd), "qcow2 create blkmap %d", dev_seq(map));
	ut_assertok(run_command(cmd, 0));
	ut_assertok(run_command("qcow2 dev 0", 0));
	ut_assertok(run_command("qcow2 destroy 0", 0));
	ut_asserteq(1, run_command("qcow2 destroy 0", 0));
	ut_asserteq(1, run_command("qcow2 create blkmap 77", 0));
	ut_assertok(blkmap_destroy(map));
	return 0;
}
DM_TEST(dm_test_qcow2_cmd, 0);
