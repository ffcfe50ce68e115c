/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Runs the driver and the application of port/uefi in the model of a firmware, on a FAT volume,
 * which they read by its blocks, and on volumes with another file system. They must free all that
 * they allocate and report each fault, and a fault must affect no more than the image it hits.
 */
#include "efi_messages.h"
#include "efi_model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

EFI_STATUS EFIAPI efi_main_app(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);
EFI_STATUS EFIAPI efi_main_driver(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

enum { BITS = 12, CLUSTER = 1 << BITS, N_DISKS = 3 };

/* ---- What is on the volume ---- */

static const char config[] = "# all images\r\n"
			     "\\top.q\r\n"
			     "ext.q    # with a data file\r\n"
			     "\"\\plain.q\" blocksize=4096\r\n";
static const char all_options[] = "top.q ext.q plain.q blocksize=4096";
static const char measured[] = "top.q measure=yes ext.q measure=yes plain.q blocksize=4096 "
			       "measure=yes";
static const char no_image[] = "This is a text.";

static struct {
	struct image top, middle, external, plain;
	struct image_buf raw;
	/* The disks, in the order of the configuration, with zeros up to whole blocks. */
	struct {
		const char *name;
		uint8_t *want;
		size_t size, block_size;
	} disks[N_DISKS];
} images;

static void set_disk(size_t i, const char *name, uint64_t size, size_t block_size)
{
	images.disks[i].name = name;
	images.disks[i].size = (size_t)(size + block_size - 1) / block_size * block_size;
	images.disks[i].block_size = block_size;
	images.disks[i].want = calloc(1, images.disks[i].size);
	TRUE(images.disks[i].want != NULL);
}

/* A chain of three; the raw file at the bottom is the shortest. */
static void make_chain(void)
{
	struct layer layers[3];

	image_buf_resize(&images.raw, 30 * CLUSTER + 123);
	image_fill(images.raw.data, images.raw.len, 3, 0);
	image_init(&images.middle, 3, BITS, 35 * CLUSTER);
	images.middle.active.seed = 2;
	images.middle.compression_type = QCOW2_COMPRESSION_ZSTD;
	image_add_range(&images.middle, &images.middle.active, 5, 4, IMAGE_DATA);
	image_add(&images.middle, &images.middle.active, 12, IMAGE_COMPRESSED);
	image_set_backing(&images.middle, "base.raw", 8, 0);
	image_add_ext(&images.middle, IMAGE_EXT_BACKING_FORMAT, 3, "raw", 3);
	image_finish(&images.middle);
	image_init(&images.top, 3, BITS, 40 * CLUSTER + 1000);
	image_add_range(&images.top, &images.top.active, 0, 2, IMAGE_DATA);
	image_add_range(&images.top, &images.top.active, 3, 3, IMAGE_COMPRESSED);
	image_add(&images.top, &images.top.active, 7, IMAGE_ZERO);
	image_add(&images.top, &images.top.active, 40, IMAGE_DATA);
	image_set_backing(&images.top, "mid.q", 5, 0);
	image_add_ext(&images.top, IMAGE_EXT_BACKING_FORMAT, 5, "qcow2", 5);
	image_finish(&images.top);
	set_disk(0, "\\top.q", images.top.size, 512);
	layers[0] = (struct layer){ .img = &images.top, .size = images.top.size };
	layers[1] = (struct layer){ .img = &images.middle, .size = images.middle.size };
	layers[2] = (struct layer){ .raw = &images.raw, .size = images.raw.len };
	expect_chain(layers, 3, 0, images.disks[0].want, (size_t)images.top.size);
}

static void make_others(void)
{
	struct image *img = &images.external;

	image_init(img, 3, BITS, 20 * CLUSTER);
	img->has_data_file = true;
	image_add_range(img, &img->active, 1, 6, IMAGE_DATA);
	image_add_ext(img, IMAGE_EXT_DATA_FILE, 7, "ext.raw", 7);
	image_finish(img);
	set_disk(1, "\\ext.q", img->size, 512);
	image_expect(img, &img->active, 0, images.disks[1].want, (size_t)img->size);
	img = &images.plain;
	image_init(img, 3, 16, 5 * 65536 + 5000);
	image_add_range(img, &img->active, 0, 2, IMAGE_COMPRESSED);
	image_add_range(img, &img->active, 3, 3, IMAGE_DATA);
	image_finish(img);
	set_disk(2, "\\plain.q", img->size, 4096);
	image_expect(img, &img->active, 0, images.disks[2].want, (size_t)img->size);
}

static int make_images(void **state)
{
	(void)state;
	make_chain();
	make_others();
	return 0;
}

static int free_images(void **state)
{
	(void)state;
	image_free(&images.top);
	image_free(&images.middle);
	image_free(&images.external);
	image_free(&images.plain);
	free(images.raw.data);
	for (size_t i = 0; i < N_DISKS; i++)
		free(images.disks[i].want);
	memset(&images, 0, sizeof images);
	return 0;
}

/* Puts all files on the volume. If `text` is NULL, there is no configuration file. */
static void add_files(struct efi_volume *volume, const char *text)
{
	memset(volume, 0, sizeof *volume);
	efi_volume_add(volume, "top.q", images.top.file.data, images.top.file.len);
	efi_volume_add(volume, "mid.q", images.middle.file.data, images.middle.file.len);
	efi_volume_add(volume, "base.raw", images.raw.data, images.raw.len);
	efi_volume_add(volume, "ext.q", images.external.file.data, images.external.file.len);
	efi_volume_add(volume, "ext.raw", images.external.data.data, images.external.data.len);
	efi_volume_add(volume, "plain.q", images.plain.file.data, images.plain.file.len);
	efi_volume_add(volume, "text.q", no_image, sizeof no_image - 1);
	if (text != NULL)
		efi_volume_add(volume, "qcow2.cfg", text, strlen(text));
}

/* ---- Setups ---- */

static const struct setup {
	const char *name;
	void (*make_blocks)(struct efi_volume *volume); /* NULL if the volume has no block device */
	const char *config, *options;
	bool has_tpm;
} setups[] = {
	{ "FAT, configuration", efi_volume_fat, config, NULL, false },
	{ "FAT, options", efi_volume_fat, NULL, all_options, false },
	{ "another file system", efi_volume_other, NULL, all_options, false },
	{ "no blocks", NULL, config, NULL, false },
	{ "TPM", efi_volume_fat, NULL, measured, true },
};

static void open_setup(const struct setup *setup, struct efi_volume *volume)
{
	add_files(volume, setup->config);
	if (setup->make_blocks != NULL)
		setup->make_blocks(volume);
}

static void power_on(const struct setup *setup, const struct efi_volume *volume)
{
	efi_power_on(volume, setup->options);
	efi.has_tpm = setup->has_tpm;
}

/* ---- Reading the disks ---- */

static size_t count_disks(void)
{
	size_t n = 0;

	while (efi_disk(n) != NULL)
		n++;
	return n;
}

static bool expects_writable; /* the disks have overlays */

/* The index of a disk in images.disks, identified by its size. */
static size_t disk_index(const EFI_BLOCK_IO_PROTOCOL *block_io)
{
	const EFI_BLOCK_IO_MEDIA *media = block_io->Media;
	size_t i = 0;

	EQ(media->ReadOnly, !expects_writable);
	EQ(media->MediaPresent, 1);
	while (i < N_DISKS && (media->LastBlock + 1) * media->BlockSize != images.disks[i].size)
		i++;
	LE(i, N_DISKS - 1);
	EQ(media->BlockSize, images.disks[i].block_size);
	return i;
}

/* Reads n blocks to an even or odd address and checks the content. */
static EFI_STATUS read_blocks(EFI_BLOCK_IO_PROTOCOL *block_io, uint64_t lba, size_t n)
{
	size_t i = disk_index(block_io);
	size_t len = n * images.disks[i].block_size;
	uint8_t *buf = lba % 2 == 0 ? glue_dest(len) : glue_dest(len + 1) + 1;
	EFI_STATUS status = block_io->ReadBlocks(block_io, block_io->Media->MediaId, lba, len, buf);

	glue_dest_check();
	if (!EFI_ERROR(status))
		SAME(buf, images.disks[i].want + lba * images.disks[i].block_size, len);
	else
		EQ(status, EFI_DEVICE_ERROR);
	return status;
}

/* All of a disk at once, in pieces, and nearly all at an odd address. */
static EFI_STATUS read_disk(EFI_BLOCK_IO_PROTOCOL *block_io)
{
	uint64_t n_blocks = block_io->Media->LastBlock + 1;
	EFI_STATUS status = read_blocks(block_io, 0, (size_t)n_blocks);

	for (uint64_t lba = 1; lba + 3 <= n_blocks && !EFI_ERROR(status); lba += 17)
		status = read_blocks(block_io, lba, 3);
	if (!EFI_ERROR(status))
		status = read_blocks(block_io, 1, (size_t)n_blocks - 1);
	return status;
}

/* Reads all disks and returns how many had an error. */
static size_t read_disks(void)
{
	size_t n_bad = 0;

	for (size_t i = 0; efi_disk(i) != NULL; i++)
		n_bad += EFI_ERROR(read_disk(efi_disk(i)));
	return n_bad;
}

/* ---- Without faults ---- */

static void driver_shows_disks(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(setups); i++) {
		struct efi_volume volume;

		test_case("%s", setups[i].name);
		open_setup(&setups[i], &volume);
		power_on(&setups[i], &volume);
		EQ(efi_run(efi_main_driver), EFI_SUCCESS);
		EQ(count_disks(), N_DISKS);
		for (size_t k = 0; k < N_DISKS; k++)
			EQ(disk_index(efi_disk(k)), k);
		EQ(read_disks(), 0);
		EQ(efi_complaints(), 0);
		TRUE(efi_printed("qcow2: \\top.q: a disk of 164840 bytes in blocks of 512, with "));
		TRUE(efi_printed(
			"qcow2: \\plain.q: a disk of 332680 bytes in blocks of 4096, with "));
		EQ(efi_unload(), EFI_SUCCESS);
		efi_check_clean();
		efi_volume_free(&volume);
	}
}

