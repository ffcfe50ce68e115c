/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Tests port/uboot over a model of the block layer: the image fills a partition of a disk, or is a
 * file on a FAT or ext4 file system there.
 */
#include "glue.h"

#include <stdlib.h>
#include <string.h>

#include "efi_model.h"
#include "glue/uboot.h"
#undef malloc
#undef calloc
#undef free
#undef printf

#include "heap_reader.h"
#include "qcow2_blk.h"

extern struct driver u_boot_driver_qcow2_blk, u_boot_driver_qcow2_image;
extern struct uclass_driver u_boot_uclass_qcow2;
extern struct cmd_tbl u_boot_cmd_qcow2[];

enum { PART_START = 77, PART_SECTORS = 700, TAIL = 10, FAT_SECTORS = 8000 };

/* ---- The model of U-Boot ---- */

struct udevice {
	const struct driver *driver;
	struct blk_desc desc;
	void *plat;
	bool probed;
};

static struct udevice root, below_dev, made_parent, made;
static bool bind_fails, probe_fails, create_fails, remove_fails, child_stays, efi_fails, below_gone;
static lbaint_t part_sectors = PART_SECTORS;
static struct glue_storage storage;

struct udevice *dm_root(void)
{
	return &root;
}

void *dev_get_plat(const struct udevice *dev)
{
	return dev->plat;
}

void *dev_get_uclass_plat(const struct udevice *dev)
{
	return (void *)(uintptr_t)&dev->desc;
}

int device_bind_driver(struct udevice *parent, const char *drv_name, const char *dev_name,
                       struct udevice **devp)
{
	TRUE(parent == &root);
	TRUE(strcmp(drv_name, u_boot_driver_qcow2_image.name) == 0);
	TRUE(strcmp(dev_name, "qcow2") == 0);
	if (bind_fails)
		return -ENOENT;
	made_parent.driver = &u_boot_driver_qcow2_image;
	*devp = &made_parent;
	return 0;
}

/* U-Boot's EFI loader runs after the probe and may fail; the device then stays active. */
int device_probe(struct udevice *dev)
{
	TRUE(dev == &made);
	made_parent.probed = true;
	dev->probed = !probe_fails;
	return probe_fails ? -EREMOTEIO : efi_fails ? -1 : 0;
}

bool device_active(const struct udevice *dev)
{
	return dev->probed;
}

int device_remove(struct udevice *dev, unsigned flags)
{
	TRUE(dev == &made_parent);
	EQ(flags, DM_REMOVE_NORMAL);
	if (remove_fails)
		return -EBUSY;
	made.probed = false;
	made_parent.probed = false;
	return 0;
}

/*
 * Unbinds the parent with its child, but not if it is active. The driver's unbind() comes first;
 * then a child of the child may stay, and with it all of them.
 */
int device_unbind(struct udevice *dev)
{
	TRUE(dev == &made_parent);
	if (dev->probed)
		return -EINVAL;
	if (made.driver != NULL) {
		EQ(made.driver->unbind(&made), 0);
		if (child_stays)
			return -EBUSY;
		glue_release(made.plat);
	}
	memset(&made, 0, sizeof made);
	memset(dev, 0, sizeof *dev);
	return 0;
}

int blk_create_devicef(struct udevice *parent, const char *drv_name, const char *name,
                       int uclass_id, int devnum, int blksz, lbaint_t lba, struct udevice **devp)
{
	TRUE(parent == &made_parent);
	TRUE(strcmp(drv_name, u_boot_driver_qcow2_blk.name) == 0);
	TRUE(strcmp(name, "disk") == 0);
	EQ(devnum, -1);
	if (create_fails)
		return -ENOSPC;
	made.plat = glue_zalloc((size_t)u_boot_driver_qcow2_blk.plat_auto);
	if (made.plat == NULL)
		return -ENOMEM;
	made.driver = &u_boot_driver_qcow2_blk;
	made.desc.uclass_id = (enum uclass_id)uclass_id;
	made.desc.devnum = 1;
	made.desc.blksz = (unsigned long)blksz;
	made.desc.lba = lba;
	made.desc.bdev = &made;
	*devp = &made;
	return 0;
}

