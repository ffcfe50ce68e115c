/* SPDX-License-Identifier: MIT */
/*
 * From the image handle to disks: where this program comes from, what it is told, what it shows.
 */
#include "uefi.h"

EFI_BOOT_SERVICES *qu_boot;
EFI_SYSTEM_TABLE *qu_system;
const EFI_GUID qu_block_io_guid = EFI_BLOCK_IO_PROTOCOL_GUID;
const EFI_GUID qu_device_path_guid = EFI_DEVICE_PATH_PROTOCOL_GUID;
const EFI_GUID qu_file_system_guid = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
const EFI_GUID qu_loaded_image_guid = EFI_LOADED_IMAGE_PROTOCOL_GUID;

struct qu_taken qu_taken;

/* In front of memory from the firmware's pool, which is aligned to 8 bytes and stays so. */
struct pool_head {
	uint64_t len; /* with this */
};

void qu_count(size_t more, size_t less)
{
	qu_taken.now += more;
	qu_taken.now -= less;
	if (qu_taken.now > qu_taken.most)
		qu_taken.most = qu_taken.now;
}

void *qu_try_alloc(size_t len)
{
	struct pool_head *head;
	void *memory;

	len += sizeof *head;
	if (EFI_ERROR(qu_boot->AllocatePool(EfiBootServicesData, len, &memory)))
		return NULL;
	head = memory;
	head->len = len;
	qu_count(len, 0);
	return head + 1;
}

void *qu_alloc(size_t len)
{
	void *memory = qu_try_alloc(len);

	if (memory == NULL)
		qu_say("qcow2: out of memory\n");
	return memory == NULL ? NULL : memset(memory, 0, len);
}

void qu_free(void *memory)
{
	struct pool_head *head = memory;

	if (memory == NULL)
		return;
	head--;
	qu_count(0, (size_t)head->len);
	(void)qu_boot->FreePool(head);
}

/*
 * Are the load options words? Some firmwares pass numbers or nothing to what they find on a stick.
 */
static bool options_are_text(const EFI_LOADED_IMAGE_PROTOCOL *loaded)
{
	const uint8_t *bytes = loaded->LoadOptions;
	size_t n = loaded->LoadOptionsSize / 2u;
	size_t i;

	if (bytes == NULL || loaded->LoadOptionsSize % 2u != 0u)
		return false;
	for (i = 0; i < n; i++) {
		uint16_t c = (uint16_t)(bytes[2u * i] | bytes[2u * i + 1u] << 8);

		if (c == 0u)
			break;
		if (c < 0x20u && c != '\t')
			return false;
	}
	return i > 0u;
}

/* Publishes what the words name. False, and a message, if they make no sense. */
static bool publish_all(struct qu_session *session, struct qu_words *words,
                        struct qu_request *request, uint32_t *n_wanted)
{
	int rc;

	while ((rc = qu_request_next(words, request)) > 0) {
		struct qu_disk *disk;

		(*n_wanted)++;
		if (session->n_disks == QU_DISKS_MAX) {
			qu_say("qcow2: more than %u images\n", (unsigned)QU_DISKS_MAX);
			return false;
		}
		disk = qu_disk_publish(&session->volume, request);
		if (disk != NULL)
			session->disks[session->n_disks++] = disk;
		else /* what was said before may be about another file, or about none */
			qu_say("qcow2: %w: not shown as a disk\n", request->path);
	}
	return rc == 0;
}

/* The path of this program on its volume, from all file path nodes one after the other. */
static bool program_path(const EFI_LOADED_IMAGE_PROTOCOL *loaded, uint16_t path[QU_PATH_MAX])
{
	const uint8_t *node = (const uint8_t *)loaded->FilePath;
	uint16_t name[QU_PATH_MAX];
	size_t len = 0;

	while (node != NULL && node[0] == MEDIA_DEVICE_PATH && node[1] == MEDIA_FILEPATH_DP) {
		size_t node_len = node[2] + ((size_t)node[3] << 8);
		size_t i;

		if (node_len < sizeof(EFI_DEVICE_PATH_PROTOCOL))
			return false;
		if (len > 0u && len + 1u < QU_PATH_MAX)
			name[len++] = '\\';
		for (i = sizeof(EFI_DEVICE_PATH_PROTOCOL); i + 2u <= node_len; i += 2u) {
			uint16_t c = (uint16_t)(node[i] | node[i + 1u] << 8);

			if (c == 0u)
				break;
			if (len + 1u >= QU_PATH_MAX)
				return false;
			name[len++] = c;
		}
		node += node_len;
	}
	name[len] = 0;
	return qu_path_join(path, NULL, name);
}

