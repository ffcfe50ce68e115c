/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Every allocation, every read and every other system call that can fail does so, either once or
 * from then on. The library reports it, nothing leaks, and the same call succeeds afterwards.
 */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qcow2/status.h"

enum { CLUSTER = 65536, DISK = 8 * CLUSTER - 77 };

static uint8_t expected[DISK], expected_external[DISK];

/* Writes an overlay with every kind of cluster and a snapshot, which names `backing`. */
static void write_top(const char *path, const char *backing)
{
	struct image img;
	struct image_snapshot *s;

	image_init(&img, 3, 16, DISK);
	image_add(&img, &img.active, 2, IMAGE_DATA);
	image_add(&img, &img.active, 3, IMAGE_COMPRESSED);
	image_add(&img, &img.active, 4, IMAGE_ZERO);
	image_set_backing(&img, backing, strlen(backing), 0);
	image_add_ext(&img, IMAGE_EXT_BACKING_FORMAT, 5, "qcow2", 5);
	s = image_add_snapshot(&img, "1", "first");
	s->disk_size = DISK;
	image_share(&img, &s->table, &img.active, 2);
	image_share(&img, &s->table, &img.active, 3);
	image_add(&img, &s->table, 4, IMAGE_ZERO);
	image_to_file(&img, path, NULL);
	image_expect(&img, &img.active, 0, expected, sizeof expected);
	image_free(&img);
}

/* Writes a qcow2 file and its raw backing file into a directory. */
static void write_below(void)
{
	struct image img;

	memset(expected, 0x55, sizeof expected);
	file_write("sub/raw", expected, sizeof expected);
	image_init(&img, 2, 12, DISK);
	image_add_range(&img, &img.active, 16, 16, IMAGE_DATA);
	image_set_backing(&img, "raw", 3, 0);
	image_add_ext(&img, IMAGE_EXT_BACKING_FORMAT, 3, "raw", 3);
	image_to_file(&img, "sub/mid", NULL);
	image_expect(&img, &img.active, 0, expected, sizeof expected);
	image_free(&img);
}

static void write_external(void)
{
	struct image img;

	image_init(&img, 3, 16, DISK);
	img.has_data_file = true;
	image_add_range(&img, &img.active, 1, 4, IMAGE_DATA);
	image_add_ext(&img, IMAGE_EXT_DATA_FILE, 4, "data", 4);
	image_to_file(&img, "external", "data");
	image_expect(&img, &img.active, 0, expected_external, sizeof expected_external);
	image_free(&img);
}

static int setup(void **state)
{
	char name[256];

	if (dir_setup(state) != 0 || mkdir("sub", 0700) != 0)
		return 1;
	snprintf(name, sizeof name, "%s/sub/mid", dir_path());
	write_below();
	write_top("absolute", name);
	write_top("top", "sub/mid");
	write_external();
	return 0;
}

/* ---- Ways to open a disk ---- */

#define CALL(call) (1u << (call))

static const struct way {
	const char *name, *path;
	unsigned flags;
	unsigned calls;  /* kinds of calls that must occur, besides those that all ways make */
	bool no_openat2; /* the library walks through the directories itself */
	bool no_proc;    /* the kernel does not tell where the image is */
	bool devices;
	bool is_given;  /* the options have the files below */
	bool by_caller; /* the caller's function opens them */
	const char *snapshot;
} ways[] = {
	{ "followed", "top", QCOW2_FOLLOW, CALL(CALL_OPEN), .snapshot = "first" },
	{ "followed step by step", "top", QCOW2_FOLLOW, CALL(CALL_OPEN), .no_openat2 = true },
	{ .name = "followed without /proc",
	  .path = "top",
	  .flags = QCOW2_FOLLOW,
	  .calls = CALL(CALL_OPEN) | CALL(CALL_REALPATH),
	  .no_proc = true },
	{ "followed anywhere", "top", QCOW2_FOLLOW_ANY, CALL(CALL_OPEN), .snapshot = "1" },
	{ .name = "an absolute name",
	  .path = "absolute",
	  .flags = QCOW2_FOLLOW,
	  .calls = CALL(CALL_OPEN) | CALL(CALL_REALPATH) },
	{ "devices", "top", QCOW2_FOLLOW, CALL(CALL_LSEEK), .devices = true },
	{ "files that are given", "top", 0, CALL(CALL_OPEN), .is_given = true },
	{ "files that the caller opens", "top", 0, 0, .by_caller = true },
	{ .name = "a data file",
	  .path = "external",
	  .flags = QCOW2_FOLLOW,
	  .calls = CALL(CALL_OPEN) },
};

static int open_for_library(void *ctx, const struct qcow2_file_request *request,
                            const char **format)
{
	(void)ctx;
	(void)format;
	return open_read(request->depth == 0u ? "sub/mid" : "sub/raw");
}

