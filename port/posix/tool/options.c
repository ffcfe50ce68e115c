/* SPDX-License-Identifier: MIT */
/*
 * The table of options, and how each value is stored.
 */
#include "options.h"

#include <string.h>

#include "size.h"

static const char *store_true(struct args *args, const struct option_row *row, char *value)
{
	bool *field = (void *)((char *)args + row->at);

	(void)value;
	*field = true;
	return NULL;
}

static const char *store_text(struct args *args, const struct option_row *row, char *value)
{
	const char **field = (void *)((char *)args + row->at);

	*field = value;
	return NULL;
}

static const char *store_size(struct args *args, const struct option_row *row, char *value)
{
	uint64_t *field = (void *)((char *)args + row->at);

	return size_parse(value, field) ? NULL : SIZE_EXPECTED;
}

/* Sets a flag of the library. */
static const char *store_library_flag(struct args *args, const struct option_row *row, char *value)
{
	(void)value;
	args->options.flags |= (unsigned)row->at;
	return NULL;
}

static const char *store_follow(struct args *args, const struct option_row *row, char *value)
{
	unsigned flags = args->options.flags & ~(unsigned)(QCOW2_FOLLOW | QCOW2_FOLLOW_ANY);

	(void)row;
	if (value != NULL && strcmp(value, "any") != 0)
		return "any, or no value";
	args->options.flags = flags | (value != NULL ? QCOW2_FOLLOW_ANY : QCOW2_FOLLOW);
	return NULL;
}

static bool is_format(const char *text)
{
	return strcmp(text, "raw") == 0 || strcmp(text, "qcow2") == 0;
}

/* Splits FILE[,FORMAT], in place. A comma that no format follows is part of the name. */
static void add_backing(struct qcow2_options *o, struct qcow2_file *files, char *value)
{
	struct qcow2_file *file = &files[o->n_backing++];
	char *comma = strrchr(value, ',');

	file->path = value;
	if (comma != NULL && is_format(comma + 1)) {
		*comma = '\0';
		file->format = comma + 1;
	}
	o->backing = files;
}

static const char *store_backing(struct args *args, const struct option_row *row, char *value)
{
	(void)row;
	add_backing(&args->options, args->backing, value);
	return NULL;
}

static const char *store_backing_b(struct args *args, const struct option_row *row, char *value)
{
	(void)row;
	add_backing(&args->options_b, args->backing_b, value);
	return NULL;
}

static const char *store_format(struct args *args, const struct option_row *row, char *value)
{
	store_text(args, row, value);
	return is_format(value) ? NULL : "raw or qcow2";
}

static const char *store_data_file(struct args *args, const struct option_row *row, char *value)
{
	(void)row;
	args->data_file.path = value;
	args->options.data_file = &args->data_file;
	return NULL;
}

static const char *store_data_file_b(struct args *args, const struct option_row *row, char *value)
{
	(void)row;
	args->data_file_b.path = value;
	args->options_b.data_file = &args->data_file_b;
	return NULL;
}

#define FIELD(name) offsetof(struct args, name)

/*
 * In the order of --help. The options that all commands take are at the end.
 * Columns: name, letter, argument, commands, help, how and where the value is stored.
 */
