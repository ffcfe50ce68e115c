/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * UEFI for the port in EDK2's tree, from EDK2's own headers. In the package it takes the place of
 * port/uefi/efi.h, which has the same names.
 */
#ifndef QU_EFI_H
#define QU_EFI_H

#include <Uefi.h>
#include <Protocol/BlockIo.h>
#include <Protocol/DevicePath.h>
#include <Protocol/LoadedImage.h>
#include <Protocol/SimpleFileSystem.h>
#include <Protocol/SimpleTextOut.h>
#include <Protocol/Tcg2Protocol.h>

#include "qcow2/types.h"

#define EFI_ERROR_BIT MAX_BIT

/* "TCG PC Client Platform Firmware Profile", 10.4.1; the releases that we know do not have it. */
#ifndef EV_IPL
#define EV_IPL 13u
#endif

#endif
