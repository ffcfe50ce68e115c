/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* Tests port/grub over a model of GRUB's files, disks and commands. */
#include "glue.h"

#include <stdio.h>
#include <string.h>

#include "glue/grub.h"

void grub_mod_init_qcow2disk(grub_dl_t mod);
void grub_mod_fini_qcow2disk(void);

/* ---- The model of GRUB ---- */

struct grub_command {
	grub_command_func_t func;
};

struct grub_dl {
	int refs;
};

static struct grub_command command;
static struct grub_dl module;
static struct grub_disk_dev *driver;
static struct glue_storage storage;
static char message[200];
static unsigned open_files;
static size_t piece;      /* the most bytes that one read returns; 0 for no limit */
static bool ends_early;   /* reads return 0 bytes, without an error */
static bool size_unknown; /* as of a file that is decompressed */

grub_err_t grub_errno;
struct grub_disk_cache grub_disk_cache_table[GRUB_DISK_CACHE_NUM];

grub_err_t grub_error(grub_err_t n, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(message, sizeof message, format, args);
	va_end(args);
	return grub_errno = n;
}

void *grub_malloc(grub_size_t len)
{
	void *p = glue_alloc(16, len);

	if (p == NULL)
		grub_error(GRUB_ERR_OUT_OF_MEMORY, "out of memory");
	return p;
}

void *grub_zalloc(grub_size_t len)
{
	void *p = grub_malloc(len);

	return p != NULL ? memset(p, 0, len) : NULL;
}

void grub_free(void *p)
{
	glue_release(p);
}

char *grub_strdup(const char *text)
{
	size_t len = strlen(text) + 1;
	char *p = grub_malloc(len);

	return p != NULL ? memcpy(p, text, len) : NULL;
}

int grub_strcmp(const char *a, const char *b)
{
	return strcmp(a, b);
}

char *grub_strchr(const char *text, int c)
{
	return strchr(text, c);
}

void *grub_memset(void *p, int byte, grub_size_t len)
{
	return memset(p, byte, len);
}

grub_file_t grub_file_open(const char *name, int type)
{
	grub_file_t file;

	EQ(type, GRUB_FILE_TYPE_LOOPBACK | GRUB_FILE_TYPE_NO_DECOMPRESS);
	if (strcmp(name, "(hd0)/vm.q") != 0) {
		grub_error(GRUB_ERR_FILE_NOT_FOUND, "file `%s' not found", name);
		return NULL;
	}
	file = grub_zalloc(sizeof *file);
	if (file == NULL)
		return NULL;
	file->size = size_unknown ? GRUB_FILE_SIZE_UNKNOWN : storage.len;
	open_files++;
	return file;
}

grub_ssize_t grub_file_read(grub_file_t file, void *buf, grub_size_t len)
{
	LE(file->offset, file->size);
	LE(len, file->size - file->offset);
	if (piece != 0 && len > piece)
		len = piece;
	if (ends_early)
		return 0;
	if (glue_storage_read(&storage, (size_t)file->offset, buf, len) != 0) {
		/* A status that the port itself never sets: the test knows whose error it is. */
		grub_error(GRUB_ERR_READ_ERROR, "the disk is broken");
		return -1;
	}
	file->offset += len;
	return (grub_ssize_t)len;
}

grub_off_t grub_file_seek(grub_file_t file, grub_off_t offset)
{
	grub_off_t old = file->offset;

	LE(offset, file->size);
	file->offset = offset;
	return old;
}

grub_err_t grub_file_close(grub_file_t file)
{
	open_files--;
	grub_free(file);
	return grub_errno;
}

void grub_disk_dev_register(struct grub_disk_dev *dev)
{
	TEXT(dev->name, "qcow2");
	TRUE((int)dev->id > 255); /* none of GRUB's */
	driver = dev;
}

void grub_disk_dev_unregister(struct grub_disk_dev *dev)
{
	TRUE(dev == driver);
	driver = NULL;
}

/* The disks are those of the driver, and then one that GRUB has itself. */
grub_disk_t grub_disk_open(const char *name)
{
	struct grub_disk *disk = grub_zalloc(sizeof *disk);
	grub_err_t err;

	if (disk == NULL)
		return NULL;
	err = driver->disk_open(name, disk);
	if (err == GRUB_ERR_NONE || strcmp(name, "hd0") == 0) {
		grub_errno = GRUB_ERR_NONE;
		return disk;
	}
	if (strcmp(name, "fd0") == 0)
		grub_error(GRUB_ERR_BAD_DEVICE, "fd0 cannot get C/H/S values");
	grub_free(disk);
	return NULL;
}

