/* SPDX-License-Identifier: MIT */
/*
 * The driver: shows the images as disks and stays, until it is unloaded.
 */
#include "uefi.h"

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);

static struct qu_session session;

static EFI_STATUS EFIAPI unload(EFI_HANDLE image)
{
	(void)image;
	return qu_session_end(&session);
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	EFI_STATUS status = qu_session_start(&session, image, system);
	void *loaded;

	if (EFI_ERROR(status))
		return status;
	status = qu_boot->HandleProtocol(image, &qu_loaded_image_guid, &loaded);
	if (EFI_ERROR(status))
		(void)qu_session_end(&session);
	else
		((EFI_LOADED_IMAGE_PROTOCOL *)loaded)->Unload = unload;
	return status;
}