static void refuses_bad_calls(void **state)
{
	EFI_BLOCK_IO_PROTOCOL *disk;
	uint8_t buf[1024];
	struct efi_volume volume;
	uint64_t last;
	uint32_t id;

	(void)state;
	test_case("bad calls");
	open_setup(&setups[0], &volume);
	efi_power_on(&volume, NULL);
	EQ(efi_run(efi_main_driver), EFI_SUCCESS);
	disk = efi_disk(0);
	last = disk->Media->LastBlock;
	id = disk->Media->MediaId;
	EQ(disk->ReadBlocks(disk, id + 1, 0, 512, buf), EFI_MEDIA_CHANGED);
	EQ(disk->ReadBlocks(disk, id, 0, 0, buf), EFI_SUCCESS);
	EQ(disk->ReadBlocks(disk, id, 0, 512, NULL), EFI_INVALID_PARAMETER);
	EQ(disk->ReadBlocks(disk, id, 0, 511, buf), EFI_BAD_BUFFER_SIZE);
	EQ(disk->ReadBlocks(disk, id, last, 1024, buf), EFI_INVALID_PARAMETER);
	EQ(disk->ReadBlocks(disk, id, last + 1, 512, buf), EFI_INVALID_PARAMETER);
	EQ(disk->ReadBlocks(disk, id, UINT64_MAX, 1024, buf), EFI_INVALID_PARAMETER);
	EQ(disk->WriteBlocks(disk, id, 0, 512, buf), EFI_WRITE_PROTECTED);
	EQ(disk->WriteBlocks(disk, id + 1, 0, 512, buf), EFI_MEDIA_CHANGED);
	EQ(disk->FlushBlocks(disk), EFI_SUCCESS);
	EQ(disk->Reset(disk, 1), EFI_SUCCESS);
	EQ(efi_unload(), EFI_SUCCESS);
	efi_check_clean();
	efi_volume_free(&volume);
}