void grub_disk_close(grub_disk_t disk)
{
	if (disk->data != NULL) /* it is the driver's */
		driver->disk_close(disk);
	grub_free(disk);
}

/* Adds a sector to the cache. */
static void cache(size_t at, enum grub_disk_dev_id dev_id)
{
	grub_disk_cache_table[at].dev_id = dev_id;
	grub_disk_cache_table[at].data = grub_malloc(1);
}

grub_command_t grub_register_command(const char *name, grub_command_func_t func,
                                     const char *summary, const char *description)
{
	TEXT(name, "qcow2");
	TRUE(*summary != '\0' && *description != '\0');
	command.func = func;
	return &command;
}

void grub_unregister_command(grub_command_t cmd)
{
	TRUE(cmd == &command);
	command.func = NULL;
}

int grub_dl_ref(grub_dl_t mod)
{
	TRUE(mod == &module);
	return ++mod->refs;
}

int grub_dl_unref(grub_dl_t mod)
{
	TRUE(mod == &module);
	return --mod->refs;
}

/* Runs "qcow2 A B"; an argument may be NULL. */
static grub_err_t run(const char *a, const char *b)
{
	char texts[2][40] = { "", "" }, *args[] = { texts[0], texts[1] };
	int argc = (a != NULL) + (b != NULL);
	grub_err_t err;

	snprintf(texts[0], sizeof texts[0], "%s", a != NULL ? a : "");
	snprintf(texts[1], sizeof texts[1], "%s", b != NULL ? b : "");
	*message = '\0';
	grub_errno = GRUB_ERR_NONE;
	err = command.func(&command, argc, args);
	EQ(err, grub_errno);
	return err;
}

static grub_err_t create(void)
{
	return run("vm", "(hd0)/vm.q");
}

/* ---- The tests ---- */

static void insert(const struct image_buf *file)
{
	glue_storage_init(&storage, file, 0, file->len);
	glue_heap_reset();
	grub_mod_init_qcow2disk(&module);
	TRUE(driver != NULL && command.func != NULL);
}

/* GRUB unloads a module only if nothing holds it. */
static void eject(void)
{
	EQ(module.refs, 0);
	EQ(open_files, 0);
	EQ(glue_heap.live, 0);
	grub_mod_fini_qcow2disk();
	TRUE(driver == NULL && command.func == NULL);
	glue_storage_free(&storage);
}

/* Reads sectors to guarded memory and checks the content. */
static grub_err_t read_good(struct grub_disk *grub, size_t sector, size_t n, const uint8_t *want)
{
	uint8_t *buf = glue_dest(n * GLUE_SECTOR);
	grub_err_t err;

	grub_errno = GRUB_ERR_NONE;
	err = driver->disk_read(grub, sector, n, (char *)buf);
	EQ(err, grub_errno);
	glue_dest_check();
	if (err == GRUB_ERR_NONE)
		SAME(buf, want + sector * GLUE_SECTOR, n * GLUE_SECTOR);
	return err;
}

static void open_vm(struct grub_disk *grub)
{
	memset(grub, 0, sizeof *grub);
	EQ(driver->disk_open("vm", grub), GRUB_ERR_NONE);
}

static grub_err_t read_disk(const struct glue_disk *disk)
{
	struct grub_disk grub;
	grub_err_t err;

	open_vm(&grub);
	err = read_good(&grub, 0, disk->sectors, disk->want);
	driver->disk_close(&grub);
	return err;
}

static void check_reads(const struct glue_disk *disk)
{
	static const size_t steps[] = { 1, 3, 8, 64, 512 };
	struct grub_disk grub;

	insert(&disk->img.file);
	EQ(create(), GRUB_ERR_NONE);
	EQ(module.refs, 1);
	open_vm(&grub);
	EQ(grub.total_sectors, disk->sectors);
	EQ(grub.max_agglomerate, 512);
	for (size_t i = 0; i < COUNT(steps); i++) {
		piece = i * 100; /* 0: no limit */
		for (size_t at = 0, n; at < disk->sectors; at += n) {
			n = disk->sectors - at < steps[i] ? disk->sectors - at : steps[i];
			EQ(read_good(&grub, at, n, disk->want), GRUB_ERR_NONE);
		}
	}
	piece = 0;
	EQ(read_good(&grub, disk->sectors, 1, disk->want), GRUB_ERR_OUT_OF_RANGE);
	EQ(driver->disk_write(&grub, 0, 1, ""), GRUB_ERR_NOT_IMPLEMENTED_YET);
	driver->disk_close(&grub);
	EQ(run("-d", "vm"), GRUB_ERR_NONE);
	eject();
}

