/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A boot loader for the tests, which the firmware starts from inside a qcow2 image. It prints lines
 * that the host compares:
 *
 *	probe: tpl N                        its task priority: 4, if drivers restore it
 *	probe: disk N blocks B of S         a disk of the program: B blocks of S bytes
 *	probe: disk N crc C                 the checksum of the blocks that it reads
 *	probe: disk N refusals ok|WRONG     whether calls that must fail return the right status
 *	probe: disk N writes ok|WRONG       if it can be written: whether it keeps what is written
 *	probe: variable TEXT                each line of the variable Qcow2Boot
 *	probe: variable attributes N        6: volatile, and readable by the operating system
 *	probe: pcr 9 HEX                    if there is a TPM: the PCR, in the bank of SHA-256
 *	probe: done
 *
 * It reads the first 8 MiB in pieces of varying length, then one block of each 1 MiB, and the last
 * block. At the end it switches the machine off; if compiled with PROBE_RETURNS, it returns.
 */
#include "efi.h"

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system);
void *memcpy(void *restrict dest, const void *restrict src, size_t len);
int memcmp(const void *a, const void *b, size_t len);

enum { BUF_LEN = 1024 * 1024, HEAD_LEN = 8 * 1024 * 1024, DISKS_MAX = 16 };

static EFI_SYSTEM_TABLE *st;
static EFI_BOOT_SERVICES *bs;
static uint8_t *buf;
static uint32_t crc_table[256];

static void say(const char *text)
{
	CHAR16 wide[80];
	unsigned i;

	for (i = 0; text[i] != '\0' && i < 79u; i++)
		wide[i] = (unsigned char)text[i];
	wide[i] = 0;
	(void)st->ConOut->OutputString(st->ConOut, wide);
}

static void say_number(const char *before, uint32_t value, const char *after)
{
	char digits[11];
	unsigned at = 10;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + value % 10u);
		value /= 10u;
	} while (value != 0u);
	say(before);
	say(digits + at);
	say(after);
}

static void crc_init(void)
{
	uint32_t i, k;

	for (i = 0; i < 256u; i++) {
		uint32_t c = i;

		for (k = 0; k < 8u; k++)
			c = c >> 1 ^ (UINT32_C(0xedb88320) & (0u - c % 2u));
		crc_table[i] = c;
	}
}

static uint32_t crc_add(uint32_t crc, const uint8_t *bytes, size_t len)
{
	for (crc = ~crc; len > 0u; len--)
		crc = crc >> 8 ^ crc_table[(crc ^ *bytes++) & 0xffu];
	return ~crc;
}

/* Adds blocks to *crc. The buffer is at any address, which IoAlign allows. */
static EFI_STATUS add_blocks(EFI_BLOCK_IO_PROTOCOL *disk, uint64_t lba, uint32_t n, uint32_t *crc)
{
	UINTN len = (UINTN)n * disk->Media->BlockSize;
	EFI_STATUS status = disk->ReadBlocks(disk, disk->Media->MediaId, lba, len, buf + lba % 4u);

	if (!EFI_ERROR(status))
		*crc = crc_add(*crc, buf + lba % 4u, len);
	return status;
}

static EFI_STATUS checksum(EFI_BLOCK_IO_PROTOCOL *disk, uint32_t *crc)
{
	uint32_t per_mib = (1024u * 1024u) / disk->Media->BlockSize;
	uint64_t head = HEAD_LEN / disk->Media->BlockSize;
	uint64_t last = disk->Media->LastBlock;
	EFI_STATUS status = EFI_SUCCESS;
	uint64_t lba = 0;
	uint32_t n = 1;

	*crc = 0;
	if (head > last)
		head = last + 1u;
	while (!EFI_ERROR(status) && lba < head) {
		if (n > head - lba)
			n = (uint32_t)(head - lba);
		status = add_blocks(disk, lba, n, crc);
		lba += n;
		n = n * 3u % 127u + 1u; /* 1, 4, 13, 40, 121, ... blocks */
	}
	for (; !EFI_ERROR(status) && lba <= last; lba += per_mib)
		status = add_blocks(disk, lba, 1, crc);
	return EFI_ERROR(status) ? status : add_blocks(disk, last, 1, crc);
}