static void hooks_for(const struct way *way)
{
	hooks_reset();
	hooks.no_openat2 = way->no_openat2;
	hooks.no_proc = way->no_proc;
	hooks.block_device = way->devices;
}

static struct qcow2 *open_way(const struct way *way, const char **text)
{
	static const struct qcow2_file given[2] = { { "sub/mid", -1, "qcow2" },
		                                    { "sub/raw", -1, "raw" } };
	struct qcow2_options options = { .struct_size = sizeof options };

	options.flags = way->flags;
	options.path = way->path;
	options.snapshot = way->snapshot;
	options.max_readers = 1;
	if (way->is_given) {
		options.backing = given;
		options.n_backing = 2;
	}
	if (way->by_caller)
		options.open_file = open_for_library;
	return qcow2_open_options(open_read(way->path), &options, text);
}

/* ---- The jobs: each returns -1 if its call fails, and checks the results ---- */

static const uint8_t *content(const struct way *way)
{
	return strcmp(way->path, "external") == 0 ? expected_external : expected;
}

static int read_part(struct qcow2 *q, const uint8_t *want, size_t len, uint64_t off)
{
	struct guarded buf;
	int n;

	guard_init(&buf, len, 1);
	n = qcow2_read(q, buf.p, len, off);
	TRUE(guard_intact(&buf));
	if (n >= 0) {
		EQ(n, len);
		SAME(buf.p, want + off, len);
	}
	guard_unmap(&buf);
	return n;
}

static int read_all(struct qcow2 *q, const struct way *way)
{
	return read_part(q, content(way), DISK, 0);
}

/* A piece of each kind of cluster. */
static int read_pieces(struct qcow2 *q, const struct way *way)
{
	uint64_t off;
	int n = 0;

	for (off = CLUSTER - 100; n >= 0 && off < 6 * CLUSTER; off += CLUSTER)
		n = read_part(q, content(way), 200, off);
	return n;
}

static int list(struct qcow2 *q, const struct way *way)
{
	struct qcow2_snapshot_entry *entries;
	int n = qcow2_list_snapshots(q, &entries);

	(void)way;
	if (n >= 0) {
		EQ(n, 1);
		TEXT(entries[0].name, "first");
		free(entries);
	}
	return n;
}

static int map_all(struct qcow2 *q, const struct way *way)
{
	struct qcow2_segment segment;
	uint64_t at = 0;
	int rc;

	(void)way;
	while ((rc = map_guarded(q, at, UINT64_MAX, &segment)) > 0)
		at += segment.length;
	if (rc == 0)
		EQ(at, DISK);
	return rc;
}

/* ---- The loops ---- */

static const char *const call_names[CALLS] = { "allocation", "pread",   "open",
	                                       "stat",       "seeking", "realpath" };

/* The current case. A failed check leaves it set, and it is then printed. */
static char what[200];

static void begin(const char *name, enum call call, unsigned n, bool persistent)
{
	snprintf(what, sizeof what, "%s: %s %u fails%s", name, call_names[call], n,
	         persistent ? " and all after it" : "");
}

static int show_what(void **state)
{
	(void)state;
	if (*what != '\0')
		print_error("in case: %s\n", what);
	*what = '\0';
	return 0;
}

static void arm(enum call call, unsigned n, bool persistent)
{
	memset(hooks.n, 0, sizeof hooks.n);
	hooks.n_failed = 0;
	hooks.fail_at[call] = n;
	hooks.persistent = persistent;
}

/* A failed call must leave its failure for qcow2_last_failure. */
static void check_failure(enum call call)
{
	EQ(errno, call_errno[call]);
	EQ(qcow2_last_failure()->error, call_errno[call]);
	TRUE(qcow2_last_failure()->message[0] != '\0');
}

static void check_open_failure(const struct qcow2 *q, const char *text, enum call call)
{
	TRUE(q == NULL);
	TRUE(text != NULL);
	TRUE(text[0] != '\0');
	check_failure(call);
}

/* The n-th call fails while the disk opens. Returns false if no n-th call was made. */
static bool open_fault(const struct way *way, enum call call, unsigned n, bool persistent)
{
	unsigned before = count_fds();
	const char *text = NULL;
	struct qcow2 *q;
	bool fired;

	hooks_for(way);
	arm(call, n, persistent);
	errno = 0;
	q = open_way(way, &text);
	fired = hooks.n_failed != 0u;
	if (fired)
		check_open_failure(q, text, call);
	if (fired && persistent) { /* it still fails */
		text = NULL;
		q = open_way(way, &text);
		check_open_failure(q, text, call);
	}
	EQ(count_fds() == before, fired);
	hooks_for(way);
	if (fired)
		q = open_way(way, NULL);
	TRUE(q != NULL);
	TRUE(read_pieces(q, way) >= 0);
	qcow2_close(q);
	EQ(count_fds(), before);
	return fired;
}