static void reads_all(void **state)
{
	(void)state;
	glue_disk_reads(check_reads);
}

static int count_vm(const char *name, void *data)
{
	*(int *)data += strcmp(name, "vm") == 0;
	return strcmp(name, "stop") == 0;
}

static void command_words(void **state)
{
	struct glue_disk disk;
	struct grub_disk grub;
	unsigned long id;
	int found = 0;

	(void)state;
	glue_disk_init(&disk);
	insert(&disk.img.file);
	EQ(run(NULL, NULL), GRUB_ERR_BAD_ARGUMENT);
	EQ(run("vm", NULL), GRUB_ERR_BAD_ARGUMENT);
	EQ(run("-d", "vm"), GRUB_ERR_BAD_DEVICE);
	TEXT(message, "qcow2: no disk `vm'");
	EQ(run("vm", "(hd0)/other.q"), GRUB_ERR_FILE_NOT_FOUND);
	size_unknown = true;
	EQ(create(), GRUB_ERR_BAD_DEVICE);
	TEXT(message, "qcow2: the size of the file is unknown");
	size_unknown = false;
	EQ(driver->disk_open("vm", &grub), GRUB_ERR_UNKNOWN_DEVICE);
	EQ(run("stop", "(hd0)/vm.q"), GRUB_ERR_NONE);
	EQ(create(), GRUB_ERR_NONE);
	EQ(create(), GRUB_ERR_BAD_ARGUMENT);
	TEXT(message, "qcow2: `vm' exists already");
	EQ(run("hd0", "(hd0)/vm.q"), GRUB_ERR_BAD_ARGUMENT);
	TEXT(message, "qcow2: `hd0' exists already");
	EQ(run("fd0", "(hd0)/vm.q"), GRUB_ERR_BAD_DEVICE);
	EQ(run("vm,1", "(hd0)/vm.q"), GRUB_ERR_BAD_ARGUMENT);
	TEXT(message, "qcow2: a comma in the name `vm,1'");
	EQ(driver->disk_iterate(count_vm, &found, GRUB_DISK_PULL_NONE), 1);
	EQ(driver->disk_iterate(count_vm, &found, GRUB_DISK_PULL_REMOVABLE), 0);
	EQ(found, 1);
	EQ(run("-d", "stop"), GRUB_ERR_NONE);
	EQ(driver->disk_iterate(count_vm, &found, GRUB_DISK_PULL_NONE), 0);

	/* A disk that is open stays; the next one of this name is another one for GRUB's cache. */
	open_vm(&grub);
	id = grub.id;
	EQ(run("-d", "vm"), GRUB_ERR_BAD_DEVICE);
	TEXT(message, "qcow2: `vm' is in use");
	driver->disk_close(&grub);
	EQ(run("-d", "vm"), GRUB_ERR_NONE);
	EQ(create(), GRUB_ERR_NONE);
	open_vm(&grub);
	TRUE(grub.id != id);
	driver->disk_close(&grub);
	EQ(run("-d", "vm"), GRUB_ERR_NONE);
	eject();
	glue_disk_free(&disk);
}

/* A module that is loaded again must not get the sectors of its former disks. */
static void cache_is_forgotten(void **state)
{
	struct glue_disk disk;

	(void)state;
	glue_disk_init(&disk);
	insert(&disk.img.file);
	cache(0, driver->id);
	cache(3, GRUB_DISK_DEVICE_LOOPBACK_ID);
	cache(GRUB_DISK_CACHE_NUM - 1, driver->id);
	grub_mod_fini_qcow2disk();
	TRUE(grub_disk_cache_table[0].data == NULL);
	TRUE(grub_disk_cache_table[3].data != NULL);
	TRUE(grub_disk_cache_table[GRUB_DISK_CACHE_NUM - 1].data == NULL);
	grub_free(grub_disk_cache_table[3].data);
	grub_disk_cache_table[3].data = NULL;
	grub_mod_init_qcow2disk(&module);
	eject();
	glue_disk_free(&disk);
}

