/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The output of convert: opens, prepares and completes it. place.c decides where it is written.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../message.h"
#include "device.h"
#include "place.h"
#include "unfinished.h"

int output_failed(const struct output *o, int error)
{
	const char *more = "";

	if (o->is_text || (error != ENOSPC && error != EDQUOT && error != EFBIG))
		return tool_error(o->name, "%s", strerror(error));
	if (o->replaces && o->temp != NULL)
		more = "; the old file is kept until the new one is complete; --in-place "
		       "overwrites the old file instead";
	return tool_error(o->name, "%s; the disk has %" PRIu64 " bytes%s", strerror(error), o->size,
	                  more);
}

bool output_write_zeros(const struct output *o, uint64_t at, uint64_t len)
{
	return device_write_zeros(o->fd, o->base + at, len);
}

/* Makes what a signal says once the old content is lost. Returns false if there is no memory. */
static bool make_notice(struct output *o)
{
	static const char words[] = "qcow2: %s: the output is not complete\n";
	size_t len = qcow2_printable(NULL, 0, o->name, strlen(o->name)) + 1u;
	char *name = malloc(len);

	o->notice = malloc(len + sizeof words);
	if (name != NULL && o->notice != NULL) {
		qcow2_printable(name, len, o->name, strlen(o->name));
		snprintf(o->notice, len + sizeof words, words, name);
	}
	free(name);
	return name != NULL && o->notice != NULL;
}

/* From now on the old content is lost: failures and signals say that the output is not complete. */
static void begin_overwriting(struct output *o)
{
	o->is_overwritten = true;
	unfinished_begin();
	unfinished_say(o->notice);
}

/*
 * Makes the file as long as the disk, without storage. If it must grow, that is tried before its
 * content goes: the file system may not have files of this length.
 */
static bool resize(struct output *o)
{
	off_t end = (off_t)(o->base + o->size);
	struct stat st;

	if (o->temp != NULL)
		return ftruncate(o->fd, end) == 0;
	if (!make_notice(o) || fstat(o->fd, &st) != 0)
		return false;
	if (end > st.st_size && ftruncate(o->fd, end) != 0)
		return false;
	begin_overwriting(o);
	if (!o->is_own) /* what is before o->base belongs to the caller */
		return true;
	return ftruncate(o->fd, 0) == 0 && ftruncate(o->fd, end) == 0;
}

/*
 * With --sparse=never, gets the storage before the work. Sets *got if that is done; not each file
 * system can. Returns EXIT_OK, or EXIT_FAILED after a message if there is no room.
 */