static void open_faults(const struct way *way, enum call call, bool persistent)
{
	const unsigned all = CALL(CALL_ALLOC) | CALL(CALL_PREAD) | CALL(CALL_STAT);
	unsigned n = 0;
	bool more = true;

	while (more) {
		begin(way->name, call, ++n, persistent);
		more = open_fault(way, call, n, persistent);
	}
	TRUE(n > 1u || ((way->calls | all) & CALL(call)) == 0u);
	hooks_reset();
}

static void test_open(void **state)
{
	size_t i;
	int call;

	(void)state;
	for (i = 0; i < COUNT(ways); i++)
		for (call = 0; call < CALLS; call++) {
			open_faults(&ways[i], (enum call)call, false);
			open_faults(&ways[i], (enum call)call, true);
		}
	*what = '\0';
}

struct job {
	const char *name;
	int (*run)(struct qcow2 *q, const struct way *way);
};

/*
 * The n-th call fails in a job on a fresh handle, and the next job succeeds. If reading ahead
 * fails, the library reads just what it needs; if zlib does not start, it uses the core's decoder.
 * So the job may succeed, but not each time, and not if all further reads fail. Returns false if
 * there is no such call.
 */
static bool job_fault(const struct job *job, enum call call, unsigned n, bool persistent,
                      unsigned *n_failed)
{
	const struct way *way = &ways[0];
	struct qcow2 *q;
	bool fired;
	int rc;

	hooks_for(way);
	q = open_way(way, NULL);
	TRUE(q != NULL);
	arm(call, n, persistent);
	errno = 0;
	rc = job->run(q, way);
	fired = hooks.n_failed != 0u;
	if (rc < 0) {
		TRUE(fired);
		check_failure(call);
		*n_failed += 1u;
	}
	if (rc < 0 && persistent) { /* it still fails */
		errno = 0;
		EQ(job->run(q, way), -1);
		check_failure(call);
	}
	TRUE(rc < 0 || !fired || !persistent || call != CALL_PREAD);
	hooks_reset();
	TRUE(job->run(q, way) >= 0);
	qcow2_close(q);
	return fired;
}

static void job_faults(const struct job *job, enum call call, bool persistent)
{
	unsigned n = 0, n_failed = 0;
	bool more = true;

	while (more) {
		begin(job->name, call, ++n, persistent);
		more = job_fault(job, call, n, persistent, &n_failed);
	}
	TRUE(n > 1u && n_failed >= n / 2u);
}

static void test_jobs(void **state)
{
	static const struct job jobs[] = {
		{ "read", read_all },
		{ "read pieces", read_pieces },
		{ "list snapshots", list },
		{ "map", map_all },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(jobs); i++) {
		job_faults(&jobs[i], CALL_ALLOC, false);
		job_faults(&jobs[i], CALL_ALLOC, true);
		job_faults(&jobs[i], CALL_PREAD, false);
		job_faults(&jobs[i], CALL_PREAD, true);
	}
	*what = '\0';
}

/* The error is that of the symbolic link in the name, even if the link cannot be examined. */
static void test_link(void **state)
{
	static const struct way way = { "a link", "linked", QCOW2_FOLLOW, 0, .no_openat2 = true };
	unsigned before = count_fds(), n;

	(void)state;
	EQ(symlink("sub", "link"), 0);
	write_top("linked", "link/mid");
	/* Four calls find the directory of the image. The fifth examines the link. */
	for (n = 1; n <= 6u; n++) {
		hooks_for(&way);
		arm(CALL_STAT, n, false);
		TRUE(open_way(&way, NULL) == NULL);
		EQ(errno, n <= 4u ? EOVERFLOW : n == 5u ? ENOTDIR : ELOOP);
		EQ(count_fds(), before);
	}
	hooks_reset();
}

/* The position of a device is the same after opening as before. */
static void test_position(void **state)
{
	unsigned n;

	(void)state;
	for (n = 1; n <= 2u; n++) {
		int fd = open_read("external");
		int other = dup(fd);

		EQ(lseek(fd, 77, SEEK_SET), 77);
		hooks_reset();
		hooks.block_device = true;
		arm(CALL_LSEEK, n, false);
		TRUE(qcow2_open(fd, NULL) == NULL);
		hooks_reset();
		EQ(lseek(other, 0, SEEK_CUR), 77);
		close(other);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_open, show_what),
		cmocka_unit_test_teardown(test_jobs, show_what),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_position),
	};

	return cmocka_run_group_tests(tests, setup, dir_teardown);
}
