/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * An image, its backing files and its external data file.
 *
 * Names in an image are not trusted. Only relative names are followed, from the directory of the
 * image, on the same volume; absolute names and names with a protocol are refused, and ".." cannot
 * leave the volume. The format of a backing file is never guessed: if the image does not give it,
 * the user must. A chain has at most QU_CHAIN_MAX files.
 */
#include "uefi.h"

static bool say_failure(const uint16_t *path, const char *why)
{
	qu_say("qcow2: %w: %s\n", path, why);
	return false;
}

/*
 * The file that an error is about, or NULL if it is not in the chain. Images have copies of a
 * file's io, so this compares the ctx.
 */
static const struct qu_file *file_of(const struct qu_layer *top, const struct qcow2_io *io)
{
	for (; io != NULL && top != NULL; top = top->below) {
		if (io->ctx == &top->file)
			return &top->file;
		if (io->ctx == &top->data)
			return &top->data;
	}
	return NULL;
}

static void say_detail(int status, const struct qcow2_error *err)
{
	if (status == QCOW2_E_IO)
		qu_say(": %s", qu_efi_text(EFI_ERROR_BIT | (UINTN)err->io_code));
	else if (status == QCOW2_E_VERSION)
		qu_say(": %U", err->detail);
	else if (status == QCOW2_E_FEATURE)
		qu_say(": bits 0x%x", err->detail);
}

/* What the user can do about an image that is refused or fails. */
static const char *advice(int status)
{
	switch (status) {
	case QCOW2_E_NOT_QCOW2: return "; make an image of it with qemu-img convert -O qcow2";
	case QCOW2_E_ENCRYPTED: return "; make an unencrypted copy with qemu-img convert -O qcow2";
	case QCOW2_E_VERSION:
	case QCOW2_E_FEATURE:
	case QCOW2_E_COMPRESSION: return "; make a copy of it with qemu-img convert -O qcow2";
	case QCOW2_E_TRUNCATED: return "; copy the file again";
	default: return status <= QCOW2_E_HEADER ? "; check the image with qemu-img check" : "";
	}
}

void qu_chain_report(const struct qu_layer *top, int status, const struct qcow2_error *err)
{
	/* A call that fails early does not fill *err, which then holds an older error. */
	bool is_noted = err->status == status;
	const struct qu_file *file = is_noted ? file_of(top, err->io) : NULL;

	qu_say("qcow2: %w: %s", file != NULL ? file->path : top->file.path,
	       qcow2_status_text(status));
	if (is_noted)
		say_detail(status, err);
	if (file != NULL && status <= QCOW2_E_IO)
		qu_say(" (at file offset %U)", err->pos);
	qu_say("%s\n", advice(status));
}

/* Turns a name in the image into a path on the volume. */
static bool resolve(struct qu_layer *layer, struct qcow2_span span, uint16_t path[QU_PATH_MAX])
{
	static const char bad_name[] = "the name of a file it needs is too long or not UTF-8";
	uint16_t name[QU_PATH_MAX];
	uint8_t bytes[QCOW2_NAME_MAX];
	struct qcow2_error err;
	int rc;

	if (span.len > sizeof bytes)
		return say_failure(layer->file.path, bad_name);
	rc = qcow2_image_bytes(&layer->image, span, bytes, &err);
	if (rc != QCOW2_OK) {
		qu_chain_report(layer, rc, &err);
		return false;
	}
	if (!qu_path_decode(name, QU_PATH_MAX, bytes, span.len))
		return say_failure(layer->file.path, bad_name);
	if (!qu_path_is_absolute(name) && qu_path_join(path, layer->file.path, name))
		return true;
	qu_say("qcow2: %w: not following %w: only relative paths on this volume are followed; "
	       "use backing= or data=\n",
	       layer->file.path, name);
	return false;
}

/* The format of the backing file, from the image. */
static bool backing_is_raw(struct qu_layer *layer, bool *is_raw)
{
	struct qcow2_span span = layer->image.backing_format;
	struct qcow2_error err;
	uint8_t name[5] = { 0, 0, 0, 0, 0 };

	if (span.len != 0u && span.len <= sizeof name &&
	    qcow2_image_bytes(&layer->image, span, name, &err) == QCOW2_OK) {
		*is_raw = span.len == 3u && memcmp(name, "raw", 3) == 0;
		if (*is_raw || (span.len == 5u && memcmp(name, "qcow2", 5) == 0))
			return true;
	}
	return say_failure(layer->file.path, "no format given for the backing file; "
	                                     "use backing=raw:PATH or backing=qcow2:PATH");
}

