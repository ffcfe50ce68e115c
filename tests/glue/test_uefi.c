/* SPDX-License-Identifier: MIT */
/*
 * port/uefi, the driver and the application, in a firmware of our own: on a FAT volume that they
 * read by its blocks, and on volumes with another file system. What they take is given back, a
 * fault is told, and costs no more than the image that it hits.
 */
#include "efi_model.h"

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
} world;

static void set_disk(size_t i, const char *name, uint64_t size, size_t block_size)
{
	world.disks[i].name = name;
	world.disks[i].size = (size_t)(size + block_size - 1) / block_size * block_size;
	world.disks[i].block_size = block_size;
	world.disks[i].want = calloc(1, world.disks[i].size);
	TRUE(world.disks[i].want != NULL);
}

/* A chain of three, of which the raw one is the shortest. */
static void make_chain(void)
{
	struct layer layers[3];

	image_buf_resize(&world.raw, 30 * CLUSTER + 123);
	image_fill(world.raw.data, world.raw.len, 3, 0);
	image_init(&world.middle, 3, BITS, 35 * CLUSTER);
	world.middle.active.seed = 2;
	image_add_range(&world.middle, &world.middle.active, 5, 4, IMAGE_DATA);
	image_add(&world.middle, &world.middle.active, 12, IMAGE_COMPRESSED);
	image_set_backing(&world.middle, "base.raw", 8, 0);
	image_add_ext(&world.middle, IMAGE_EXT_BACKING_FORMAT, 3, "raw", 3);
	image_finish(&world.middle);
	image_init(&world.top, 3, BITS, 40 * CLUSTER + 1000);
	image_add_range(&world.top, &world.top.active, 0, 2, IMAGE_DATA);
	image_add_range(&world.top, &world.top.active, 3, 3, IMAGE_COMPRESSED);
	image_add(&world.top, &world.top.active, 7, IMAGE_ZERO);
	image_add(&world.top, &world.top.active, 40, IMAGE_DATA);
	image_set_backing(&world.top, "mid.q", 5, 0);
	image_add_ext(&world.top, IMAGE_EXT_BACKING_FORMAT, 5, "qcow2", 5);
	image_finish(&world.top);
	set_disk(0, "\\top.q", world.top.size, 512);
	layers[0] = (struct layer){ .img = &world.top, .size = world.top.size };
	layers[1] = (struct layer){ .img = &world.middle, .size = world.middle.size };
	layers[2] = (struct layer){ .raw = &world.raw, .size = world.raw.len };
	expect_chain(layers, 3, 0, world.disks[0].want, (size_t)world.top.size);
}

static void make_others(void)
{
	struct image *img = &world.external;

	image_init(img, 3, BITS, 20 * CLUSTER);
	img->has_data_file = true;
	image_add_range(img, &img->active, 1, 6, IMAGE_DATA);
	image_add_ext(img, IMAGE_EXT_DATA_FILE, 7, "ext.raw", 7);
	image_finish(img);
	set_disk(1, "\\ext.q", img->size, 512);
	image_expect(img, &img->active, 0, world.disks[1].want, (size_t)img->size);
	img = &world.plain;
	image_init(img, 3, 16, 5 * 65536 + 5000);
	image_add_range(img, &img->active, 0, 2, IMAGE_COMPRESSED);
	image_add_range(img, &img->active, 3, 3, IMAGE_DATA);
	image_finish(img);
	set_disk(2, "\\plain.q", img->size, 4096);
	image_expect(img, &img->active, 0, world.disks[2].want, (size_t)img->size);
}

static int make_world(void **state)
{
	(void)state;
	make_chain();
	make_others();
	return 0;
}

static int free_world(void **state)
{
	(void)state;
	image_free(&world.top);
	image_free(&world.middle);
	image_free(&world.external);
	image_free(&world.plain);
	free(world.raw.data);
	for (size_t i = 0; i < N_DISKS; i++)
		free(world.disks[i].want);
	return 0;
}

/* All files; config may be NULL. */
static void add_files(struct efi_volume *volume, const char *text)
{
	memset(volume, 0, sizeof *volume);
	efi_volume_add(volume, "top.q", world.top.file.data, world.top.file.len);
	efi_volume_add(volume, "mid.q", world.middle.file.data, world.middle.file.len);
	efi_volume_add(volume, "base.raw", world.raw.data, world.raw.len);
	efi_volume_add(volume, "ext.q", world.external.file.data, world.external.file.len);
	efi_volume_add(volume, "ext.raw", world.external.data.data, world.external.data.len);
	efi_volume_add(volume, "plain.q", world.plain.file.data, world.plain.file.len);
	efi_volume_add(volume, "text.q", no_image, sizeof no_image - 1);
	if (text != NULL)
		efi_volume_add(volume, "qcow2.cfg", text, strlen(text));
}

