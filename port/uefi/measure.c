/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Measures into a PCR of the TPM which files a disk is made of. The firmware hashes them. README.md
 * lists the events, and pcr.sh computes the value of the PCR; both are an interface, because people
 * seal secrets to that value.
 *
 * The firmware can only hash what is in memory at once, so a file is measured in pieces. They are
 * long because the firmware's log of events has little room: 64 KiB in EDK2, for all programs.
 *
 * A disk whose files are not measured also causes an event. Otherwise someone who changes an image
 * could remove measure=yes, and the system in that image could extend the PCR by itself, to the
 * value that the right image would have given.
 */
#include "uefi.h"

enum {
	EVENT_PCR = 9, /* where GRUB and Linux measure the files that they load */
	HASHED_MAX = 64 * 1024 * 1024,
	EVENT_TEXT_MAX = 64 + 3 * QU_PATH_MAX
};

/*
 * An event, which begins like an EFI_TCG2_EVENT. That has no fixed size: some headers of the
 * firmware count the first byte of the text.
 */
struct event {
	uint32_t size;
	EFI_TCG2_EVENT_HEADER head;
	uint8_t text[EVENT_TEXT_MAX];
	size_t len; /* of the text */
} __attribute__((packed));

static EFI_TCG2_PROTOCOL *find_tcg2(void)
{
	static const EFI_GUID guid = EFI_TCG2_PROTOCOL_GUID;
	void *tcg2;

	return EFI_ERROR(qu_boot->LocateProtocol(&guid, NULL, &tcg2)) ? NULL : tcg2;
}

static void event_add(struct event *event, const char *text)
{
	for (; *text != '\0'; text++)
		event->text[event->len++] = (uint8_t)*text;
}

/* Starts an event with a word and a number as its text. */
static void event_start(struct event *event, const char *word, uint64_t number)
{
	char digits[QU_DECIMAL_MAX];

	event->len = 0;
	event_add(event, word);
	event_add(event, " ");
	event_add(event, qu_decimal(digits, number));
}

/* Extends the PCR by the hash of the bytes. */
static EFI_STATUS event_extend(struct event *event, const void *bytes, size_t len)
{
	EFI_TCG2_PROTOCOL *tcg2 = find_tcg2();
	EFI_STATUS status;

	if (tcg2 == NULL)
		return EFI_NOT_FOUND;
	event->size = (uint32_t)(offsetof(struct event, text) + event->len);
	event->head.HeaderSize = sizeof event->head;
	event->head.HeaderVersion = EFI_TCG2_EVENT_HEADER_VERSION;
	event->head.PCRIndex = EVENT_PCR;
	event->head.EventType = EV_IPL;
	status = tcg2->HashLogExtendEvent(tcg2, 0, (uintptr_t)bytes, len,
	                                  (EFI_TCG2_EVENT *)(void *)event);
	/* Only the log is full: the PCR was extended. */
	return status == EFI_VOLUME_FULL ? EFI_SUCCESS : status;
}

static bool say_no_measure(const uint16_t *path, EFI_STATUS status)
{
	if (status == EFI_NOT_FOUND)
		qu_say("qcow2: %w: cannot be measured: this firmware has no TPM 2.0; remove "
		       "measure=\n",
		       path);
	else
		qu_say("qcow2: %w: cannot be measured: %s\n", path, qu_efi_text(status));
	return false;
}

bool qu_measure_disk(const struct qu_request *request)
{
	struct event event;
	EFI_STATUS status;

	event_start(&event, request->is_measured ? "disk" : "unmeasured", request->block_size);
	status = event_extend(&event, event.text, event.len);
	return !request->is_measured || !EFI_ERROR(status) || say_no_measure(request->path, status);
}

/* The path is only for the log: files may be renamed and moved. */
static EFI_STATUS measure_kind(const struct qu_file *file, const char *kind)
{
	struct event event;
	size_t n_hashed;

	event_start(&event, kind, file->io.size);
	n_hashed = event.len;
	event_add(&event, " ");
	event.len += qu_path_encode(event.text + event.len, file->path);
	return event_extend(&event, event.text, n_hashed);
}

static bool measure_piece(const struct qu_file *file, uint64_t pos, void *buf, size_t len)
{
	int rc = file->io.ops->read(file->io.ctx, pos, buf, len);
	struct event event;
	EFI_STATUS status;

	if (rc != 0) {
		qu_say("qcow2: %w: read error: %s (at file offset %U)\n", file->path,
		       qu_efi_text(EFI_ERROR_BIT | (UINTN)rc), pos);
		return false;
	}
	event_start(&event, "bytes at", pos);
	status = event_extend(&event, buf, len);
	return !EFI_ERROR(status) || say_no_measure(file->path, status);
}

bool qu_measure_file(const struct qu_file *file, const char *kind)
{
	uint64_t size = file->io.size;
	size_t max = size < HASHED_MAX ? (size_t)size : HASHED_MAX;
	EFI_STATUS status = measure_kind(file, kind);
	bool done = !EFI_ERROR(status) || say_no_measure(file->path, status);
	void *buf = done && max > 0u ? qu_alloc(max) : NULL;
	uint64_t pos = 0;

	while (buf != NULL && done && pos < size) {
		size_t len = size - pos < max ? (size_t)(size - pos) : max;

		done = measure_piece(file, pos, buf, len);
		pos += len;
	}
	qu_free(buf);
	return done && pos == size;
}