struct udevice *dev_get_parent(const struct udevice *dev)
{
	TRUE(dev == &made);
	return &made_parent;
}

struct blk_desc *blk_get_devnum_by_uclass_id(enum uclass_id uclass_id, int devnum)
{
	if (uclass_id == UCLASS_QCOW2)
		return made.driver != NULL && devnum == made.desc.devnum ? &made.desc : NULL;
	EQ(uclass_id, UCLASS_VIRTIO);
	EQ(devnum, 3);
	return below_gone ? NULL : &below_dev.desc;
}

/* The device with the image: as strict about alignment and range as real drivers. */
unsigned long blk_dread(struct blk_desc *desc, lbaint_t start, lbaint_t blkcnt, void *buffer)
{
	TRUE(desc == &below_dev.desc);
	TRUE(blkcnt > 0);
	EQ((uintptr_t)buffer % ARCH_DMA_MINALIGN, 0);
	LE(PART_START, start);
	LE(start + blkcnt, PART_START + part_sectors);
	if (glue_storage_read(&storage, (size_t)start * GLUE_SECTOR, buffer,
	                      (size_t)blkcnt * GLUE_SECTOR) != 0)
		return (unsigned long)-EIO;
	return blkcnt;
}

int blk_get_device_part_str(const char *ifname, const char *dev_part_str,
                            struct blk_desc **dev_desc, struct disk_partition *info,
                            int allow_whole_dev)
{
	EQ(allow_whole_dev, 1);
	if (strcmp(ifname, "virtio") != 0 || strcmp(dev_part_str, "0:1") != 0)
		return -1;
	*dev_desc = &below_dev.desc;
	info->start = PART_START;
	info->size = part_sectors;
	info->blksz = GLUE_SECTOR;
	return 1;
}

ulong dectoul(const char *text, char **end)
{
	return strtoul(text, end, 10);
}

/* The arguments of the last call, with spaces between them. */
static char common_words[64];

int blk_common_cmd(int argc, char *const argv[], enum uclass_id uclass_id, int *cur_devnump)
{
	EQ(uclass_id, UCLASS_QCOW2);
	TRUE(cur_devnump != NULL);
	*common_words = '\0';
	for (int i = 0; i < argc; i++)
		strcat(strcat(common_words, argv[i]), " ");
	return CMD_RET_SUCCESS;
}

/*
 * ext4: the file is at ext4_map[] on the partition, in blocks of the file system; 0 is a hole. As
 * in U-Boot, one file can be open at a time.
 */
static struct ext2fs_node ext4_node = { &ext4_node, { 0, 0 } };
struct ext2fs_node *ext4fs_file;
static const long *ext4_map; /* NULL if the partition has another file system */
static int ext4_damaged_at = -1;
static unsigned ext4_caches, ext4_mounts;

int ext4fs_probe(struct blk_desc *desc, struct disk_partition *part)
{
	TRUE(desc == &below_dev.desc);
	EQ(part->start, PART_START);
	if (ext4_map == NULL)
		return -1;
	ext4_mounts++;
	return 0;
}

int ext4fs_open(const char *filename, loff_t *len)
{
	EQ(ext4_mounts, 1);
	if (strcmp(filename, "/dir/vm.q") != 0)
		return -1;
	ext4fs_file = &ext4_node;
	*len = ext4_node.inode.size;
	return 0;
}

void ext4fs_close(void)
{
	EQ(ext4_mounts--, 1);
	ext4fs_file = NULL;
}

