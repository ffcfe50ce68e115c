/* SPDX-License-Identifier: MIT */
/* Tests port/uboot over a model of the block layer: the image fills a partition of a disk. */
#include "glue.h"

#include <string.h>

#include "glue/uboot.h"
#undef malloc
#undef calloc
#undef free
#undef printf

extern struct driver u_boot_driver_qcow2_blk, u_boot_driver_qcow2_image;
extern struct uclass_driver u_boot_uclass_qcow2;
extern struct cmd_tbl u_boot_cmd_qcow2;

int qcow2_blk_create(struct blk_desc *below, const struct disk_partition *part,
                     struct udevice **devp);

enum { PART_START = 77, PART_SECTORS = 700, TAIL = 10 };

/* ---- The model of U-Boot ---- */

struct udevice {
	const struct driver *driver;
	struct blk_desc desc;
	void *plat;
	bool probed;
};

static struct udevice root, below_dev, made_parent, made;
static bool bind_fails, probe_fails, create_fails, efi_fails, below_gone;
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
	made.probed = false;
	made_parent.probed = false;
	return 0;
}

/* Unbinds the parent with its child, but not if it is active. */
int device_unbind(struct udevice *dev)
{
	TRUE(dev == &made_parent);
	if (dev->probed)
		return -EINVAL;
	if (made.driver != NULL) {
		EQ(made.driver->unbind(&made), 0);
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

struct blk_desc *blk_get_devnum_by_uclass_id(enum uclass_id uclass_id, int devnum)
{
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
	LE(start + blkcnt, PART_START + PART_SECTORS);
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
	info->size = PART_SECTORS;
	info->blksz = GLUE_SECTOR;
	return 1;
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
	size_t end = (PART_START + PART_SECTORS + TAIL) * GLUE_SECTOR;

	below_dev.desc.uclass_id = UCLASS_VIRTIO;
	below_dev.desc.devnum = 3;
	below_dev.desc.blksz = GLUE_SECTOR;
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

static int create(void)
{
	const struct disk_partition part = { PART_START, PART_SECTORS, GLUE_SECTOR };
	struct udevice *dev = NULL;
	int ret = qcow2_blk_create(&below_dev.desc, &part, &dev);

	TRUE(ret != 0 || dev == &made);
	TRUE(ret == 0 || (made.driver == NULL && made_parent.driver == NULL));
	return ret;
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

static void command(void **state)
{
	char name[] = "qcow2", interface[] = "virtio", device[] = "0:1", other[] = "0:2";
	char *good[] = { name, interface, device };
	char *bad[] = { name, interface, other };
	struct glue_disk disk;

	(void)state;
	glue_disk_init(&disk);
	insert(&disk.img.file);
	EQ(u_boot_cmd_qcow2.maxargs, 3);
	EQ(u_boot_cmd_qcow2.cmd(&u_boot_cmd_qcow2, 0, 2, good), CMD_RET_USAGE);
	EQ(u_boot_cmd_qcow2.cmd(&u_boot_cmd_qcow2, 0, 3, bad), CMD_RET_FAILURE);
	EQ(u_boot_cmd_qcow2.cmd(&u_boot_cmd_qcow2, 0, 3, good), CMD_RET_SUCCESS);
	TRUE(glue_printed("qcow2 1: the disk of virtio 0:1, 164864 bytes\n"));
	EQ(made.desc.lba, disk.sectors);
	eject();
	storage.bytes = NULL;
	image_put(&disk.img.file, 0, 0, 4);
	insert(&disk.img.file);
	EQ(u_boot_cmd_qcow2.cmd(&u_boot_cmd_qcow2, 0, 3, good), CMD_RET_FAILURE);
	eject();
	glue_disk_free(&disk);
}

static void refuses_images(void **state)
{
	struct glue_disk disk;
	struct image img;

	(void)state;
	glue_disk_init(&disk);
	image_put(&disk.img.file, 0, 0, 4);
	insert(&disk.img.file);
	EQ(create(), -EINVAL);
	eject();
	glue_disk_free(&disk);

	glue_overlay_init(&img);
	insert(&img.file);
	EQ(create(), -EINVAL);
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
		TRUE(created == -EIO || (created == 0 && i == 0));
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

/* The device with the image disappears and returns, or another one takes its number. */
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
	EQ(read_disk(&disk), disk.sectors);
	eject();
	insert(&disk.img.file);
	below_gone = true;
	EQ(create(), -ENODEV);
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
	glue_disk_free(&disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_all),        cmocka_unit_test(refuses_what_is_outside),
		cmocka_unit_test(command),          cmocka_unit_test(refuses_images),
		cmocka_unit_test(storage_fails),    cmocka_unit_test(heap_fails),
		cmocka_unit_test(device_fails),     cmocka_unit_test(damage_is_an_error),
		cmocka_unit_test(device_goes_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
