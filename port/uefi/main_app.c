/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The application: publishes the images as disks and starts the boot loader of the first disk that
 * has one, under the name for removable media (UEFI specification 3.5.1.1). If the loader returns,
 * the application removes the disks; it cannot exit while one of them is in use.
 */
#include "uefi.h"

#if defined(__x86_64__)
#define LOADER "\\EFI\\BOOT\\BOOTX64.EFI"
#elif defined(__aarch64__)
#define LOADER "\\EFI\\BOOT\\BOOTAA64.EFI"
#elif defined(__i386__)
#define LOADER "\\EFI\\BOOT\\BOOTIA32.EFI"
#else
#error "the name of the boot loader for this processor is unknown: see UEFI specification 3.5.1.1"
#endif

enum { READING_TIME = 3000000 }; /* microseconds, so that the user can read a failure */

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

/* Frees memory that the firmware allocated, which qu_free cannot do. NULL is allowed. */
static void free_pool(void *memory)
{
	if (memory != NULL)
		(void)qu_boot->FreePool(memory);
}

/* The bytes of a device path before its end node. */
static size_t path_len(const EFI_DEVICE_PATH_PROTOCOL *path)
{
	const uint8_t *bytes = (const uint8_t *)path;
	size_t len = 0;

	while (bytes[len] != END_DEVICE_PATH_TYPE)
		len += bytes[len + 2u] + ((size_t)bytes[len + 3u] << 8);
	return len;
}

static bool is_on_disk(const EFI_DEVICE_PATH_PROTOCOL *path, const struct qu_disk *disk)
{
	size_t len = path_len(qu_disk_path(disk));

	return path_len(path) >= len && memcmp(path, qu_disk_path(disk), len) == 0;
}

static void put_node(uint8_t *to, unsigned type, unsigned sub_type, size_t len)
{
	to[0] = (uint8_t)type;
	to[1] = (uint8_t)sub_type;
	to[2] = (uint8_t)len;
	to[3] = (uint8_t)(len >> 8);
}

/* The device path of the boot loader on a volume. */
static uint8_t *loader_path(const EFI_DEVICE_PATH_PROTOCOL *volume)
{
	static const char name[] = LOADER;
	size_t len = path_len(volume);
	uint8_t *path = qu_alloc(len + 4u + 2u * sizeof name + 4u);
	size_t i;

	if (path == NULL)
		return NULL;
	memcpy(path, volume, len);
	put_node(path + len, MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, 4u + 2u * sizeof name);
	for (i = 0; i < sizeof name; i++)
		path[len + 4u + 2u * i] = (uint8_t)name[i];
	put_node(path + len + 4u + 2u * sizeof name, END_DEVICE_PATH_TYPE,
	         END_ENTIRE_DEVICE_PATH_SUBTYPE, 4);
	return path;
}

/* Starts the loader on a volume. Returns EFI_NOT_FOUND if the volume has none. */
static EFI_STATUS start_loader(EFI_HANDLE self, const struct qu_session *session,
                               const struct qu_disk *disk, const EFI_DEVICE_PATH_PROTOCOL *volume)
{
	uint8_t *path = loader_path(volume);
	EFI_HANDLE loader = NULL;
	CHAR16 *exit_data = NULL;
	UINTN exit_data_len = 0;
	EFI_STATUS status;

	if (path == NULL)
		return EFI_OUT_OF_RESOURCES;
	status = qu_boot->LoadImage(0, self, (EFI_DEVICE_PATH_PROTOCOL *)(void *)path, NULL, 0,
	                            &loader);
	qu_free(path);
	if (EFI_ERROR(status)) {
		/* With this status the loader is in memory, but must not be started. */
		if (status == EFI_SECURITY_VIOLATION)
			(void)qu_boot->UnloadImage(loader);
		if (status != EFI_NOT_FOUND)
			qu_say("qcow2: cannot load %s: %s\n", LOADER, qu_efi_text(status));
		return status;
	}
	qu_handover_set(&session->volume, disk);
	qu_say("qcow2: starting %s\n", LOADER);
	status = qu_boot->StartImage(loader, &exit_data_len, &exit_data);
	free_pool(exit_data);
	qu_say("qcow2: %s returned: %s\n", LOADER, qu_efi_text(status));
	return status;
}

/* Starts the loader of the first volume on this disk that has one. */
static EFI_STATUS boot_disk(EFI_HANDLE self, const struct qu_session *session,
                            const struct qu_disk *disk, EFI_HANDLE *volumes, UINTN n_volumes)
{
	EFI_STATUS status = EFI_NOT_FOUND;
	UINTN i;

	for (i = 0; i < n_volumes && status == EFI_NOT_FOUND; i++) {
		void *path;

		if (!EFI_ERROR(qu_boot->HandleProtocol(volumes[i], &qu_device_path_guid, &path)) &&
		    is_on_disk(path, disk))
			status = start_loader(self, session, disk, path);
	}
	return status;
}

static EFI_STATUS boot(EFI_HANDLE self, const struct qu_session *session)
{
	EFI_HANDLE *volumes;
	UINTN n_volumes;
	EFI_STATUS status = qu_boot->LocateHandleBuffer(ByProtocol, &qu_file_system_guid, NULL,
	                                                &n_volumes, &volumes);

	if (!EFI_ERROR(status)) {
		uint32_t i;

		status = EFI_NOT_FOUND;
		for (i = 0; i < session->n_disks && status == EFI_NOT_FOUND; i++)
			status = boot_disk(self, session, session->disks[i], volumes, n_volumes);
		free_pool((void *)volumes);
	} else if (status != EFI_NOT_FOUND) {
		qu_say("qcow2: cannot list the partitions: %s\n", qu_efi_text(status));
	}
	if (status == EFI_NOT_FOUND)
		qu_say("qcow2: no %s in any partition of the images\n", LOADER);
	return status;
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	struct qu_session session;
	EFI_STATUS status = qu_session_start(&session, image, system);

	if (!EFI_ERROR(status)) {
		status = boot(image, &session);
		/*
		 * The firmware frees the code of an application that exits, and a disk that is
		 * still in use would call into it. That happens only if the loader left a driver
		 * behind that holds a disk.
		 */
		while (EFI_ERROR(qu_session_end(&session)))
			(void)qu_boot->Stall(READING_TIME);
	}
	if (EFI_ERROR(status))
		(void)qu_boot->Stall(READING_TIME);
	return status;
}
