/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The fault loop: the same work runs again and again. In the first run, the first call of the io
 * callback fails, then the second, and so on until the work ends without a failure. Each call fails
 * once, or it and all calls after it fail. The core must return QCOW2_E_IO with the callback's code
 * and the file, and must not touch the outputs where the headers promise that. Image and reader
 * stay usable: the same call without a fault gives the right bytes.
 */
#include "support.h"

#include <stdlib.h>
#include <string.h>

enum { BITS = 9, CLUSTER = 1 << BITS, MOST_CALLS = 4000 };

/* ---- The images: one with all kinds of clusters over two others, and one with a data file ---- */

struct fixture {
	struct test_image top, middle, external;
	struct image_buf raw;
	struct test_io raw_io;
	struct qcow2_image raw_image;
	struct test_io *ios[5];      /* each of them can fail */
	struct qcow2_image snapshot; /* of the top image */
	uint8_t *want, *want_external, *want_snapshot;
	struct test_reader reader, reader_external, reader_snapshot;
	struct test_io *failing;
};

static void fill_top(struct image *img)
{
	struct image_table *t = &img->active;
	struct image_snapshot *snap = NULL;
	uint8_t junk[60];

	memset(junk, 1, sizeof junk);
	image_add_ext(img, 0x1234, 60, junk, 60);
	image_add_ext(img, 0x1235, 60, junk, 60);
	image_add_feature_name(img, 0, 0, "dirty bit", 9);
	image_add_feature_name(img, 0, 1, "corrupt bit", 11);
	image_set_backing(img, "middle", 6, 0);
	image_add_range(img, t, 0, 3, IMAGE_DATA);
	image_add(img, t, 3, IMAGE_ZERO);
	image_add_range(img, t, 4, 2, IMAGE_COMPRESSED);
	image_add(img, t, 70, IMAGE_STORED);
	image_add_range(img, t, 510, 4, IMAGE_DATA);
	image_add(img, t, 130, IMAGE_ZERO_ALLOC);
	snap = image_add_snapshot(img, "id one", "name one");
	snap->extra_len = 24;
	image_add_range(img, &snap->table, 2, 3, IMAGE_COMPRESSED);
	image_add_snapshot(img, "id two", "name two");
}

/* The first snapshot of the top, over the same images below. */
static void snapshot_make(struct fixture *f, struct layer *layers)
{
	const struct image_snapshot *snap = &f->top.img.snapshots[0];
	struct qcow2_snapshot s;

	EQ(qcow2_snapshot_next(&f->top.image, NULL, &s, NULL), QCOW2_OK);
	EQ(qcow2_snapshot_image(&f->snapshot, &f->top.image, &s, NULL), QCOW2_OK);
	layers[0].table = &snap->table;
	layers[0].size = f->snapshot.size;
	f->want_snapshot = malloc((size_t)f->snapshot.size);
	expect_chain(layers, 3, 0, f->want_snapshot, (size_t)f->snapshot.size);
}

static void fixture_make(struct fixture *f)
{
	struct layer layers[3];
	uint64_t size = 600 * CLUSTER - 3;

	memset(f, 0, sizeof *f);
	image_init(&f->top.img, 3, BITS, size);
	fill_top(&f->top.img);
	image_init(&f->middle.img, 3, 14, 500 * CLUSTER + 9);
	f->middle.img.extended_l2 = true;
	f->middle.img.active.seed = 2;
	for (uint64_t i = 0; i < 15; i += 3)
		image_add_subclusters(&f->middle.img, &f->middle.img.active, i,
		                      UINT64_C(0x00ff00f0ff000f0f) & ~(UINT64_C(0xff000f0f) << 32),
		                      true);
	image_add(&f->middle.img, &f->middle.img.active, 5, IMAGE_COMPRESSED);
	image_buf_resize(&f->raw, 400 * CLUSTER + 100);
	image_fill(f->raw.data, f->raw.len, 3, 0);
	test_io_init(&f->raw_io, &f->raw);
	EQ(qcow2_image_raw(&f->raw_image, &f->raw_io.io), QCOW2_OK);
	test_image_open(&f->middle);
	EQ(qcow2_image_attach_backing(&f->middle.image, &f->raw_image), QCOW2_OK);
	test_image_open(&f->top);
	EQ(qcow2_image_attach_backing(&f->top.image, &f->middle.image), QCOW2_OK);
	layers[0] = (struct layer){ .img = &f->top.img, .size = size };
	layers[1] = (struct layer){ .img = &f->middle.img, .size = f->middle.img.size };
	layers[2] = (struct layer){ .raw = &f->raw, .size = f->raw.len };
	f->want = malloc((size_t)size);
	expect_chain(layers, 3, 0, f->want, (size_t)size);
	snapshot_make(f, layers);

	image_init(&f->external.img, 3, BITS, 100 * CLUSTER);
	f->external.img.has_data_file = true;
	image_add_range(&f->external.img, &f->external.img.active, 0, 5, IMAGE_DATA);
	image_add(&f->external.img, &f->external.img.active, 90, IMAGE_DATA);
	test_image_open(&f->external);
	f->want_external = calloc(100, CLUSTER);
	image_expect(&f->external.img, &f->external.img.active, 0, f->want_external, 100 * CLUSTER);
	f->ios[0] = &f->top.io;
	f->ios[1] = &f->middle.io;
	f->ios[2] = &f->raw_io;
	f->ios[3] = &f->external.io;
	f->ios[4] = &f->external.data;
}