long int read_allocated_block(struct ext2_inode *inode, int fileblock,
                              struct ext_block_cache *cache)
{
	TRUE(inode == &ext4_node.inode);
	TRUE(cache != NULL && ext4_caches == 1);
	return fileblock == ext4_damaged_at ? -EINVAL : ext4_map[fileblock];
}

void ext_cache_init(struct ext_block_cache *cache)
{
	cache->buf = NULL;
	ext4_caches++;
}

void ext_cache_fini(struct ext_block_cache *cache)
{
	TRUE(cache->buf == NULL);
	ext4_caches--;
}

void *uboot_malloc(size_t len)
{
	return glue_alloc(16, len);
}

void *uboot_calloc(size_t n, size_t len)
{
	return glue_zalloc(n * len);
}

void uboot_free(void *p)
{
	glue_release(p);
}

void *malloc_cache_aligned(size_t len)
{
	return glue_alloc(ARCH_DMA_MINALIGN, len);
}

/* ---- The tests ---- */

static void insert(const struct image_buf *file)
{
	size_t end = (PART_START + part_sectors + TAIL) * GLUE_SECTOR;

	below_dev.desc.uclass_id = UCLASS_VIRTIO;
	below_dev.desc.devnum = 3;
	below_dev.desc.blksz = GLUE_SECTOR;
	below_dev.desc.lba = PART_START + part_sectors + TAIL;
	glue_storage_init(&storage, file, PART_START * GLUE_SECTOR, end);
	glue_heap_reset();
}

static void eject(void)
{
	if (made_parent.driver != NULL) {
		EQ(device_remove(&made_parent, DM_REMOVE_NORMAL), 0);
		EQ(device_unbind(&made_parent), 0);
	}
	EQ(glue_heap.live, 0);
	glue_storage_free(&storage);
}

static int create_from(const char *path)
{
	struct disk_partition part = { PART_START, part_sectors, GLUE_SECTOR };
	struct udevice *dev = NULL;
	int ret = qcow2_blk_create(&below_dev.desc, &part, path, &dev);

	TRUE(ret != 0 || dev == &made);
	TRUE(ret == 0 || (made.driver == NULL && made_parent.driver == NULL));
	return ret;
}

static int create(void)
{
	return create_from(NULL);
}

static unsigned long read_made(lbaint_t start, lbaint_t n, void *buf)
{
	return ((const struct blk_ops *)made.driver->ops)->read(&made, start, n, buf);
}

/* Reads to guarded memory at any address and checks the content. */
static unsigned long read_good(lbaint_t start, lbaint_t n, const uint8_t *want)
{
	uint8_t *buf = glue_dest((size_t)n * GLUE_SECTOR);
	unsigned long got = read_made(start, n, buf);

	glue_dest_check();
	if (got == n)
		SAME(buf, want + (size_t)start * GLUE_SECTOR, (size_t)n * GLUE_SECTOR);
	return got;
}

static unsigned long read_disk(const struct glue_disk *disk)
{
	return read_good(0, (lbaint_t)disk->sectors, disk->want);
}

static void check_reads(const struct glue_disk *disk)
{
	static const lbaint_t steps[] = { 1, 3, 8, 64, 512 };

	insert(&disk->img.file);
	EQ(create(), 0);
	TRUE(made.probed);
	EQ(made.desc.lba, disk->sectors);
	EQ(made.desc.blksz, GLUE_SECTOR);
	EQ(made.desc.uclass_id, UCLASS_QCOW2);
	TEXT(made.desc.product, "qcow2");
	EQ(made_parent.driver->id, UCLASS_QCOW2);
	EQ(u_boot_uclass_qcow2.id, UCLASS_QCOW2);
	EQ(made.driver->id, UCLASS_BLK);
	for (size_t i = 0; i < COUNT(steps); i++) {
		for (lbaint_t at = 0, n; at < disk->sectors; at += n) {
			n = (lbaint_t)disk->sectors - at < steps[i] ? (lbaint_t)disk->sectors - at
			                                            : steps[i];
			EQ(read_good(at, n, disk->want), n);
		}
	}
	EQ(read_good((lbaint_t)disk->sectors, 0, disk->want), 0);
	eject();
}