/* The boot loader that the application starts reads all disks. */
static size_t loader_bad, loader_disks;

static EFI_STATUS loader(void)
{
	loader_disks = count_disks();
	loader_bad = read_disks();
	return EFI_SUCCESS;
}

static void power_on_with_loader(const struct setup *setup, const struct efi_volume *volume)
{
	power_on(setup, volume);
	efi.loader = loader;
	efi.loader_blocks = images.disks[1].size / 512;
	loader_disks = 0;
	loader_bad = 0;
}

static void application_boots(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(setups); i++) {
		struct efi_volume volume;

		test_case("%s", setups[i].name);
		open_setup(&setups[i], &volume);
		power_on_with_loader(&setups[i], &volume);
		EQ(efi_run(efi_main_app), EFI_SUCCESS);
		EQ(efi.loader_runs, 1);
		EQ(loader_disks, N_DISKS);
		EQ(loader_bad, 0);
		EQ(efi.stalls, 0);
		efi_check_clean();
		efi.loader_blocks = 0;
		EQ(efi_run(efi_main_app), EFI_NOT_FOUND);
		TRUE(efi_printed(".EFI in any partition of the images\r\n"));
		efi_check_clean();
		efi_volume_free(&volume);
	}
}

/* ---- Writing ---- */

enum { OVERLAY_MAX = 16 << 20, FAR = 64 << 20 }; /* FAR: the size of the disk that is written */

/* Writes n blocks to the disk and to what it is expected to hold. */
static EFI_STATUS write_blocks(EFI_BLOCK_IO_PROTOCOL *disk, uint64_t lba, size_t n, uint8_t byte)
{
	size_t i = disk_index(disk);
	size_t len = n * images.disks[i].block_size;
	uint8_t *buf = glue_dest(len + 1) + 1;
	EFI_STATUS status;

	for (size_t k = 0; k < len; k++)
		buf[k] = (uint8_t)(byte + k % 251);
	status = disk->WriteBlocks(disk, disk->Media->MediaId, lba, len, buf);
	if (!EFI_ERROR(status))
		memcpy(images.disks[i].want + lba * images.disks[i].block_size, buf, len);
	else
		EQ(status, EFI_DEVICE_ERROR);
	return status;
}

/* Parts of pieces of 4 KiB, whole ones, several at once, again, and the last block of the disk. */
static void write_disk(EFI_BLOCK_IO_PROTOCOL *disk)
{
	uint64_t last = disk->Media->LastBlock;
	static const struct {
		uint8_t lba, n;
	} writes[] = { { 40, 1 }, { 9, 3 }, { 16, 8 }, { 22, 30 }, { 41, 1 }, { 0, 2 }, { 9, 1 } };

	for (size_t i = 0; i < COUNT(writes); i++) {
		EQ(write_blocks(disk, writes[i].lba, writes[i].n, (uint8_t)(i * 31)), EFI_SUCCESS);
		EQ(read_disk(disk), EFI_SUCCESS);
	}
	EQ(write_blocks(disk, last, 1, 77), EFI_SUCCESS);
	EQ(write_blocks(disk, last - 4, 3, 78), EFI_SUCCESS);
	EQ(read_disk(disk), EFI_SUCCESS);
}

static void refuses_bad_writes(EFI_BLOCK_IO_PROTOCOL *disk)
{
	uint64_t last = disk->Media->LastBlock;
	uint32_t id = disk->Media->MediaId;
	uint8_t buf[1024] = { 0 };

	EQ(disk->WriteBlocks(disk, id + 1, 0, 512, buf), EFI_MEDIA_CHANGED);
	EQ(disk->WriteBlocks(disk, id, 0, 0, buf), EFI_SUCCESS);
	EQ(disk->WriteBlocks(disk, id, 0, 512, NULL), EFI_INVALID_PARAMETER);
	EQ(disk->WriteBlocks(disk, id, 0, 511, buf), EFI_BAD_BUFFER_SIZE);
	EQ(disk->WriteBlocks(disk, id, last, 1024, buf), EFI_INVALID_PARAMETER);
	EQ(disk->WriteBlocks(disk, id, UINT64_MAX, 1024, buf), EFI_INVALID_PARAMETER);
}

/* Starts the driver on the first and the third image, with overlays. */
static void start_writable(struct efi_volume *volume)
{
	open_setup(&setups[0], volume);
	efi_power_on(volume, "top.q overlay=memory plain.q overlay=memory blocksize=4096");
	EQ(efi_run(efi_main_driver), EFI_SUCCESS);
	EQ(count_disks(), 2);
	TRUE(efi_printed("in blocks of 512, writable in memory, with "));
}

