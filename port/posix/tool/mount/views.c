/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The disks that a mount shows.
 */
#include "views.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../disk/damage.h"
#include "../disk/keys.h"
#include "../info/partitions.h"
#include "../message.h"
#include "../show/progress.h"

enum {
	OPEN_MAX = 32,        /* snapshots that are open at once, unless more are used at once */
	SNAPSHOT_READERS = 2, /* of each: the threads of the server mostly read the disk */
	RAW_BLOCK = 4096      /* the block size of a raw disk, which has no clusters */
};

/* qcow2_options.open_file: the files that a snapshot needs are those that the disk has. */
static int copy_file(void *ctx, const struct qcow2_file_request *request, const char **format)
{
	struct qcow2_info info = { .struct_size = sizeof info };
	struct qcow2 *disk = ctx;
	int fd;

	if (request->kind == QCOW2_FILE_DATA) {
		fd = qcow2_get_data_fd(disk, request->depth);
	} else {
		fd = qcow2_get_fd(disk, request->depth + 1u);
		if (qcow2_get_info(disk, request->depth + 1u, &info) == 0)
			*format = info.format;
	}
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* Opens a snapshot. Returns NULL with errno set on failure. */
static struct qcow2 *snapshot_open(const struct views *views, const char *snapshot)
{
	struct qcow2 *disk = views->list[0].q, *q;
	struct qcow2_options options = views->args->options;
	struct keys keys;
	int fd = fcntl(qcow2_get_fd(disk, 0), F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return NULL;
	options.flags &= ~(unsigned)(QCOW2_FOLLOW | QCOW2_FOLLOW_ANY);
	options.backing = NULL;
	options.n_backing = 0;
	options.data_file = NULL;
	options.open_file = copy_file;
	options.open_file_ctx = disk;
	options.snapshot = snapshot;
	options.max_readers = SNAPSHOT_READERS;
	keys_begin(&keys, views->args, &options);
	q = qcow2_open_options(fd, &options, NULL);
	keys_end(&keys);
	return q;
}

/*
 * Closes the snapshot that was used least recently, of those that no call uses now. Returns false
 * if there is none. The caller has the lock.
 */
static bool close_one(struct views *views)
{
	struct view *oldest = NULL;
	size_t i;

	for (i = 1; i < views->n; i++) {
		struct view *v = &views->list[i];

		if (v->q != NULL && v->users == 0u && !v->is_opening &&
		    (oldest == NULL || v->used_at < oldest->used_at))
			oldest = v;
	}
	if (oldest == NULL)
		return false;
	qcow2_close(oldest->q);
	oldest->q = NULL;
	views->n_open--;
	return true;
}

static bool make_room(struct views *views)
{
	bool closed;

	pthread_mutex_lock(&views->lock);
	closed = close_one(views);
	pthread_mutex_unlock(&views->lock);
	return closed;
}

static bool lacks_room(const struct qcow2 *q)
{
	return q == NULL && (errno == EMFILE || errno == ENOMEM);
}

/*
 * Opens a snapshot beside others. Each has a descriptor for each file of the chain, so there may be
 * room for few. If there is none, that can be because other threads are opening snapshots as well:
 * then this one waits for them, and tries again alone.
 */
static struct qcow2 *open_in_room(struct views *views, const char *snapshot)
{
	struct qcow2 *q;

	pthread_rwlock_rdlock(&views->opening);
	q = snapshot_open(views, snapshot);
	pthread_rwlock_unlock(&views->opening);
	if (!lacks_room(q))
		return q;
	pthread_rwlock_wrlock(&views->opening);
	do
		q = snapshot_open(views, snapshot);
	while (lacks_room(q) && make_room(views));
	pthread_rwlock_unlock(&views->opening);
	return q;
}

/* partition_disk.read. */
static bool read_sectors(void *ctx, uint64_t offset, void *buf, size_t len)
{
	return qcow2_read(ctx, buf, len, offset) >= 0;
}

static void add_part(struct view *view, unsigned number, uint64_t start, uint64_t length)
{
	view->parts[view->n_parts++] = (struct view_part){ number, start, length, UINT64_MAX };
}

/* An extended partition is the room for the logical ones; it is not shown. */
static bool holds_logical(const struct partition *p)
{
	return strcmp(p->type, "0x05") == 0 || strcmp(p->type, "0x0f") == 0 ||
	       strcmp(p->type, "0x85") == 0;
}

/* Adds the partitions of the table, up to the end of the disk. */
static void add_partitions(struct view *view, uint64_t size, const struct partition_table *table)
{
	unsigned i;

	for (i = 0; i < table->n; i++) {
		const struct partition *p = &table->list[i];

		if (p->start >= size || holds_logical(p))
			continue;
		add_part(view, p->number, p->start,
		         p->length < size - p->start ? p->length : size - p->start);
	}
}

/* Reads the table of partitions. Without one that can be read, the view has the disk alone. */
static bool view_read_parts(const struct views *views, struct view *view, struct qcow2 *q)
{
	uint64_t size = qcow2_get_size(q);
	struct partition_disk disk = { size, read_sectors, q };
	struct partition_table *table;
	struct view_part *parts;

	if (view->parts != NULL)
		return true;
	table = malloc(sizeof *table);
	parts = calloc(PARTITIONS_MAX + 1u, sizeof *parts);
	if (table == NULL || parts == NULL) {
		free(table);
		free(parts);
		return false;
	}
	view->parts = parts;
	add_part(view, 0, 0, size);
	if (!partitions_read(&disk, table))
		tool_error(views->args->image, "warning: cannot read the partition table: %s",
		           qcow2_last_failure()->message);
	else if (table->problem != NULL)
		tool_error(views->args->image, "warning: partition table: %s", table->problem);
	add_partitions(view, size, table);
	free(table);
	return true;
}

/*
 * Opens the disk of a view, and reads its parts. This can take long: it reads the image, and may
 * try a password. So the lock is free meanwhile, and is_opening keeps other threads from the view.
 */
static bool view_open(struct views *views, struct view *view)
{
	struct qcow2 *q = view->q;
	bool good;

	view->is_opening = true;
	if (q == NULL && views->n_open++ >= OPEN_MAX)
		close_one(views);
	pthread_mutex_unlock(&views->lock);
	if (q == NULL)
		q = open_in_room(views, view->snapshot);
	good = q != NULL && view_read_parts(views, view, q);
	pthread_mutex_lock(&views->lock);
	if (q == NULL)
		views->n_open--;
	view->q = q;
	view->is_opening = false;
	pthread_cond_broadcast(&views->opened);
	return good;
}

bool views_begin(struct views *views, const struct args *args, struct qcow2 *disk, size_t n)
{
	struct qcow2_info info = { .struct_size = sizeof info };
	unsigned block_size = RAW_BLOCK;
	struct stat st;
	size_t i;

	views->args = args;
	views->n = 1u + n;
	views->list = calloc(views->n, sizeof *views->list);
	if (views->list == NULL)
		return false;
	pthread_mutex_init(&views->lock, NULL);
	pthread_cond_init(&views->opened, NULL);
	pthread_rwlock_init(&views->opening, NULL);
	if (qcow2_get_info(disk, 0, &info) == 0 && info.cluster_size != 0u)
		block_size = (unsigned)info.cluster_size;
	for (i = 0; i < views->n; i++)
		views->list[i].block_size = block_size;
	views->list[0].q = disk;
	if (fstat(qcow2_get_fd(disk, 0), &st) == 0)
		views->list[0].time = (uint64_t)st.st_mtime;
	return true;
}

struct view *view_take(struct views *views, size_t i)
{
	struct view *view = &views->list[i];
	bool good;

	pthread_mutex_lock(&views->lock);
	while (view->is_opening)
		pthread_cond_wait(&views->opened, &views->lock);
	good = (view->q != NULL && view->parts != NULL) || view_open(views, view);
	if (good) {
		view->users++;
		view->used_at = ++views->uses;
	}
	pthread_mutex_unlock(&views->lock);
	return good ? view : NULL;
}

void view_give(struct views *views, struct view *view)
{
	pthread_mutex_lock(&views->lock);
	view->users--;
	pthread_mutex_unlock(&views->lock);
}

/*
 * A walk through the runs of a part. It ends with the run that takes it past a second: a hostile
 * image can have more runs, and tables, than any machine can go through.
 */
struct walk {
	struct qcow2 *q;
	uint64_t at;  /* offset in the disk */
	uint64_t end; /* of the part */
	double until;
	uint64_t length; /* of the run; 0 before the first one */
	bool is_data;
};

static struct walk walk_begin(const struct view *view, const struct view_part *part,
                              uint64_t offset)
{
	return (struct walk){ .q = view->q,
		              .at = part->start + offset,
		              .end = part->start + part->length,
		              .until = progress_clock() + 1 };
}

/* Goes to the next run. Returns false at the end of the part, and when a second is over. */
static bool walk_next(struct walk *w)
{
	struct qcow2_segment s;
	bool damaged;

	w->at += w->length;
	if (w->at >= w->end || (w->length != 0u && progress_clock() >= w->until))
		return false;
	w->length = w->end - w->at;
	w->is_data = true; /* what cannot be told is for a read to find out */
	if (damage_map(w->q, w->at, w->length, &s, &damaged) <= 0)
		return true;
	w->is_data = damaged || (s.flags & QCOW2_SEGMENT_DATA) != 0u;
	if (s.length < w->length)
		w->length = s.length;
	return true;
}

uint64_t view_stored(struct view *view, struct view_part *part)
{
	uint64_t stored = __atomic_load_n(&part->stored, __ATOMIC_RELAXED);
	struct walk w;

	if (stored != UINT64_MAX)
		return stored;
	stored = 0;
	w = walk_begin(view, part, 0);
	while (walk_next(&w))
		stored += w.is_data ? w.length : 0u;
	stored += w.end - w.at;
	__atomic_store_n(&part->stored, stored, __ATOMIC_RELAXED);
	return stored;
}

uint64_t view_seek(struct view *view, const struct view_part *part, uint64_t offset, bool for_data)
{
	struct walk w;

	if (offset < part->length) {
		w = walk_begin(view, part, offset);
		while (walk_next(&w))
			if (w.is_data == for_data)
				break;
		if (!for_data || w.at < w.end)
			return w.at - part->start;
	}
	errno = ENXIO;
	return UINT64_MAX;
}