/* The configuration file: beside this program, or in the root. */
static bool read_config(struct qu_session *session, uint8_t **text, size_t *len)
{
	static const uint16_t name[] = { 'q', 'c', 'o', 'w', '2', '.', 'c', 'f', 'g', 0 };
	uint16_t program[QU_PATH_MAX], path[QU_PATH_MAX];

	*text = NULL;
	if (program_path(session->loaded, program) && qu_path_join(path, program, name) &&
	    !qu_file_text(&session->volume, path, text, len))
		return false;
	if (*text == NULL && qu_path_join(path, NULL, name) &&
	    !qu_file_text(&session->volume, path, text, len))
		return false;
	if (*text == NULL)
		qu_say("qcow2: no image is named, neither as an option nor in qcow2.cfg beside "
		       "this program or in the root\n");
	return *text != NULL;
}

/* A text file: UTF-8 with or without a mark, or UTF-16 with one. */
static void words_of_file(struct qu_words *words, const uint8_t *text, size_t len)
{
	memset(words, 0, sizeof *words);
	words->text = text;
	words->len = len;
	words->has_comments = true;
	if (len >= 2u && text[0] == 0xffu && text[1] == 0xfeu) {
		words->is_wide = true;
		words->len = len / 2u;
	} else if (len >= 3u && text[0] == 0xefu && text[1] == 0xbbu && text[2] == 0xbfu) {
		words->at = 3;
	}
}

static bool run_options(struct qu_session *session, struct qu_request *request, uint32_t *n_wanted)
{
	const EFI_LOADED_IMAGE_PROTOCOL *loaded = session->loaded;
	struct qu_words words;
	bool have_path;

	if (!options_are_text(loaded))
		return true;
	memset(&words, 0, sizeof words);
	words.text = loaded->LoadOptions;
	words.len = loaded->LoadOptionsSize / 2u;
	words.is_wide = true;
	qu_words_skip_program(&words);
	have_path = qu_words_have_path(&words);
	if (!publish_all(session, &words, request, n_wanted))
		return false;
	/*
	 * Some firmwares have words of their own for all programs. But whoever asks for an image
	 * that is not there must not get another.
	 */
	if (*n_wanted != 0u && session->volume.n_found == 0u && !have_path) {
		qu_say("qcow2: the options name no file of this volume: qcow2.cfg is read\n");
		*n_wanted = 0;
	}
	return true;
}

static bool run_config(struct qu_session *session, struct qu_request *request, uint32_t *n_wanted)
{
	struct qu_words words;
	uint8_t *text;
	size_t len = 0;
	bool done;

	if (!read_config(session, &text, &len))
		return false;
	words_of_file(&words, text, len);
	done = publish_all(session, &words, request, n_wanted);
	if (done && *n_wanted == 0u)
		qu_say("qcow2: qcow2.cfg names no image\n");
	qu_free(text);
	return done;
}

static void publish(struct qu_session *session)
{
	struct qu_request *request = qu_alloc(sizeof *request);
	uint32_t n_wanted = 0;

	if (request == NULL)
		return;
	if (run_options(session, request, &n_wanted) && n_wanted == 0u)
		(void)run_config(session, request, &n_wanted);
	qu_free(request);
}

EFI_STATUS qu_session_start(struct qu_session *session, EFI_HANDLE image, EFI_SYSTEM_TABLE *system)
{
	EFI_STATUS status;
	void *loaded;

	qu_system = system;
	qu_boot = system->BootServices;
	memset(session, 0, sizeof *session);
	status = qu_boot->HandleProtocol(image, &qu_loaded_image_guid, &loaded);
	if (EFI_ERROR(status)) {
		qu_say("qcow2: where this program comes from is not known: %s\n",
		       qu_efi_text(status));
		return status;
	}
	session->loaded = loaded;
	if (!qu_volume_open(&session->volume, session->loaded->DeviceHandle))
		return EFI_NOT_FOUND;
	publish(session);
	qu_say("qcow2: memory: %u KiB, and at most %u KiB to get there\n", qu_kib(qu_taken.now),
	       qu_kib(qu_taken.most));
	if (session->n_disks > 0u)
		return EFI_SUCCESS;
	qu_volume_close(&session->volume);
	return EFI_LOAD_ERROR;
}

EFI_STATUS qu_session_end(struct qu_session *session)
{
	while (session->n_disks > 0u) {
		EFI_STATUS status = qu_disk_retire(session->disks[session->n_disks - 1u]);

		if (EFI_ERROR(status))
			return status;
		session->n_disks--;
	}
	qu_volume_close(&session->volume);
	qu_say("qcow2: the disks are taken back; memory: %u KiB\n", qu_kib(qu_taken.now));
	return EFI_SUCCESS;
}
