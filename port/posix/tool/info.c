/* SPDX-License-Identifier: MIT */
/*
 * qcow2 info: what the header says. Needs no other file, and shows what it can of an image that
 * cannot be read: encrypted, cut short, without its backing file.
 */
#include "info.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "qcow2/status.h"
#include "snapshots.h"

const char *compression_name(const struct qcow2_image *image)
{
	return image->compression_type == 1u ? "zstd" : "zlib";
}

const char *encryption_name(const struct qcow2_image *image)
{
	return image->crypt_method == 1u ? "aes" : "luks"; /* no other image opens */
}

static void warn_of(const struct info *info, const char *what)
{
	tool_error(info->filename, "warning: %s", what);
}

static void load_span(const struct info *info, struct qcow2_span span, struct bytes *bytes)
{
	if (span.len == 0u)
		return;
	bytes->at = calloc(1, (size_t)span.len + 1u);
	if (bytes->at != NULL && image_bytes(info->image, span.pos, bytes->at, span.len)) {
		bytes->len = span.len;
		return;
	}
	free(bytes->at);
	bytes->at = NULL;
	warn_of(info, "a name in the header cannot be read");
}

/* QEMU's reading of a name: relative to the directory of the image, unless it is a URL. */
static void combine_names(struct info *info)
{
	const char *slash = strrchr(info->filename, '/');
	const char *name = info->backing.at;
	size_t dir_len = slash != NULL ? (size_t)(slash + 1 - info->filename) : 0u;
	struct bytes *full = &info->backing_full;

	if (name == NULL)
		return;
	if (name[0] == '/' || name[strcspn(name, ":/")] == ':')
		dir_len = 0;
	full->at = malloc(dir_len + info->backing.len + 1u);
	if (full->at == NULL)
		return;
	memcpy(full->at, info->filename, dir_len);
	memcpy(full->at + dir_len, name, info->backing.len + 1u);
	full->len = dir_len + info->backing.len;
}

static void info_load(struct info *info, const struct args *args, struct qcow2 *q)
{
	struct stat st;

	memset(info, 0, sizeof *info);
	info->filename = args->image;
	info->q = q;
	info->image = qcow2_get_image(q, 0);
	if (fstat(qcow2_get_fd(q, 0), &st) == 0)
		info->actual_size = (uint64_t)st.st_blocks * 512u;
	load_span(info, info->image->backing_name, &info->backing);
	load_span(info, info->image->backing_format, &info->backing_format);
	load_span(info, info->image->data_file_name, &info->data_file);
	combine_names(info);
	info->n_snapshots = qcow2_list_snapshots(q, &info->snapshots);
	if (info->n_snapshots < 0)
		warn_of(info, qcow2_last_failure()->message);
	if (!bitmaps_load(info))
		warn_of(info, "the bitmap directory is damaged");
}

static void info_free(struct info *info)
{
	free(info->backing.at);
	free(info->backing_full.at);
	free(info->backing_format.at);
	free(info->data_file.at);
	free(info->snapshots);
	free(info->bitmaps);
	free(info->bitmap_directory);
}

static void print_bytes(const char *label, const struct bytes *bytes)
{
	if (bytes->at == NULL)
		return;
	printf("%s: ", label);
	text_print(stdout, bytes->at, bytes->len);
	putchar('\n');
}

static void print_size(const char *label, uint64_t size)
{
	printf("%s: ", label);
	text_print_size(stdout, size);
	printf(" (%" PRIu64 " bytes)\n", size);
}

