/* SPDX-License-Identifier: MIT */
/*
 * qcow2 info --backing-chain: what `qcow2 info` shows of each image of a chain, the top first.
 */
#include "info.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "holes.h"
#include "message.h"
#include "text.h"

/* An image of the chain. */
struct layer {
	const char *filename;
	struct qcow2_info image;
	int fd; /* the chain owns it */
};

static void print_raw_json(struct json *j, const struct layer *layer, uint64_t stored)
{
	json_begin(j, NULL, '{');
	json_number(j, "virtual-size", layer->image.size);
	json_text(j, "filename", layer->filename);
	json_text(j, "format", layer->image.format);
	json_number(j, "actual-size", stored);
	json_bool(j, "dirty-flag", false);
	json_end(j, '}');
}

static void print_raw_text(const struct layer *layer, uint64_t stored)
{
	printf("image: ");
	text_print(stdout, layer->filename, strlen(layer->filename));
	printf("\nformat: %s\nvirtual size: ", layer->image.format);
	text_print_size(stdout, layer->image.size);
	printf(" (%" PRIu64 " bytes)\ndisk usage: ", layer->image.size);
	text_print_size(stdout, stored);
	printf(" (%" PRIu64 " bytes)\n", stored);
}

static int print_raw(struct json *j, const struct args *args, const struct layer *layer)
{
	uint64_t stored = 0; /* if the file system cannot tell */

	file_stored(layer->fd, &stored);
	if (args->json)
		print_raw_json(j, layer, stored);
	else
		print_raw_text(layer, stored);
	return EXIT_OK;
}

/* Opens the file once more, alone, because snapshots and bitmaps are listed of a top image only. */
static int print_qcow2(struct json *j, const struct args *args, const struct layer *layer)
{
	struct qcow2_options options = { .struct_size = sizeof options,
		                         .flags = QCOW2_INSPECT,
		                         .max_readers = 1,
		                         .path = layer->filename };
	int fd = fcntl(layer->fd, F_DUPFD_CLOEXEC, 3);
	struct qcow2 *q;
	struct info info;

	if (fd < 0)
		return tool_error(layer->filename, "%s", strerror(errno));
	options.flags |= args->options.flags & QCOW2_ALLOW_TRUNCATED;
	q = qcow2_open_options(fd, &options, NULL);
	if (q == NULL)
		return tool_error(layer->filename, "%s", qcow2_last_failure()->message);
	info_load(&info, layer->filename, q);
	if (args->json)
		info_print_json(j, &info);
	else
		info_print_text(&info);
	info_free(&info);
	qcow2_close(q);
	return EXIT_OK;
}

static int print_layer(struct json *j, const struct args *args, const struct layer *layer)
{
	bool is_raw = strcmp(layer->image.format, "raw") == 0;

	return is_raw ? print_raw(j, args, layer) : print_qcow2(j, args, layer);
}

/* As qemu-img shows it: the library begins the paths beside an image without directory with "./".
 */
static const char *shown_path(const struct args *args, struct qcow2 *q, unsigned depth)
{
	const char *path = qcow2_get_path(q, depth);

	if (depth == 0u || path == NULL)
		return args->image;
	if (strchr(args->image, '/') == NULL && strncmp(path, "./", 2) == 0)
		return path + 2;
	return path;
}

int info_print_chain(const struct args *args, struct qcow2 *q)
{
	struct layer layer = { .image = { .struct_size = sizeof layer.image } };
	struct json j = { stdout, 0, true };
	unsigned depth;
	int rc = EXIT_OK;

	if (args->json)
		json_begin(&j, NULL, '[');
	for (depth = 0; rc == EXIT_OK && qcow2_get_info(q, depth, &layer.image) == 0; depth++) {
		if (depth > 0u && !args->json)
			putchar('\n');
		layer.filename = shown_path(args, q, depth);
		layer.fd = qcow2_get_fd(q, depth);
		rc = print_layer(&j, args, &layer);
	}
	if (args->json)
		json_end(&j, ']');
	return rc;
}
