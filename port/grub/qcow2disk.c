/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * GRUB: a disk driver and a command for the disks in qcow2 images:
 *	grub> insmod qcow2disk
 *	grub> qcow2 vm (hd0,gpt2)/vm.qcow2
 *	grub> ls (vm,gpt1)/
 * README.md explains how to build it for a distribution's GRUB or in GRUB's tree.
 * tests/glue/test_grub.c runs it against a model of GRUB.
 */
#include <grub/command.h>
#include <grub/disk.h>
#include <grub/dl.h>
#include <grub/err.h>
#include <grub/file.h>
#include <grub/i18n.h>
#include <grub/misc.h>
#include <grub/mm.h>

#include "heap_reader.h"

/* GRUB loads only modules that declare a GPL licence; the MIT licence allows the combination. */
GRUB_MOD_LICENSE("GPLv3+");

enum {
	/* Not in GRUB's list of drivers, so that GRUB needs no change. It identifies cached
	   sectors. */
	DRIVER_ID = 0x71636f77,
	MAX_READ_BITS = 24 /* log2 of the most bytes that GRUB shall ask for at once */
};

struct qcow2_disk {
	struct qcow2_disk *next;
	char *name;
	unsigned long id;  /* no two disks have the same, even if one is gone */
	unsigned n_open;   /* how often GRUB has it open */
	grub_file_t below; /* the image */
	struct qcow2_image image;
	struct qcow2_reader reader;
	void *memory;
};

static grub_dl_t module;
static grub_command_t command;
static struct qcow2_disk *disks;
static unsigned long next_id;

static int below_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	grub_file_t below = ctx;
	char *to = buf;

	grub_file_seek(below, pos);
	while (len > 0) {
		grub_ssize_t n = grub_file_read(below, to, len);

		if (n <= 0)
			return GRUB_ERR_READ_ERROR;
		to += n;
		len -= (size_t)n;
	}
	return 0;
}

static const struct qcow2_io_ops below_ops = { below_read };

/* Reports an error, unless a failed read has already set grub_errno. */
static grub_err_t complain(const struct qcow2_error *error)
{
	if (error->status != QCOW2_E_IO || grub_errno == GRUB_ERR_NONE)
		grub_error(GRUB_ERR_BAD_DEVICE, N_("qcow2: %s (byte %llu)"),
		           qcow2_status_text(error->status), (unsigned long long)error->pos);
	return grub_errno;
}

/* The reader takes less memory if this fails. */
static void *try_alloc(size_t len)
{
	void *p = grub_malloc(len);

	if (p == NULL)
		grub_errno = GRUB_ERR_NONE;
	return p;
}

static struct qcow2_disk **find(const char *name)
{
	struct qcow2_disk **at = &disks;