static void keeps_writes_in_memory(void **state)
{
	struct efi_volume volume;
	uint8_t *blocks;

	(void)state;
	expects_writable = true;
	start_writable(&volume);
	blocks = malloc(volume.len);
	TRUE(blocks != NULL);
	memcpy(blocks, volume.blocks, volume.len);
	write_disk(efi_disk(0));
	write_disk(efi_disk(1));
	refuses_bad_writes(efi_disk(0));
	SAME(volume.blocks, blocks, volume.len);
	free(blocks);
	EQ(efi_unload(), EFI_SUCCESS);
	efi_check_clean();
	efi_volume_free(&volume);
	expects_writable = false;
	free_images(NULL);
	make_images(NULL); /* the disks of a new start are as before */
	open_setup(&setups[0], &volume);
	efi_power_on(&volume, NULL);
	EQ(efi_run(efi_main_driver), EFI_SUCCESS);
	EQ(read_disks(), 0);
	EQ(efi_unload(), EFI_SUCCESS);
	efi_volume_free(&volume);
}

/* A write that fails leaves the disk readable. Without the fault, it succeeds. */
static bool write_fault(const struct efi_volume *volume, unsigned n)
{
	EFI_BLOCK_IO_PROTOCOL *disk;
	EFI_STATUS status;

	test_case("write: call %u fails", n);
	efi_power_on(volume, "top.q overlay=memory");
	EQ(efi_run(efi_main_driver), EFI_SUCCESS);
	disk = efi_disk(0);
	efi.fail_at = efi.calls + n;
	status = write_blocks(disk, 9, 1, 1);
	EQ(EFI_ERROR(status), efi.failed != 0);
	if (efi.failed != 0)
		TRUE(efi_printed("a write at disk offset 4608 failed: no memory is left"));
	efi.fail_at = 0;
	EQ(write_blocks(disk, 9, 1, 1), EFI_SUCCESS);
	EQ(read_disk(disk), EFI_SUCCESS);
	n = efi.failed;
	EQ(efi_unload(), EFI_SUCCESS);
	efi_check_clean();
	return n != 0;
}

static void write_faults(void **state)
{
	struct efi_volume volume;
	unsigned n = 1;

	(void)state;
	expects_writable = true;
	open_setup(&setups[0], &volume);
	while (write_fault(&volume, n))
		n++;
	LE(2, n);
	efi_volume_free(&volume);
	expects_writable = false;
	free_images(NULL);
	make_images(NULL);
}

/* A part of 4 KiB can only be written if the rest of them can be read. */
static void writes_over_damage(void **state)
{
	struct efi_volume volume = { 0 };
	uint8_t buf[4096] = { 1 };
	EFI_BLOCK_IO_PROTOCOL *disk;
	struct image img;

	(void)state;
	test_case("write over a damaged cluster");
	image_init(&img, 3, BITS, 2 * CLUSTER);
	image_add(&img, &img.active, 1, IMAGE_COMPRESSED);
	image_finish(&img);
	img.file.data[img.active.clusters[0].pos] = 0xff;
	efi_volume_add(&volume, "bad.q", img.file.data, img.file.len);
	efi_power_on(&volume, "bad.q overlay=memory");
	EQ(efi_run(efi_main_driver), EFI_SUCCESS);
	disk = efi_disk(0);
	EQ(disk->WriteBlocks(disk, disk->Media->MediaId, 9, 512, buf), EFI_DEVICE_ERROR);
	TRUE(efi_printed("reading at disk offset 4096 failed:"));
	EQ(disk->WriteBlocks(disk, disk->Media->MediaId, 8, 4096, buf), EFI_SUCCESS);
	EQ(efi_unload(), EFI_SUCCESS);
	efi_check_clean();
	image_free(&img);
	efi_volume_free(&volume);
}

/* One block of each 4 KiB takes a piece of memory, until all are used. Those written stay usable.
 */
static void bounds_writes(void **state)
{
	struct efi_volume volume = { 0 };
	uint8_t buf[512] = { 1 };
	EFI_BLOCK_IO_PROTOCOL *disk;
	struct image img;
	size_t n = 0;

	(void)state;
	test_case("full overlay");
	image_init(&img, 3, 16, FAR);
	image_finish(&img);
	efi_volume_add(&volume, "far.q", img.file.data, img.file.len);
	efi_power_on(&volume, "far.q overlay=memory");
	EQ(efi_run(efi_main_driver), EFI_SUCCESS);
	disk = efi_disk(0);
	while (n < FAR / 4096 && disk->WriteBlocks(disk, disk->Media->MediaId, (uint64_t)n * 8, 512,
	                                           buf) == EFI_SUCCESS)
		n++;
	EQ(n, OVERLAY_MAX / 4096);
	TRUE(efi_printed("\\far.q: a write at disk offset 16777216 failed: no memory is left, of "
	                 "16 MiB at most"));
	EQ(disk->WriteBlocks(disk, disk->Media->MediaId, 9, 512, buf), EFI_SUCCESS);
	EQ(efi_unload(), EFI_SUCCESS);
	efi_check_clean();
	image_free(&img);
	efi_volume_free(&volume);
}

/* ---- The variable that names the files ---- */

#define GUID_LINE "partuuid=a3a2a1a0-a5a4-a7a6-a8a9-aaabacadaeaf\n"
#define MBR_LINE  "partuuid=a3a2a1a0-1a\n"
#define FAT_LINE  "fsuuid=ABCD-1234\n"
#define TOP_LINES "path=/top.q\nbacking=/mid.q,qcow2\nbacking=/base.raw,raw\n"
#define EXT_LINES "path=/ext.q\ndata=/ext.raw\n"

