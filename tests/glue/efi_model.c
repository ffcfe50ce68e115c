/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "efi_model.h"

#include "efi_messages.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum {
	HANDLES_MAX = 40, /* volume, program, loader, and 16 disks with a partition each */
	PROTOCOLS_MAX = 3,
	OPEN_MAX = 32,
	MEDIA_ID = 7,
	IO_ALIGN = 8
};

/* Statuses that the port prints but does not define. */
#define EFI_UNSUPPORTED     (EFI_ERROR_BIT | 3u)
#define EFI_ALREADY_STARTED (EFI_ERROR_BIT | 20u)

struct efi_model efi;

static const EFI_GUID block_io_guid = EFI_BLOCK_IO_PROTOCOL_GUID;
static const EFI_GUID device_path_guid = EFI_DEVICE_PATH_PROTOCOL_GUID;
static const EFI_GUID file_system_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
static const EFI_GUID loaded_image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;

/* ---- Faults ---- */

static void *const garbage = (void *)(uintptr_t)0xdddddddddddddd00;

/* Counts a call of a service. Returns true if it must fail, with this status. */
static bool fails(EFI_STATUS status)
{
	efi.calls++;
	if (efi.fail_at == 0 ||
	    (efi.persistent ? efi.calls < efi.fail_at : efi.calls != efi.fail_at))
		return false;
	if (efi.failed++ == 0)
		efi.status = status;
	return true;
}

/* ---- Console ---- */

static EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL console;

static EFI_STATUS EFIAPI output_string(EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *self, const CHAR16 *text)
{
	TRUE(self == &console);
	for (; *text != 0; text++) {
		TRUE(*text == '\r' || *text == '\n' || (*text >= 0x20 && *text < 0x7f));
		LE(efi.console_len, EFI_CONSOLE_MAX - 2);
		efi.console[efi.console_len++] = (char)*text;
	}
	return EFI_SUCCESS;
}

bool efi_printed(const char *part)
{
	return strstr(efi.console, part) != NULL;
}

unsigned efi_complaints(void)
{
	unsigned n = 0;

	for (const char *line = efi.console; *line != '\0'; line = strchr(line, '\n') + 1) {
		const char *end = strchr(line, '\n');
		const char *made = strstr(line, ": a disk of ");
		const char *memory = strstr(line, "memory: ");

		EQ(strncmp(line, "qcow2: ", 7), 0);
		TRUE(end != NULL && end[-1] == '\r');
		n += (made == NULL || made > end) && (memory == NULL || memory > end);
	}
	return n;
}

/* ---- Task priority ---- */

static EFI_TPL priority;
static unsigned n_raised;

static EFI_TPL EFIAPI raise_tpl(EFI_TPL tpl)
{
	EFI_TPL old = priority;

	LE(old, tpl);
	priority = tpl;
	n_raised++;
	return old;
}

static void EFIAPI restore_tpl(EFI_TPL tpl)
{
	LE(1, n_raised--);
	LE(tpl, priority);
	priority = tpl;
}

/* ---- Memory ---- */

