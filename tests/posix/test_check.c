/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* qcow2_check: its options, what it tells, how it ends, and each fault. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "qcow2/check.h"

enum { BITS = 12, CLUSTER = 1 << BITS, SIZE = 64 * CLUSTER, NEVER = 0 };

/* Zlib data that ends too early. */
static const uint8_t bad_deflate[4] = { 7, 7, 7, 7 };

/* What the callbacks saw, and when they end the check. */
struct seen {
	struct qcow2_check_result result;
	unsigned n[QCOW2_FINDING_NOTE + 1]; /* findings by kind */
	unsigned n_all, n_progress;
	unsigned end_at, end_at_progress; /* the number of the call that ends the check */
	uint64_t done, total;
	struct qcow2_finding last;
	char texts[256 * 1024]; /* the lines of all findings */
	size_t len;
	struct qcow2 *q; /* the callback makes a call that fails; NULL: it does not */
};

static int note(void *ctx, const struct qcow2_finding *finding)
{
	struct seen *seen = ctx;
	size_t room = sizeof seen->texts - seen->len;
	uint64_t n;

	TRUE(finding->kind >= QCOW2_FINDING_CORRUPTION && finding->kind <= QCOW2_FINDING_NOTE);
	seen->len += (size_t)snprintf(seen->texts + seen->len, room, "%s\n", finding->text);
	LE(seen->len, sizeof seen->texts - 1);
	seen->last = *finding;
	seen->last.text = NULL;
	seen->n[finding->kind]++;
	if (seen->q != NULL)
		EQ(qcow2_count_clusters(seen->q, 5, 1, &n), -1);
	return ++seen->n_all == seen->end_at;
}

static int progress(void *ctx, uint64_t done, uint64_t total)
{
	struct seen *seen = ctx;

	LE(done, total);
	if (total == seen->total)
		LE(seen->done, done);
	seen->done = done;
	seen->total = total;
	return ++seen->n_progress == seen->end_at_progress;
}

static struct qcow2_check_options options_for(struct seen *seen, unsigned flags)
{
	struct qcow2_check_options options = { .struct_size = sizeof options, .flags = flags };

	options.report = note;
	options.progress = progress;
	options.ctx = seen;
	return options;
}

/* Runs a check, which must tell each finding that it counts. */
static int run(struct qcow2 *q, struct seen *seen, const struct qcow2_check_options *options)
{
	struct qcow2_check_result *r = &seen->result;
	int rc;

	seen->texts[0] = '\0';
	seen->len = 0;
	memset(seen->n, 0, sizeof seen->n);
	seen->n_all = seen->n_progress = 0;
	seen->done = seen->total = 0;
	memset(r, 0xa5, sizeof *r);
	r->struct_size = sizeof *r;
	rc = qcow2_check(q, options, r);
	if (rc < 0)
		return rc;
	EQ(r->struct_size, sizeof *r);
	EQ(r->corruptions, seen->n[QCOW2_FINDING_CORRUPTION]);
	EQ(r->leaks, seen->n[QCOW2_FINDING_LEAK]);
	EQ(r->errors, seen->n[QCOW2_FINDING_ERROR]);
	EQ(r->notes, seen->n[QCOW2_FINDING_NOTE]);
	return rc;
}

static int run_flags(struct qcow2 *q, struct seen *seen, unsigned flags)
{
	struct qcow2_check_options options = options_for(seen, flags);

	return run(q, seen, &options);
}

static void fails(struct qcow2 *q, const struct qcow2_check_options *options, int error,
                  const char *text)
{
	struct seen seen = { .end_at = NEVER };

	errno = 0;
	EQ(run(q, &seen, options), -1);
	EQ(errno, error);
	EQ(qcow2_last_failure()->error, error);
	HAS(qcow2_last_failure()->message, text);
	ALL(&seen.result.corruptions, 0xa5, sizeof seen.result - sizeof seen.result.struct_size);
}

/* A sound image with clusters of each kind, and a snapshot. */
static void sound_image(struct image *img)
{
	struct image_snapshot *snapshot;

	image_init(img, 3, BITS, SIZE);
	image_add_range(img, &img->active, 0, 8, IMAGE_DATA);
	image_add(img, &img->active, 9, IMAGE_ZERO_ALLOC);
	image_add_range(img, &img->active, 20, 2, IMAGE_COMPRESSED);
	snapshot = image_add_snapshot(img, "1", "a\nb");
	image_share(img, &snapshot->table, &img->active, 0);
	image_finish(img);
}