static void reads_all(void **state)
{
	(void)state;
	glue_disk_reads(check_reads);
}

static void refuses_what_is_outside(void **state)
{
	uint8_t buf[2 * GLUE_SECTOR];
	struct glue_disk disk;

	(void)state;
	glue_disk_init(&disk);
	insert(&disk.img.file);
	EQ(create(), 0);
	EQ(read_made((lbaint_t)disk.sectors, 1, buf), (unsigned long)-EINVAL);
	EQ(read_made((lbaint_t)disk.sectors - 1, 2, buf), (unsigned long)-EINVAL);
	EQ(read_made(UINT32_MAX, 1, buf), (unsigned long)-EINVAL);
	EQ(read_made(1, UINT32_MAX, buf), (unsigned long)-EINVAL);
	eject();
	glue_disk_free(&disk);
}

/* Runs "qcow2 WORDS" as U-Boot does: the name of the subcommand is argv[0]. */
static int run(const char *words)
{
	char text[64], *argv[8];
	int argc = 0;

	LE(strlen(words) + 1, sizeof text);
	strcpy(text, words);
	argv[argc++] = (char[]){ "qcow2" };
	for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = word;
	for (struct cmd_tbl *cmd = u_boot_cmd_qcow2; cmd->name != NULL; cmd++) {
		if (strcmp(cmd->name, argv[1]) == 0 && argc - 1 <= cmd->maxargs)
			return cmd->cmd(cmd, 0, argc - 1, argv + 1);
	}
	return CMD_RET_USAGE;
}

static void command(void **state)
{
	struct glue_disk disk;

	(void)state;
	glue_disk_init(&disk);
	insert(&disk.img.file);
	EQ(run("create virtio"), CMD_RET_USAGE);
	EQ(run("create virtio 0:1 a b"), CMD_RET_USAGE);
	EQ(run("create virtio 0:2"), CMD_RET_FAILURE);
	EQ(run("create virtio 0:1"), CMD_RET_SUCCESS);
	TRUE(glue_printed("qcow2 1: the disk of virtio 0:1, 164864 bytes\n"));
	EQ(made.desc.lba, disk.sectors);
	EQ(run("part 1"), CMD_RET_SUCCESS);
	TEXT(common_words, "qcow2 part 1 ");
	EQ(run("destroy"), CMD_RET_USAGE);
	EQ(run("destroy x"), CMD_RET_USAGE);
	EQ(run("destroy 1x"), CMD_RET_USAGE);
	EQ(run("destroy 0"), CMD_RET_FAILURE);
	TRUE(glue_printed("qcow2: no device 0\n"));
	remove_fails = true;
	EQ(run("destroy 1"), CMD_RET_FAILURE);
	TRUE(glue_printed("qcow2: cannot remove device 1: error -16\n"));
	remove_fails = false;
	EQ(run("destroy 1"), CMD_RET_SUCCESS);
	TRUE(made.driver == NULL && made_parent.driver == NULL);
	EQ(glue_heap.live, 0);
	eject();
	image_put(&disk.img.file, 0, 0, 4);
	insert(&disk.img.file);
	EQ(run("create virtio 0:1"), CMD_RET_FAILURE);
	TRUE(glue_printed("qcow2: not a qcow2 image (byte 0)\n"));
	storage.fail_at = storage.calls + 1;
	EQ(run("create virtio 0:1"), CMD_RET_FAILURE);
	TRUE(glue_printed("qcow2: read error (byte 0)\n")); /* and nothing after it */
	below_dev.desc.blksz = 1000;
	EQ(run("create virtio 0:1"), CMD_RET_FAILURE);
	TRUE(glue_printed("qcow2: blocks of this length are not supported\n"));
	below_dev.desc.blksz = GLUE_SECTOR;
	eject();
	glue_disk_free(&disk);
}

