/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Leaves a note for the operating system: the disk of the firmware is gone when the kernel runs,
 * and an initramfs must find the files that it was made of. A volatile variable names them, one
 * `key=value` a line. README.md documents it; programs outside this tree read it.
 */
#include "uefi.h"

static const CHAR16 variable_name[] = { 'Q', 'c', 'o', 'w', '2', 'B', 'o', 'o', 't', 0 };
static const EFI_GUID variable_guid = {
	0x6a4f0c3b, 0x2e0c, 0x4f5a, { 0x9d, 0x57, 0x3f, 0x1c, 0x8a, 0x5b, 0xe2, 0x7d }
};

/* The text of the variable. While `bytes` is NULL, it is only measured. */
struct handover {
	uint8_t *bytes;
	size_t len;
};

/* Only a program that has set the variable removes it. */
static bool is_set;

static EFI_STATUS set_variable(const struct handover *text)
{
	uint32_t attributes = EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS;
	EFI_STATUS status = qu_runtime->SetVariable(variable_name, &variable_guid, attributes,
	                                            text->len, text->bytes);

	is_set = !EFI_ERROR(status);
	return status;
}

static EFI_STATUS delete_variable(void)
{
	EFI_STATUS status = qu_runtime->SetVariable(variable_name, &variable_guid, 0, 0, NULL);

	is_set = false;
	return status == EFI_NOT_FOUND ? EFI_SUCCESS : status;
}

static void add_char(struct handover *text, char c)
{
	if (text->bytes != NULL)
		text->bytes[text->len] = (uint8_t)c;
	text->len++;
}

static void add_text(struct handover *text, const char *s)
{
	for (; *s != '\0'; s++)
		add_char(text, *s);
}

static void add_byte(struct handover *text, uint8_t byte, const char digits[16])
{
	add_char(text, digits[byte >> 4]);
	add_char(text, digits[byte & 15u]);
}

static void add_path(struct handover *text, const char *key, const uint16_t *path,
                     const char *format)
{
	add_text(text, key);
	text->len += qu_path_encode(text->bytes != NULL ? text->bytes + text->len : NULL, path);
	add_text(text, format);
	add_char(text, '\n');
}

/* The node of a device path that describes a partition, or NULL. */
static const uint8_t *partition_node(const struct qu_volume *volume)
{
	const uint8_t *partition = NULL;
	const uint8_t *node;
	size_t len;
	void *path;

	if (EFI_ERROR(qu_boot->HandleProtocol(volume->handle, &qu_device_path_guid, &path)))
		return NULL;
	for (node = path; node[0] != END_DEVICE_PATH_TYPE; node += len) {
		len = node[2] + ((size_t)node[3] << 8);
		if (len < sizeof(EFI_DEVICE_PATH_PROTOCOL))
			break;
		if (node[0] == MEDIA_DEVICE_PATH && node[1] == MEDIA_HARDDRIVE_DP && len == 42u)
			partition = node;
	}
	return partition;
}

/*
 * The partition as Linux names it in PARTUUID=: its GUID in a GPT; with an MBR, the signature of
 * the disk and the number of the partition. UEFI specification, 10.3.5.1 "Hard Drive".
 */
static void add_partition(struct handover *text, const uint8_t *node)
{
	/* Where in the node each byte of the name is; 0 stands for a '-'. */
	static const uint8_t gpt[] = { 27, 26, 25, 24, 0,  29, 28, 0,  31, 30,
		                       0,  32, 33, 0,  34, 35, 36, 37, 38, 39 };
	static const uint8_t mbr[] = { 27, 26, 25, 24, 0, 4 };
	const uint8_t *places = node[41] == 2u ? gpt : mbr; /* SignatureType */
	size_t n = node[41] == 2u ? sizeof gpt : sizeof mbr;
	size_t i;

	if (node[41] != 1u && node[41] != 2u)
		return;
	add_text(text, "partuuid=");
	for (i = 0; i < n; i++)
		if (places[i] == 0u)
			add_char(text, '-');
		else
			add_byte(text, node[places[i]], "0123456789abcdef");
	add_char(text, '\n');
}

/* The volume ID of FAT as Linux names it in UUID=, for sticks without partitions. */
static void add_volume_id(struct handover *text, uint32_t id)
{
	unsigned shift;

	add_text(text, "fsuuid=");
	for (shift = 32; shift > 0u; shift -= 8u) {
		add_byte(text, (uint8_t)(id >> (shift - 8u)), "0123456789ABCDEF");
		if (shift == 24u)
			add_char(text, '-');
	}
	add_char(text, '\n');
}

static void compose(struct handover *text, const struct qu_volume *volume, const uint8_t *partition,
                    const struct qu_layer *top)
{
	const struct qu_layer *layer;

	add_text(text, "version=1\n");
	if (partition != NULL)
		add_partition(text, partition);
	if (volume->is_fat && volume->fat.volume_id != 0u)
		add_volume_id(text, volume->fat.volume_id);
	add_path(text, "path=", top->file.path, "");
	for (layer = top->below; layer != NULL; layer = layer->below)
		add_path(text, "backing=", layer->file.path,
		         layer->image.version == 0u ? ",raw" : ",qcow2");
	if (top->data.path[0] != 0u)
		add_path(text, "data=", top->data.path, "");
}

void qu_handover_set(const struct qu_volume *volume, const struct qu_disk *disk)
{
	const struct qu_layer *top = qu_disk_image(disk);
	const uint8_t *partition = partition_node(volume);
	struct handover text = { NULL, 0 };
	EFI_STATUS status = EFI_OUT_OF_RESOURCES;

	compose(&text, volume, partition, top);
	text.bytes = qu_try_alloc(text.len);
	if (text.bytes != NULL) {
		text.len = 0;
		compose(&text, volume, partition, top);
		status = set_variable(&text);
	}
	if (EFI_ERROR(status)) {
		/* An older value would lead the system to another image. */
		(void)delete_variable();
		qu_say("qcow2: %w: the system that boots cannot find this file by itself, because "
		       "the variable Qcow2Boot cannot be set: %s\n",
		       top->file.path, qu_efi_text(status));
	}
	qu_free(text.bytes);
}

void qu_handover_remove(void)
{
	EFI_STATUS status = is_set ? delete_variable() : EFI_SUCCESS;

	if (EFI_ERROR(status))
		qu_say("qcow2: cannot remove the variable Qcow2Boot: %s\n", qu_efi_text(status));
}
