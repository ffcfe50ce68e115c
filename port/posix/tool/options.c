/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The table of options, and how each value is stored.
 */
#include "options.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "size.h"

/* All store functions have one type. NOLINTBEGIN(readability-non-const-parameter) */
static const char *store_true(struct args *args, const struct option_row *row, char *value)
{
	bool *field = (void *)((char *)args + row->at);

	(void)value;
	*field = true;
	return NULL;
}

static const char *store_text(struct args *args, const struct option_row *row, char *value)
{
	const char **field = (const char **)(void *)((char *)args + row->at);

	*field = value;
	return NULL;
}

/* A file that the command creates. An empty name would fail only once all is written. */
static const char *store_new_file(struct args *args, const struct option_row *row, char *value)
{
	store_text(args, row, value);
	return *value != '\0' ? NULL : "the name of a file";
}

static const char *store_size(struct args *args, const struct option_row *row, char *value)
{
	uint64_t *field = (void *)((char *)args + row->at);

	return size_parse(value, field) ? NULL : SIZE_EXPECTED;
}

/* For the library, 0 bytes are as many as it needs. */
static const char *store_memory(struct args *args, const struct option_row *row, char *value)
{
	const char *expected = store_size(args, row, value);

	return expected != NULL || args->memory != 0u ? expected : "at least 1 byte, such as 64M";
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
	return strcmp(text, "raw") == 0 || strcmp(text, "qcow2") == 0 || strcmp(text, "qcow") == 0;
}

/* Splits FILE[,FORMAT], in place. A comma that no format follows is part of the name. */
static const char *store_backing(struct args *args, const struct option_row *row, char *value)
{
	struct qcow2_file *file = &args->backing[args->options.n_backing++];
	char *comma = strrchr(value, ',');

	(void)row;
	file->path = value;
	if (comma != NULL && is_format(comma + 1)) {
		*comma = '\0';
		file->format = comma + 1;
	}
	args->options.backing = args->backing;
	return NULL;
}

static const char *store_bitmap(struct args *args, const struct option_row *row, char *value)
{
	(void)row;
	args->bitmaps[args->n_bitmaps++] = value;
	return NULL;
}

static const char *store_mount_options(struct args *args, const struct option_row *row, char *value)
{
	(void)row;
	args->mount_options[args->n_mount_options++] = value;
	return NULL;
}

static const char *store_format(struct args *args, const struct option_row *row, char *value)
{
	store_text(args, row, value);
	return is_format(value) ? NULL : "raw, qcow2 or qcow";
}

/* For qemu-img's -O. It says what is done anyway. */
static const char *store_output_format(struct args *args, const struct option_row *row, char *value)
{
	(void)args;
	(void)row;
	return strcmp(value, "raw") == 0 ? NULL : "raw, the only format that is written";
}

/* How the answer is printed: --output=json is --json, and the last of both counts. */
static const char *store_output(struct args *args, const struct option_row *row, char *value)
{
	(void)row;
	args->json = strcmp(value, "json") == 0;
	return args->json || strcmp(value, "human") == 0 ? NULL : "json or human";
}

/* For an option of qemu-img that asks for what is always so. */
static const char *store_nothing(struct args *args, const struct option_row *row, char *value)
{
	(void)args;
	(void)row;
	(void)value;
	return NULL;
}

/* The words are those of qemu-img. */
static const char *store_repair(struct args *args, const struct option_row *row, char *value)
{
	(void)row;
	args->repair = true;
	return strcmp(value, "leaks") == 0 || strcmp(value, "all") == 0 ? NULL : "leaks or all";
}

static const char *store_snapshot(struct args *args, const struct option_row *row, char *value)
{
	(void)row;
	if (!snapshot_wanted_parse(&args->snapshot, value))
		return SNAPSHOT_EXPECTED;
	args->options.snapshot = args->snapshot.id_or_name;
	return NULL;
}

static const char *store_data_file(struct args *args, const struct option_row *row, char *value)
{
	(void)row;
	args->data_file.path = value;
	args->options.data_file = &args->data_file;
	return NULL;
}