/* ---- Scenes ---- */

static const struct scene {
	const char *name;
	void (*make_blocks)(struct efi_volume *volume); /* NULL: none are seen */
	const char *config, *options;
} scenes[] = {
	{ "FAT, configuration", efi_volume_fat, config, NULL },
	{ "FAT, options", efi_volume_fat, NULL, all_options },
	{ "another file system", efi_volume_other, NULL, all_options },
	{ "no blocks", NULL, config, NULL },
};

static void open_scene(const struct scene *scene, struct efi_volume *volume)
{
	add_files(volume, scene->config);
	if (scene->make_blocks != NULL)
		scene->make_blocks(volume);
}

/* ---- Reading the disks that were made ---- */

static size_t count_disks(void)
{
	size_t n = 0;

	while (efi_disk(n) != NULL)
		n++;
	return n;
}

/* Which of the world's it is. */
static size_t disk_index(const EFI_BLOCK_IO_PROTOCOL *block_io)
{
	const EFI_BLOCK_IO_MEDIA *media = block_io->Media;
	size_t i = 0;

	EQ(media->ReadOnly, 1);
	EQ(media->MediaPresent, 1);
	while (i < N_DISKS && (media->LastBlock + 1) * media->BlockSize != world.disks[i].size)
		i++;
	LE(i, N_DISKS - 1);
	EQ(media->BlockSize, world.disks[i].block_size);
	return i;
}

/* Reads n blocks, to any address; what is read must be right. */
static EFI_STATUS read_blocks(EFI_BLOCK_IO_PROTOCOL *block_io, uint64_t lba, size_t n)
{
	size_t i = disk_index(block_io);
	size_t len = n * world.disks[i].block_size;
	uint8_t *buf = lba % 2 == 0 ? glue_dest(len) : glue_dest(len + 1) + 1;
	EFI_STATUS status = block_io->ReadBlocks(block_io, block_io->Media->MediaId, lba, len, buf);

	glue_dest_check();
	if (!EFI_ERROR(status))
		SAME(buf, world.disks[i].want + lba * world.disks[i].block_size, len);
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

/* Reads all that were made. How many had an error? */
static size_t read_disks(void)
{
	size_t n_bad = 0;

	for (size_t i = 0; efi_disk(i) != NULL; i++)
		n_bad += EFI_ERROR(read_disk(efi_disk(i)));
	return n_bad;
}

/* ---- All is well ---- */

static void driver_shows_disks(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scenes); i++) {
		struct efi_volume volume;

		test_case("%s", scenes[i].name);
		open_scene(&scenes[i], &volume);
		efi_power_on(&volume, scenes[i].options);
		EQ(efi_run(efi_main_driver), EFI_SUCCESS);
		EQ(count_disks(), N_DISKS);
		for (size_t k = 0; k < N_DISKS; k++)
			EQ(disk_index(efi_disk(k)), k);
		EQ(read_disks(), 0);
		EQ(efi_complaints(), 0);
		TRUE(efi_was_said(
			"qcow2: \\top.q: a disk of 164840 bytes in blocks of 512, with "));
		TRUE(efi_was_said(
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
	open_scene(&scenes[0], &volume);
	efi_power_on(&volume, NULL);
	EQ(efi_run(efi_main_driver), EFI_SUCCESS);
	disk = efi_disk(0);
	last = disk->Media->LastBlock;
	id = disk->Media->MediaId;
	EQ(disk->ReadBlocks(disk, id + 1, 0, 512, buf), EFI_MEDIA_CHANGED);
	EQ(disk->ReadBlocks(disk, id, 0, 0, buf), EFI_SUCCESS);
	EQ(disk->ReadBlocks(disk, id, 0, 512, NULL), EFI_INVALID_PARAM);
	EQ(disk->ReadBlocks(disk, id, 0, 511, buf), EFI_BAD_BUFFER_SIZE);
	EQ(disk->ReadBlocks(disk, id, last, 1024, buf), EFI_INVALID_PARAM);
	EQ(disk->ReadBlocks(disk, id, last + 1, 512, buf), EFI_INVALID_PARAM);
	EQ(disk->ReadBlocks(disk, id, UINT64_MAX, 1024, buf), EFI_INVALID_PARAM);
	EQ(disk->WriteBlocks(disk, id, 0, 512, buf), EFI_WRITE_PROTECTED);
	EQ(disk->WriteBlocks(disk, id + 1, 0, 512, buf), EFI_MEDIA_CHANGED);
	EQ(disk->FlushBlocks(disk), EFI_SUCCESS);
	EQ(disk->Reset(disk, 1), EFI_SUCCESS);
	EQ(efi_unload(), EFI_SUCCESS);
	efi_check_clean();
	efi_volume_free(&volume);
}

/* What the boot loader does that the application starts. */
static size_t loader_bad, loader_disks;

static EFI_STATUS loader(void)
{
	loader_disks = count_disks();
	loader_bad = read_disks();
	return EFI_SUCCESS;
}

static void power_on_with_loader(const struct scene *scene, const struct efi_volume *volume)
{
	efi_power_on(volume, scene->options);
	efi.loader = loader;
	efi.loader_blocks = world.disks[1].size / 512;
	loader_disks = 0;
	loader_bad = 0;
}

static void application_boots(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scenes); i++) {
		struct efi_volume volume;

		test_case("%s", scenes[i].name);
		open_scene(&scenes[i], &volume);
		power_on_with_loader(&scenes[i], &volume);
		EQ(efi_run(efi_main_app), EFI_SUCCESS);
		EQ(efi.loader_runs, 1);
		EQ(loader_disks, N_DISKS);
		EQ(loader_bad, 0);
		EQ(efi.stalls, 0);
		efi_check_clean();
		efi.loader_blocks = 0;
		EQ(efi_run(efi_main_app), EFI_NOT_FOUND);
		TRUE(efi_was_said(".EFI in any partition of the images\r\n"));
		efi_check_clean();
		efi_volume_free(&volume);
	}
}

