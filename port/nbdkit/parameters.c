/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Parses the parameters. nbdkit changes its directory before clients connect, so relative names
 * become absolute here. Symbolic links stay: the names in an image may be relative to such a link.
 */
#include "parameters.h"

#include <stdlib.h>
#include <string.h>

#include "passwords.h"

/* A chain has at most 256 files, and the first is the image. */
enum { BACKING_MAX = 255 };

/* nbdkit may run 16 threads for each connection, and clients open several connections. */
enum { READERS = 64 };

static struct qcow2_file backing_files[BACKING_MAX];
static struct qcow2_file external_data_file;
static struct qcow2_options image_options = {
	.struct_size = sizeof(struct qcow2_options),
	.max_readers = READERS,
	.backing = backing_files,
	.get_key = passwords_get,
};

const char parameters_help[] =
	"[file=]IMAGE                  (required) The qcow2 image.\n"
	"snapshot=ID|NAME              Serve this snapshot instead of the disk.\n"
	"follow=true|any               Open the files that the image names: those in its\n"
	"                              directory, or any.\n"
	"backing=FILE[,raw|,qcow2|,qcow]  The backing file, and then the one below it.\n"
	"backing-format=raw|qcow2|qcow The format of backing files that have none.\n"
	"data-file=FILE                The external data file.\n"
	"layer-only=true               Leave out the backing file; its data reads as zeros.\n"
	"key-file=[DEPTH=]FILE         The password of an encrypted image.\n"
	"max-iterations=N              The most work that a LUKS header may ask for.\n"
	"image-at=OFFSET[,LENGTH]      The image is this part of the file.\n"
	"format=qcow2|qcow|raw         The format of the image.\n"
	"allow-truncated=true          Read zeros where the image file is cut off.";

/* Keeps a copy of the text until nbdkit unloads the plugin. */
static int store_text(const char **field, const char *value)
{
	*field = nbdkit_strdup_intern(value);
	return *field != NULL ? 0 : -1;
}

static int store_path(const char **field, const char *value)
{
	char *path = nbdkit_absolute_path(value);
	int rc = path != NULL ? store_text(field, path) : -1;

	free(path);
	return rc;
}

static int store_flag(unsigned flag, const char *value)
{
	int wanted = nbdkit_parse_bool(value);

	image_options.flags &= ~flag;
	if (wanted > 0)
		image_options.flags |= flag;
	return wanted < 0 ? -1 : 0;
}

static int store_file(const char *value)
{
	if (image_options.path != NULL) {
		nbdkit_error("file: only one image can be served");
		return -1;
	}
	return store_path(&image_options.path, value);
}

static int store_snapshot(const char *value)
{
	return store_text(&image_options.snapshot, value);
}

static int store_follow(const char *value)
{
	image_options.flags &= ~(unsigned)QCOW2_FOLLOW_ANY;
	if (strcmp(value, "any") != 0)
		return store_flag(QCOW2_FOLLOW, value);
	image_options.flags &= ~(unsigned)QCOW2_FOLLOW;
	image_options.flags |= QCOW2_FOLLOW_ANY;
	return 0;
}

static bool is_format(const char *text)
{
	return strcmp(text, "raw") == 0 || strcmp(text, "qcow2") == 0 || strcmp(text, "qcow") == 0;
}

/* Splits FILE[,FORMAT]. A comma that no format follows is part of the name. */
static int store_backing(const char *value)
{
	struct qcow2_file *file = &backing_files[image_options.n_backing];
	const char *comma = strrchr(value, ',');
	bool has_format = comma != NULL && is_format(comma + 1);
	char *name;
	int rc;

	if (image_options.n_backing == BACKING_MAX) {
		nbdkit_error("backing: more than %d files", BACKING_MAX);
		return -1;
	}
	name = has_format ? strndup(value, (size_t)(comma - value)) : strdup(value);
	rc = name != NULL ? store_path(&file->path, name) : -1;
	free(name);
	if (rc == 0 && has_format)
		rc = store_text(&file->format, comma + 1);
	image_options.n_backing++;
	return rc;
}

static int store_format(const char **field, const char *key, const char *value)
{
	if (!is_format(value)) {
		nbdkit_error("%s: '%s' is not raw, qcow2 or qcow", key, value);
		return -1;
	}
	return store_text(field, value);
}

static int store_backing_format(const char *value)
{
	return store_format(&image_options.backing_format, "backing-format", value);
}

static int store_image_format(const char *value)
{
	return store_format(&image_options.format, "format", value);
}

static int store_data_file(const char *value)
{
	image_options.data_file = &external_data_file;
	return store_path(&external_data_file.path, value);
}

static int store_layer_only(const char *value)
{
	return store_flag(QCOW2_LAYER_ONLY, value);
}

static int store_allow_truncated(const char *value)
{
	return store_flag(QCOW2_ALLOW_TRUNCATED, value);
}

static int store_iterations(const char *value)
{
	uint32_t *limit = &image_options.max_iterations;

	if (nbdkit_parse_uint32_t("max-iterations", value, limit) != 0)
		return -1;
	if (*limit == 0u) /* for the library, this means its own limit */
		nbdkit_error("max-iterations: at least 1 is needed");
	return *limit != 0u ? 0 : -1;
}

static int store_size(uint64_t *field, const char *value)
{
	int64_t size = nbdkit_parse_size(value);

	if (size >= 0)
		*field = (uint64_t)size;
	return size >= 0 ? 0 : -1;
}

/* Splits OFFSET[,LENGTH]. For the library, a length of 0 would mean up to the end of the file. */
static int store_image_at(const char *value)
{
	const char *comma = strchr(value, ',');
	char *offset = comma != NULL ? strndup(value, (size_t)(comma - value)) : strdup(value);
	int rc = offset != NULL ? store_size(&image_options.image_offset, offset) : -1;

	free(offset);
	image_options.image_length = 0;
	if (rc != 0 || comma == NULL)
		return rc;
	rc = store_size(&image_options.image_length, comma + 1);
	if (rc == 0 && image_options.image_length == 0u) {
		nbdkit_error("image-at: the length is 0");
		rc = -1;
	}
	return rc;
}

int parameters_store(const char *key, const char *value)
{
	static const struct {
		const char *key;
		int (*store)(const char *value);
	} known[] = {
		{ "file", store_file },
		{ "snapshot", store_snapshot },
		{ "follow", store_follow },
		{ "backing", store_backing },
		{ "backing-format", store_backing_format },
		{ "data-file", store_data_file },
		{ "layer-only", store_layer_only },
		{ "key-file", passwords_add },
		{ "max-iterations", store_iterations },
		{ "image-at", store_image_at },
		{ "format", store_image_format },
		{ "allow-truncated", store_allow_truncated },
	};
	size_t i;

	for (i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(key, known[i].key) == 0)
			return known[i].store(value);
	nbdkit_error("unknown parameter '%s'; nbdkit qcow2 --help lists the parameters", key);
	return -1;
}

int parameters_check(void)
{
	if (image_options.path != NULL)
		return 0;
	nbdkit_error("no image is given; use nbdkit qcow2 IMAGE");
	return -1;
}

const struct qcow2_options *parameters_options(void)
{
	return &image_options;
}