static void fixture_free(struct fixture *f)
{
	test_image_free(&f->top);
	test_image_free(&f->middle);
	test_image_free(&f->external);
	free(f->raw.data);
	free(f->want);
	free(f->want_external);
	free(f->want_snapshot);
}

/* ---- The jobs: each returns the status of its call, and checks the results ---- */

/* The error has the callback's code, and the file that failed (or the image's copy of it). */
static void check_error(const struct fixture *f, const struct qcow2_error *err, int rc)
{
	if (rc == QCOW2_OK)
		return;
	EQ(rc, QCOW2_E_IO);
	EQ(err->status, QCOW2_E_IO);
	EQ(err->io_code, IO_FAULT);
	EQ(err->detail, 0);
	TRUE(err->io != NULL && err->io->ctx == f->failing);
	TRUE(err->pos < f->failing->io.size);
}

static int job_open(struct fixture *f)
{
	struct qcow2_image image;
	struct qcow2_error err = { 0 };
	struct qcow2_reader reader;
	uint64_t memory[QCOW2_READER_MEMORY / 8 + 1];
	int rc = open_whole(&image, &f->top.io.io, 0, &err);

	check_error(f, &err, rc);
	if (rc != QCOW2_OK) {
		EQ(qcow2_reader_init(&reader, &image, memory, sizeof memory), QCOW2_E_ARGUMENT);
	} else {
		EQ(image.size, f->top.img.size);
		EQ(image.feature_names.len, 96);
	}
	return rc;
}

static int job_feature_name(struct fixture *f)
{
	struct guarded name;
	int rc = 0;

	guard_init(&name, 47, 1);
	memset(name.p, 0x66, 47);
	rc = qcow2_feature_name(&f->top.io.io, 0, 1, (char *)name.p);
	if (rc != QCOW2_OK) {
		EQ(rc, QCOW2_E_IO);
		ALL(name.p, 0x66, 47);
	} else {
		SAME(name.p, "corrupt bit", 12);
	}
	guard_free(&name);
	return rc;
}

static int job_bytes(struct fixture *f)
{
	struct qcow2_error err = { 0 };
	struct guarded name;
	int rc = 0;

	guard_init(&name, 6, 1);
	rc = qcow2_image_bytes(&f->top.image, f->top.image.backing_name, name.p, &err);
	check_error(f, &err, rc);
	if (rc == QCOW2_OK)
		SAME(name.p, "middle", 6);
	guard_free(&name);
	return rc;
}

static int job_snapshots(struct fixture *f)
{
	struct qcow2_snapshot e;
	struct qcow2_snapshot before;
	struct qcow2_error err = { 0 };
	struct guarded buf;
	int rc = 0;

	memset(&e, 0x55, sizeof e);
	memcpy(&before, &e, sizeof e);
	rc = qcow2_snapshot_next(&f->top.image, NULL, &e, &err);
	check_error(f, &err, rc);
	if (rc != QCOW2_OK) {
		SAME(&e, &before, sizeof e);
		return rc;
	}
	memcpy(&before, &e, sizeof e);
	rc = qcow2_snapshot_next(&f->top.image, &e, &e, &err);
	check_error(f, &err, rc);
	if (rc != QCOW2_OK) {
		SAME(&e, &before, sizeof e);
		return rc;
	}
	EQ(e.index, 1);
	guard_init(&buf, 14, 1);
	rc = qcow2_snapshot_strings(&f->top.image, &e, buf.p, &err);
	check_error(f, &err, rc);
	if (rc == QCOW2_OK)
		SAME(buf.p, "id twoname two", 14);
	guard_free(&buf);
	return rc;
}