	while (*at != NULL && grub_strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static void free_disk(struct qcow2_disk *disk)
{
	if (disk->below != NULL)
		grub_file_close(disk->below);
	grub_free(disk->memory);
	grub_free(disk->name);
	grub_free(disk);
}

static grub_err_t open_image(struct qcow2_disk *disk, const char *path)
{
	struct qcow2_io io = { &below_ops, NULL, 0 };
	struct qcow2_error error;

	disk->below = grub_file_open(path, GRUB_FILE_TYPE_LOOPBACK | GRUB_FILE_TYPE_NO_DECOMPRESS);
	if (disk->below == NULL)
		return grub_errno;
	io.ctx = disk->below;
	io.size = grub_file_size(disk->below);
	if (io.size == GRUB_FILE_SIZE_UNKNOWN)
		return grub_error(GRUB_ERR_BAD_DEVICE,
		                  N_("qcow2: the size of the file is unknown"));
	if (qcow2_image_open(&disk->image, &io, 0, &error) != QCOW2_OK)
		return complain(&error);
	if (port_heap_reader_start(&disk->reader, &disk->image, try_alloc, &disk->memory) ==
	    QCOW2_OK)
		return GRUB_ERR_NONE;
	if (disk->memory == NULL)
		return grub_error(GRUB_ERR_OUT_OF_MEMORY, N_("out of memory"));
	return complain(&disk->reader.error);
}

/*
 * GRUB asks the driver that was registered last first, so a disk of ours would hide another one of
 * its name. What follows a comma in a name is a partition.
 */
static grub_err_t check_name(const char *name)
{
	grub_disk_t other;

	if (grub_strchr(name, ',') != NULL)
		return grub_error(GRUB_ERR_BAD_ARGUMENT, N_("qcow2: a comma in the name `%s'"),
		                  name);
	other = grub_disk_open(name);
	if (other != NULL) {
		grub_disk_close(other);
		return grub_error(GRUB_ERR_BAD_ARGUMENT, N_("qcow2: `%s' exists already"), name);
	}
	if (grub_errno == GRUB_ERR_UNKNOWN_DEVICE)
		grub_errno = GRUB_ERR_NONE;
	return grub_errno;
}

static grub_err_t create(const char *name, const char *path)
{
	struct qcow2_disk *disk;
	grub_err_t err = check_name(name);

	if (err != GRUB_ERR_NONE)
		return err;
	disk = grub_zalloc(sizeof *disk);
	if (disk == NULL)
		return grub_errno;
	disk->name = grub_strdup(name);
	err = disk->name != NULL ? open_image(disk, path) : grub_errno;
	if (err != GRUB_ERR_NONE) {
		free_disk(disk);
		return grub_errno = err;
	}
	disk->id = next_id++;
	disk->next = disks;
	disks = disk;
	grub_dl_ref(module);
	return GRUB_ERR_NONE;
}

static grub_err_t remove_disk(const char *name)
{
	struct qcow2_disk **at = find(name);
	struct qcow2_disk *disk = *at;

	if (disk == NULL)
		return grub_error(GRUB_ERR_BAD_DEVICE, N_("qcow2: no disk `%s'"), name);
	if (disk->n_open != 0)
		return grub_error(GRUB_ERR_BAD_DEVICE, N_("qcow2: `%s' is in use"), name);
	*at = disk->next;
	free_disk(disk);
	grub_dl_unref(module);
	return GRUB_ERR_NONE;
}

static grub_err_t qcow2_command(grub_command_t cmd, int argc, char **args)
{
	(void)cmd;
	if (argc != 2)
		return grub_error(GRUB_ERR_BAD_ARGUMENT, N_("two arguments expected"));
	return grub_strcmp(args[0], "-d") == 0 ? remove_disk(args[1]) : create(args[0], args[1]);
}

static int disk_iterate(grub_disk_dev_iterate_hook_t hook, void *hook_data, grub_disk_pull_t pull)
{
	struct qcow2_disk *disk;

	if (pull != GRUB_DISK_PULL_NONE)
		return 0;
	for (disk = disks; disk != NULL; disk = disk->next)
		if (hook(disk->name, hook_data))
			return 1;
	return 0;
}

static grub_err_t disk_open(const char *name, grub_disk_t grub)
{
	struct qcow2_disk *disk = *find(name);

	if (disk == NULL)
		return grub_error(GRUB_ERR_UNKNOWN_DEVICE, N_("disk `%s' not found"), name);
	disk->n_open++;
	grub->total_sectors = disk->image.size >> GRUB_DISK_SECTOR_BITS;
	if (grub->total_sectors << GRUB_DISK_SECTOR_BITS != disk->image.size)
		grub->total_sectors++;
	grub->max_agglomerate = 1u
	                        << (MAX_READ_BITS - GRUB_DISK_SECTOR_BITS - GRUB_DISK_CACHE_BITS);
	grub->id = disk->id;
	grub->data = disk;
	return GRUB_ERR_NONE;
}

static void disk_close(grub_disk_t grub)
{
	struct qcow2_disk *disk = grub->data;

	disk->n_open--;
}

/* GRUB asks only for sectors of the disk, the last of which may be cut. */
static grub_err_t disk_read(grub_disk_t grub, grub_disk_addr_t sector, grub_size_t n, char *buf)
{
	struct qcow2_disk *disk = grub->data;
	uint64_t off = (uint64_t)sector << GRUB_DISK_SECTOR_BITS;
	size_t len = (size_t)n << GRUB_DISK_SECTOR_BITS;
	size_t there = len;

	if (off >= disk->image.size)
		return grub_error(GRUB_ERR_OUT_OF_RANGE, N_("qcow2: past the end of `%s'"),
		                  disk->name);
	if (there > disk->image.size - off)
		there = (size_t)(disk->image.size - off);
	if (qcow2_reader_read(&disk->reader, off, buf, there) != QCOW2_OK)
		return complain(&disk->reader.error);
	grub_memset(buf + there, 0, len - there);
	return GRUB_ERR_NONE;
}

static grub_err_t disk_write(grub_disk_t grub, grub_disk_addr_t sector, grub_size_t n,
                             const char *buf)
{
	(void)grub;
	(void)sector;
	(void)n;
	(void)buf;
	return grub_error(GRUB_ERR_NOT_IMPLEMENTED_YET, N_("qcow2: disks are read-only"));
}

static struct grub_disk_dev driver = {
	.name = "qcow2",
	.id = (enum grub_disk_dev_id)DRIVER_ID,
	.disk_iterate = disk_iterate,
	.disk_open = disk_open,
	.disk_close = disk_close,
	.disk_read = disk_read,
	.disk_write = disk_write,
};

/*
 * If the module is loaded again, its disks get the same numbers again, and GRUB must not take
 * sectors for theirs that it still has of the disks before.
 */
static void forget_sectors(void)
{
	struct grub_disk_cache *cache = grub_disk_cache_table;

	for (; cache < grub_disk_cache_table + GRUB_DISK_CACHE_NUM; cache++) {
		if (cache->dev_id == driver.id && cache->data != NULL) {
			grub_free(cache->data);
			cache->data = NULL;
		}
	}
}

GRUB_MOD_INIT(qcow2disk)
{
	module = mod;
	command = grub_register_command("qcow2", qcow2_command, N_("NAME FILE | -d NAME"),
	                                N_("Make a disk of the content of a qcow2 image."));
	grub_disk_dev_register(&driver);
}

GRUB_MOD_FINI(qcow2disk)
{
	grub_unregister_command(command);
	grub_disk_dev_unregister(&driver);
	forget_sectors();
}