static const struct handover_case {
	size_t setup, disk; /* the disk that has a boot loader */
	uint8_t signature;  /* of the partition: 0: it has none, 1: that of an MBR, 2: a GUID */
	const char *text;
} handover_cases[] = {
	{ 0, 0, 2, "version=1\n" GUID_LINE FAT_LINE TOP_LINES },
	{ 0, 1, 2, "version=1\n" GUID_LINE FAT_LINE EXT_LINES },
	{ 1, 2, 1, "version=1\n" MBR_LINE FAT_LINE "path=/plain.q\n" },
	{ 2, 1, 1, "version=1\n" MBR_LINE EXT_LINES },
	{ 3, 0, 0, "version=1\n" TOP_LINES },
};

static char loader_variable[EFI_VARIABLE_MAX]; /* while the boot loader runs */

static EFI_STATUS variable_loader(void)
{
	strcpy(loader_variable, efi.variable);
	return EFI_SUCCESS;
}

static void names_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(handover_cases); i++) {
		const struct handover_case *c = &handover_cases[i];
		struct efi_volume volume;

		test_case("variable %zu", i);
		open_setup(&setups[c->setup], &volume);
		efi_power_on(&volume, setups[c->setup].options);
		efi.loader = variable_loader;
		efi.loader_blocks = images.disks[c->disk].size / images.disks[c->disk].block_size;
		efi_partition[41] = c->signature;
		EQ(efi_run(efi_main_app), EFI_SUCCESS);
		EQ(strcmp(loader_variable, c->text), 0);
		efi_check_clean();
		/* The driver names its first image. */
		EQ(efi_run(efi_main_driver), EFI_SUCCESS);
		TRUE(strstr(efi.variable, "\n" TOP_LINES) != NULL);
		EQ(efi_unload(), EFI_SUCCESS);
		efi_check_clean();
		efi_volume_free(&volume);
	}
}

/* What another program has left: it must not lead the system to another image. */
static void replaces_variable(void **state)
{
	struct efi_volume volume;

	(void)state;
	test_case("an older variable, and no room for a new one");
	open_setup(&setups[0], &volume);
	efi_power_on(&volume, setups[0].options);
	efi.loader = variable_loader;
	efi.loader_blocks = images.disks[0].size / images.disks[0].block_size;
	efi.has_full_store = true;
	strcpy(efi.variable, "version=1\npath=/old.q\n");
	EQ(efi_run(efi_main_app), EFI_SUCCESS);
	TRUE(efi_printed("cannot find this file by itself"));
	EQ(strcmp(loader_variable, ""), 0);
	efi_check_clean();

	test_case("a program that starts no boot loader");
	efi_power_on(&volume, setups[0].options);
	strcpy(efi.variable, "version=1\npath=/driver.q\n");
	TRUE(EFI_ERROR(efi_run(efi_main_app)));
	EQ(strcmp(efi.variable, "version=1\npath=/driver.q\n"), 0);
	efi.variable[0] = '\0';
	efi_check_clean();
	efi_volume_free(&volume);
}

/* ---- Measuring ---- */

enum { PIECE = 64 << 20 };

/* What should be measured, as the model keeps it. */
static struct {
	uint8_t *bytes;
	size_t len;
	char texts[EFI_TEXTS_MAX];
} expected;

static void expect_bytes(const void *bytes, size_t len)
{
	LE(len, efi.measured.max - expected.len);
	memcpy(expected.bytes + expected.len, bytes, len);
	expected.len += len;
}

/* An event of which the text, but for a path after it, is hashed. */
static void expect_text(const char *text, const char *path)
{
	expect_bytes(text, strlen(text));
	strcat(strcat(strcat(expected.texts, text), path), "\n");
}

static void expect_file(const char *kind, const char *path, const struct image_buf *file)
{
	char text[64];

	snprintf(text, sizeof text, "%s %zu", kind, file->len);
	expect_text(text, path);
	expect_bytes(file->data, file->len);
	for (size_t at = 0; at < file->len; at += PIECE) {
		snprintf(text, sizeof text, "bytes at %zu\n", at);
		strcat(expected.texts, text);
	}
}

/* Starts the driver in a firmware with a TPM, and compares what it measured. */
static void measure(const struct efi_volume *volume, const char *options, size_t max,
                    void (*expect)(void))
{
	efi_power_on(volume, options);
	efi.has_tpm = true;
	efi.measured.max = max;
	efi.measured.bytes = malloc(max);
	memset(&expected, 0, sizeof expected);
	expected.bytes = malloc(max);
	TRUE(efi.measured.bytes != NULL && expected.bytes != NULL);
	EQ(efi_run(efi_main_driver), EFI_SUCCESS);
	expect();
	EQ(efi.measured.len, expected.len);
	SAME(efi.measured.bytes, expected.bytes, expected.len);
	EQ(strcmp(efi.measured.texts, expected.texts), 0);
	free(efi.measured.bytes);
	free(expected.bytes);
	EQ(efi_unload(), EFI_SUCCESS);
	efi_check_clean();
}

static void expect_chain_and_data(void)
{
	expect_text("disk 512", "");
	expect_file("qcow2", " /top.q", &images.top.file);
	expect_file("qcow2", " /mid.q", &images.middle.file);
	expect_file("raw", " /base.raw", &images.raw);
	expect_text("disk 4096", "");
	expect_file("qcow2", " /ext.q", &images.external.file);
	expect_file("data", " /ext.raw", &images.external.data);
	expect_text("unmeasured 512", "");
}

static struct image_buf long_file;

static void expect_pieces(void)
{
	expect_text("disk 512", "");
	expect_file("qcow2", " /mid.q", &images.middle.file);
	expect_file("raw", " /long.raw", &long_file);
}

