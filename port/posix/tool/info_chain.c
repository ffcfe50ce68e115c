/* SPDX-License-Identifier: MIT */
/*
 * qcow2 info --backing-chain: what `qcow2 info` shows of each image of a chain, the top first.
 */
#include "info.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "holes.h"
#include "message.h"
#include "sandbox.h"
#include "text.h"

/* The library opens no longer chain than this. */
enum { CHAIN_MAX = 256 };

/* An image of the chain. */
struct layer {
	const char *filename;
	struct qcow2_info image;
	int fd; /* a copy, which print_layer closes */
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
	close(layer->fd);
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
	struct qcow2 *q;
	struct info info;

	options.flags |= args->options.flags & QCOW2_ALLOW_TRUNCATED;
	q = qcow2_open_options(layer->fd, &options, NULL);
	if (q == NULL)
		return tool_error(layer->filename, "%s", qcow2_last_failure()->message);
	info_load(&info, layer->filename, q, false);
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

/* The path as qemu-img shows it. The library begins it with "./" if the image has no directory. */
static const char *shown_path(const struct args *args, struct qcow2 *q, unsigned depth)
{
	const char *path = qcow2_get_path(q, depth);

	if (depth == 0u || path == NULL)
		return args->image;
	if (strchr(args->image, '/') == NULL && strncmp(path, "./", 2) == 0)
		return path + 2;
	return path;
}

/*
 * Copies the descriptor of each image, because the library closes those that it opens. Returns how
 * many there are, or -1 with errno set.
 */
static int copy_descriptors(int copies[CHAIN_MAX], struct qcow2 *q)
{
	int n, fd, error;

	for (n = 0; n < CHAIN_MAX && (fd = qcow2_get_fd(q, (unsigned)n)) >= 0; n++) {
		copies[n] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (copies[n] >= 0)
			continue;
		error = errno;
		while (n > 0)
			close(copies[--n]);
		errno = error;
		return -1;
	}
	return n;
}

/* Prints the image at a depth, whose copied descriptor is fd. */
static int print_depth(struct json *j, const struct args *args, struct qcow2 *q, int depth, int fd)
{
	struct layer layer = { .image = { .struct_size = sizeof layer.image }, .fd = fd };

	if (depth > 0 && !args->json)
		putchar('\n');
	qcow2_get_info(q, (unsigned)depth, &layer.image); /* never fails inside the chain */
	layer.filename = shown_path(args, q, (unsigned)depth);
	return print_layer(j, args, &layer);
}

int info_print_chain(const struct args *args, struct qcow2 *q)
{
	struct json j = { stdout, 0, true };
	int copies[CHAIN_MAX];
	int i, rc = EXIT_OK, n = copy_descriptors(copies, q);

	if (n < 0)
		return tool_error(args->image, "%s", strerror(errno));
	sandbox_enter_reading(args->no_sandbox);
	if (args->json)
		json_begin(&j, NULL, '[');
	for (i = 0; i < n; i++) {
		if (rc == EXIT_OK)
			rc = print_depth(&j, args, q, i, copies[i]);
		else
			close(copies[i]);
	}
	if (args->json)
		json_end(&j, ']');
	return rc;
}
