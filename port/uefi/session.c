/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * From the image handle to disks: finds the volume that this program was loaded from, reads which
 * images the user wants, and publishes them.
 */
#include "uefi.h"

/*
 * Are the load options text? Some firmware passes binary data, or nothing, to the programs that it
 * finds on a stick.
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

/* Publishes the images that the words name. If it cannot parse them, prints a message. */
static bool publish_all(struct qu_session *session, struct qu_words *words,
                        struct qu_request *request, uint32_t *n_wanted)
{
	int rc;

	while ((rc = qu_request_next(words, request)) > 0) {
		struct qu_disk *disk;

		(*n_wanted)++;
		if (session->n_disks == QU_DISKS_MAX) {
			qu_say("qcow2: more than %u images, ignoring the rest\n",
			       (unsigned)QU_DISKS_MAX);
			return false;
		}
		disk = qu_disk_publish(&session->volume, request);
		if (disk != NULL)
			session->disks[session->n_disks++] = disk;
		else /* the message before this one may name another file, or none */
			qu_say("qcow2: %w: not shown as a disk\n", request->path);
	}
	return rc == 0;
}

/* The path of this program on its volume, joined from all nodes of its device path. */
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

/* Reads the configuration file beside this program, or else the one in the root. */
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
		qu_say("qcow2: no image given: pass its path as a load option, or write it to "
		       "qcow2.cfg beside this program or in the root\n");
	return *text != NULL;
}

/* The file is UTF-8 with or without a byte order mark, or UTF-16 with one. */
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
	 * Some firmware passes its own words to every program; they must not hide qcow2.cfg. But if
	 * the user names an image that does not exist, booting another one would be wrong. So the
	 * options are ignored only if they do not look like file names and match no file.
	 */
	if (*n_wanted != 0u && session->volume.n_found == 0u && !have_path) {
		qu_say("qcow2: no file matches the load options; using qcow2.cfg\n");
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

	qu_firmware_use(system);
	memset(session, 0, sizeof *session);
	status = qu_boot->HandleProtocol(image, &qu_loaded_image_guid, &loaded);
	if (EFI_ERROR(status)) {
		qu_say("qcow2: cannot find out where this program was loaded from: %s\n",
		       qu_efi_text(status));
		return status;
	}
	session->loaded = loaded;
	if (!qu_volume_open(&session->volume, session->loaded->DeviceHandle))
		return EFI_NOT_FOUND;
	publish(session);
	qu_say("qcow2: memory: %u KiB in use, at most %u KiB while opening\n", qu_kib(qu_usage.now),
	       qu_kib(qu_usage.most));
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
	qu_handover_remove();
	qu_volume_close(&session->volume);
	qu_say("qcow2: the disks are removed; memory: %u KiB in use\n", qu_kib(qu_usage.now));
	return EFI_SUCCESS;
}