static void measures_files(void **state)
{
	struct efi_volume volume;

	(void)state;
	for (size_t i = 0; i < COUNT(setups); i++) {
		test_case("measure, %s", setups[i].name);
		add_files(&volume, NULL);
		if (setups[i].make_blocks != NULL)
			setups[i].make_blocks(&volume);
		measure(&volume, "top.q measure=yes ext.q measure=yes blocksize=4096 plain.q",
		        1 << 20, expect_chain_and_data);
		efi_volume_free(&volume);
	}
	test_case("measure in pieces");
	image_buf_resize(&long_file, (size_t)PIECE + 5);
	image_fill(long_file.data, long_file.len, 9, 0);
	add_files(&volume, NULL);
	efi_volume_add(&volume, "long.raw", long_file.data, long_file.len);
	measure(&volume, "mid.q measure=yes backing=raw:long.raw", 2 * (size_t)PIECE,
	        expect_pieces);
	efi_volume_free(&volume);
	free(long_file.data);
	memset(&long_file, 0, sizeof long_file);
}

/* The TPM has all events even if the log of the firmware has no room for them. */
static void measures_without_log(void **state)
{
	struct efi_volume volume;

	(void)state;
	test_case("measure with a full log");
	open_setup(&setups[0], &volume);
	efi_power_on(&volume, "plain.q measure=yes");
	efi.has_tpm = true;
	efi.has_full_log = true;
	EQ(efi_run(efi_main_driver), EFI_SUCCESS);
	EQ(efi_complaints(), 0);
	EQ(efi_unload(), EFI_SUCCESS);
	efi_check_clean();
	efi_volume_free(&volume);
}

/* ---- Requests that fail ---- */

static char long_config[65536 + 1]; /* blanks */
static char many_images[17 * 8 + 1], many_backing[7 + 17 * 21 + 1];

static void make_configs(void)
{
	memset(long_config, ' ', sizeof long_config - 1);
	strcpy(many_backing, "top.q ");
	for (size_t i = 0; i < 17; i++) {
		strcat(many_images, "plain.q ");
		strcat(many_backing, "backing=raw:base.raw ");
	}
}

static const struct request_case {
	const char *config, *options;
	size_t n_disks;
	const char *said;
} request_cases[] = {
	{ config, "", N_DISKS, "\\top.q: a disk" },
	{ config, " \t ", N_DISKS, "\\top.q: a disk" },
	{ config, "\\EFI\\BOOT\\A.EFI", N_DISKS, "\\top.q: a disk" },
	{ config, "A.EFI top.q", 1, "\\top.q: a disk" },
	{ config, "Linux Boot Manager", N_DISKS, "no file matches the load options; using" },
	{ NULL, "nothing.q", 0, "\\nothing.q: n" },
	{ NULL, "nothing", 0, "no image given" },
	{ config, "nothing.q", 0, "\\nothing.q: not shown as a disk" }, /* and no other disk */
	{ config, "\\nothing", 0, "\\nothing: not shown as a disk" },
	{ config, "nothing.q text.q", 0, "\\nothing.q: n" },
	{ config, "nothing.q ext.q", 1, "\\nothing.q: not shown as a disk" },
	{ NULL, NULL, 0, "no image given" },
	{ long_config, NULL, 0, "\\qcow2.cfg: too long: it must be shorter than 64 KiB" },
	{ "# nothing", NULL, 0, "qcow2.cfg names no image" },
	{ "text.q top.q nothing.q ext.q", NULL, 2, "\\text.q: not a qcow2 image" },
	{ "blocksize=512", NULL, 0, "this option must follow an image: blocksize=512" },
	{ "top.q blocksize=511", NULL, 0, "the block size must be 512 or 4096: 511" },
	{ "top.q measure=no", NULL, 0, "measure= must be yes: no" },
	{ "plain.q measure=yes ext.q", NULL, 1,
	  "\\plain.q: cannot be measured: this firmware has" },
	{ "top.q overlay=disk", NULL, 0, "overlay= must be memory: disk" },
	{ "..\\top.q", NULL, 0, "not a path on this volume: ..\\top.q" },
	{ "top.q \"ext.q", NULL, 0, "closing quote" },
	{ "top.q backing=base.raw", NULL, 0, "backing= needs raw:PATH or qcow2:PATH: base.raw" },
	{ "mid.q backing=raw:base.raw backing=raw:base.raw", NULL, 0, "too many backing=" },
	{ many_backing, NULL, 0, "more than 16 backing files" },
	{ many_images, NULL, 16, "more than 16 images, ignoring the rest" },
	{ "mid.q backing=raw:nothing.raw ext.q", NULL, 1, "\\nothing.raw: " },
	{ "ext.q data=text.q", NULL, 1, "\\ext.q: a disk" },
	{ "plain.q backing=raw:base.raw", NULL, 1, "\\plain.q: a disk" },
	{ "plain.q data=base.raw", NULL, 0, "has no external data file; remove data=" },
	{ "base.raw", NULL, 0, "\\base.raw: not a qcow2 image" },
};

static void requests(void **state)
{
	(void)state;
	make_configs();
	for (size_t i = 0; i < 2 * COUNT(request_cases); i++) {
		const struct request_case *c = &request_cases[i / 2];
		struct efi_volume volume;
		EFI_STATUS status;

		test_case("request %zu, %s", i / 2, i % 2 ? "FAT" : "another file system");
		add_files(&volume, c->config);
		if (i % 2)
			efi_volume_fat(&volume);
		efi_power_on(&volume, c->options);
		status = efi_run(efi_main_driver);
		EQ(status, c->n_disks != 0 ? EFI_SUCCESS : EFI_LOAD_ERROR);
		EQ(count_disks(), c->n_disks);
		TRUE(efi_printed(c->said));
		if (c->n_disks != 0)
			EQ(efi_unload(), EFI_SUCCESS);
		efi_check_clean();
		efi_volume_free(&volume);
	}
}

