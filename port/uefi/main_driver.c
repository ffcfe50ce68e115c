/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The driver: publishes the images as disks and stays until the user unloads it.
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

	if (!EFI_ERROR(status)) {
		session.loaded->Unload = unload;
		/* The user chooses what to boot. Most sticks have only one image, the first. */
		qu_handover_set(&session.volume, session.disks[0]);
	}
	return status;
}