static uint64_t l2(const struct image *img, uint64_t i)
{
	return image_l2_entry_pos(img, &img->active, i);
}

static void copy_entry(struct image *img, uint64_t to, uint64_t from)
{
	image_put(&img->file, l2(img, to), image_get(&img->file, l2(img, from), 8), 8);
}

/* ---- What it finds ---- */

static void test_sound(void **state)
{
	struct seen seen = { .end_at = NEVER };
	struct image img;
	struct qcow2 *q;

	(void)state;
	sound_image(&img);
	q = open_good(image_to_fd(&img));
	for (unsigned flags = 0; flags < 4; flags++) {
		EQ(run_flags(q, &seen, flags), 0);
		EQ(seen.n_all, 0);
		EQ(seen.result.total_clusters, 64);
		EQ(seen.result.allocated_clusters, 11);
		EQ(seen.result.compressed_clusters, 2);
		LE(seen.result.compressed_clusters, seen.result.fragmented_clusters);
		EQ(seen.result.image_end, img.file.len);
		EQ(seen.done, (flags & QCOW2_CHECK_DEEP) != 0u ? SIZE : img.file.len);
		EQ(seen.total, seen.done);
	}
	test_case("without options and callbacks");
	EQ(qcow2_check(q, NULL, &seen.result), 0);
	EQ(seen.result.corruptions, 0);
	qcow2_close(q);
	image_free(&img);
}

/* Two guest clusters have the same host cluster, and one has lost its refcount's reference. */
static void test_findings(void **state)
{
	struct seen seen = { .end_at = NEVER };
	uint64_t host;
	struct image img;
	struct qcow2 *q;

	(void)state;
	sound_image(&img);
	host = image_get(&img.file, l2(&img, 3), 8) & 0xffffffffffe00;
	copy_entry(&img, 4, 3);
	image_set(&img, IMAGE_INCOMPATIBLE_FEATURES, 1);
	image_put(&img.file, image_field_pos(IMAGE_INCOMPATIBLE_FEATURES), 1, 8);
	q = open_good(image_to_fd(&img));
	EQ(run_flags(q, &seen, 0), 0);
	EQ(seen.result.corruptions, 1);
	EQ(seen.result.leaks, 1);
	EQ(seen.result.notes, 1);
	HAS(seen.texts, "refcount=1 reference=2\n");
	HAS(seen.texts, "Leaked cluster ");
	HAS(seen.texts, "the image is marked dirty");
	test_case("owners");
	EQ(run_flags(q, &seen, QCOW2_CHECK_TELL_OWNERS), 0);
	EQ(seen.result.notes, 3);
	HAS(seen.texts, " is used by data (at file offset ");
	EQ(seen.last.cluster, host >> BITS);
	EQ(seen.last.position, l2(&img, 4));
	qcow2_close(q);
	image_free(&img);
}

/* An image with a finding, inside a file; checks the numbers of the finding. */
static void numbers(uint64_t entry_pos, uint64_t change, uint64_t position, uint64_t cluster,
                    uint64_t refcount, uint64_t references)
{
	struct qcow2_options inside = { .struct_size = sizeof inside, .image_offset = CLUSTER };
	static struct seen seen;
	struct image img;
	struct qcow2 *q;

	sound_image(&img);
	image_put(&img.file, entry_pos, image_get(&img.file, entry_pos, 8) ^ change, 8);
	image_buf_resize(&img.file, img.file.len + CLUSTER);
	memmove(img.file.data + CLUSTER, img.file.data, img.file.len - CLUSTER);
	q = qcow2_open_options(image_to_fd(&img), &inside, NULL);
	TRUE(q != NULL);
	EQ(run_flags(q, &seen, 0), 0);
	EQ(seen.n_all, 1);
	EQ(seen.last.position, position);
	EQ(seen.last.cluster, cluster);
	EQ(seen.last.refcount, refcount);
	EQ(seen.last.references, references);
	qcow2_close(q);
	image_free(&img);
}

