/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Reads a disk that is damaged.
 */
#include "salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../message.h"
#include "damage.h"
#include "files.h"
#include "lost.h"
#include "qcow2/status.h"

/* Where a medium has bad sectors, it is read in blocks of this length, that of most media. */
enum { BLOCK = 4096 };

struct salvage {
	const struct args *args;
	struct qcow2 *q;
	pthread_mutex_t mutex; /* for lost */
	struct lost lost;
};

/* Is this a file that the command reads, or the one that it writes? */
static bool is_in_use(const struct args *args, struct qcow2 *q, const struct stat *st)
{
	struct stat out;

	if (file_is_input(q, st) || file_is(STDOUT_FILENO, st))
		return true;
	return args->out != NULL && stat(args->out, &out) == 0 && out.st_dev == st->st_dev &&
	       out.st_ino == st->st_ino;
}

/* Opens or creates the file. A pipe, or a file that may not be read, is opened for writing only. */
static int open_to_write(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666), error = errno;

	if (fd < 0 && (error == EACCES || error == EINVAL)) {
		fd = open(name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0 && errno == ENOENT)
			errno = error; /* the file is missing because it could not be created */
	}
	return fd;
}

/* Opens the report. Empties it only if it is none of the other files. Returns NULL on failure. */
static FILE *open_report(const struct args *args, struct qcow2 *q)
{
	int fd = open_to_write(args->report);
	FILE *file = NULL;
	bool in_use = false;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0) {
		in_use = S_ISREG(st.st_mode) && is_in_use(args, q, &st);
		if (!in_use && (!S_ISREG(st.st_mode) || ftruncate(fd, 0) == 0))
			file = fdopen(fd, "w");
	}
	if (file == NULL)
		tool_error(args->report, "%s",
		           in_use ? "is the image or the output file" : strerror(errno));
	if (file == NULL && fd >= 0)
		close(fd);
	return file;
}

int salvage_begin(struct salvage **s, const struct args *args, struct qcow2 *q)
{
	struct salvage *new;
	FILE *report = NULL;

	*s = NULL;
	if (!args->salvage)
		return EXIT_OK;
	if (args->report != NULL) {
		report = open_report(args, q);
		if (report == NULL)
			return EXIT_FAILED;
	}
	new = malloc(sizeof *new);
	if (new == NULL) {
		if (report != NULL)
			fclose(report);
		return tool_error(args->image, "out of memory");
	}
	new->args = args;
	new->q = q;
	if (lost_begin(&new->lost, args->image, report) != EXIT_OK) {
		free(new);
		return EXIT_FAILED;
	}
	pthread_mutex_init(&new->mutex, NULL);
	*s = new;
	return EXIT_OK;
}

int salvage_report_fd(const struct salvage *s)
{
	return s != NULL && s->lost.report != NULL ? fileno(s->lost.report) : -1;
}

void salvage_note(struct salvage *s, uint64_t off, uint64_t len)
{
	pthread_mutex_lock(&s->mutex);
	lost_add(&s->lost, off, len);
	pthread_mutex_unlock(&s->mutex);
}

/* Bytes from off to the end of its block. */
static size_t block_left(uint64_t off)
{
	return BLOCK - (size_t)(off % BLOCK);
}

/*
 * Is it only known that some of the bytes that were asked for cannot be read? If a table or a
 * compressed cluster is lost, the failure is longer than a block that is asked for.
 */
static bool is_vague(const struct qcow2_failure *failure, size_t len, uint64_t off)
{
	return failure->status == QCOW2_E_IO && failure->length <= len && len > block_left(off);
}

bool salvage_read(struct salvage *s, struct qcow2 *q, char *buf, size_t len, uint64_t off)
{
	const struct qcow2_failure *failure = qcow2_last_failure();
	uint64_t blocks_end = off; /* up to here, read block by block */
	size_t want = len;

	while (len > 0u) {
		int n = qcow2_read(q, buf, want, off);

		if (n < 0 && (s == NULL || !damage_is_local()))
			return false;
		if (n < 0 && failure->offset > off && failure->offset - off < want) {
			want = (size_t)(failure->offset - off);
			continue;
		}
		if (n < 0 && is_vague(failure, want, off)) {
			blocks_end = off + failure->length;
			want = block_left(off);
			continue;
		}
		if (n < 0) {
			n = (int)(failure->length < len ? failure->length : len);
			memset(buf, 0, (size_t)n);
			salvage_note(s, off, (uint64_t)n);
		}
		off += (uint64_t)n;
		buf += n;
		len -= (size_t)n;
		want = off < blocks_end && block_left(off) < len ? block_left(off) : len;
	}
	return true;
}

int salvage_end(struct salvage *s, int rc)
{
	uint64_t ranges, bytes;

	if (s == NULL)
		return rc;
	if (lost_end(&s->lost, rc == EXIT_OK, s->args->report) != EXIT_OK)
		rc = EXIT_FAILED;
	ranges = s->lost.written;
	bytes = s->lost.bytes;
	if (ranges > 0u)
		tool_error(s->args->image,
		           "lost ranges: %" PRIu64 ", %" PRIu64
		           " bytes in all; zeros are in their place",
		           ranges, bytes);
	pthread_mutex_destroy(&s->mutex);
	free(s);
	return rc == EXIT_OK && ranges > 0u ? EXIT_SALVAGED : rc;
}