/* Maps the whole disk. */
static int job_map(struct fixture *f)
{
	uint64_t off = 0;

	while (off < f->top.img.size) {
		struct qcow2_extent e;
		struct qcow2_extent before;
		int rc = 0;

		memset(&e, 0x55, sizeof e);
		memcpy(&before, &e, sizeof e);
		rc = qcow2_reader_map(&f->reader.q, off, f->top.img.size - off, &e);
		if (rc != QCOW2_OK) {
			check_error(f, &f->reader.q.error, rc);
			SAME(&e, &before, sizeof e);
			return rc;
		}
		EQ(e.off, off);
		off += e.len;
	}
	return QCOW2_OK;
}

/* Different ways to read the disk. */
static int read_range(struct fixture *f, uint64_t off, size_t len)
{
	int rc = test_reader_read(&f->reader, off, f->want + off, len);

	check_error(f, &f->reader.q.error, rc);
	return rc;
}

static int job_read_all(struct fixture *f)
{
	return read_range(f, 0, (size_t)f->top.img.size);
}

static int job_read_pieces(struct fixture *f)
{
	for (uint64_t off = 0; off + 5000 <= 80 * CLUSTER; off += 5000) {
		int rc = read_range(f, off, 5000);

		if (rc != QCOW2_OK)
			return rc;
	}
	return QCOW2_OK;
}

/* A large compressed cluster of the middle image, in small pieces. */
static int job_read_packed(struct fixture *f)
{
	for (uint64_t off = 5 * 16384; off < 6 * 16384; off += 2000) {
		int rc = read_range(f, off, 700);

		if (rc != QCOW2_OK)
			return rc;
	}
	return QCOW2_OK;
}

static int job_read_tables(struct fixture *f)
{
	static const unsigned order[] = { 510, 0, 512, 4, 70, 130, 3, 513, 90, 250, 599 };

	for (size_t i = 0; i < COUNT(order); i++) {
		int rc = read_range(f, (uint64_t)order[i] * CLUSTER + 10, 100);

		if (rc != QCOW2_OK)
			return rc;
	}
	return QCOW2_OK;
}

static int job_read_external(struct fixture *f)
{
	int rc = test_reader_read(&f->reader_external, 0, f->want_external, 100 * CLUSTER);

	check_error(f, &f->reader_external.q.error, rc);
	return rc;
}

static int job_read_snapshot(struct fixture *f)
{
	int rc = test_reader_read(&f->reader_snapshot, 0, f->want_snapshot,
	                          (size_t)f->snapshot.size);

	check_error(f, &f->reader_snapshot.q.error, rc);
	return rc;
}

struct job {
	const char *name;
	int (*run)(struct fixture *f);
	unsigned ios; /* a bit for each file that it reads */
};

static const struct job jobs[] = {
	{ "open", job_open, 1 },
	{ "feature name", job_feature_name, 1 },
	{ "bytes", job_bytes, 1 },
	{ "snapshots", job_snapshots, 1 },
	{ "map", job_map, 3 },
	{ "read all", job_read_all, 7 },
	{ "read pieces", job_read_pieces, 7 },
	{ "read a compressed cluster", job_read_packed, 2 },
	{ "read tables", job_read_tables, 7 },
	{ "read external data", job_read_external, 24 },
	{ "read a snapshot", job_read_snapshot, 7 },
};

/* ---- The loop ---- */

static const size_t memories[] = { QCOW2_READER_MEMORY_DEFLATE,
	                           QCOW2_READER_MEMORY_CLUSTER(14, QCOW2_DEFLATE_SMALL_WORK) +
	                                   64 * QCOW2_READER_SLICE };

static void start(struct fixture *f, size_t memory)
{
	test_reader_init(&f->reader, &f->top.image, memory, deflate_only);
	test_reader_init(&f->reader_external, &f->external.image, memory, NULL);
	test_reader_init(&f->reader_snapshot, &f->snapshot, memory, deflate_only);
}

static void stop(struct fixture *f)
{
	test_reader_free(&f->reader);
	test_reader_free(&f->reader_external);
	test_reader_free(&f->reader_snapshot);
}

/* The n-th call of io fails. Returns false if no n-th call was made. */
static bool one_fault(struct fixture *f, const struct job *job, struct test_io *io, uint64_t n,
                      bool persistent)
{
	bool fired = false;
	int rc = 0;

	test_io_reset(io);
	io->fail_at = n;
	io->persistent = persistent;
	f->failing = io;
	rc = job->run(f);
	fired = io->faults != 0;
	/* The failure is reported, and there is none without a fault. */
	EQ(rc, fired ? QCOW2_E_IO : QCOW2_OK);
	if (persistent && fired) {
		io->calls = n; /* it still fails */
		EQ(job->run(f), QCOW2_E_IO);
	}
	test_io_reset(io);
	EQ(job->run(f), QCOW2_OK);
	return fired;
}