/* Calls that a driver must refuse (UEFI specification, 13.9). */
static int refusals_are_right(EFI_BLOCK_IO_PROTOCOL *disk)
{
	uint32_t id = disk->Media->MediaId;
	UINTN len = disk->Media->BlockSize;
	uint64_t last = disk->Media->LastBlock;

	return disk->ReadBlocks(disk, id + 1u, 0, len, buf) == EFI_MEDIA_CHANGED &&
	       disk->ReadBlocks(disk, id, 0, len - 1u, buf) == EFI_BAD_BUFFER_SIZE &&
	       disk->ReadBlocks(disk, id, last + 1u, len, buf) == EFI_INVALID_PARAMETER &&
	       disk->ReadBlocks(disk, id, last, 2u * len, buf) == EFI_INVALID_PARAMETER &&
	       disk->ReadBlocks(disk, id, UINT64_MAX, len, buf) == EFI_INVALID_PARAMETER &&
	       disk->ReadBlocks(disk, id, 0, len, NULL) == EFI_INVALID_PARAMETER &&
	       disk->ReadBlocks(disk, id, 0, 0, buf) == EFI_SUCCESS &&
	       disk->WriteBlocks(disk, id, last + 1u, len, buf) ==
	               (disk->Media->ReadOnly ? EFI_WRITE_PROTECTED : EFI_INVALID_PARAMETER) &&
	       disk->FlushBlocks(disk) == EFI_SUCCESS && disk->Reset(disk, 1) == EFI_SUCCESS;
}

/* Writes seven blocks in the middle of a piece of memory, and reads them with their neighbours. */
static int writes_are_kept(EFI_BLOCK_IO_PROTOCOL *disk)
{
	uint32_t id = disk->Media->MediaId, size = disk->Media->BlockSize, i;
	uint8_t *before = buf + 3, *after = buf + BUF_LEN / 2;

	if (EFI_ERROR(disk->ReadBlocks(disk, id, 12, 9u * size, before)))
		return 0;
	for (i = size; i < 8u * size; i++)
		before[i] = (uint8_t)(i * 7u + 1u);
	return !EFI_ERROR(disk->WriteBlocks(disk, id, 13, 7u * size, before + size)) &&
	       !EFI_ERROR(disk->FlushBlocks(disk)) &&
	       !EFI_ERROR(disk->ReadBlocks(disk, id, 12, 9u * size, after)) &&
	       memcmp(before, after, 9u * size) == 0;
}

static void probe_disk(uint32_t number, EFI_BLOCK_IO_PROTOCOL *disk)
{
	EFI_STATUS status;
	uint32_t crc;

	say_number("probe: disk ", number, "");
	say_number(" blocks ", (uint32_t)disk->Media->LastBlock + 1u, "");
	say_number(" of ", disk->Media->BlockSize, "\r\n");
	status = checksum(disk, &crc);
	say_number("probe: disk ", number, "");
	if (EFI_ERROR(status))
		say(" cannot be read\r\n");
	else
		say_number(" crc ", crc, "\r\n");
	say_number("probe: disk ", number,
	           refusals_are_right(disk) ? " refusals ok\r\n" : " refusals WRONG\r\n");
	if (!disk->Media->ReadOnly)
		say_number("probe: disk ", number,
		           writes_are_kept(disk) ? " writes ok\r\n" : " writes WRONG\r\n");
}

/* The number of a disk of the program, whose path is one vendor node of 24 bytes; else -1. */
static int disk_number(const uint8_t *path)
{
	static const uint8_t start[12] = { HARDWARE_DEVICE_PATH,
		                           HW_VENDOR_DP,
		                           24,
		                           0,
		                           0x1f,
		                           0x87,
		                           0x3f,
		                           0xcf,
		                           0x27,
		                           0x51,
		                           0x9e,
		                           0x4c };

	if (memcmp(path, start, sizeof start) != 0 || path[24] != END_DEVICE_PATH_TYPE)
		return -1;
	return path[20];
}