/* ---- The image is a file ---- */

/* Puts the image as file VM.Q on a FAT volume, in more runs than are tried first. */
static void insert_fat(const struct glue_disk *disk, struct efi_volume *volume)
{
	struct image_buf bytes = { 0 };

	memset(volume, 0, sizeof *volume);
	efi_volume_add(volume, "vm.q", disk->img.file.data, disk->img.file.len);
	efi_volume_add(volume, "other.q", disk->img.file.data, disk->img.file.len);
	efi_volume_fat(volume);
	part_sectors = FAT_SECTORS;
	bytes.data = volume->blocks;
	bytes.len = volume->len;
	insert(&bytes);
}

static void eject_fat(struct efi_volume *volume)
{
	eject();
	part_sectors = PART_SECTORS;
	efi_volume_free(volume);
}

static void reads_a_file_on_fat(void **state)
{
	char too_long[300] = "";
	struct efi_volume volume;
	struct glue_disk disk;

	(void)state;
	glue_disk_init(&disk);
	insert_fat(&disk, &volume);
	EQ(run("create virtio 0:1 /VM.q"), CMD_RET_SUCCESS);
	TRUE(glue_printed("qcow2 1: the disk of virtio 0:1 /VM.q, 164864 bytes\n"));
	EQ(read_disk(&disk), disk.sectors);
	EQ(run("destroy 1"), CMD_RET_SUCCESS);
	EQ(create_from("vm.q"), 0);
	EQ(read_disk(&disk), disk.sectors);
	EQ(run("destroy 1"), CMD_RET_SUCCESS);
	EQ(run("create virtio 0:1 dir/vm.q"), CMD_RET_FAILURE);
	TRUE(glue_printed("qcow2: no such file\n"));
	EQ(create_from("v\xc3\xa4.q"), -ENAMETOOLONG);
	EQ(create_from(memset(too_long, 'x', sizeof too_long - 1)), -ENAMETOOLONG);
	eject_fat(&volume);

	/* Its clusters end too early. */
	insert_fat(&disk, &volume);
	efi_volume_damage(&volume);
	memcpy(storage.bytes + PART_START * GLUE_SECTOR, volume.blocks, volume.len);
	EQ(create_from("vm.q"), -EIO);
	eject_fat(&volume);
	glue_disk_free(&disk);
}

static bool fat_heap_fault(const struct glue_disk *disk, unsigned n)
{
	struct efi_volume volume;
	bool fired;
	int ret;

	test_case("allocation %u fails", n);
	insert_fat(disk, &volume);
	glue_heap.fail_at = n;
	ret = create_from("vm.q");
	fired = glue_heap.calls >= n;
	TRUE(ret == 0 || (fired && ret == -ENOMEM));
	if (ret == 0)
		EQ(read_disk(disk), disk->sectors);
	eject_fat(&volume);
	return fired;
}

static void heap_fails_with_a_file(void **state)
{
	struct glue_disk disk;
	unsigned n = 1;

	(void)state;
	glue_disk_init(&disk);
	while (fat_heap_fault(&disk, n))
		n++;
	LE(10, n);
	glue_disk_free(&disk);
}

enum { EXT4_BLOCK = 1 << UBOOT_EXT4_BLOCK_BITS, EXT4_BLOCKS = 300 };