/* ---- What is asked for makes no sense ---- */

static char long_config[65536 + 1]; /* blanks */

static const struct request_case {
	const char *config, *options;
	size_t n_disks;
	const char *said;
} request_cases[] = {
	{ config, "", N_DISKS, "\\top.q: a disk" },
	{ config, " \t ", N_DISKS, "\\top.q: a disk" },
	{ config, "\\EFI\\BOOT\\A.EFI", N_DISKS, "\\top.q: a disk" },
	{ config, "A.EFI top.q", 1, "\\top.q: a disk" },
	{ config, "Linux Boot Manager", N_DISKS, "no file of this volume: qcow2.cfg is read" },
	{ NULL, "nothing.q", 0, "\\nothing.q: n" },
	{ NULL, "nothing", 0, "no image is named" },
	{ config, "nothing.q", 0, "\\nothing.q: not shown as a disk" }, /* and no other is */
	{ config, "\\nothing", 0, "\\nothing: not shown as a disk" },
	{ config, "nothing.q text.q", 0, "\\nothing.q: n" },
	{ config, "nothing.q ext.q", 1, "\\nothing.q: not shown as a disk" },
	{ NULL, NULL, 0, "no image is named" },
	{ long_config, NULL, 0, "\\qcow2.cfg: is not shorter than 64 KiB" },
	{ "# nothing", NULL, 0, "qcow2.cfg names no image" },
	{ "text.q top.q nothing.q ext.q", NULL, 2, "\\text.q: not a qcow2 image" },
	{ "blocksize=512", NULL, 0, "an option before the image" },
	{ "top.q blocksize=511", NULL, 0, "a block size is 512 or 4096, not: 511" },
	{ "top.q \"ext.q", NULL, 0, "closing quote" },
	{ "top.q backing=base.raw", NULL, 0, "backing=raw:PATH or backing=qcow2:PATH" },
	{ "mid.q backing=raw:nothing.raw ext.q", NULL, 1, "\\nothing.raw: " },
	{ "ext.q data=text.q", NULL, 1, "\\ext.q: a disk" },
	{ "plain.q backing=raw:base.raw", NULL, 1, "\\plain.q: a disk" },
	{ "plain.q data=base.raw", NULL, 0, "takes no external data file" },
	{ "base.raw", NULL, 0, "\\base.raw: not a qcow2 image" },
};

static void requests(void **state)
{
	(void)state;
	memset(long_config, ' ', sizeof long_config - 1);
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
		TRUE(efi_was_said(c->said));
		if (c->n_disks != 0)
			EQ(efi_unload(), EFI_SUCCESS);
		efi_check_clean();
		efi_volume_free(&volume);
	}
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