static bool open_data(struct qu_layer *layer, struct qu_volume *volume,
                      const struct qu_request *request, bool is_top)
{
	if (is_top && request->has_data)
		memcpy(layer->data.path, request->data, sizeof layer->data.path);
	else if (layer->image.data_file_name.len == 0u)
		return say_failure(layer->file.path, "needs an external data file; use data=PATH");
	else if (!resolve(layer, layer->image.data_file_name, layer->data.path))
		return false;
	if (!qu_file_open(&layer->data, volume))
		return false;
	if (request->is_measured && !qu_measure_file(&layer->data, "data"))
		return false;
	return qcow2_image_attach_data(&layer->image, &layer->data.io) == QCOW2_OK;
}

/* Opens the file at layer->file.path and the image in it. */
static bool layer_open(struct qu_layer *layer, struct qu_volume *volume,
                       const struct qu_request *request, bool is_raw, bool is_top)
{
	struct qcow2_error err;
	int rc;

	if (!qu_file_open(&layer->file, volume))
		return false;
	/* Before any byte of the file is used. */
	if (request->is_measured && !qu_measure_file(&layer->file, is_raw ? "raw" : "qcow2"))
		return false;
	if (is_raw)
		return qcow2_image_raw(&layer->image, &layer->file.io) == QCOW2_OK;
	rc = qcow2_image_open(&layer->image, &layer->file.io, 0, &err);
	if (rc == QCOW2_OK)
		rc = qcow2_image_extensions(&layer->image, &err);
	if (rc != QCOW2_OK) {
		qu_chain_report(layer, rc, &err);
		return false;
	}
	if ((layer->image.incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) != 0u)
		return open_data(layer, volume, request, is_top);
	return !is_top || !request->has_data ||
	       say_failure(layer->file.path, "has no external data file; remove data=");
}

/* The backing file of the image number `depth`, as the user or the image names it. */
static bool find_backing(struct qu_layer *layer, const struct qu_request *request, uint32_t depth,
                         uint16_t path[QU_PATH_MAX], bool *is_raw)
{
	if (depth < request->n_backing) {
		memcpy(path, request->backing[depth].path, sizeof request->backing[depth].path);
		*is_raw = request->backing[depth].is_raw;
		return true;
	}
	return backing_is_raw(layer, is_raw) && resolve(layer, layer->image.backing_name, path);
}

static bool wants_backing(const struct qu_layer *layer, const struct qu_request *request,
                          uint32_t depth)
{
	return layer->image.version != 0u &&
	       (layer->image.backing_name.len != 0u || depth < request->n_backing);
}

/* Attaches from the bottom up: an image must be complete before it becomes a backing file. */
static bool attach_all(struct qu_layer **layers, uint32_t n)
{
	while (n-- > 1u)
		if (qcow2_image_attach_backing(&layers[n - 1u]->image, &layers[n]->image) !=
		    QCOW2_OK)
			return say_failure(layers[n - 1u]->file.path, "cannot have a backing file");
	return true;
}

bool qu_chain_open(struct qu_layer **top, struct qu_volume *volume,
                   const struct qu_request *request)
{
	struct qu_layer *layers[QU_CHAIN_MAX];
	struct qu_layer **place = top;
	bool is_raw = false;
	uint32_t n = 0;

	for (;;) {
		struct qu_layer *layer = qu_alloc(sizeof *layer);

		if (layer == NULL)
			return false;
		*place = layer;
		layers[n] = layer;
		if (n == 0u)
			memcpy(layer->file.path, request->path, sizeof layer->file.path);
		else if (!find_backing(layers[n - 1u], request, n - 1u, layer->file.path, &is_raw))
			return false;
		if (!layer_open(layer, volume, request, is_raw, n == 0u))
			return false;
		n++;
		if (!wants_backing(layer, request, n - 1u))
			break;
		if (n == QU_CHAIN_MAX)
			return say_failure(request->path,
			                   "more than 16 files in the backing chain, or a loop");
		place = &layer->below;
	}
	if (n <= request->n_backing)
		return say_failure(request->path,
		                   "too many backing=: a raw file has no backing file");
	return attach_all(layers, n);
}

void qu_chain_close(struct qu_layer *top)
{
	while (top != NULL) {
		struct qu_layer *below = top->below;

		qu_file_close(&top->file);
		qu_file_close(&top->data);
		qu_free(top);
		top = below;
	}
}
