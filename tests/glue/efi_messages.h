/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Collects every line that the programs print in the model of the firmware, and compares them with
 * tests/glue/uefi-messages.txt, where a reviewer can read them all.
 */
#ifndef EFI_MESSAGES_H
#define EFI_MESSAGES_H

#include <stdbool.h>

/* Adds the lines of a console. Each line is kept once, with FILE for paths and N for numbers. */
void efi_messages_add(const char *console);

/*
 * Compares the lines with those of the file at `path`, and prints the difference. Each line must be
 * in the file; the file may have lines that were not printed only if `is_partial`. If UPDATE is set
 * in the environment, writes the file instead.
 */
bool efi_messages_match(const char *path, bool is_partial);

#endif