static EFI_STATUS EFIAPI allocate_pool(uint32_t memory, UINTN len, void **buf)
{
	EQ(memory, EfiBootServicesData);
	*buf = garbage;
	if (fails(EFI_OUT_OF_RESOURCES))
		return EFI_OUT_OF_RESOURCES;
	*buf = glue_alloc(8, len);
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI free_pool(void *buf)
{
	glue_release(buf);
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI allocate_pages(uint32_t type, uint32_t memory, UINTN n_pages,
                                        EFI_PHYSICAL_ADDRESS *address)
{
	EQ(type, AllocateAnyPages);
	EQ(memory, EfiBootServicesData);
	*address = (uintptr_t)garbage;
	if (fails(EFI_OUT_OF_RESOURCES))
		return EFI_OUT_OF_RESOURCES;
	*address = (uintptr_t)glue_alloc(EFI_PAGE_SIZE, n_pages * EFI_PAGE_SIZE);
	return EFI_SUCCESS;
}

static void EFIAPI copy_mem(void *dest, const void *src, UINTN len)
{
	memmove(dest, src, len);
}

static EFI_STATUS EFIAPI free_pages(EFI_PHYSICAL_ADDRESS address, UINTN n_pages)
{
	void *p = (void *)(uintptr_t)address;

	EQ(glue_size(p), n_pages * EFI_PAGE_SIZE);
	glue_release(p);
	return EFI_SUCCESS;
}

/* ---- Handles and protocols ---- */

struct handle {
	size_t n;
	struct {
		const EFI_GUID *guid;
		void *interface;
	} protocols[PROTOCOLS_MAX];
	const struct handle *disk; /* if this is a partition of it; else NULL */
	struct {
		uint8_t bytes[64];
		size_t len;
		EFI_SIMPLE_FILE_SYSTEM_PROTOCOL file_system;
	} partition;
};

static struct handle handles[HANDLES_MAX];
static struct handle *const volume_handle = &handles[0], *const image_handle = &handles[1];

static bool guid_equal(const EFI_GUID *a, const EFI_GUID *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static struct handle *handle_check(EFI_HANDLE handle)
{
	struct handle *h = handle;

	TRUE(h >= handles && h < handles + HANDLES_MAX);
	LE(1, h->n);
	return h;
}

static void *protocol_of(const struct handle *h, const EFI_GUID *guid)
{
	for (size_t i = 0; i < h->n; i++)
		if (guid_equal(h->protocols[i].guid, guid))
			return h->protocols[i].interface;
	return NULL;
}

static struct handle *handle_new(void)
{
	size_t i = 2; /* the first two are those of the volume and the program */

	while (i < HANDLES_MAX && handles[i].n != 0)
		i++;
	LE(i, HANDLES_MAX - 1);
	return &handles[i];
}

static void protocol_add(struct handle *h, const EFI_GUID *guid, void *interface)
{
	LE(h->n, PROTOCOLS_MAX - 1);
	TRUE(protocol_of(h, guid) == NULL);
	h->protocols[h->n].guid = guid;
	h->protocols[h->n++].interface = interface;
}

static void protocol_remove(struct handle *h, const EFI_GUID *guid, const void *interface)
{
	size_t i = 0;

	TRUE(protocol_of(h, guid) == interface);
	while (!guid_equal(h->protocols[i].guid, guid))
		i++;
	h->protocols[i] = h->protocols[--h->n];
}

static void file_system_restart(void);
static bool file_system_is_in_use(void);

static EFI_STATUS EFIAPI handle_protocol(EFI_HANDLE handle, const EFI_GUID *guid, void **to)
{
	struct handle *h = handle_check(handle);
	void *interface = protocol_of(h, guid);

	*to = garbage;
	if (fails(EFI_UNSUPPORTED)) {
		if (h == volume_handle && interface != NULL &&
		    guid_equal(guid, &file_system_guid) && file_system_is_in_use())
			file_system_restart();
		return EFI_UNSUPPORTED;
	}
	if (interface == NULL)
		return EFI_UNSUPPORTED;
	*to = interface;
	return EFI_SUCCESS;
}

/* The bytes of a device path before its end node. */
static size_t path_len(const void *path)
{
	const uint8_t *bytes = path;
	size_t len = 0;

	while (bytes[len] != END_DEVICE_PATH_TYPE) {
		LE(4, bytes[len + 2]);
		len += bytes[len + 2];
	}
	EQ(bytes[len + 1], END_ENTIRE_DEVICE_PATH_SUBTYPE);
	EQ(bytes[len + 2], 4);
	return len;
}

static bool path_is_known(const void *path)
{
	size_t len = path_len(path);

	for (size_t i = 0; i < HANDLES_MAX; i++) {
		const void *other = protocol_of(&handles[i], &device_path_guid);

		if (other != NULL && path_len(other) == len && memcmp(other, path, len) == 0)
			return true;
	}
	return false;
}

#if defined(__x86_64__)
typedef __builtin_ms_va_list efi_va_list;
#define efi_va_start __builtin_ms_va_start
#define efi_va_end   __builtin_ms_va_end
#else
typedef va_list efi_va_list;
#define efi_va_start va_start
#define efi_va_end   va_end
#endif

static EFI_STATUS EFIAPI install(EFI_HANDLE *handle, ...)
{
	struct handle *h = handle_new();
	const EFI_GUID *guid;
	efi_va_list args;

	TRUE(*handle == NULL);
	efi_va_start(args, handle);
	guid = va_arg(args, const EFI_GUID *);
	TRUE(guid_equal(guid, &device_path_guid));
	while (guid != NULL) {
		void *interface = va_arg(args, void *);

		if (guid_equal(guid, &device_path_guid) && path_is_known(interface)) {
			h->n = 0;
			efi_va_end(args);
			return EFI_ALREADY_STARTED;
		}
		protocol_add(h, guid, interface);
		guid = va_arg(args, const EFI_GUID *);
	}
	efi_va_end(args);
	if (fails(EFI_OUT_OF_RESOURCES)) {
		h->n = 0;
		*handle = garbage;
		return EFI_OUT_OF_RESOURCES;
	}
	*handle = h;
	return EFI_SUCCESS;
}

/* The partition of a disk, or NULL. */
static struct handle *partition_of(const struct handle *disk)
{
	for (size_t i = 0; i < HANDLES_MAX; i++)
		if (handles[i].n != 0 && handles[i].disk == disk)
			return &handles[i];
	return NULL;
}

static EFI_STATUS EFIAPI uninstall(EFI_HANDLE handle, ...)
{
	struct handle *h = handle_check(handle);
	const EFI_GUID *guid;
	efi_va_list args;

	if (fails(EFI_ACCESS_DENIED) || partition_of(h) != NULL)
		return EFI_ACCESS_DENIED;
	efi_va_start(args, handle);
	while ((guid = va_arg(args, const EFI_GUID *)) != NULL)
		protocol_remove(h, guid, va_arg(args, void *));
	efi_va_end(args);
	EQ(h->n, 0);
	return EFI_SUCCESS;
}

/*
 * The drivers find one partition with a file system on each disk whose first block they can read.
 */
static EFI_STATUS EFIAPI connect(EFI_HANDLE controller, EFI_HANDLE *drivers,
                                 EFI_DEVICE_PATH_PROTOCOL *rest, BOOLEAN is_recursive)
{
	static uint64_t block[4096 / 8];
	struct handle *disk = handle_check(controller);
	const uint8_t *path = protocol_of(disk, &device_path_guid);
	EFI_BLOCK_IO_PROTOCOL *block_io = protocol_of(disk, &block_io_guid);
	struct handle *h = handle_new();
	size_t len = path_len(path);

	TRUE(drivers == NULL && rest == NULL && is_recursive);
	if (fails(EFI_NOT_FOUND) || partition_of(disk) != NULL ||
	    EFI_ERROR(block_io->ReadBlocks(block_io, block_io->Media->MediaId, 0,
	                                   block_io->Media->BlockSize, block)))
		return EFI_NOT_FOUND;
	LE(len, sizeof h->partition.bytes - 8);
	memset(&h->partition, 0, sizeof h->partition);
	memcpy(h->partition.bytes, path, len);
	h->partition.bytes[len] = MEDIA_DEVICE_PATH;
	h->partition.bytes[len + 1] = 1; /* a partition */
	h->partition.bytes[len + 2] = 4;
	memcpy(h->partition.bytes + len + 4, path + len, 4);
	h->partition.len = len + 4;
	h->disk = disk;
	protocol_add(h, &device_path_guid, h->partition.bytes);
	protocol_add(h, &file_system_guid, &h->partition.file_system);
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI disconnect(EFI_HANDLE controller, EFI_HANDLE driver, EFI_HANDLE child)
{
	struct handle *partition = partition_of(handle_check(controller));

	TRUE(driver == NULL && child == NULL);
	if (fails(EFI_NOT_FOUND) || partition == NULL)
		return EFI_NOT_FOUND;
	partition->n = 0;
	partition->disk = NULL;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI locate_handles(uint32_t how, const EFI_GUID *guid, void *key,
                                        UINTN *n_handles, EFI_HANDLE **found)
{
	EQ(how, ByProtocol);
	TRUE(key == NULL);
	*n_handles = 0xdddd;
	*found = garbage;
	if (fails(EFI_OUT_OF_RESOURCES))
		return EFI_OUT_OF_RESOURCES;
	*n_handles = 0;
	*found = glue_alloc(8, HANDLES_MAX * sizeof **found);
	for (size_t i = 0; i < HANDLES_MAX; i++)
		if (protocol_of(&handles[i], guid) != NULL)
			(*found)[(*n_handles)++] = &handles[i];
	return EFI_SUCCESS;
}

EFI_BLOCK_IO_PROTOCOL *efi_disk(size_t n)
{
	for (size_t i = 2; i < HANDLES_MAX; i++) {
		void *block_io = protocol_of(&handles[i], &block_io_guid);

		if (block_io != NULL && n-- == 0)
			return block_io;
	}
	return NULL;
}

/* ---- TPM ---- */

static EFI_STATUS EFIAPI hash_log_extend_event(EFI_TCG2_PROTOCOL *self, uint64_t flags,
                                               EFI_PHYSICAL_ADDRESS bytes, uint64_t len,
                                               const EFI_TCG2_EVENT *event);
static EFI_TCG2_PROTOCOL tcg2 = { .HashLogExtendEvent = hash_log_extend_event };

static void measured_add(const void *bytes, size_t len, const char *text, size_t text_len)
{
	if (efi.measured.bytes == NULL)
		return;
	LE(len, efi.measured.max - efi.measured.len);
	memcpy(efi.measured.bytes + efi.measured.len, bytes, len);
	efi.measured.len += len;
	LE(text_len + 2, EFI_TEXTS_MAX - efi.measured.texts_len);
	memcpy(efi.measured.texts + efi.measured.texts_len, text, text_len);
	efi.measured.texts_len += text_len;
	efi.measured.texts[efi.measured.texts_len++] = '\n';
}

static EFI_STATUS EFIAPI hash_log_extend_event(EFI_TCG2_PROTOCOL *self, uint64_t flags,
                                               EFI_PHYSICAL_ADDRESS bytes, uint64_t len,
                                               const EFI_TCG2_EVENT *event)
{
	TRUE(self == &tcg2);
	EQ(flags, 0);
	EQ(sizeof *event, 18);
	LE(sizeof *event, event->Size);
	EQ(event->Header.HeaderSize, 14);
	EQ(event->Header.HeaderVersion, 1);
	EQ(event->Header.PCRIndex, 9);
	EQ(event->Header.EventType, 13);
	if (fails(EFI_DEVICE_ERROR))
		return EFI_DEVICE_ERROR;
	measured_add((const void *)(uintptr_t)bytes, (size_t)len, (const char *)(event + 1),
	             event->Size - sizeof *event);
	return efi.has_full_log ? EFI_VOLUME_FULL : EFI_SUCCESS;
}

static EFI_STATUS EFIAPI locate_protocol(const EFI_GUID *guid, void *registration, void **to)
{
	static const EFI_GUID tcg2_guid = EFI_TCG2_PROTOCOL_GUID;

	TRUE(guid_equal(guid, &tcg2_guid));
	TRUE(registration == NULL);
	*to = garbage;
	if (!efi.has_tpm || fails(EFI_NOT_FOUND))
		return EFI_NOT_FOUND;
	*to = &tcg2;
	return EFI_SUCCESS;
}

/* ---- The variable of the program ---- */

static bool is_handover(const CHAR16 *name, const EFI_GUID *vendor)
{
	static const char text[] = "Qcow2Boot";
	/* 6a4f0c3b-2e0c-4f5a-9d57-3f1c8a5be27d */
	static const uint8_t guid[16] = { 0x3b, 0x0c, 0x4f, 0x6a, 0x0c, 0x2e, 0x5a, 0x4f,
		                          0x9d, 0x57, 0x3f, 0x1c, 0x8a, 0x5b, 0xe2, 0x7d };

	for (size_t i = 0; i < sizeof text; i++)
		if (name[i] != (unsigned char)text[i])
			return false;
	return memcmp(vendor, guid, sizeof guid) == 0;
}

static EFI_STATUS EFIAPI set_variable(const CHAR16 *name, const EFI_GUID *vendor,
                                      uint32_t attributes, UINTN len, const void *data)
{
	TRUE(is_handover(name, vendor));
	LE(len, EFI_VARIABLE_MAX - 1);
	EQ(priority, TPL_APPLICATION);
	if (fails(EFI_OUT_OF_RESOURCES))
		return EFI_OUT_OF_RESOURCES;
	if (len != 0 && efi.has_full_store)
		return EFI_OUT_OF_RESOURCES;
	if (len == 0 && efi.variable[0] == '\0')
		return EFI_NOT_FOUND;
	if (len == 0)
		EQ(attributes, 0);
	else /* not EFI_VARIABLE_NON_VOLATILE, which is 1 */
		EQ(attributes, EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS);
	if (len != 0)
		memcpy(efi.variable, data, len);
	efi.variable[len] = '\0';
	return EFI_SUCCESS;
}

/* ---- The volume: its blocks ---- */

static const struct efi_volume *volume;
static EFI_BLOCK_IO_MEDIA volume_media;
static EFI_BLOCK_IO_PROTOCOL volume_block_io;

static EFI_STATUS EFIAPI volume_read(EFI_BLOCK_IO_PROTOCOL *self, uint32_t media_id, EFI_LBA lba,
                                     UINTN len, void *buf)
{
	TRUE(self == &volume_block_io);
	EQ(media_id, MEDIA_ID);
	LE(lba, volume_media.LastBlock);
	LE(len, (volume_media.LastBlock + 1 - lba) * GLUE_SECTOR);
	EQ(len % GLUE_SECTOR, 0);
	EQ((uintptr_t)buf % IO_ALIGN, 0);
	if (fails(EFI_DEVICE_ERROR)) {
		memset(buf, 0xfa, len);
		return EFI_DEVICE_ERROR;
	}
	memcpy(buf, volume->blocks + lba * GLUE_SECTOR, len);
	return EFI_SUCCESS;
}

/* ---- The volume: its file system, and that driver's files ---- */

static struct model_file {
	EFI_FILE_PROTOCOL protocol; /* the first */
	bool is_open;
	const struct efi_file *file; /* NULL: the root */
	uint64_t pos;
} open_files[OPEN_MAX];

/* A restart replaces one instance of the driver's protocol by the other. */
static EFI_SIMPLE_FILE_SYSTEM_PROTOCOL file_systems[2];

static bool file_system_is_in_use(void)
{
	for (size_t i = 0; i < OPEN_MAX; i++)
		if (open_files[i].is_open)
			return true;
	return false;
}

static void file_system_restart(void)
{
	void *old = protocol_of(volume_handle, &file_system_guid);

	protocol_remove(volume_handle, &file_system_guid, old);
	protocol_add(volume_handle, &file_system_guid, &file_systems[old == &file_systems[0]]);
	memset(open_files, 0, sizeof open_files);
	efi.was_restarted = true;
}

/* Checks that a file is open: neither closed nor lost in a restart of the driver. */
static struct model_file *file_check(EFI_FILE_PROTOCOL *self)
{
	struct model_file *f = (struct model_file *)(void *)self;

	TRUE(f >= open_files && f < open_files + OPEN_MAX);
	TRUE(f->is_open);
	LE(priority, TPL_CALLBACK);
	return f;
}

static EFI_STATUS EFIAPI file_close(EFI_FILE_PROTOCOL *self)
{
	file_check(self)->is_open = false;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI file_read(EFI_FILE_PROTOCOL *self, UINTN *len, void *buf)
{
	struct model_file *f = file_check(self);
	UINTN n = *len;

	TRUE(f->file != NULL);
	if (fails(EFI_DEVICE_ERROR)) {
		memset(buf, 0xfa, n);
		*len = (UINTN)garbage;
		return EFI_DEVICE_ERROR;
	}
	if (f->pos > f->file->len)
		return EFI_DEVICE_ERROR;
	if (n > f->file->len - f->pos)
		n = f->file->len - (size_t)f->pos;
	memcpy(buf, f->file->bytes + f->pos, n);
	f->pos += n;
	*len = n;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI file_get_position(EFI_FILE_PROTOCOL *self, uint64_t *pos)
{
	const struct model_file *f = file_check(self);

	*pos = UINT64_MAX / 3;
	if (fails(EFI_DEVICE_ERROR))
		return EFI_DEVICE_ERROR;
	*pos = f->pos;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI file_set_position(EFI_FILE_PROTOCOL *self, uint64_t pos)
{
	struct model_file *f = file_check(self);

	if (fails(EFI_DEVICE_ERROR))
		return EFI_DEVICE_ERROR;
	f->pos = pos == UINT64_MAX ? f->file->len : pos;
	return EFI_SUCCESS;
}

static bool has_name(const struct efi_file *file, const CHAR16 *name)
{
	const char *own = file->name;

	if (*name++ != '\\')
		return false;
	while (*own != '\0' && *name < 0x80 && toupper((unsigned char)*own) == toupper(*name)) {
		own++;
		name++;
	}
	return *own == '\0' && *name == 0;
}

static EFI_STATUS EFIAPI file_open(EFI_FILE_PROTOCOL *self, EFI_FILE_PROTOCOL **file,
                                   const CHAR16 *name, uint64_t mode, uint64_t attributes);

static struct model_file *file_new(const struct efi_file *file)
{
	struct model_file *f = open_files;

	while (f < open_files + OPEN_MAX && f->is_open)
		f++;
	TRUE(f < open_files + OPEN_MAX);
	memset(f, 0, sizeof *f);
	f->is_open = true;
	f->file = file;
	f->protocol.Open = file_open;
	f->protocol.Close = file_close;
	f->protocol.Read = file_read;
	f->protocol.GetPosition = file_get_position;
	f->protocol.SetPosition = file_set_position;
	return f;
}

static EFI_STATUS EFIAPI file_open(EFI_FILE_PROTOCOL *self, EFI_FILE_PROTOCOL **file,
                                   const CHAR16 *name, uint64_t mode, uint64_t attributes)
{
	TRUE(file_check(self)->file == NULL);
	EQ(mode, EFI_FILE_MODE_READ);
	EQ(attributes, 0);
	*file = garbage;
	if (fails(EFI_DEVICE_ERROR))
		return EFI_DEVICE_ERROR;
	for (size_t i = 0; i < volume->n_files; i++) {
		if (has_name(&volume->files[i], name)) {
			*file = &file_new(&volume->files[i])->protocol;
			return EFI_SUCCESS;
		}
	}
	return EFI_NOT_FOUND;
}

static EFI_STATUS EFIAPI open_volume(EFI_SIMPLE_FILE_SYSTEM_PROTOCOL *self,
                                     EFI_FILE_PROTOCOL **root)
{
	TRUE(self == protocol_of(volume_handle, &file_system_guid));
	*root = garbage;
	if (fails(EFI_DEVICE_ERROR))
		return EFI_DEVICE_ERROR;
	*root = &file_new(NULL)->protocol;
	return EFI_SUCCESS;
}

/* ---- Programs ---- */

static EFI_SYSTEM_TABLE system_table;
static EFI_LOADED_IMAGE_PROTOCOL loaded;
static CHAR16 load_options[256];

/* The path of the program, in a directory that has no qcow2.cfg. */
static struct {
	EFI_DEVICE_PATH_PROTOCOL node;
	CHAR16 name[10];
	EFI_DEVICE_PATH_PROTOCOL end;
} program_path = {
	{ MEDIA_DEVICE_PATH, MEDIA_FILEPATH_DP, { sizeof(EFI_DEVICE_PATH_PROTOCOL) + 20, 0 } },
	{ '\\', 'E', 'F', 'I', '\\', 'A', '.', 'E', 'F', 0 },
	{ END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, { 4, 0 } },
};

/* The boot loader in a disk's partition, while it is loaded. */
static struct handle *loader_handle;
static EFI_LOADED_IMAGE_PROTOCOL loader_image;

static bool has_loader(const struct handle *partition)
{
	const EFI_BLOCK_IO_PROTOCOL *block_io = protocol_of(partition->disk, &block_io_guid);

	return block_io->Media->LastBlock + 1 == efi.loader_blocks;
}

/* The partition that a path leads to. The rest must be the path of a boot loader. */
static const struct handle *partition_by_path(const uint8_t *path)
{
	static const char directory[] = "\\EFI\\BOOT\\BOOT";

	for (size_t i = 0; i < HANDLES_MAX; i++) {
		const struct handle *h = &handles[i];
		size_t len = h->partition.len;

		if (h->n == 0 || h->disk == NULL || memcmp(path, h->partition.bytes, len) != 0)
			continue;
		EQ(path[len], MEDIA_DEVICE_PATH);
		EQ(path[len + 1], MEDIA_FILEPATH_DP);
		for (size_t k = 0; directory[k] != '\0'; k++) {
			EQ(path[len + 4 + 2 * k], directory[k]);
			EQ(path[len + 5 + 2 * k], 0);
		}
		EQ(path_len(path), len + path[len + 2]);
		return h;
	}
	return NULL;
}

static EFI_STATUS EFIAPI load_image(BOOLEAN is_boot_policy, EFI_HANDLE parent,
                                    const EFI_DEVICE_PATH_PROTOCOL *path, void *source,
                                    UINTN source_len, EFI_HANDLE *image)
{
	const struct handle *partition = partition_by_path((const uint8_t *)path);
	bool is_refused = fails(EFI_DEVICE_ERROR);

	EQ(is_boot_policy, 0);
	TRUE(parent == image_handle);
	TRUE(source == NULL && source_len == 0);
	TRUE(partition != NULL);
	*image = garbage;
	if (!has_loader(partition))
		return EFI_NOT_FOUND;
	if (is_refused && !efi.persistent)
		return EFI_DEVICE_ERROR;
	TRUE(loader_handle == NULL);
	loader_handle = handle_new();
	protocol_add(loader_handle, &loaded_image_guid, &loader_image);
	*image = loader_handle;
	/*
	 * With EFI_SECURITY_VIOLATION the program is loaded anyway, and the caller must unload it.
	 */
	return is_refused ? EFI_SECURITY_VIOLATION : EFI_SUCCESS;
}

static EFI_STATUS EFIAPI unload_image(EFI_HANDLE image)
{
	TRUE(loader_handle != NULL && image == loader_handle);
	loader_handle->n = 0;
	loader_handle = NULL;
	return EFI_SUCCESS;
}

static EFI_STATUS EFIAPI start_image(EFI_HANDLE image, UINTN *exit_data_len, CHAR16 **exit_data)
{
	EFI_STATUS status;

	TRUE(loader_handle != NULL && image == loader_handle);
	EQ(priority, TPL_APPLICATION);
	efi.loader_runs++;
	status = efi.loader();
	*exit_data_len = 4;
	*exit_data = glue_zalloc(4);
	return EFI_ERROR(unload_image(image)) ? EFI_LOAD_ERROR : status;
}

/* Ends the fault at the third call, because the application retries until the disks are free. */
static EFI_STATUS EFIAPI stall(UINTN microseconds)
{
	LE(1000, microseconds);
	if (++efi.stalls == 3)
		efi.fail_at = 0;
	LE(efi.stalls, 10);
	return EFI_SUCCESS;
}

/* ---- On and off ---- */

static EFI_BOOT_SERVICES boot_services = {
	.RaiseTPL = raise_tpl,
	.RestoreTPL = restore_tpl,
	.AllocatePages = allocate_pages,
	.FreePages = free_pages,
	.CopyMem = copy_mem,
	.AllocatePool = allocate_pool,
	.FreePool = free_pool,
	.HandleProtocol = handle_protocol,
	.LoadImage = load_image,
	.StartImage = start_image,
	.UnloadImage = unload_image,
	.Stall = stall,
	.ConnectController = connect,
	.DisconnectController = disconnect,
	.LocateHandleBuffer = locate_handles,
	.LocateProtocol = locate_protocol,
	.InstallMultipleProtocolInterfaces = install,
	.UninstallMultipleProtocolInterfaces = uninstall,
};

static EFI_RUNTIME_SERVICES runtime_services = { .SetVariable = set_variable };

/* A node of a vendor, the node of the partition, and the end node. */
static uint8_t volume_path[20 + 42 + 4];
uint8_t *const efi_partition = volume_path + 20;

static void volume_path_fill(void)
{
	static const uint8_t end[4] = { END_DEVICE_PATH_TYPE, END_ENTIRE_DEVICE_PATH_SUBTYPE, 4 };

	memset(volume_path, 0x55, sizeof volume_path);
	volume_path[0] = HARDWARE_DEVICE_PATH;
	volume_path[1] = HW_VENDOR_DP;
	volume_path[2] = 20;
	volume_path[3] = 0;
	efi_partition[0] = MEDIA_DEVICE_PATH;
	efi_partition[1] = MEDIA_HARDDRIVE_DP;
	efi_partition[2] = 42;
	efi_partition[3] = 0;
	efi_partition[4] = 26; /* the number of the partition */
	for (uint8_t i = 0; i < 16; i++)
		efi_partition[24 + i] = (uint8_t)(0xa0 + i); /* its signature */
	efi_partition[40] = 2;
	efi_partition[41] = 2; /* which is a GUID */
	memcpy(volume_path + 62, end, sizeof end);
}

static void volume_connect(void)
{
	volume_path_fill();
	protocol_add(volume_handle, &device_path_guid, volume_path);
	file_systems[0].OpenVolume = open_volume;
	file_systems[1].OpenVolume = open_volume;
	protocol_add(volume_handle, &file_system_guid, &file_systems[0]);
	if (volume->blocks == NULL)
		return;
	volume_media.MediaId = MEDIA_ID;
	volume_media.MediaPresent = 1;
	volume_media.BlockSize = GLUE_SECTOR;
	volume_media.IoAlign = IO_ALIGN;
	volume_media.LastBlock = volume->len / GLUE_SECTOR - 1;
	volume_block_io.Media = &volume_media;
	volume_block_io.ReadBlocks = volume_read;
	protocol_add(volume_handle, &block_io_guid, &volume_block_io);
}

void efi_power_on(const struct efi_volume *with, const char *options)
{
	size_t len = 0;

	glue_heap_reset();
	memset(&efi, 0, sizeof efi);
	memset(handles, 0, sizeof handles);
	memset(open_files, 0, sizeof open_files);
	memset(&loaded, 0, sizeof loaded);
	volume = with;
	priority = TPL_APPLICATION;
	n_raised = 0;
	volume_connect();
	console.OutputString = output_string;
	system_table.ConOut = &console;
	system_table.BootServices = &boot_services;
	system_table.RuntimeServices = &runtime_services;
	loaded.DeviceHandle = volume_handle;
	loaded.FilePath = &program_path.node;
	if (options != NULL) {
		for (; options[len] != '\0'; len++)
			load_options[len] = (unsigned char)options[len];
		load_options[len++] = 0;
		loaded.LoadOptions = load_options;
		loaded.LoadOptionsSize = (uint32_t)(2 * len);
	}
	protocol_add(image_handle, &loaded_image_guid, &loaded);
}

EFI_STATUS efi_run(efi_program program)
{
	return program(image_handle, &system_table);
}

bool efi_can_unload(void)
{
	return loaded.Unload != NULL;
}

EFI_STATUS efi_unload(void)
{
	TRUE(efi_can_unload());
	return loaded.Unload(image_handle);
}

void efi_check_clean(void)
{
	EQ(priority, TPL_APPLICATION);
	EQ(n_raised, 0);
	EQ(glue_heap.live, 0);
	TRUE(efi.variable[0] == '\0' || efi_printed("cannot remove the variable"));
	TRUE(loader_handle == NULL);
	TRUE(!file_system_is_in_use());
	for (size_t i = 2; i < HANDLES_MAX; i++)
		EQ(handles[i].n, 0);
	(void)efi_complaints();
	efi_messages_add(efi.console);
}
