/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Opens the image that the command line names, and explains why that or a later call failed.
 */
#include "open.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../info/filetype.h"
#include "../message.h"
#include "keys.h"
#include "qcow2/status.h"

static bool is_standard_input(const struct args *args)
{
	return strcmp(args->image, "-") == 0;
}

/* Is it the second image of a command that takes two? */
static bool is_second(const struct args *args)
{
	return strcmp(args->command, "compare") == 0 && args->second == NULL;
}

/* What a message ends with. For the second image, "-b" comes before the end. */
struct hint {
	const char *text;
	const char *end; /* NULL: the text is all */
};

/* The options that help if a file or a password is missing. */
static struct hint missing_hint(const struct args *args, const struct qcow2_failure *failure)
{
	bool follow_helps = failure->names_file && !is_standard_input(args) &&
	                    (args->options.flags & (QCOW2_FOLLOW | QCOW2_FOLLOW_ANY)) == 0u;

	if (failure->status == QCOW2_E_BACKING)
		return (struct hint){ follow_helps ? "; use --follow, --backing"
			                           : "; use --backing",
			              " FILE[,FORMAT] or --layer-only" };
	if (failure->status == QCOW2_E_DATA_FILE)
		return (struct hint){ follow_helps ? "; use --follow or --data-file"
			                           : "; use --data-file",
			              " FILE" };
	return (struct hint){ "; use --key-file", failure->depth > 0u ? " DEPTH=FILE" : " FILE" };
}

/* Is a file or a password missing? */
static bool is_missing(const struct qcow2_failure *failure)
{
	/* The method is known, and this build can decrypt. */
	if (failure->status == QCOW2_E_ENCRYPTED)
		return !failure->has_pos && qcow2_get_crypto() != NULL;
	return failure->status == QCOW2_E_BACKING || failure->status == QCOW2_E_DATA_FILE;
}

/* Is it about a part of the disk, and can --salvage be added to the command line? */
static bool may_salvage(const struct args *args, const struct qcow2_failure *failure)
{
	if (args->salvage || args->n_bitmaps != 0u || failure->length == 0u ||
	    (strcmp(args->command, "cat") != 0 && strcmp(args->command, "convert") != 0))
		return false;
	switch (failure->status) {
	case QCOW2_E_IO:
	case QCOW2_E_L2_ENTRY:
	case QCOW2_E_COMPRESSED:
	case QCOW2_E_TRUNCATED: return true;
	default: return false;
	}
}

/* The option that helps. The library's messages cannot name it: it is one of the command's. */
static struct hint failure_hint(const struct args *args, const struct qcow2_failure *failure)
{
	unsigned flags = args->options.flags;
	const char *text = "";