/* Members that mean nothing are 0; positions are in the file, clusters in the image. */
static void test_numbers(void **state)
{
	uint64_t entry, host, flag = UINT64_C(1) << 63;
	uint64_t block, features = image_field_pos(IMAGE_INCOMPATIBLE_FEATURES);
	struct image img;

	(void)state;
	sound_image(&img);
	entry = l2(&img, 3);
	host = (image_get(&img.file, entry, 8) & 0xffffffffffe00) >> BITS;
	block = image_get(&img.file, img.refcount_table_pos, 8);
	image_free(&img);
	test_case("note");
	numbers(features, 1, 0, UINT64_MAX, 0, 0);
	test_case("leak");
	numbers(block, UINT64_C(6) << 48, 0, 0, 7, 1);
	test_case("flag");
	numbers(entry, flag, entry + CLUSTER, host, 1, 0);
	test_case("reserved bit");
	numbers(entry, 2, entry + CLUSTER, UINT64_MAX, 0, 0);
}

/* Each change of an entry, and the line that it makes. */
static const struct change {
	const char *line;
	enum { L1, L2, BLOCKS, SNAPSHOT, HEADER } at;
	uint64_t index, value; /* of the entry, or a byte position; what is put there */
} changes[] = {
	{ "ERROR found L1 entry with reserved bits set: 80000000000001", L1, 3, 0x80000000000001 },
	{ "ERROR l2_offset=1200: Table is not cluster aligned; L1 entry corrupted", L1, 3, 0x1200 },
	{ "ERROR OFLAG_COPIED L2 cluster: l1_index=3 l1_entry=2000 refcount=1", L1, 3, 0x2000 },
	{ "ERROR found l2 entry with reserved bits set: 1000000000000000", L2, 30, 1ULL << 60 },
	{ "ERROR offset=1200: Data cluster is not properly aligned; L2 entry corrupted.", L2, 30,
	  0x1200 },
	{ "ERROR offset=1200: Preallocated cluster is not properly aligned; L2 entry corrupted.",
	  L2, 30, 0x1201 },
	{ "ERROR OFLAG_COPIED data cluster: l2_entry=2000 refcount=1", L2, 30, 0x2000 },
	{ "ERROR: coffset=0x1000: copied flag must never be set for compressed clusters", L2, 30,
	  0xc000000000001000 },
	{ "ERROR: counting reference for region exceeding the end of the file by one cluster or "
	  "more: offset 0x10000000 size 0x1000",
	  L2, 30, 0x8000000010000000 },
	{ "ERROR refcount table entry 1 has reserved bits set", BLOCKS, 1, 1 },
	{ "ERROR refcount block 1 is not cluster aligned; refcount table entry corrupted", BLOCKS,
	  1, 0x1200 },
	{ "ERROR refcount block 1 is outside image", BLOCKS, 1, 1ULL << 40 },
	{ "ERROR refcount block 1 refcount=2", BLOCKS, 1, 0 },
	{ "Can't get refcount for cluster 0: Input/output error", BLOCKS, 0, 0x1200 },
	{ "ERROR snapshot 1 (a\\x0ab) l1_offset=0x1200: L1 table is not cluster aligned; snapshot "
	  "table entry corrupted",
	  SNAPSHOT, 0, 0x1200 },
	{ "ERROR snapshot 1 (a\\x0ab) l1_size=0x10000000: L1 table is too large; snapshot table "
	  "entry "
	  "corrupted",
	  SNAPSHOT, 8, UINT64_C(0x1000000000010003) },
	{ "ERROR snapshot 1 (a\\x0ab): L1 table is too short for the size of its disk", SNAPSHOT,
	  48, 1ULL << 40 },
	{ "ERROR snapshot table entry 0 is incomplete", SNAPSHOT, 36, 1 },
	{ "ERROR 1 snapshots in image with data file", HEADER, IMAGE_INCOMPATIBLE_FEATURES, 4 },
	{ "the image is marked corrupt", HEADER, IMAGE_INCOMPATIBLE_FEATURES, 2 },
};