static const char *store_sparse(struct args *args, const struct option_row *row, char *value)
{
	(void)row;
	if (strcmp(value, "auto") == 0)
		args->sparse = SPARSE_AUTO;
	else if (strcmp(value, "always") == 0)
		args->sparse = SPARSE_ALWAYS;
	else if (strcmp(value, "never") == 0)
		args->sparse = SPARSE_NEVER;
	else
		return "auto, always or never";
	return NULL;
}

static const char *store_color(struct args *args, const struct option_row *row, char *value)
{
	static const char *const words[] = {
		[COLOR_AUTO] = "auto",
		[COLOR_ALWAYS] = "always",
		[COLOR_NEVER] = "never",
	};
	unsigned i;

	(void)row;
	for (i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(value, words[i]) == 0) {
			args->color = (enum args_color)i;
			return NULL;
		}
	return "always, auto or never";
}

/* Takes "DEPTH=" off the front. Returns what is left, or NULL if no chain has this depth. */
static char *take_depth(struct key_source *source, char *value)
{
	size_t digits = strspn(value, "0123456789");
	unsigned long depth;

	if (digits == 0u || value[digits] != '=')
		return value;
	depth = strtoul(value, NULL, 10);
	source->has_depth = true;
	source->depth = (unsigned)depth;
	return depth <= KEY_DEPTH_MAX ? value + digits + 1 : NULL;
}

static const char *store_key_file(struct args *args, const struct option_row *row, char *value)
{
	struct key_source *source = &args->keys[args->n_keys++];

	(void)row;
	source->file = take_depth(source, value);
	return source->file != NULL && *source->file != '\0'
	               ? NULL
	               : "FILE or DEPTH=FILE; no DEPTH is above 255";
}

/*
 * The descriptor must be open now. Otherwise the image could get its number, and its first bytes
 * would be the password.
 */
static const char *store_key_fd(struct args *args, const struct option_row *row, char *value)
{
	struct key_source *source = &args->keys[args->n_keys++];
	const char *number = take_depth(source, value);
	size_t digits = number != NULL ? strspn(number, "0123456789") : 0u;

	(void)row;
	if (digits == 0u || digits > 9u || number[digits] != '\0')
		return "N or DEPTH=N, such as 3; no DEPTH is above 255";
	source->fd = (int)strtoul(number, NULL, 10);
	return fcntl(source->fd, F_GETFD) >= 0 ? NULL : "an open descriptor";
}

/* For the library, a limit of 0 is none. */
static const char *store_limit(struct args *args, const struct option_row *row, char *value)
{
	size_t digits = strspn(value, "0123456789");
	unsigned long long n = strtoull(value, NULL, 10);
	uint32_t *field = (void *)((char *)args + row->at);

	*field = (uint32_t)n;
	return digits != 0u && value[digits] == '\0' && n != 0u && n <= UINT32_MAX
	               ? NULL
	               : "a number from 1 to 4294967295";
}

static const char *store_connections(struct args *args, const struct option_row *row, char *value)
{
	size_t digits = strspn(value, "0123456789");
	unsigned long n = strtoul(value, NULL, 10);

	(void)row;
	args->connections = (unsigned)n;
	return digits != 0u && value[digits] == '\0' && n >= 1u && n <= 16u
	               ? NULL
	               : "a number from 1 to 16";
}

/* Splits N[,LENGTH], in place. A length of 0 would mean up to the end of the file. */
static const char *store_image_at(struct args *args, const struct option_row *row, char *value)
{
	struct qcow2_options *o = &args->options;
	char *comma = strchr(value, ',');
	bool good = true;

	(void)row;
	o->image_length = 0;
	if (comma != NULL) {
		*comma = '\0';
		good = size_parse(comma + 1, &o->image_length) && o->image_length != 0u;
	}
	good = good && size_parse(value, &o->image_offset);
	if (comma != NULL)
		*comma = ','; /* the message shows the value */
	return good ? NULL : "OFFSET or OFFSET,LENGTH in bytes, such as 1536 or 64K,10M";
}
/* NOLINTEND(readability-non-const-parameter) */