static void probe_all(void)
{
	static const EFI_GUID block_io_guid = EFI_BLOCK_IO_PROTOCOL_GUID;
	static const EFI_GUID path_guid = EFI_DEVICE_PATH_PROTOCOL_GUID;
	EFI_HANDLE *handles = NULL;
	UINTN n = 0, i;
	int wanted;

	(void)bs->LocateHandleBuffer(ByProtocol, &block_io_guid, NULL, &n, &handles);
	for (wanted = 0; wanted < DISKS_MAX; wanted++)
		for (i = 0; i < n; i++) {
			void *path, *disk;

			if (!EFI_ERROR(bs->HandleProtocol(handles[i], &path_guid, &path)) &&
			    disk_number(path) == wanted &&
			    !EFI_ERROR(bs->HandleProtocol(handles[i], &block_io_guid, &disk)))
				probe_disk((uint32_t)wanted, disk);
		}
	(void)bs->FreePool(handles);
}

/* Prints the lines of Qcow2Boot-6a4f0c3b-2e0c-4f5a-9d57-3f1c8a5be27d, if the variable exists. */
static void probe_variable(void)
{
	static const CHAR16 name[] = { 'Q', 'c', 'o', 'w', '2', 'B', 'o', 'o', 't', 0 };
	static const EFI_GUID guid = {
		0x6a4f0c3b, 0x2e0c, 0x4f5a, { 0x9d, 0x57, 0x3f, 0x1c, 0x8a, 0x5b, 0xe2, 0x7d }
	};
	uint32_t attributes = 0;
	UINTN len = BUF_LEN - 1, i, start = 0;

	if (EFI_ERROR(st->RuntimeServices->GetVariable(name, &guid, &attributes, &len, buf)))
		return;
	for (i = 0; i < len; i++) {
		if (buf[i] != '\n')
			continue;
		buf[i] = '\0';
		say("probe: variable ");
		say((const char *)buf + start);
		say("\r\n");
		start = i + 1u;
	}
	say_number("probe: variable attributes ", attributes, "\r\n");
}

/* "TPM 2.0 Library, Part 3", 22.4 "TPM2_PCR_Read". */
static void probe_pcr(void)
{
	static const EFI_GUID guid = EFI_TCG2_PROTOCOL_GUID;
	/* Tag, length, command; one bank: SHA-256; three bytes with a bit for each PCR. */
	static const uint8_t command[20] = { 0x80, 1, 0, 0, 0, 20, 0, 0, 1,      0x7e,
		                             0,    0, 0, 1, 0, 11, 3, 0, 1 << 1, 0 };
	enum { AT = 30, LEN = 32 }; /* the value in the answer */
	EFI_TCG2_PROTOCOL *tcg2;
	char text[2 * LEN + 1];
	void *found;
	unsigned i;

	if (EFI_ERROR(bs->LocateProtocol(&guid, NULL, &found)))
		return;
	tcg2 = found;
	if (EFI_ERROR(tcg2->SubmitCommand(tcg2, sizeof command, command, 256, buf)) ||
	    buf[AT - 1] != LEN)
		return;
	for (i = 0; i < LEN; i++) {
		text[2u * i] = "0123456789abcdef"[buf[AT + i] >> 4];
		text[2u * i + 1u] = "0123456789abcdef"[buf[AT + i] & 15u];
	}
	text[2 * LEN] = '\0';
	say("probe: pcr 9 ");
	say(text);
	say("\r\n");
}

EFI_STATUS EFIAPI efi_main(EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	EFI_TPL tpl;
	void *memory;

	(void)image;
	st = system;
	bs = system->BootServices;
	tpl = bs->RaiseTPL(TPL_CALLBACK);
	bs->RestoreTPL(tpl);
	say_number("\r\nprobe: tpl ", (uint32_t)tpl, "\r\n");
	if (EFI_ERROR(bs->AllocatePool(EfiBootServicesData, BUF_LEN, &memory)))
		return EFI_OUT_OF_RESOURCES;
	buf = memory;
	crc_init();
	probe_all();
	probe_variable();
	probe_pcr();
	(void)bs->FreePool(memory);
	say("probe: done\r\n");
#ifndef PROBE_RETURNS
	st->RuntimeServices->ResetSystem(EfiResetShutdown, EFI_SUCCESS, 0, NULL);
#endif
	return EFI_SUCCESS;
}