/* ---- Images that fail ---- */

struct bad_image {
	const char *name, *backing, *format; /* of the backing file */
	enum image_field field;              /* gets the value if that is not 0 */
	uint64_t value;
	const char *said;
};

static const struct bad_image bad_images[] = {
	{ "abs.q", "/abs.raw", "raw", 0, 0, "\\abs.q: not following /abs.raw: only relative" },
	{ "up.q", "../up.raw", "raw", 0, 0, "\\up.q: not following ../up.raw: only relative" },
	{ "probe.q", "base.raw", NULL, 0, 0, "\\probe.q: no format given for the backing file; " },
	{ "utf.q", "\xff", "raw", 0, 0, "\\utf.q: the name of a file it needs is too long or not" },
	{ "loop.q", "loop.q", "qcow2", 0, 0, "\\loop.q: more than 16 files in the backing chain" },
	{ "empty.q", NULL, NULL, 0, 0, "\\empty.q: the disk is empty" },
	{ "next.q", NULL, NULL, IMAGE_VERSION, 4,
	  "\\next.q: unsupported qcow version: 4 (at file" },
	{ "new.q", NULL, NULL, IMAGE_INCOMPATIBLE_FEATURES, 1 << 14, "feature: bits 0x4000 (at" },
	{ "data.q", NULL, NULL, IMAGE_INCOMPATIBLE_FEATURES, 4, "data file; use data=PATH" },
};

static void make_bad_image(struct image *img, const struct bad_image *bad)
{
	image_init(img, 3, BITS, strcmp(bad->name, "empty.q") == 0 ? 0 : CLUSTER);
	if (bad->backing != NULL)
		image_set_backing(img, bad->backing, strlen(bad->backing), 0);
	if (bad->format != NULL)
		image_add_ext(img, IMAGE_EXT_BACKING_FORMAT, (uint32_t)strlen(bad->format),
		              bad->format, strlen(bad->format));
	if (bad->value != 0)
		image_set(img, bad->field, bad->value);
	image_finish(img);
}

/* Reads a block that fails. Returns whether that was printed. */
static bool failure_is_printed(EFI_BLOCK_IO_PROTOCOL *disk, uint64_t lba)
{
	size_t len = efi.console_len;
	uint8_t buf[512];

	EQ(disk->ReadBlocks(disk, disk->Media->MediaId, lba, sizeof buf, buf), EFI_DEVICE_ERROR);
	return efi.console_len != len;
}

/* A failure is reported once, and only the first failures of a disk. Two clusters are damaged. */
static void read_until_silent(EFI_BLOCK_IO_PROTOCOL *disk)
{
	unsigned n = 0;

	TRUE(!failure_is_printed(disk, 0)); /* the firmware read it when the disk was published */
	TRUE(!failure_is_printed(disk, 1));
	while (failure_is_printed(disk, n % 2 == 0 ? CLUSTER / 512 : 0))
		n++;
	EQ(n, 7);
	TRUE(efi_printed("qcow2: further failures of this disk are not shown"));
}

/*
 * Runs the driver, which must print `said`, with one image on the volume. If it publishes a disk,
 * the disk cannot be read.
 */
static void run_image(const char *name, const struct image_buf *file, size_t n_disks,
                      const char *said)
{
	struct efi_volume volume = { 0 };

	test_case("%s", name);
	efi_volume_add(&volume, name, file->data, file->len);
	efi_power_on(&volume, name);
	EQ(efi_run(efi_main_driver), n_disks != 0 ? EFI_SUCCESS : EFI_LOAD_ERROR);
	EQ(count_disks(), n_disks);
	TRUE(efi_printed(said));
	if (n_disks != 0) {
		read_until_silent(efi_disk(0));
		EQ(efi_unload(), EFI_SUCCESS);
	}
	efi_check_clean();
	efi_volume_free(&volume);
}

/* The disk is published: only a read of its first cluster shows that it does not decode. */
static void damaged_cluster(void)
{
	struct image img;

	image_init(&img, 3, BITS, 2 * CLUSTER);
	img.compression_type = QCOW2_COMPRESSION_ZSTD;
	image_add_range(&img, &img.active, 0, 2, IMAGE_COMPRESSED);
	image_finish(&img);
	for (size_t i = 0; i < 2; i++) /* the magic number of the frame */
		img.file.data[img.active.clusters[i].pos] ^= 1;
	run_image("zstd.q", &img.file, 1, "; check the image with qemu-img check");
	image_free(&img);
}

static void damaged_volume(void)
{
	struct efi_volume volume;

	test_case("damaged volume");
	add_files(&volume, config);
	efi_volume_fat(&volume);
	efi_volume_damage(&volume);
	efi_power_on(&volume, NULL);
	EQ(efi_run(efi_main_driver), EFI_LOAD_ERROR);
	TRUE(efi_printed("\\top.q: the file system is damaged; repair it with"));
	efi_check_clean();
	efi_volume_free(&volume);
}

static void bad_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad_images); i++) {
		struct image img;

		make_bad_image(&img, &bad_images[i]);
		run_image(bad_images[i].name, &img.file, 0, bad_images[i].said);
		image_free(&img);
	}
	damaged_cluster();
	damaged_volume();
}

/* ---- Faults ---- */

static void arm(unsigned n, bool persistent)
{
	efi.fail_at = n;
	efi.persistent = persistent;
}

static void disarm(void)
{
	efi.fail_at = 0;
}

