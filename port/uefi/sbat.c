/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * What shim asks of a program that it starts under Secure Boot.
 *
 * The section .sbat says which version of which program this is, so that a vulnerable one can be
 * revoked. A distributor of the program may add a line. The format is that of shim's
 * SBAT.md: name, generation, vendor, package, version, address; the generation grows with each fix
 * that makes older programs unsafe.
 */
#include "uefi.h"

__attribute__((used, section(".sbat"))) static const char sbat[] =
	"sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"
	"libqcow2,1,libqcow2,libqcow2," QCOW2_VERSION ",-\n";

/*
 * shim refuses a program in which a section has no bytes in the file. All other variables of the
 * programs start as zero, so that .data would have none.
 */
__attribute__((used, section(".data"))) static uint32_t data_in_file = 1;