/* Scatters the image over the partition as ext4 might, from the end to the beginning. */
static void insert_ext4(const struct glue_disk *disk, long map[EXT4_BLOCKS])
{
	const struct image_buf *file = &disk->img.file;
	size_t n = (file->len + EXT4_BLOCK - 1) / EXT4_BLOCK;
	struct image_buf bytes = { 0 };
	uint8_t *part = calloc(PART_SECTORS, GLUE_SECTOR);

	TRUE(part != NULL);
	LE(n, EXT4_BLOCKS);
	memset(map, 0, EXT4_BLOCKS * sizeof *map);
	for (size_t i = 0; i < n; i++) {
		size_t left = file->len - i * EXT4_BLOCK;
		size_t len = left < EXT4_BLOCK ? left : EXT4_BLOCK;
		bool zero = true;

		for (size_t k = 0; k < len; k++)
			zero = zero && file->data[i * EXT4_BLOCK + k] == 0;
		if (zero)
			continue;
		map[i] = (long)(EXT4_BLOCKS + 2 - (i ^ 3));
		memcpy(part + (size_t)map[i] * EXT4_BLOCK, file->data + i * EXT4_BLOCK, len);
	}
	ext4_map = map;
	ext4_node.inode.size = (u32)file->len;
	bytes.data = part;
	bytes.len = (size_t)PART_SECTORS * GLUE_SECTOR;
	insert(&bytes);
	free(part);
}

static void reads_a_file_on_ext4(void **state)
{
	long map[EXT4_BLOCKS];
	struct glue_disk disk;

	(void)state;
	glue_disk_init(&disk);
	insert_ext4(&disk, map);
	EQ(run("create virtio 0:1 /dir/vm.q"), CMD_RET_SUCCESS);
	EQ(ext4_mounts, 0);
	EQ(read_disk(&disk), disk.sectors);
	EQ(run("destroy 1"), CMD_RET_SUCCESS);
	EQ(create_from("/other.q"), -ENOENT);
	ext4_damaged_at = 5;
	EQ(run("create virtio 0:1 /dir/vm.q"), CMD_RET_FAILURE);
	TRUE(glue_printed("qcow2: read error\n"));
	ext4_damaged_at = -1;
	below_dev.desc.blksz = 2 * EXT4_BLOCK;
	EQ(run("create virtio 0:1 /dir/vm.q"), CMD_RET_FAILURE);
	TRUE(glue_printed("qcow2: blocks of this length are not supported\n"));
	below_dev.desc.blksz = GLUE_SECTOR;
	ext4_node.inode.size_high = 1; /* a size that the partition cannot have */
	EQ(create_from("/dir/vm.q"), -EFBIG);
	ext4_node.inode.size_high = 0;
	ext4_map = NULL;
	EQ(run("create virtio 0:1 /dir/vm.q"), CMD_RET_FAILURE);
	TRUE(glue_printed("qcow2: neither a FAT nor an ext4 file system\n"));
	EQ(ext4_mounts, 0);
	EQ(ext4_caches, 0);
	eject();
	glue_disk_free(&disk);
}

/* ---- The reader takes what memory the heap has ---- */

static size_t heap_limit, heap_asked;

static void *limited_alloc(size_t len)
{
	heap_asked = len;
	return len <= heap_limit ? glue_alloc(16, len) : NULL;
}

static void takes_the_memory_that_is_left(void **state)
{
	uint8_t want[4096], got[4096];
	struct qcow2_image image;
	struct qcow2_reader reader;
	struct test_image s = { 0 };
	unsigned starts = 0;
	void *memory;

	(void)state;
	image_init(&s.img, 3, 16, 4 * MIB);
	image_add(&s.img, &s.img.active, 3, IMAGE_COMPRESSED);
	test_image_open(&s);
	image = s.image;
	image_expect(&s.img, &s.img.active, 3 << 16, want, sizeof want);
	heap_limit = SIZE_MAX;
	glue_heap_reset();
	for (; port_heap_reader_start(&reader, &image, limited_alloc, &memory) == QCOW2_OK;
	     starts++) {
		EQ(qcow2_reader_read(&reader, 3 << 16, got, sizeof got), QCOW2_OK);
		SAME(got, want, sizeof got);
		heap_limit = heap_asked - 1;
		glue_release(memory);
	}
	TRUE(memory == NULL);
	EQ(starts, 3);
	LE(heap_limit, QCOW2_READER_MEMORY_DEFLATE); /* the last one was the least there is */
	glue_heap_reset();
	test_image_free(&s);
}