/* Did the program report the fault? A protocol that is not found is reported as no medium. */
static bool reason_was_printed(void)
{
	if (efi.status == EFI_OUT_OF_RESOURCES)
		return efi_printed("memory");
	if (efi_printed(": reading the volume failed"))
		return true;
	if (efi.status == EFI_DEVICE_ERROR)
		return efi_printed(": device error") || efi_printed("a file of unknown size");
	if (efi.status == EFI_NOT_FOUND && efi_printed("this firmware has no TPM 2.0"))
		return true;
	return efi_printed(": no medium") || efi_printed(": unsupported");
}

/* There is a message for each missing disk, and a single fault must not affect all disks. */
static void check_made(EFI_STATUS status, size_t n_disks, bool persistent)
{
	if (status != EFI_SUCCESS)
		EQ(n_disks, 0);
	if (n_disks < N_DISKS) {
		LE(n_disks == 0 ? 1 : N_DISKS - n_disks, efi_complaints());
		TRUE(persistent ||
		     reason_was_printed()); /* after many faults, any reason will do */
	}
	if (efi_printed("not shown as a disk") && !persistent && !efi.was_restarted)
		LE(N_DISKS - 1, n_disks);
	for (size_t i = 0; i < N_DISKS && n_disks != 0; i++)
		TRUE(efi_printed(images.disks[i].name));
}

/* After a restart of the file system driver, reads through its files keep failing. */
static bool may_fail(const struct efi_volume *volume, const struct setup *setup)
{
	(void)volume;
	return efi.was_restarted && setup->make_blocks != efi_volume_fat;
}

/* Reads the disks with the fault and again without it, and unloads the driver. */
static void use_disks(const struct setup *setup, const struct efi_volume *volume, bool persistent)
{
	size_t n_bad = read_disks();
	unsigned n_failed = efi.failed;

	if (n_bad != 0)
		TRUE(n_failed != 0 && efi_printed("qcow2: reading at disk offset"));
	if (n_failed != 0) {
		disarm();
		n_bad = read_disks();
		TRUE(n_bad == 0 || may_fail(volume, setup));
		if (persistent)
			arm(1, true);
	}
	if (EFI_ERROR(efi_unload())) {
		TRUE(efi.failed > n_failed);
		TRUE(efi_printed(": still in use: access denied"));
		LE(1, count_disks());
		disarm();
		EQ(efi_unload(), EFI_SUCCESS);
	}
}

/* Lets the n-th call of the driver to the firmware fail. Returns false if there is no such call. */
static bool driver_fault(const struct setup *setup, const struct efi_volume *volume, unsigned n,
                         bool persistent)
{
	EFI_STATUS status;

	test_case("%s: call %u fails%s", setup->name, n, persistent ? " and all after it" : "");
	power_on(setup, volume);
	arm(n, persistent);
	status = efi_run(efi_main_driver);
	check_made(status, count_disks(), persistent);
	EQ(status == EFI_SUCCESS, efi_can_unload());
	if (status == EFI_SUCCESS)
		use_disks(setup, volume, persistent);
	else
		TRUE(efi.failed != 0);
	efi_check_clean();
	return efi.failed != 0;
}

/* The same for the application, which must return in any case and leave nothing behind. */
static bool application_fault(const struct setup *setup, const struct efi_volume *volume,
                              unsigned n, bool persistent)
{
	EFI_STATUS status;

	test_case("%s, application: call %u fails%s", setup->name, n,
	          persistent ? " and all after it" : "");
	power_on_with_loader(setup, volume);
	arm(n, persistent);
	status = efi_run(efi_main_app);
	if (status != EFI_SUCCESS) {
		TRUE(efi.failed != 0);
		LE(1, efi_complaints());
		LE(1, efi.stalls); /* so that the user can read the message */
	} else {
		EQ(efi.loader_runs, 1);
	}
	if (loader_bad != 0)
		TRUE(efi.failed != 0 && efi_printed("qcow2: reading at disk offset"));
	efi_check_clean();
	return efi.failed != 0;
}

typedef bool (*fault)(const struct setup *setup, const struct efi_volume *volume, unsigned n,
                      bool persistent);

static void fault_loop(fault run)
{
	unsigned step = test_brief() ? 7 : 1;

	for (size_t i = 0; i < COUNT(setups) * 2; i++) {
		const struct setup *setup = &setups[i / 2];
		struct efi_volume volume;
		unsigned n = 1;

		open_setup(setup, &volume);
		while (run(setup, &volume, n, i % 2))
			n += step;
		LE(40, n); /* the loop did find calls that can fail */
		efi_volume_free(&volume);
	}
}

static void driver_faults(void **state)
{
	(void)state;
	fault_loop(driver_fault);
}

static void application_faults(void **state)
{
	(void)state;
	fault_loop(application_fault);
}

/* Runs last, and compares what the tests before it printed. */
static void messages(void **state)
{
	(void)state;
	TRUE(efi_messages_match(GLUE_MESSAGES, test_brief()));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(driver_shows_disks),
		cmocka_unit_test(refuses_bad_calls),
		cmocka_unit_test(application_boots),
		cmocka_unit_test(keeps_writes_in_memory),
		cmocka_unit_test(write_faults),
		cmocka_unit_test(writes_over_damage),
		cmocka_unit_test(bounds_writes),
		cmocka_unit_test(names_files),
		cmocka_unit_test(replaces_variable),
		cmocka_unit_test(measures_files),
		cmocka_unit_test(measures_without_log),
		cmocka_unit_test(requests),
		cmocka_unit_test(bad_files),
		cmocka_unit_test(driver_faults),
		cmocka_unit_test(application_faults),
		cmocka_unit_test(messages),
	};

	return cmocka_run_group_tests(tests, make_images, free_images);
}