static uint64_t change_pos(const struct image *img, const struct change *c)
{
	switch (c->at) {
	case L1: return image_l1_entry_pos(img, &img->active, c->index);
	case L2: return l2(img, c->index);
	case BLOCKS: return img->refcount_table_pos + 8 * c->index;
	case SNAPSHOT: return img->snapshots_pos + c->index;
	case HEADER:
	default: return image_field_pos((enum image_field)c->index);
	}
}

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(changes); i++) {
		const struct change *c = &changes[i];
		struct qcow2_options inspect = { .struct_size = sizeof inspect };
		struct seen seen = { .end_at = NEVER };
		struct image img;
		struct qcow2 *q;

		sound_image(&img);
		image_put(&img.file, image_field_pos(IMAGE_L1_SIZE), 4, 4);
		image_put(&img.file, change_pos(&img, c),
		          c->value != 0u ? c->value
		                         : image_get(&img.file, img.refcount_table_pos, 8),
		          8);
		inspect.flags = QCOW2_INSPECT;
		q = qcow2_open_options(image_to_fd(&img), &inspect, NULL);
		test_case("%s", c->line);
		TRUE(q != NULL);
		EQ(run_flags(q, &seen, 0), 0);
		HAS(seen.texts, c->line);
		qcow2_close(q);
		image_free(&img);
	}
}