static void refuses_images(void **state)
{
	struct glue_disk disk;
	struct image img;

	(void)state;
	glue_disk_init(&disk);
	image_put(&disk.img.file, 0, 0, 4);
	insert(&disk.img.file);
	EQ(create(), -EBADMSG);
	eject();
	glue_disk_free(&disk);

	glue_overlay_init(&img);
	insert(&img.file);
	EQ(create(), -EBADMSG);
	TRUE(glue_printed("qcow2: needs its backing file (byte 0)\n"));
	eject();
	image_free(&img);

	image_init(&img, 3, 16, 4 * TIB); /* more sectors than a 32-bit lbaint_t can count */
	image_finish(&img);
	insert(&img.file);
	EQ(create(), -EFBIG);
	eject();
	image_free(&img);
}

static void damage_is_an_error(void **state)
{
	struct glue_disk disk;

	(void)state;
	glue_disk_init(&disk);
	glue_disk_damage(&disk);
	insert(&disk.img.file);
	EQ(create(), 0);
	EQ(read_good(3 * 8, 1, disk.want), (unsigned long)-EIO);
	EQ(read_good(0, 1, disk.want), 1);
	eject();
	glue_disk_free(&disk);
}

/*
 * Lets the n-th read of the storage fail, while the disk is created or read. The port must return
 * an error as long as the storage fails, and work afterwards. Returns false if there is no such
 * read.
 */
static bool storage_fault(const struct glue_disk *disk, unsigned n, bool persistent)
{
	unsigned tries = persistent ? 3 : 1;
	unsigned long got = 0;
	int created = -1;
	bool fired;

	test_case("storage read %u fails%s", n, persistent ? " and all after it" : "");
	insert(&disk->img.file);
	storage.fail_at = n;
	storage.persistent = persistent;
	for (unsigned i = 0; i < tries && created != 0; i++) {
		created = create();
		TRUE(created == -EBADMSG || (created == 0 && i == 0));
		EQ(glue_printed("qcow2: read error"), created != 0);
	}
	for (unsigned i = 0; i < tries && got != disk->sectors && created == 0; i++) {
		got = read_disk(disk);
		TRUE(got == (unsigned long)-EIO || (got == disk->sectors && i == 0));
		EQ(glue_printed("qcow2: read error"), got != disk->sectors);
	}
	fired = storage.calls >= n;
	EQ(fired, got != disk->sectors); /* no failure is ignored */
	storage.fail_at = 0;
	if (created != 0)
		EQ(create(), 0);
	EQ(read_disk(disk), disk->sectors);
	eject();
	return fired;
}

static void storage_fails(void **state)
{
	(void)state;
	glue_storage_fails(storage_fault);
}

/*
 * The device with the image disappears and returns, another one takes its number, or another
 * hardware partition is selected.
 */
static void device_goes_away(void **state)
{
	struct glue_disk disk;

	(void)state;
	glue_disk_init(&disk);
	insert(&disk.img.file);
	EQ(create(), 0);
	below_gone = true;
	EQ(read_disk(&disk), (unsigned long)-EIO);
	TRUE(glue_printed("qcow2: read error"));
	below_gone = false;
	below_dev.desc.blksz = 4096;
	EQ(read_disk(&disk), (unsigned long)-EIO);
	below_dev.desc.blksz = GLUE_SECTOR;
	below_dev.desc.lba++;
	EQ(read_disk(&disk), (unsigned long)-EIO);
	below_dev.desc.lba--;
	below_dev.desc.hwpart = 2;
	EQ(read_disk(&disk), (unsigned long)-EIO);
	below_dev.desc.hwpart = 0;
	EQ(read_disk(&disk), disk.sectors);
	eject();
	insert(&disk.img.file);
	below_gone = true;
	EQ(create(), -EBADMSG);
	TRUE(glue_printed("qcow2: read error (byte 0)\n"));
	below_gone = false;
	eject();
	glue_disk_free(&disk);
}