#define FIELD(name) offsetof(struct args, name)

/*
 * In the order of --help. The options that all commands take are at the end.
 * Columns: name, letter, argument, commands, help, how and where the value is stored.
 */
const struct option_row options[] = {
	/* clang-format off */
	{ "json", '\0', NULL, FOR_INFO | FOR_MAP | FOR_SNAPSHOTS | FOR_BITMAPS | FOR_CHECK,
	  "print JSON, with the keys of qemu-img",
	  store_true, FIELD(json) },
	{ "json", '\0', NULL, FOR_COMPARE,
	  "print JSON",
	  store_true, FIELD(json) },
	{ "output", '\0', "json|human", FOR_INFO | FOR_MAP | FOR_COMPARE | FOR_SNAPSHOTS | FOR_BITMAPS | FOR_CHECK,
	  "print JSON, or text for people",
	  store_output, 0 },
	{ "backing-chain", '\0', NULL, FOR_INFO,
	  "show each image of the backing chain; implies --follow",
	  store_true, FIELD(backing_chain) },
	{ "scan", '\0', NULL, FOR_INFO,
	  "count all that is allocated, even if that takes more than a second",
	  store_true, FIELD(scan) },
	{ "no-scan", '\0', NULL, FOR_INFO,
	  "do not count what is allocated, and do not look for partitions",
	  store_true, FIELD(no_scan) },
	{ "human", '\0', NULL, FOR_MAP,
	  "print sizes with a unit",
	  store_true, FIELD(human) },
	{ "summary", '\0', NULL, FOR_MAP,
	  "print only how many bytes are of each kind and depth",
	  store_true, FIELD(summary) },
	{ "bitmap", '\0', "NAME", FOR_MAP,
	  "also show what the bitmap NAME marks as dirty; with several, what any of them marks",
	  store_bitmap, 0 },
	{ "bitmap", '\0', "NAME", FOR_CAT | FOR_CONVERT,
	  "write only what the bitmap NAME marks as dirty; with several, what any of them marks",
	  store_bitmap, 0 },
	{ "inconsistent", '\0', NULL, FOR_MAP | FOR_CAT | FOR_CONVERT,
	  "also use bitmaps that are in use, which may lack changes",
	  store_true, FIELD(inconsistent) },
	{ "picture", '\0', NULL, FOR_MAP,
	  "draw the disk in rows of characters as wide as the terminal",
	  store_true, FIELD(picture) },
	{ "color", '\0', "always|auto|never", FOR_MAP,
	  "use colors in the picture; auto, the default: on a terminal, unless NO_COLOR is set",
	  store_color, 0 },
	{ "svg", '\0', "FILE", FOR_MAP,
	  "draw the disk to FILE as SVG, and where its parts are in the file; -: standard output",
	  store_new_file, FIELD(svg) },
	{ "vm-state", '\0', NULL, FOR_MAP | FOR_CAT | FOR_CONVERT | FOR_COMPARE,
	  "with --snapshot: read the state of the machine that was saved with the snapshot",
	  store_library_flag, QCOW2_VM_STATE },
	{ "skip", 's', "OFFSET", FOR_CAT,
	  "start at OFFSET bytes; suffixes K, M, G and T, or KiB, MiB and so on, are powers of 1024",
	  store_size, FIELD(offset) },
	{ "offset", '\0', "OFFSET", FOR_CAT,
	  "the same as --skip",
	  store_size, FIELD(offset) },
	{ "length", 'n', "LENGTH", FOR_CAT,
	  "write at most LENGTH bytes",
	  store_size, FIELD(length) },
	{ "strict", 's', NULL, FOR_COMPARE,
	  "disks of different sizes are different, whatever they hold",
	  store_true, FIELD(strict) },
	{ "format-b", 'F', "raw|qcow2|qcow", FOR_COMPARE,
	  "like --format, for IMAGE-B",
	  store_format, FIELD(options.format) },
	{ "snapshot-b", '\0', "ID|NAME", FOR_COMPARE,
	  "like --snapshot, for IMAGE-B",
	  store_snapshot, 0 },
	{ "vm-state-b", '\0', NULL, FOR_COMPARE,
	  "like --vm-state, for IMAGE-B",
	  store_library_flag, QCOW2_VM_STATE },
	{ "backing-b", '\0', "FILE[,raw|,qcow2|,qcow]", FOR_COMPARE,
	  "like --backing, for IMAGE-B",
	  store_backing, 0 },
	{ "data-file-b", '\0', "FILE", FOR_COMPARE,
	  "like --data-file, for IMAGE-B",
	  store_data_file, 0 },
	{ "key-file-b", '\0', "FILE|DEPTH=FILE", FOR_COMPARE,
	  "like --key-file, for IMAGE-B",
	  store_key_file, 0 },
	{ "key-fd-b", '\0', "N|DEPTH=N", FOR_COMPARE,
	  "like --key-fd, for IMAGE-B",
	  store_key_fd, 0 },
	{ "image-at-b", '\0', "OFFSET[,LENGTH]", FOR_COMPARE,
	  "like --image-at, for IMAGE-B",
	  store_image_at, 0 },
	{ "output-format", 'O', "raw", FOR_CONVERT,
	  "the format of OUT, as in qemu-img",
	  store_output_format, 0 },
	{ "deep", '\0', NULL, FOR_CHECK,
	  "also read all data, and decode what is compressed",
	  store_true, FIELD(deep) },
	{ "memory", '\0', "SIZE", FOR_CHECK,
	  "use at most SIZE bytes to count; less than a byte for each cluster takes longer",
	  store_memory, FIELD(memory) },
	{ "max-reads", '\0', "N", FOR_CHECK,
	  "give up if the tables need more than N reads, as those of a hostile image can",
	  store_limit, FIELD(max_reads) },
	{ "repair", 'r', "leaks|all", FOR_CHECK,
	  "refused, because this program only reads",
	  store_repair, 0 },
	{ "progress", 'p', NULL, FOR_CONVERT | FOR_COMPARE | FOR_CHECK,
	  "show progress even if standard error is no terminal",
	  store_true, FIELD(progress) },
	{ "progress", 'p', NULL, FOR_CAT,
	  "show progress on standard error",
	  store_true, FIELD(progress) },
	{ "quiet", 'q', NULL, FOR_CAT | FOR_CONVERT,
	  "do not show progress",
	  store_true, FIELD(quiet) },
	{ "quiet", 'q', NULL, FOR_ATTACH,
	  "print no warnings",
	  store_true, FIELD(quiet) },
	{ "connections", '\0', "N", FOR_ATTACH,
	  "use N connections, 1 to 16, with one request at a time on each; if not given, one with four",
	  store_connections, 0 },
	{ "quiet", 'q', NULL, FOR_CHECK,
	  "print no result, only what is found; the exit status is the answer",
	  store_true, FIELD(quiet) },
	{ "quiet", 'q', NULL, FOR_COMPARE,
	  "print nothing but errors; the exit status is the answer",
	  store_true, FIELD(quiet) },
	{ "salvage", '\0', NULL, FOR_CAT | FOR_CONVERT,
	  "continue after damage: write zeros there, list what is lost, and exit with 3",
	  store_true, FIELD(salvage) },
	{ "report", '\0', "FILE", FOR_CAT | FOR_CONVERT,
	  "with --salvage: also write the list to FILE, as JSON",
	  store_new_file, FIELD(report) },
	{ "in-place", '\0', NULL, FOR_CONVERT,
	  "write into OUT itself, which keeps its links; if that fails, its old content is lost",
	  store_true, FIELD(in_place) },
	{ "no-create", 'n', NULL, FOR_CONVERT,
	  "write into OUT itself, which must exist, and leave its length as it is",
	  store_true, FIELD(no_create) },
	{ "sparse", '\0', "auto|always|never", FOR_CONVERT,
	  "auto: make holes for zeros if OUT can have them; always: fail if not; never: no holes",
	  store_sparse, 0 },
	{ "target-is-zero", '\0', NULL, FOR_CONVERT,
	  "the device OUT, or with -n the file, reads as zeros, so do not write any",
	  store_true, FIELD(target_is_zero) },
	{ "force", '\0', NULL, FOR_CAT | FOR_CONVERT,
	  "write the disk even to a terminal",
	  store_true, FIELD(force) },
	{ "foreground", 'f', NULL, FOR_MOUNT,
	  "stay in the foreground until DIR is unmounted, and print which reads fail",
	  store_true, FIELD(foreground) },
	{ "options", 'o', "OPTION[,OPTION]...", FOR_MOUNT,
	  "options of FUSE, such as allow_other; see mount.fuse3(8)",
	  store_mount_options, 0 },
	{ "format", '\0', "raw|qcow2|qcow", FOR_MOUNT,
	  "the format of the image; without this option, qcow2 or qcow, as the header says",
	  store_format, FIELD(options.format) },
	{ "table", '\0', NULL, FOR_HELP, NULL,
	  store_true, FIELD(table) },

	{ "format", 'f', "raw|qcow2|qcow", FOR_IMAGES & ~FOR_MOUNT,
	  "the format of the image; without this option, qcow2 or qcow, as the header says",
	  store_format, FIELD(options.format) },
	{ "force-share", 'U', NULL, FOR_IMAGES,
	  "accepted as in qemu-img; images are never locked",
	  store_nothing, 0 },
	{ "follow", '\0', "[=any]", FOR_IMAGES,
	  "open the backing and data files that an image names, if they are in the image's "
	  "directory or below it; =any: wherever they are",
	  store_follow, 0 },
	{ "backing", '\0', "FILE[,raw|,qcow2|,qcow]", FOR_IMAGES,
	  "use FILE as the backing file; repeat it for each file below",
	  store_backing, 0 },
	{ "backing-format", '\0', "raw|qcow2|qcow", FOR_IMAGES,
	  "the format of backing files for which none is given",
	  store_format, FIELD(options.backing_format) },
	{ "data-file", '\0', "FILE", FOR_IMAGES,
	  "use FILE as the external data file",
	  store_data_file, 0 },
	{ "key-file", '\0', "FILE|DEPTH=FILE", FOR_IMAGES,
	  "FILE is the password of encrypted images, or of the one at DEPTH of the chain; all its bytes "
	  "count",
	  store_key_file, 0 },
	{ "key-fd", '\0', "N|DEPTH=N", FOR_IMAGES,
	  "like --key-file, from the open file descriptor N",
	  store_key_fd, 0 },
	{ "max-iterations", '\0', "N", FOR_IMAGES,
	  "try passwords of images whose header asks for at most N iterations; 100000000 if not given",
	  store_limit, FIELD(options.max_iterations) },
	{ "image-at", '\0', "OFFSET[,LENGTH]", FOR_IMAGES,
	  "the image is inside the file IMAGE: it begins at OFFSET and has LENGTH bytes",
	  store_image_at, 0 },
	{ "layer-only", '\0', NULL, FOR_IMAGES,
	  "read this image alone; what a backing file holds is zeros",
	  store_library_flag, QCOW2_LAYER_ONLY },
	{ "snapshot", 'l', "ID|NAME", FOR_IMAGES,
	  "read an internal snapshot instead of the current disk; snapshot.id=ID or snapshot.name=NAME "
	  "says which of the two it is",
	  store_snapshot, 0 },
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
	/* For mount, -f is the option that programs for FUSE have. */
	return ((row->commands | FOR_MOUNT) & FOR_IMAGES) == FOR_IMAGES;
}

bool option_is_for_second(const struct option_row *row)
{
	size_t len = strlen(row->name);

	return len > 2u && strcmp(row->name + len - 2u, "-b") == 0;
}

bool option_may_have_value(const struct option_row *row)
{
	return row->argument != NULL;
}

bool option_needs_value(const struct option_row *row)
{
	return row->argument != NULL && row->argument[0] != '[';
}