static void fault_loop(struct fixture *f, const struct job *job, unsigned which, size_t memory,
                       bool persistent)
{
	uint64_t n = 1;
	bool more = true;

	for (; more; n++) {
		test_case("%s, file %u, call %u fails, memory %zu, %s", job->name, which,
		          (unsigned)n, memory, persistent ? "for ever" : "once");
		start(f, memory);
		more = one_fault(f, job, f->ios[which], n, persistent);
		stop(f);
		LE(n, MOST_CALLS);
	}
	/* The loop did find calls that can fail. */
	LE(3, n);
}

static void test_fault_loop(void **state)
{
	struct fixture f;

	(void)state;
	fixture_make(&f);
	for (size_t i = 0; i < COUNT(jobs); i++) {
		for (size_t k = 0; k < COUNT(memories) * 2; k += test_brief() ? 3 : 1) {
			for (unsigned which = 0; which < COUNT(f.ios); which++) {
				if (jobs[i].ios >> which & 1)
					fault_loop(&f, &jobs[i], which, memories[k / 2], k % 2);
			}
		}
	}
	fixture_free(&f);
}

/* One reader that meets faults all the time: what succeeds must be right. */
static void test_flaky(void **state)
{
	struct fixture f;
	unsigned good = 0;
	unsigned bad = 0;

	(void)state;
	test_random_state = 41;
	fixture_make(&f);
	for (size_t m = 0; m < COUNT(memories); m++) {
		start(&f, memories[m]);
		for (unsigned i = 0; i < test_turns(3000); i++) {
			uint64_t off = test_random(f.top.img.size);
			uint64_t len = 1 + test_random(i % 5 ? 3000 : 100000);
			struct test_io *io = f.ios[test_random(3)];

			test_case("flaky, memory %zu, read %u", m, i);
			if (len > f.top.img.size - off)
				len = f.top.img.size - off;
			test_io_reset(io);
			io->fail_at = 1 + test_random(4);
			f.failing = io;
			if (read_range(&f, off, (size_t)len) == QCOW2_OK)
				good++;
			else
				bad++;
			test_io_reset(io);
		}
		stop(&f);
	}
	LE(test_turns(300), good);
	LE(test_turns(300), bad);
	fixture_free(&f);
}

/* One range of a file is unreadable: only reads that need it fail, with the code of the io. */
static void test_bad_place(void **state)
{
	struct fixture f;
	uint64_t pos = 0;

	(void)state;
	test_case("a bad data cluster");
	fixture_make(&f);
	start(&f, memories[0]);
	pos = model_place(&f.top.img, &f.top.img.active, CLUSTER).pos;
	f.top.io.bad_from = pos + 100;
	f.top.io.bad_to = pos + 101;
	EQ(test_reader_read(&f.reader, CLUSTER, f.want, CLUSTER), QCOW2_E_IO);
	EQ(f.reader.q.error.io_code, IO_FAULT + 1);
	EQ(f.reader.q.error.pos, pos);
	EQ(test_reader_read(&f.reader, 0, f.want, CLUSTER), QCOW2_OK);
	EQ(test_reader_read(&f.reader, CLUSTER, f.want + CLUSTER, 100), QCOW2_OK);
	EQ(test_reader_read(&f.reader, CLUSTER + 101, f.want + CLUSTER + 101, 3 * CLUSTER),
	   QCOW2_OK);
	EQ(test_reader_read(&f.reader, CLUSTER + 100, f.want, 1), QCOW2_E_IO);
	EQ(f.reader.q.error.io_code, IO_FAULT + 1);
	EQ(test_reader_read(&f.reader, f.top.img.size, f.want, 1), QCOW2_E_RANGE);
	EQ(f.reader.q.error.io_code, 0);

	test_case("a bad slice of an L2 table");
	pos = image_l2_entry_pos(&f.top.img, &f.top.img.active, 70);
	f.top.io.bad_from = pos;
	f.top.io.bad_to = pos + 1;
	EQ(test_reader_read(&f.reader, 0, f.want, 6 * CLUSTER), QCOW2_OK);
	EQ(test_reader_read(&f.reader, 70 * CLUSTER, f.want, 1), QCOW2_E_IO);
	EQ(test_reader_read(&f.reader, 510 * CLUSTER, f.want + 510 * CLUSTER, 4 * CLUSTER),
	   QCOW2_OK);
	EQ(test_reader_read(&f.reader, 64 * CLUSTER - 1, f.want, 2), QCOW2_E_IO);
	f.top.io.bad_to = 0;
	EQ(test_reader_read(&f.reader, 0, f.want, (size_t)f.top.img.size), QCOW2_OK);
	stop(&f);
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fault_loop),
		cmocka_unit_test(test_flaky),
		cmocka_unit_test(test_bad_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