const struct option_row options[] = {
	/* clang-format off */
	{ "json", '\0', NULL, FOR_INFO | FOR_MAP | FOR_SNAPSHOTS,
	  "print JSON, with the keys of qemu-img",
	  store_true, FIELD(json) },
	{ "json", '\0', NULL, FOR_COMPARE,
	  "print JSON",
	  store_true, FIELD(json) },
	{ "scan", '\0', NULL, FOR_INFO,
	  "count what is allocated to the end, also if that takes more than a second",
	  store_true, FIELD(scan) },
	{ "no-scan", '\0', NULL, FOR_INFO,
	  "do not count what is allocated, and do not look for partitions",
	  store_true, FIELD(no_scan) },
	{ "skip", 's', "OFFSET", FOR_CAT,
	  "start at OFFSET bytes; suffixes K, M, G and T, or KiB, MiB and so on, are powers of 1024",
	  store_size, FIELD(offset) },
	{ "length", 'n', "LENGTH", FOR_CAT,
	  "write at most LENGTH bytes",
	  store_size, FIELD(length) },
	{ "strict", 's', NULL, FOR_COMPARE,
	  "disks of different sizes are different, whatever they hold",
	  store_true, FIELD(strict) },
	{ "format", 'f', "raw|qcow2", FOR_COMPARE,
	  "the format of A, which is never guessed; qcow2 if it is not given",
	  store_format, FIELD(options.format) },
	{ "format-b", 'F', "raw|qcow2", FOR_COMPARE,
	  "the format of B",
	  store_format, FIELD(options_b.format) },
	{ "snapshot-b", '\0', "ID|NAME", FOR_COMPARE,
	  "like --snapshot, for B",
	  store_text, FIELD(options_b.snapshot) },
	{ "backing-b", '\0', "FILE[,raw|,qcow2]", FOR_COMPARE,
	  "like --backing, for B",
	  store_backing_b, 0 },
	{ "data-file-b", '\0', "FILE", FOR_COMPARE,
	  "like --data-file, for B",
	  store_data_file_b, 0 },
	{ "progress", 'p', NULL, FOR_CONVERT | FOR_COMPARE,
	  "show progress even if standard error is no terminal",
	  store_true, FIELD(progress) },
	{ "quiet", 'q', NULL, FOR_CONVERT,
	  "do not show progress",
	  store_true, FIELD(quiet) },
	{ "quiet", 'q', NULL, FOR_COMPARE,
	  "print nothing but errors; the exit status is the answer",
	  store_true, FIELD(quiet) },
	{ "table", '\0', NULL, FOR_HELP, NULL,
	  store_true, FIELD(table) },

	{ "follow", '\0', "[=any]", FOR_IMAGES,
	  "open the backing and data files that an image names, if they are in the image's "
	  "directory; =any: wherever they are",
	  store_follow, 0 },
	{ "backing", '\0', "FILE[,raw|,qcow2]", FOR_IMAGES,
	  "use FILE as the backing file; repeat it for each file below",
	  store_backing, 0 },
	{ "backing-format", '\0', "raw|qcow2", FOR_IMAGES,
	  "the format of backing files for which none is given",
	  store_format, FIELD(options.backing_format) },
	{ "data-file", '\0', "FILE", FOR_IMAGES,
	  "use FILE as the external data file",
	  store_data_file, 0 },
	{ "layer-only", '\0', NULL, FOR_IMAGES,
	  "read this image alone; what a backing file holds is zeros",
	  store_library_flag, QCOW2_LAYER_ONLY },
	{ "snapshot", '\0', "ID|NAME", FOR_IMAGES,
	  "read an internal snapshot instead of the current disk",
	  store_text, FIELD(options.snapshot) },
	{ "allow-truncated", '\0', NULL, FOR_IMAGES,
	  "read as zeros what is missing from a truncated file",
	  store_library_flag, QCOW2_ALLOW_TRUNCATED },
	{ "no-sandbox", '\0', NULL, FOR_IMAGES,
	  "keep all rights while reading, for debuggers and the like",
	  store_true, FIELD(no_sandbox) },
	{ "help", 'h', NULL, FOR_ALL,
	  "print this help",
	  store_true, FIELD(help) },
	{ "version", 'V', NULL, FOR_ALL,
	  "print the version",
	  store_true, FIELD(version) },
	{ NULL, '\0', NULL, 0, NULL, NULL, 0 },
	/* clang-format on */
};

typedef char rows_fit[sizeof options / sizeof options[0] <= OPTIONS_MAX + 1 ? 1 : -1];

bool option_is_common(const struct option_row *row)
{
	return (row->commands & FOR_IMAGES) == FOR_IMAGES;
}

bool option_may_have_value(const struct option_row *row)
{
	return row->argument != NULL;
}

bool option_needs_value(const struct option_row *row)
{
	return row->argument != NULL && row->argument[0] != '[';
}