	if (is_missing(failure))
		return missing_hint(args, failure);
	if (failure->status == QCOW2_E_ARGUMENT && failure->error == ENOTSUP)
		text = "; use --backing-format FORMAT";
	else if (failure->status == QCOW2_E_INCONSISTENT)
		text = "; use --inconsistent to use it anyway";
	else if (failure->looks_cut && (flags & QCOW2_ALLOW_TRUNCATED) == 0u)
		text = "; use --allow-truncated to read zeros there (compressed data still fails)";
	else if (may_salvage(args, failure))
		text = "; use --salvage to continue after the damage";
	/* The name leaves the image's directory, or goes through a symbolic link. */
	else if ((failure->error == EPERM || failure->error == ELOOP) && failure->status == 0 &&
	         (flags & QCOW2_FOLLOW) != 0u)
		text = "; use --follow=any to open it anyway";
	return (struct hint){ text, NULL };
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
static const char *wrong_type(const struct args *args, const struct qcow2_failure *failure,
                              bool *is_raw)
{
	const char *type;
	int fd;

	*is_raw = false;
	if (failure->depth != 0u || args->options.image_offset != 0u ||
	    (failure->status != QCOW2_E_NOT_QCOW2 && failure->status != QCOW2_E_VERSION))
		return NULL;
	/* The library has closed its descriptor. */
	fd = image_fd(args);
	if (fd < 0)
		return NULL;
	type = filetype_guess(fd, is_raw);
	close(fd);
	return type;
}

int tool_failed_with(const struct args *args, const struct qcow2_failure *failure)
{
	bool is_raw;
	const char *type = wrong_type(args, failure, &is_raw);
	struct hint hint = failure_hint(args, failure);
	const char *of_second = is_second(args) ? "-b" : "";

	if (type == NULL)
		return tool_error(args->image, "%s%s%s%s", failure->message, hint.text,
		                  hint.end != NULL ? of_second : "",
		                  hint.end != NULL ? hint.end : "");
	if (!is_raw)
		return tool_error(args->image, "%s; the file is %s", failure->message, type);
	return tool_error(args->image, "%s; the file is %s; raw disks need --format%s raw",
	                  failure->message, type, of_second);
}

int tool_failed(const struct args *args)
{
	return tool_failed_with(args, qcow2_last_failure());
}

/*
 * Opens the snapshot that has the id and the name that qemu-img's syntax gives: the library looks
 * for a name only where no snapshot has it as its id.
 */
static enum open_result open_snapshot(const struct args *args, struct qcow2_options *options,
                                      int fd, struct qcow2 **q)
{
	struct qcow2_options inspect = *options;
	struct qcow2_snapshot_entry *list = NULL;
	int i = -1, copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	if (copy < 0) {
		i = errno;
		close(fd);
		errno = i;
		return OPEN_NO_FILE;
	}
	inspect.flags |= QCOW2_INSPECT;
	inspect.flags &= ~(unsigned)QCOW2_VM_STATE; /* needs a snapshot */
	*q = qcow2_open_options(copy, &inspect, NULL);
	if (*q != NULL)
		i = snapshot_find(&args->snapshot, *q, &list);
	qcow2_close(*q);
	*q = NULL;
	if (i >= 0) {
		options->snapshot = list[i].id;
		*q = qcow2_open_options(fd, options, NULL);
	} else {
		close(fd);
	}
	free(list);
	return i == SNAPSHOT_NONE ? OPEN_NO_SNAPSHOT : OPEN_DONE;
}

static enum open_result open_fd(const struct args *args, struct qcow2_options *options, int fd,
                                struct qcow2 **q)
{
	if (options->reader_memory == 0u)
		options->reader_memory =
			1; /* the least: most commands go through a disk in order */
	if (!is_standard_input(args))
		options->path = args->image;
	if (args->snapshot.id != NULL || args->snapshot.name != NULL)
		return open_snapshot(args, options, fd, q);
	*q = qcow2_open_options(fd, options, NULL);
	return OPEN_DONE;
}

void tool_try_open(const struct args *args, struct opening *o)
{
	struct qcow2_options options = args->options;
	struct keys keys;
	int fd;

	memset(o, 0, sizeof *o);
	o->result = OPEN_NO_FILE;
	keys_begin(&keys, args, &options);
	fd = image_fd(args);
	if (fd >= 0)
		o->result = open_fd(args, &options, fd, &o->q);
	o->error = errno;
	o->key_failed = keys.failed;
	o->has_key = keys.has_answered;
	o->has_line_end = keys.line_ends;
	o->aes_has_line_end = keys.aes_line_ends;
	keys_end(&keys);
}

int tool_open_failed(const struct args *args, const struct opening *o)
{
	const struct qcow2_failure *failure = qcow2_last_failure();

	if (o->result == OPEN_NO_FILE)
		return tool_error(args->image, "%s", strerror(o->error));
	if (o->result == OPEN_NO_SNAPSHOT)
		return tool_error(args->image, "the image has no snapshot with this id or name");
	if (o->key_failed != NULL)
		return key_source_failed(o->key_failed, o->error);
	if (failure->status == QCOW2_E_KEY && o->has_line_end)
		return tool_error(args->image, "%s; the newline at its end belongs to the password",
		                  failure->message);
	if (failure->status == QCOW2_E_TOO_BIG && o->has_key)
		return tool_error(args->image, "%s; use --max-iterations N to try it anyway",
		                  failure->message);
	return tool_failed(args);
}

void tool_warn_of_key(const struct args *args, const struct opening *o)
{
	if (o->aes_has_line_end && !args->quiet)
		tool_error(args->image, "warning: the newline at the end of the password belongs "
		                        "to it; a wrong password reads as noise");
}

struct qcow2 *tool_open(const struct args *args)
{
	struct opening o;

	tool_try_open(args, &o);
	if (o.q == NULL) {
		tool_open_failed(args, &o);
		return NULL;
	}
	if (keys_check_used(args) != EXIT_OK) {
		qcow2_close(o.q);
		return NULL;
	}
	tool_warn_of_key(args, &o);
	return o.q;
}

/* Warns of the first file of the chain that another process writes. */
static void warn_in_use(const struct args *args, struct qcow2 *q)
{
	unsigned depth;
	int in_use;

	for (depth = 0; (in_use = qcow2_in_use(q, depth)) == 0; depth++)
		;
	if (in_use > 0) {
		const char *path = depth > 0u ? qcow2_get_path(q, depth) : NULL;

		tool_error(path != NULL ? path : args->image,
		           "warning: open for writing in another process; what it has not "
		           "flushed is missing");
	}
}

struct qcow2 *tool_open_disk(const struct args *args)
{
	struct qcow2 *q = tool_open(args);

	if (q != NULL && !args->quiet)
		warn_in_use(args, q);
	return q;
}

size_t tool_buffer_size(struct qcow2 *q, size_t least)
{
	struct qcow2_info info = { .struct_size = sizeof info };

	if (qcow2_get_info(q, 0, &info) != 0 || info.cluster_size < least)
		return least;
	return (size_t)info.cluster_size;
}