static void print_features(const struct qcow2_image *image)
{
	static const struct {
		uint64_t bit;
		const char *text;
	} known[] = {
		{ QCOW2_INCOMPATIBLE_DIRTY, "refcounts may be out of date (dirty)" },
		{ QCOW2_INCOMPATIBLE_CORRUPT, "marked corrupt" },
		{ QCOW2_INCOMPATIBLE_EXTENDED_L2, "extended L2 entries (subclusters)" },
	};
	size_t i;

	for (i = 0; i < sizeof known / sizeof known[0]; i++)
		if ((image->incompatible & known[i].bit) != 0u)
			printf("feature: %s\n", known[i].text);
	if ((image->compatible & QCOW2_COMPATIBLE_LAZY_REFCOUNTS) != 0u)
		puts("feature: lazy refcounts");
	if ((image->autoclear & QCOW2_AUTOCLEAR_DATA_FILE_RAW) != 0u)
		puts("feature: the data file is a raw disk by itself");
}

static void print_bitmaps(const struct info *info)
{
	size_t i;

	for (i = 0; i < info->n_bitmaps; i++) {
		const struct bitmap_entry *bitmap = &info->bitmaps[i];

		printf("bitmap: ");
		text_print(stdout, bitmap->name, bitmap->name_len);
		printf(" (granularity %" PRIu64 "%s%s)\n", bitmap->granularity,
		       bitmap->automatic ? ", auto" : "", bitmap->in_use ? ", in use" : "");
	}
}

static void print_chain(struct qcow2 *q)
{
	const struct qcow2_image *image;
	unsigned depth;

	for (depth = 1; (image = qcow2_get_image(q, depth)) != NULL; depth++) {
		const char *path = qcow2_get_path(q, depth);

		printf("chain %u: ", depth);
		text_print(stdout, path != NULL ? path : "?", path != NULL ? strlen(path) : 1u);
		printf(" (%s, %" PRIu64 " bytes)\n", image->version != 0u ? "qcow2" : "raw",
		       image->size);
	}
}

static void info_print(const struct info *info)
{
	const struct qcow2_image *image = info->image;

	printf("image: ");
	text_print(stdout, info->filename, strlen(info->filename));
	printf("\nformat: qcow2 version %u (compat %s)\n", (unsigned)image->version,
	       image->version >= 3u ? "1.1" : "0.10");
	print_size("virtual size", qcow2_get_size(info->q));
	print_size("file size", image->io.size);
	print_size("disk usage", info->actual_size);
	printf("cluster size: %" PRIu64 "\n", UINT64_C(1) << image->cluster_bits);
	printf("compression: %s\n", compression_name(image));
	printf("refcount bits: %u\n", 1u << image->refcount_order);
	if (image->crypt_method != 0u)
		printf("encrypted: %s\n", encryption_name(image));
	print_bytes("backing file", &info->backing);
	if (info->backing.len != info->backing_full.len)
		print_bytes("backing file path", &info->backing_full);
	print_bytes("backing file format", &info->backing_format);
	print_bytes("data file", &info->data_file);
	print_features(image);
	print_bitmaps(info);
	print_chain(info->q);
	if (info->n_snapshots > 0) {
		puts("snapshots:");
		snapshots_print(info->snapshots, info->n_snapshots);
	}
}

/* Opens to look, unless the command line tells where the other files are. */
static struct qcow2 *info_open(struct args *args)
{
	struct qcow2_options *o = &args->options;
	struct qcow2 *q;

	if ((o->flags & (QCOW2_FOLLOW | QCOW2_FOLLOW_ANY)) == 0u && o->n_backing == 0u &&
	    o->data_file == NULL)
		o->flags |= QCOW2_INSPECT;
	q = tool_open_quietly(args, o->flags);
	if (q != NULL || qcow2_last_failure()->status != QCOW2_E_TRUNCATED)
		return q != NULL ? q : tool_open(args);
	tool_error(args->image, "warning: %s", qcow2_last_failure()->message);
	o->flags |= QCOW2_ALLOW_TRUNCATED;
	return tool_open(args);
}

int run_info(struct args *args)
{
	struct qcow2 *q = info_open(args);
	struct info info;

	if (q == NULL)
		return EXIT_FAILED;
	info_load(&info, args, q);
	if (args->json)
		info_json(&info);
	else
		info_print(&info);
	info_free(&info);
	qcow2_close(q);
	return EXIT_OK;
}
