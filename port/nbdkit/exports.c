/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
#include "exports.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "parameters.h"
#include "passwords.h"
#include "qcow2/status.h"

/* The longest string of the NBD protocol, in bytes. */
enum { STRING_MAX = 4096 };

/* A snapshot that a client has asked for. */
struct open_snapshot {
	struct open_snapshot *next;
	struct qcow2 *handle;
	char *name; /* by which the client asked for it */
};

static struct qcow2 *disk;
static struct open_snapshot *open_snapshots;
/* Protects open_snapshots, and whatever opens an image. */
static pthread_mutex_t exports_lock = PTHREAD_MUTEX_INITIALIZER;

/* The parameter that helps. The library's messages cannot name it. */
static const char *hint(const struct qcow2_failure *failure)
{
	if (failure->status == QCOW2_E_BACKING)
		return failure->names_file ? "; use follow=true, backing=FILE or layer-only=true"
		                           : "; use backing=FILE or layer-only=true";
	if (failure->status == QCOW2_E_DATA_FILE)
		return failure->names_file ? "; use follow=true or data-file=FILE"
		                           : "; use data-file=FILE";
	if (failure->status == QCOW2_E_ARGUMENT && failure->error == ENOTSUP)
		return "; use backing-format=FORMAT";
	/* The method is known, and this build can decrypt. */
	if (failure->status == QCOW2_E_ENCRYPTED && !failure->has_pos && qcow2_get_crypto() != NULL)
		return "; use key-file=FILE";
	return failure->looks_cut ? "; use allow-truncated=true to read zeros there" : "";
}

/* Opens the image in fd, or a snapshot of it. */
static struct qcow2 *open_image(int fd, const char *snapshot)
{
	struct qcow2_options options = *parameters_options();
	struct qcow2 *handle;

	if (fd < 0) {
		nbdkit_error("%s: %s", options.path, strerror(errno));
		return NULL;
	}
	if (snapshot != NULL)
		options.snapshot = snapshot;
	handle = qcow2_open_options(fd, &options, NULL);
	if (handle == NULL) {
		const struct qcow2_failure *failure = qcow2_last_failure();

		nbdkit_error("%s: %s%s", options.path, failure->message, hint(failure));
		nbdkit_set_error(failure->error);
	}
	return handle;
}

int exports_open_disk(void)
{
	/* O_NONBLOCK: opening a FIFO must not wait for a writer. */
	disk = open_image(
		open(parameters_options()->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK),
		NULL);
	return disk != NULL ? passwords_check_used() : -1;
}

/* Finds the snapshot among those that are open, or opens it. The caller holds the lock. */
static struct qcow2 *find_snapshot(const char *name)
{
	struct open_snapshot *s;

	for (s = open_snapshots; s != NULL; s = s->next)
		if (strcmp(s->name, name) == 0)
			return s->handle;
	s = calloc(1, sizeof *s);
	if (s != NULL)
		s->name = strdup(name);
	if (s == NULL || s->name == NULL) {
		nbdkit_error("%s", strerror(ENOMEM));
		free(s);
		return NULL;
	}
	/* A snapshot of the file that the disk has, even if another has its name by now. */
	s->handle = open_image(fcntl(qcow2_get_fd(disk, 0), F_DUPFD_CLOEXEC, 3), name);
	if (s->handle == NULL) {
		free(s->name);
		free(s);
		return NULL;
	}
	s->next = open_snapshots;
	open_snapshots = s;
	return s->handle;
}

struct qcow2 *exports_find(const char *name)
{
	struct qcow2 *handle;

	if (name[0] == '\0')
		return disk;
	pthread_mutex_lock(&exports_lock);
	handle = find_snapshot(name);
	pthread_mutex_unlock(&exports_lock);
	return handle;
}

/*
 * Lists a snapshot by its id, with its name as the description. An id that the protocol or a
 * terminal cannot show is left out.
 */
static int list_snapshot(struct nbdkit_exports *list, const struct qcow2_snapshot_entry *entry)
{
	char id[STRING_MAX + 1], name[STRING_MAX + 1];

	if (qcow2_printable(id, sizeof id, entry->id, entry->id_len) != entry->id_len ||
	    entry->id_len == 0u || entry->id_len > STRING_MAX)
		return 0;
	qcow2_printable(name, sizeof name, entry->name, entry->name_len);
	return nbdkit_add_export(list, id, name);
}

int exports_list(struct nbdkit_exports *list)
{
	struct qcow2_snapshot_entry *entries = NULL;
	int i, rc = nbdkit_add_export(list, "", NULL);
	int n = qcow2_list_snapshots(disk, &entries);

	if (n < 0) {
		nbdkit_error("%s", qcow2_last_failure()->message);
		return -1;
	}
	for (i = 0; i < n && rc == 0; i++)
		rc = list_snapshot(list, &entries[i]);
	free(entries);
	return rc;
}

void exports_close(void)
{
	struct open_snapshot *s;

	while ((s = open_snapshots) != NULL) {
		open_snapshots = s->next;
		qcow2_close(s->handle);
		free(s->name);
		free(s);
	}
	qcow2_close(disk);
	disk = NULL;
}