/* Lets the n-th allocation fail. Returns true if the disk was still created. */
static bool heap_fault(const struct glue_disk *disk, unsigned n, bool persistent, bool *fired)
{
	int created;

	test_case("allocation %u fails%s", n, persistent ? " and all after it" : "");
	insert(&disk->img.file);
	glue_heap.fail_at = n;
	glue_heap.persistent = persistent;
	created = create();
	*fired = glue_heap.calls >= n;
	TRUE(created == 0 || created == -ENOMEM);
	glue_heap.fail_at = 0;
	if (created != 0)
		EQ(create(), 0);
	EQ(read_disk(disk), disk->sectors);
	eject();
	return created == 0 && *fired;
}

static void heap_fails(void **state)
{
	(void)state;
	glue_heap_fails(1, heap_fault);
}

static void device_fails(void **state)
{
	struct glue_disk disk;

	(void)state;
	glue_disk_init(&disk);
	insert(&disk.img.file);
	bind_fails = true;
	EQ(create(), -ENOENT);
	bind_fails = false;
	create_fails = true;
	EQ(create(), -ENOSPC);
	create_fails = false;
	probe_fails = true;
	EQ(create(), -EREMOTEIO);
	probe_fails = false;
	efi_fails = true;
	EQ(create(), 0);
	TRUE(made.probed);
	efi_fails = false;
	eject();
	insert(&disk.img.file);
	create_fails = true;
	EQ(run("create virtio 0:1"), CMD_RET_FAILURE);
	TRUE(glue_printed("qcow2: error -28\n"));
	create_fails = false;
	eject();
	glue_disk_free(&disk);
}

/* A device that cannot be unbound stays without its disk. Reads fail, and it can be removed later.
 */
static void device_stays(void **state)
{
	struct disk_partition part = { PART_START, part_sectors, GLUE_SECTOR };
	uint8_t sector[GLUE_SECTOR];
	struct udevice *dev;
	struct glue_disk disk;

	(void)state;
	glue_disk_init(&disk);
	insert(&disk.img.file);
	EQ(create(), 0);
	child_stays = true;
	for (int i = 0; i < 2; i++) {
		EQ(run("destroy 1"), CMD_RET_FAILURE);
		TRUE(glue_printed("qcow2: cannot remove device 1: error -16\n"));
		EQ(read_made(0, 1, sector), (unsigned long)-ENODEV);
	}
	child_stays = false;
	EQ(run("destroy 1"), CMD_RET_SUCCESS);
	EQ(glue_heap.live, 0);

	/* The probe of a new device fails, and it cannot be removed either. */
	probe_fails = child_stays = true;
	EQ(qcow2_blk_create(&below_dev.desc, &part, NULL, &dev), -EREMOTEIO);
	probe_fails = child_stays = false;
	EQ(read_made(0, 1, sector), (unsigned long)-ENODEV);
	EQ(run("destroy 1"), CMD_RET_SUCCESS);
	eject();
	glue_disk_free(&disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_all),
		cmocka_unit_test(refuses_what_is_outside),
		cmocka_unit_test(command),
		cmocka_unit_test(refuses_images),
		cmocka_unit_test(storage_fails),
		cmocka_unit_test(heap_fails),
		cmocka_unit_test(device_fails),
		cmocka_unit_test(device_stays),
		cmocka_unit_test(damage_is_an_error),
		cmocka_unit_test(device_goes_away),
		cmocka_unit_test(reads_a_file_on_fat),
		cmocka_unit_test(heap_fails_with_a_file),
		cmocka_unit_test(reads_a_file_on_ext4),
		cmocka_unit_test(takes_the_memory_that_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