static int get_storage(const struct output *o, bool *got)
{
	*got = fallocate(o->fd, 0, (off_t)o->base, (off_t)o->size) == 0;
	if (!*got && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
		return output_failed(o, errno);
	return EXIT_OK;
}

static int prepare_file(struct output *o)
{
	if (!resize(o))
		return output_failed(o, errno);
	o->reads_zero = true;
	if (o->args->sparse != SPARSE_NEVER || o->size == 0u)
		return EXIT_OK;
	return get_storage(o, &o->reads_zero);
}

static const char *target_kind(const struct output *o)
{
	return o->is_device ? "device" : "file";
}

/* Gets the size of a device or file. Returns false with errno set on failure. */
static bool find_size(const struct output *o, uint64_t *size)
{
	struct stat st;

	if (o->is_device)
		return device_size(o->fd, size);
	if (fstat(o->fd, &st) != 0)
		return false;
	*size = (uint64_t)st.st_size;
	return true;
}

/* Finds out all that can be without a change to the content of the device or file. */
static int check_size(struct output *o)
{
	uint64_t size;
	bool got;

	if (!find_size(o, &size))
		return output_failed(o, errno);
	if (o->size > size)
		return tool_error(o->name, TARGET_TOO_SMALL, target_kind(o), size, o->size);
	if (!o->is_device && o->args->sparse == SPARSE_NEVER && o->size > 0u)
		return get_storage(o, &got);
	return EXIT_OK;
}

/* Makes what is there read as zeros at once, if that is wanted and the device or file can do it. */
static int discard_old(struct output *o)
{
	uint64_t discarded;

	o->reads_zero = o->args->target_is_zero;
	/* With --bitmap, what is clean stays. */
	if (o->reads_zero || o->args->sparse == SPARSE_NEVER || o->args->n_bitmaps != 0u)
		return EXIT_OK;
	discarded = device_discard(o->fd, o->size);
	o->reads_zero = discarded == o->size;
	if (o->reads_zero || o->args->sparse != SPARSE_ALWAYS)
		return EXIT_OK;
	o->is_overwritten = discarded > 0u;
	return tool_error(o->name, "the %s cannot discard; use --sparse=auto", target_kind(o));
}

/* A device, or the file of --no-create: it keeps its length and what follows the disk. */
static int prepare_as_long(struct output *o)
{
	if (check_size(o) != EXIT_OK)
		return EXIT_FAILED;
	if (!make_notice(o))
		return tool_error(o->name, "out of memory");
	begin_overwriting(o);
	return discard_old(o);
}

static int prepare_stream(struct output *o)
{
	if (o->args->sparse == SPARSE_ALWAYS)
		return tool_error(o->name, "cannot be sparse; use --sparse=auto");
	return EXIT_OK;
}

static void set_up(struct output *o, const char *name, const struct args *args)
{
	memset(o, 0, sizeof *o);
	o->name = name;
	o->args = args;
	o->fd = -1;
}

int output_begin(struct output *o, const struct args *args, struct qcow2 *q)
{
	set_up(o, args->out, args);
	o->size = qcow2_get_size(q);
	if (o->size > INT64_MAX)
		return output_failed(o, EFBIG);
	if (place_find(o, q) != EXIT_OK)
		return EXIT_FAILED;
	if (o->is_stream)
		return prepare_stream(o);
	if (o->is_device || (o->is_own && args->no_create))
		return prepare_as_long(o);
	return prepare_file(o);
}

/* The caller's descriptor is written from where it is. */
int output_begin_text(struct output *o, const char *name, const struct args *args, struct qcow2 *q)
{
	set_up(o, name, args);
	o->is_text = true;
	if (place_find(o, q) != EXIT_OK)
		return EXIT_FAILED;
	if (o->is_device)
		return tool_error(name, "is a block device");
	o->is_stream |= !o->is_own;
	return o->is_stream || resize(o) ? EXIT_OK : output_failed(o, errno);
}

const char *output_beside(const struct output *o)
{
	return o->temp != NULL ? o->target : NULL;
}

/*
 * Gives the file its name. Signals that come later are ignored: the work is done, and the exit
 * status must say so.
 */
static int give_name(const struct output *o)
{
	sigset_t before;
	int rc;

	unfinished_hold_signals(&before);
	rc = rename(o->temp, o->target);
	if (rc == 0)
		unfinished_done();
	unfinished_release_signals(&before);
	return rc;
}

static bool is_block_device(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISBLK(st.st_mode);
}

int output_commit(struct output *o)
{
	int fd = o->fd;

	/* What the caller writes next to its descriptor follows the disk. */
	if (!o->is_own && !o->is_stream)
		lseek(fd, (off_t)(o->base + o->size), SEEK_SET);
	/*
	 * A crash of the system must leave the old file or the new one, not an empty one. What a
	 * device could not store, it says now.
	 */
	/* Not -1: tool_error() is never EXIT_OK. NOLINTNEXTLINE(clang-analyzer-unix.Std*) */
	if (((o->replaces && !o->is_stream) || is_block_device(fd)) && fsync(fd) != 0)
		return output_failed(o, errno);
	o->fd = -1;
	if (close(fd) != 0 || (o->temp != NULL && give_name(o) != 0))
		return output_failed(o, errno);
	unfinished_done();
	free(o->temp);
	o->temp = NULL;
	o->is_overwritten = false;
	return EXIT_OK;
}

void output_end(struct output *o)
{
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
	if (o->temp != NULL)
		unlink(o->temp);
	if (o->is_overwritten)
		tool_error(o->name, "the output is not complete");
	unfinished_remove(NULL);
	unfinished_say(NULL);
	free(o->notice);
	free(o->temp);
	free(o->target);
	o->notice = NULL;
	o->temp = NULL;
	o->target = NULL;
}
