/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 info --backing-chain: what `qcow2 info` shows of each image of a chain, the top first.
 */
#include "info.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../message.h"

/*
 * Opens the file once more, alone, because snapshots and bitmaps are listed of a top image only.
 * Closes fd.
 */
static int print_alone(struct json *j, const struct args *args, const char *filename,
                       const char *format, unsigned depth, int fd)
{
	struct qcow2_options options = { .struct_size = sizeof options,
		                         .flags = QCOW2_INSPECT | QCOW2_LAYER_ONLY,
		                         .max_readers = 1,
		                         .path = filename,
		                         .format = format };
	struct qcow2 *q;
	struct info info;

	options.flags |= args->options.flags & QCOW2_ALLOW_TRUNCATED;
	if (depth == 0u) {
		options.image_offset = args->options.image_offset;
		options.image_length = args->options.image_length;
	}
	q = qcow2_open_options(fd, &options, NULL);
	if (q == NULL)
		return tool_error(filename, "%s", qcow2_last_failure()->message);
	info_load(&info, filename, q, false);
	if (!args->no_scan && (options.flags & QCOW2_ALLOW_TRUNCATED) == 0u)
		info_load_usage(&info, args->scan);
	if (args->json)
		info_print_json(j, &info);
	else
		info_print_text(&info);
	info_free(&info);
	qcow2_close(q);
	return EXIT_OK;
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

int info_chain_begin(struct info_chain *chain, const struct args *args, struct qcow2 *q)
{
	int error;

	for (chain->n = 0; chain->n < INFO_CHAIN_MAX; chain->n++) {
		int fd = qcow2_get_fd(q, (unsigned)chain->n);

		if (fd < 0)
			break;
		chain->fds[chain->n] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (chain->fds[chain->n] >= 0)
			continue;
		error = errno;
		while (chain->n > 0)
			close(chain->fds[--chain->n]);
		return tool_error(args->image, "%s", strerror(error));
	}
	return EXIT_OK;
}

/* Prints the image at a depth, whose copied descriptor is fd. */
static int print_depth(struct json *j, const struct args *args, struct qcow2 *q, unsigned depth,
                       int fd)
{
	struct qcow2_info image = { .struct_size = sizeof image };

	if (depth > 0u && !args->json)
		putchar('\n');
	qcow2_get_info(q, depth, &image); /* never fails inside the chain */
	return print_alone(j, args, shown_path(args, q, depth), image.format, depth, fd);
}

int info_chain_print(struct info_chain *chain, struct json *j, const struct args *args,
                     struct qcow2 *q)
{
	int i, rc = EXIT_OK;

	if (args->json)
		json_begin(j, NULL, '[');
	for (i = 0; i < chain->n; i++) {
		if (rc == EXIT_OK)
			rc = print_depth(j, args, q, (unsigned)i, chain->fds[i]);
		else
			close(chain->fds[i]);
	}
	if (args->json)
		json_end(j, ']');
	return rc;
}
