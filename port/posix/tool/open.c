/* SPDX-License-Identifier: MIT */
/*
 * Opens the image that the command line names, and explains why that or a later call failed.
 */
#include "open.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "filetype.h"
#include "message.h"
#include "qcow2/status.h"

/* The option that helps. The library's messages cannot name it: it is one of the command's. */
static const char *failure_hint(const struct args *args, const struct qcow2_failure *failure)
{
	bool truncated_allowed = (args->options.flags & QCOW2_ALLOW_TRUNCATED) != 0u;

	if (failure->status == QCOW2_E_BACKING)
		return "; use --follow, --backing FILE[,FORMAT] or --layer-only";
	if (failure->status == QCOW2_E_VERSION)
		return "; convert it with qemu-img";
	if (failure->status == QCOW2_E_DATA_FILE)
		return "; use --follow or --data-file FILE";
	if (failure->status == QCOW2_E_ARGUMENT && failure->error == ENOTSUP)
		return "; use --backing-format FORMAT";
	if (failure->status == QCOW2_E_TRUNCATED && !truncated_allowed)
		return "; use --allow-truncated to read zeros there (compressed data still fails)";
	/* The name leaves the image's directory, or goes through a symbolic link. */
	if ((failure->error == EPERM || failure->error == ELOOP) && failure->status == 0)
		return "; use --follow=any to open it anyway";
	return "";
}

static bool is_standard_input(const struct args *args)
{
	return strcmp(args->image, "-") == 0;
}

/* A copy of standard input, because the library closes it. At least 3, so not a standard one. */
static int image_fd(const struct args *args)
{
	if (is_standard_input(args))
		return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	/* O_NONBLOCK: opening a FIFO must not wait for a writer. */
	return open(args->image, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

/* What the file is, if it is no qcow2 image. NULL: unknown, or this is not why it failed. */
static const char *wrong_type(const struct args *args, const struct qcow2_failure *failure)
{
	const char *type;
	int fd;

	if (failure->depth != 0u || failure->status != QCOW2_E_NOT_QCOW2)
		return NULL;
	/* The library has closed its descriptor. */
	fd = image_fd(args);
	if (fd < 0)
		return NULL;
	type = filetype_guess(fd);
	close(fd);
	return type;
}

int tool_failed_with(const struct args *args, const struct qcow2_failure *failure)
{
	const char *type = wrong_type(args, failure);

	if (type == NULL)
		return tool_error(args->image, "%s%s", failure->message,
		                  failure_hint(args, failure));
	return tool_error(args->image, "%s; the file is %s%s", failure->message, type,
	                  strcmp(args->command, "compare") == 0
	                          ? "; raw disks need --format raw or --format-b raw"
	                          : "");
}

int tool_failed(const struct args *args)
{
	return tool_failed_with(args, qcow2_last_failure());
}

static struct qcow2 *open_image(const struct args *args, bool *no_file)
{
	struct qcow2_options options = args->options;
	int fd = image_fd(args);

	*no_file = fd < 0;
	if (fd < 0)
		return NULL;
	options.reader_memory = 1; /* the least: all commands go through a disk in order */
	if (!is_standard_input(args))
		options.path = args->image;
	return qcow2_open_options(fd, &options, NULL);
}

struct qcow2 *tool_open_quietly(const struct args *args)
{
	bool no_file;

	return open_image(args, &no_file);
}

struct qcow2 *tool_open(const struct args *args)
{
	bool no_file;
	struct qcow2 *q = open_image(args, &no_file);

	if (q == NULL && no_file)
		tool_error(args->image, "%s", strerror(errno));
	else if (q == NULL)
		tool_failed(args);
	return q;
}

size_t tool_buffer_size(struct qcow2 *q, size_t least)
{
	struct qcow2_info info = { .struct_size = sizeof info };

	if (qcow2_get_info(q, 0, &info) != 0 || info.cluster_size < least)
		return least;
	return (size_t)info.cluster_size;
}