/* Has it been said what failed? Of a protocol that is gone: as if there were no medium. */
static bool reason_was_said(void)
{
	if (efi.status == EFI_OUT_OF_RESOURCES)
		return efi_was_said("memory");
	if (efi_was_said(": reading the volume failed"))
		return true;
	if (efi.status == EFI_DEVICE_ERROR)
		return efi_was_said(": device error") || efi_was_said("its size is not known");
	return efi_was_said(": no medium") || efi_was_said(": unsupported");
}

/* One that is not there has its reason on the console; one fault does not take them all. */
static void check_made(EFI_STATUS status, size_t n_disks, bool persistent)
{
	if (status != EFI_SUCCESS)
		EQ(n_disks, 0);
	if (n_disks < N_DISKS) {
		LE(n_disks == 0 ? 1 : N_DISKS - n_disks, efi_complaints());
		TRUE(persistent || reason_was_said()); /* of many, one is enough */
	}
	if (efi_was_said("not shown as a disk") && !persistent && !efi.was_restarted)
		LE(N_DISKS - 1, n_disks);
	for (size_t i = 0; i < N_DISKS && n_disks != 0; i++)
		TRUE(efi_was_said(world.disks[i].name));
}

/* What is read of files through a driver that was restarted fails from then on. */
static bool may_fail(const struct efi_volume *volume, const struct scene *scene)
{
	(void)volume;
	return efi.was_restarted && scene->make_blocks != efi_volume_fat;
}

/* The disks are there: they are read, mended, read again, and taken back. */
static void use_disks(const struct scene *scene, const struct efi_volume *volume, bool persistent)
{
	size_t n_bad = read_disks();
	unsigned n_failed = efi.failed;

	if (n_bad != 0)
		TRUE(n_failed != 0 && efi_was_said("qcow2: reading at disk offset"));
	if (n_failed != 0) {
		disarm();
		n_bad = read_disks();
		TRUE(n_bad == 0 || may_fail(volume, scene));
		if (persistent)
			arm(1, true);
	}
	if (EFI_ERROR(efi_unload())) {
		TRUE(efi.failed > n_failed);
		TRUE(efi_was_said(": still in use: access denied"));
		LE(1, count_disks());
		disarm();
		EQ(efi_unload(), EFI_SUCCESS);
	}
}

/* The n-th call fails, in the life of the driver. Returns false if there was none. */
static bool driver_fault(const struct scene *scene, const struct efi_volume *volume, unsigned n,
                         bool persistent)
{
	EFI_STATUS status;

	test_case("%s: call %u fails%s", scene->name, n, persistent ? " and all after it" : "");
	efi_power_on(volume, scene->options);
	arm(n, persistent);
	status = efi_run(efi_main_driver);
	check_made(status, count_disks(), persistent);
	EQ(status == EFI_SUCCESS, efi_can_unload());
	if (status == EFI_SUCCESS)
		use_disks(scene, volume, persistent);
	else
		TRUE(efi.failed != 0);
	efi_check_clean();
	return efi.failed != 0;
}

/* The same, of the application: it comes back in any case, and then nothing is left. */
static bool application_fault(const struct scene *scene, const struct efi_volume *volume,
                              unsigned n, bool persistent)
{
	EFI_STATUS status;

	test_case("%s, application: call %u fails%s", scene->name, n,
	          persistent ? " and all after it" : "");
	power_on_with_loader(scene, volume);
	arm(n, persistent);
	status = efi_run(efi_main_app);
	if (status != EFI_SUCCESS) {
		TRUE(efi.failed != 0);
		LE(1, efi_complaints());
		LE(1, efi.stalls); /* that it can be read */
	} else {
		EQ(efi.loader_runs, 1);
	}
	if (loader_bad != 0)
		TRUE(efi.failed != 0 && efi_was_said("qcow2: reading at disk offset"));
	efi_check_clean();
	return efi.failed != 0;
}

typedef bool (*fault)(const struct scene *scene, const struct efi_volume *volume, unsigned n,
                      bool persistent);

static void fault_loop(fault run)
{
	unsigned step = test_brief() ? 7 : 1;

	for (size_t i = 0; i < COUNT(scenes) * 2; i++) {
		const struct scene *scene = &scenes[i / 2];
		struct efi_volume volume;
		unsigned n = 1;

		open_scene(scene, &volume);
		while (run(scene, &volume, n, i % 2))
			n += step;
		LE(40, n); /* there is much to fail */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(driver_shows_disks), cmocka_unit_test(refuses_bad_calls),
		cmocka_unit_test(application_boots),  cmocka_unit_test(requests),
		cmocka_unit_test(driver_faults),      cmocka_unit_test(application_faults),
	};

	return cmocka_run_group_tests(tests, make_world, free_world);
}