/* The text of a finding that only a few shapes of images have. */
static void test_lines_of_shapes(void **state)
{
	static const struct {
		const char *line;
		unsigned version;
		bool extended, external;
		uint64_t entry, bitmap;
	} shapes[] = {
		{ "ERROR l2 entry reads as zeros, which version 2 does not have: 1", 2, false,
		  false, 1, 0 },
		{ "ERROR offset=8000: Allocated cluster has corrupted subcluster allocation bitmap",
		  3, true, false, 0x8000, UINT64_C(0x100000001) },
		{ "ERROR: Unallocated cluster has non-zero subcluster allocation map", 3, true,
		  false, 0, 1 },
		{ "ERROR compressed cluster 9 with non-zero subcluster allocation bitmap, "
		  "entry=0x4000000000008000",
		  3, true, false, 0x4000000000008000, 1 },
		{ "ERROR compressed cluster 9 with data file, entry=0x4000000000008000", 3, false,
		  true, 0x4000000000008000, 0 },
		{ "ERROR offset=8000: cluster is not at its offset in the external data file", 3,
		  false, true, 0x8000000000008000, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		struct qcow2_options inspect = { .struct_size = sizeof inspect };
		struct seen seen = { .end_at = NEVER };
		unsigned bits = shapes[i].extended ? 14 : BITS;
		struct image img;
		struct qcow2 *q;

		image_init(&img, shapes[i].version, bits, UINT64_C(64) << bits);
		img.extended_l2 = shapes[i].extended;
		img.has_data_file = shapes[i].external;
		image_add(&img, &img.active, 0, IMAGE_DATA);
		image_add_raw(&img, &img.active, 9, shapes[i].entry, shapes[i].bitmap);
		inspect.flags = QCOW2_INSPECT;
		q = qcow2_open_options(image_to_fd(&img), &inspect, NULL);
		test_case("%s", shapes[i].line);
		TRUE(q != NULL);
		EQ(run_flags(q, &seen, 0), 0);
		HAS(seen.texts, shapes[i].line);
		qcow2_close(q);
		image_free(&img);
	}
}

/* ---- Options ---- */

static void test_memory(void **state)
{
	struct seen whole = { .end_at = NEVER }, parts = { .end_at = NEVER };
	struct qcow2_check_options options = options_for(&parts, 0);
	struct image img;
	struct qcow2 *q;

	(void)state;
	sound_image(&img);
	image_buf_resize(&img.file, 3000 * CLUSTER);
	for (unsigned i = 0; i < 3; i++)
		image_put(&img.file, l2(&img, 30 + i),
		          IMAGE_COPIED | (1000 + 900 * i) * UINT64_C(4096), 8);
	q = open_good(image_to_fd(&img));
	EQ(run_flags(q, &whole, 0), 0);
	EQ(whole.result.corruptions, 6);
	for (options.memory = 1; options.memory < 100000; options.memory *= 10) {
		EQ(run(q, &parts, &options), 0);
		SAME(&parts.result, &whole.result, sizeof whole.result);
	}
	LE(whole.n_progress, 4);
	qcow2_close(q);
	image_free(&img);
}

static void test_ends(void **state)
{
	struct seen seen = { .end_at = NEVER };
	struct qcow2_check_options options = options_for(&seen, QCOW2_CHECK_DEEP);
	unsigned findings, steps;
	struct image img;
	struct qcow2 *q;

	(void)state;
	sound_image(&img);
	copy_entry(&img, 4, 3);
	image_put(&img.file, l2(&img, 12), UINT64_C(0x4000000000000000) | CLUSTER, 8);
	q = open_good(image_to_fd(&img));
	for (options.max_reads = 1; run(q, &seen, &options) == 1; options.max_reads++)
		LE(options.max_reads, 100);
	LE(4, options.max_reads);
	LE(4, seen.n_all);
	findings = seen.n_all;
	steps = seen.n_progress;
	for (seen.end_at = 1; seen.end_at <= findings; seen.end_at++) {
		EQ(run(q, &seen, &options), 1);
		EQ(seen.n_all, seen.end_at);
	}
	seen.end_at = NEVER;
	for (seen.end_at_progress = 1; seen.end_at_progress <= steps; seen.end_at_progress++) {
		EQ(run(q, &seen, &options), 1);
		EQ(seen.n_progress, seen.end_at_progress);
	}
	qcow2_close(q);
	image_free(&img);
}

/* 65,536 snapshots whose L1 entries all lead to one L2 table: billions of entries. */
static void test_hostile(void **state)
{
	enum { N = 65536, ENTRY = 56, MOST = 5000 };
	struct seen seen = { .end_at = NEVER };
	struct qcow2_check_options options = options_for(&seen, 0);
	struct image img;
	struct qcow2 *q;
	uint64_t l1, pos, l2_table;

	(void)state;
	sound_image(&img);
	l1 = (img.file.len + CLUSTER - 1) / CLUSTER * CLUSTER;
	pos = l1 + 8 * N;
	l2_table = image_get(&img.file, image_l1_entry_pos(&img, &img.active, 0), 8);
	image_buf_resize(&img.file, pos + N * ENTRY);
	for (unsigned i = 0; i < N; i++) {
		image_put(&img.file, l1 + 8 * i, l2_table, 8);
		image_put(&img.file, pos + ENTRY * i, l1, 8);
		image_put(&img.file, pos + ENTRY * i + 8, N, 4);
		image_put(&img.file, pos + ENTRY * i + 36, 16, 4);
	}
	image_put(&img.file, image_field_pos(IMAGE_NB_SNAPSHOTS), N, 4);
	image_put(&img.file, image_field_pos(IMAGE_SNAPSHOTS_OFFSET), pos, 8);
	q = open_good(image_to_fd(&img));
	options.max_reads = MOST;
	hooks_reset();
	EQ(run(q, &seen, &options), 1);
	LE(hooks.n[CALL_PREAD], MOST);
	qcow2_close(q);
	image_free(&img);
}

static void test_wrong_options(void **state)
{
	struct {
		struct qcow2_check_options options;
		unsigned char more[8];
	} later = { { .struct_size = sizeof later }, { 0 } };
	struct {
		struct qcow2_check_result result;
		unsigned char more[8];
	} longer = { { .struct_size = sizeof longer }, { 1 } };
	struct qcow2_check_options options = { .struct_size = sizeof options };
	struct image img;
	struct qcow2 *q;

	(void)state;
	sound_image(&img);
	q = open_good(image_to_fd(&img));
	options.struct_size--;
	fails(q, &options, EINVAL, "struct_size of the check options");
	options.struct_size++;
	options.depth = 1;
	fails(q, &options, ENOENT, "no image at this depth");
	test_case("a later version of the library");
	EQ(qcow2_check(q, &later.options, &longer.result), 0);
	EQ(longer.result.total_clusters, 64);
	EQ(longer.more[0], 0);
	later.more[3] = 1;
	fails(q, &later.options, EINVAL, "an option is set");
	test_case("result");
	longer.result.struct_size = sizeof(size_t);
	EQ(qcow2_check(q, NULL, &longer.result), -1);
	EQ(errno, EINVAL);
	qcow2_close(q);
	image_free(&img);
}

/* ---- Images that have nothing to check, or that cannot be read ---- */

static void test_other_images(void **state)
{
	static const uint8_t version_1[] = {
		'Q', 'F', 'I', 0xfb, [7] = 1, [30] = 0x10, [32] = 12, [33] = 9, [47] = 48,
	};
	struct qcow2_options raw = { .struct_size = sizeof raw, .format = "raw" };
	struct qcow2_options qcow = { .struct_size = sizeof qcow, .format = "qcow" };
	uint8_t bytes[4096] = { 0 };
	struct qcow2 *q;

	(void)state;
	memcpy(bytes, version_1, sizeof version_1);
	file_write("image", bytes, sizeof bytes);
	q = qcow2_open_options(open_read("image"), &raw, NULL);
	TRUE(q != NULL);
	fails(q, NULL, ENOTSUP, "a raw image has nothing to check");
	qcow2_close(q);
	q = qcow2_open_options(open_read("image"), &qcow, NULL);
	TRUE(q != NULL);
	fails(q, NULL, ENOTSUP, "version 1 has no refcounts");
	qcow2_close(q);
}

static void test_damaged_tables(void **state)
{
	struct image img;
	struct qcow2 *q;

	(void)state;
	sound_image(&img);
	image_put(&img.file, img.snapshots_pos + 36, 1025, 4);
	q = open_good(image_to_fd(&img));
	fails(q, NULL, EINVAL, "snapshot");
	EQ(qcow2_last_failure()->pos, img.snapshots_pos);
	qcow2_close(q);
	image_put(&img.file, image_field_pos(IMAGE_REFCOUNT_TABLE_CLUSTERS), 1 << 20, 4);
	q = open_good(image_to_fd(&img));
	fails(q, NULL, EFBIG, "");
	qcow2_close(q);
	image_free(&img);
}

/* The tables are not encrypted. The data cannot be read without its key. */
static void test_encrypted(void **state)
{
	struct qcow2_options inspect = { .struct_size = sizeof inspect };
	struct qcow2_check_options deep = { .struct_size = sizeof deep };
	struct seen seen = { .end_at = NEVER };
	struct image img;
	struct qcow2 *q;

	(void)state;
	sound_image(&img);
	image_put(&img.file, image_field_pos(IMAGE_CRYPT_METHOD), 1, 4);
	inspect.flags = QCOW2_INSPECT;
	q = qcow2_open_options(image_to_fd(&img), &inspect, NULL);
	TRUE(q != NULL);
	EQ(run_flags(q, &seen, 0), 0);
	EQ(seen.n_all, 0);
	deep.flags = QCOW2_CHECK_DEEP;
	fails(q, &deep, ENOTSUP, "");
	qcow2_close(q);
	image_free(&img);
}

/* ---- Reading the data ---- */

static void test_deep(void **state)
{
	struct seen seen = { .end_at = NEVER };
	uint64_t pos;
	struct image img;
	struct qcow2 *q;

	(void)state;
	image_init(&img, 3, BITS, SIZE);
	image_add_range(&img, &img.active, 0, 8, IMAGE_DATA);
	image_add_packed(&img, &img.active, 9, bad_deflate, 4, IMAGE_ANYWHERE, 0, NULL);
	image_add(&img, &img.active, 20, IMAGE_COMPRESSED);
	image_finish(&img);
	image_put(&img.file, l2(&img, 30), 0x1200, 8);
	pos = image_get(&img.file, l2(&img, 9), 8) & 0xffffffffff;
	q = open_good(image_to_fd(&img));
	EQ(run_flags(q, &seen, 0), 0);
	EQ(strstr(seen.texts, "compressed data") == NULL, 1);
	seen.q = q; /* what the callback does changes nothing */
	EQ(run_flags(q, &seen, QCOW2_CHECK_DEEP), 0);
	HAS(seen.texts, "ERROR compressed data is corrupt");
	EQ(seen.last.position, pos);
	EQ(seen.last.cluster, UINT64_MAX);
	/* What the tables have wrong is told once. */
	EQ(strstr(seen.texts, "entry is invalid") == NULL, 1);
	qcow2_close(q);
	image_free(&img);
}

/* The external data file, and the images below, are read, but their tables are not checked. */
static void test_deep_other_files(void **state)
{
	struct qcow2_file data = { "data", -1, NULL }, below = { "below", -1, "qcow2" };
	struct qcow2_options options = { .struct_size = sizeof options };
	struct seen seen = { .end_at = NEVER };
	struct image img;
	struct qcow2 *q;

	(void)state;
	image_init(&img, 3, BITS, SIZE);
	img.has_data_file = true;
	image_add_range(&img, &img.active, 3, 4, IMAGE_DATA);
	image_to_file(&img, "top", "data");
	EQ(truncate("data", 5 * CLUSTER), 0);
	options.data_file = &data;
	q = qcow2_open_options(open_read("top"), &options, NULL);
	TRUE(q != NULL);
	EQ(run_flags(q, &seen, QCOW2_CHECK_DEEP), 0);
	EQ(seen.result.corruptions, 1);
	qcow2_close(q);
	image_free(&img);
	test_case("below");
	sound_image(&img);
	image_put(&img.file, l2(&img, 5), 0x1200, 8);
	image_to_file(&img, "below", NULL);
	image_free(&img);
	write_overlay("overlay", "below", "qcow2");
	options.data_file = NULL;
	options.backing = &below;
	options.n_backing = 1;
	q = qcow2_open_options(open_read("overlay"), &options, NULL);
	TRUE(q != NULL);
	EQ(run_flags(q, &seen, 0), 0);
	EQ(seen.n_all, 0);
	EQ(run_flags(q, &seen, QCOW2_CHECK_DEEP), 0);
	EQ(seen.result.corruptions, 1);
	qcow2_close(q);
}

/* ---- Faults ---- */

/* Without memory for names, a snapshot has its number. */
static bool only_lost_a_name(const struct seen *seen)
{
	return strstr(seen->texts, "snapshot number 0 l1_offset") != NULL;
}

static void test_faults(void **state)
{
	static const enum call calls[] = { CALL_ALLOC, CALL_PREAD };
	struct seen good = { .end_at = NEVER }, seen = { .end_at = NEVER };
	struct image img;
	struct qcow2 *q;

	(void)state;
	sound_image(&img);
	image_put(&img.file, img.snapshots_pos, 0x1200, 8);
	for (size_t i = 0; i < 2 * COUNT(calls); i++) {
		enum call call = calls[i % 2];
		unsigned n = 1;

		for (;; n++) {
			unsigned fds = count_fds();
			int rc;

			q = open_good(image_to_fd(&img));
			hooks_reset();
			EQ(run_flags(q, &good, QCOW2_CHECK_DEEP), 0);
			hooks_reset();
			hooks.persistent = i >= COUNT(calls);
			hooks.fail_at[call] = n;
			test_case("call %u, number %u", call, n);
			rc = run_flags(q, &seen, QCOW2_CHECK_DEEP);
			if (hooks.n_failed == 0u)
				break;
			if (rc < 0)
				EQ(errno, call_errno[call]);
			else
				TRUE(seen.result.errors != good.result.errors ||
				     only_lost_a_name(&seen) ||
				     strcmp(seen.texts, good.texts) == 0);
			hooks_reset();
			EQ(run_flags(q, &seen, QCOW2_CHECK_DEEP), 0);
			TEXT(seen.texts, good.texts);
			qcow2_close(q);
			EQ(count_fds(), fds);
		}
		LE(3, n);
		hooks_reset();
		qcow2_close(q);
	}
	image_free(&img);
}

/* A part of the disk that cannot be read is an error, and the rest is checked. */
static void test_unreadable_data(void **state)
{
	struct seen seen = { .end_at = NEVER };
	struct image img;
	struct qcow2 *q;
	unsigned n;

	(void)state;
	sound_image(&img);
	q = open_good(image_to_fd(&img));
	for (n = 1; n < 200; n++) {
		hooks_reset();
		hooks.fail_at[CALL_PREAD] = n;
		if (run_flags(q, &seen, QCOW2_CHECK_DEEP) == 0 && seen.result.errors != 0u)
			break;
	}
	EQ(seen.result.errors, 1);
	HAS(seen.texts, "ERROR ");
	EQ(seen.done, SIZE);
	hooks_reset();
	qcow2_close(q);
	image_free(&img);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_findings),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_lines_of_shapes),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_wrong_options),
		cmocka_unit_test_setup_teardown(test_other_images, dir_setup, dir_teardown),
		cmocka_unit_test(test_damaged_tables),
		cmocka_unit_test(test_encrypted),
		cmocka_unit_test(test_deep),
		cmocka_unit_test_setup_teardown(test_deep_other_files, dir_setup, dir_teardown),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_unreadable_data),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