static void refuses_images(void **state)
{
	struct glue_disk disk;
	struct image img;

	(void)state;
	glue_disk_init(&disk);
	image_put(&disk.img.file, 4, 7, 4); /* the version */
	insert(&disk.img.file);
	EQ(create(), GRUB_ERR_BAD_DEVICE);
	HAS(message, "version");
	eject();
	image_put(&disk.img.file, 0, 0x58464951, 4);
	insert(&disk.img.file);
	EQ(create(), GRUB_ERR_BAD_DEVICE);
	TEXT(message, "qcow2: not a qcow2 image (byte 0)");
	eject();
	glue_disk_free(&disk);

	glue_overlay_init(&img);
	insert(&img.file);
	EQ(create(), GRUB_ERR_BAD_DEVICE);
	HAS(message, "backing file");
	eject();
	image_free(&img);
}

static void damage_is_an_error(void **state)
{
	struct glue_disk disk;
	struct grub_disk grub;

	(void)state;
	glue_disk_init(&disk);
	glue_disk_damage(&disk);
	insert(&disk.img.file);
	EQ(create(), GRUB_ERR_NONE);
	open_vm(&grub);
	EQ(read_good(&grub, 3 * 8, 1, disk.want), GRUB_ERR_BAD_DEVICE);
	HAS(message, "compressed data is corrupt");
	EQ(read_good(&grub, 0, 1, disk.want), GRUB_ERR_NONE);
	driver->disk_close(&grub);
	EQ(run("-d", "vm"), GRUB_ERR_NONE);
	eject();
	glue_disk_free(&disk);
}

/*
 * Lets the n-th read of the storage fail, while the disk is created or read. GRUB's own error must
 * remain as long as the storage fails, and the disk must work afterwards. Returns false if there is
 * no such read.
 */
static bool storage_fault(const struct glue_disk *disk, unsigned n, bool persistent)
{
	unsigned tries = persistent ? 3 : 1;
	grub_err_t created = GRUB_ERR_BAD_DEVICE, got = GRUB_ERR_BAD_DEVICE;
	bool fired;

	test_case("storage read %u fails%s", n, persistent ? " and all after it" : "");
	insert(&disk->img.file);
	storage.fail_at = n;
	storage.persistent = persistent;
	for (unsigned i = 0; i < tries && created != GRUB_ERR_NONE; i++) {
		created = create();
		TRUE(created == GRUB_ERR_READ_ERROR || (created == GRUB_ERR_NONE && i == 0));
	}
	for (unsigned i = 0; i < tries && got != GRUB_ERR_NONE && created == GRUB_ERR_NONE; i++) {
		got = read_disk(disk);
		TRUE(got == GRUB_ERR_READ_ERROR || (got == GRUB_ERR_NONE && i == 0));
	}
	fired = storage.calls >= n;
	EQ(fired, got != GRUB_ERR_NONE); /* no failure is ignored */
	storage.fail_at = 0;
	if (created != GRUB_ERR_NONE)
		EQ(create(), GRUB_ERR_NONE);
	EQ(read_disk(disk), GRUB_ERR_NONE);
	EQ(run("-d", "vm"), GRUB_ERR_NONE);
	eject();
	return fired;
}

static void storage_fails(void **state)
{
	struct glue_disk disk;

	(void)state;
	glue_storage_fails(storage_fault);

	test_case("the storage returns no bytes and no error");
	glue_disk_init(&disk);
	insert(&disk.img.file);
	ends_early = true;
	EQ(create(), GRUB_ERR_BAD_DEVICE);
	HAS(message, "read error");
	ends_early = false;
	eject();
	glue_disk_free(&disk);
}

/* Lets the n-th allocation fail. Returns true if the disk was still created. */
static bool heap_fault(const struct glue_disk *disk, unsigned n, bool persistent, bool *fired)
{
	grub_err_t created;

	test_case("allocation %u fails%s", n, persistent ? " and all after it" : "");
	insert(&disk->img.file);
	glue_heap.fail_at = n;
	glue_heap.persistent = persistent;
	created = create();
	*fired = glue_heap.calls >= n;
	TRUE(created == GRUB_ERR_NONE || created == GRUB_ERR_OUT_OF_MEMORY);
	glue_heap.fail_at = 0;
	if (created != GRUB_ERR_NONE)
		EQ(create(), GRUB_ERR_NONE);
	EQ(read_disk(disk), GRUB_ERR_NONE);
	EQ(run("-d", "vm"), GRUB_ERR_NONE);
	eject();
	return created == GRUB_ERR_NONE && *fired;
}

static void heap_fails(void **state)
{
	(void)state;
	glue_heap_fails(1, heap_fault);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_all),          cmocka_unit_test(command_words),
		cmocka_unit_test(cache_is_forgotten), cmocka_unit_test(refuses_images),
		cmocka_unit_test(damage_is_an_error), cmocka_unit_test(storage_fails),
		cmocka_unit_test(heap_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
