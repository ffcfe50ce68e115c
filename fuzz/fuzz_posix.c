/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The POSIX library with options, on files in memory. It reads what the core reads with its own
 * decoder, at once or in pieces, with little memory or much, from short preads or long ones. Map
 * agrees with read. A failure is reported and the call can be repeated. No descriptor is lost.
 *
 * The input is an image or a container of fuzz_chain.c. The callback opens the layers of a
 * container as backing files, and the last one also as the external data file.
 */
/* First, because it sets the macros for the system's headers. It has the images of a handle. */
#include "../port/posix/handle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"

#include "qcow2/snapshot.h"

enum { FILES_MAX = 4, HEAD_LEN = 16, READ_MAX = 8192 };

struct inputs {
	const uint8_t *bytes[FILES_MAX];
	size_t len[FILES_MAX];
	unsigned n;
	struct fuzz_choices choices;
	int callback_errno; /* the errno that the callback set */
};

static void split(struct inputs *in, const uint8_t *data, size_t len)
{
	size_t at = HEAD_LEN;

	in->bytes[0] = data;
	in->len[0] = len;
	in->n = 1;
	if (len <= HEAD_LEN || memcmp(data, "LAYR", 4) != 0)
		return;
	for (in->n = 0; in->n < FILES_MAX && at < len; in->n++) {
		const uint8_t *p = data + 4 + 4 * (size_t)in->n;
		size_t want = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];

		if (in->n == FILES_MAX - 1 || want == 0 || want > len - at)
			want = len - at;
		in->bytes[in->n] = data + at;
		in->len[in->n] = want;
		at += want;
	}
}

static int file_new(const struct inputs *in, unsigned i)
{
	int fd = memfd_create("image", 0);

	if (fd < 0 || write(fd, in->bytes[i], in->len[i]) != (ssize_t)in->len[i])
		abort();
	return fd;
}

static int open_file(void *ctx, const struct qcow2_file_request *request, const char **format)
{
	struct inputs *in = ctx;
	unsigned i = request->depth + 1;

	CHECK(request->name != NULL && memchr(request->name, 0, request->name_len) == NULL);
	CHECK(request->name[request->name_len] == 0 && request->path == NULL);
	if (request->kind == QCOW2_FILE_DATA)
		return file_new(in, in->n - 1);
	if (i >= in->n) {
		errno = in->callback_errno = EXDEV;
		return -1;
	}
	*format = in->len[i] >= 4 && memcmp(in->bytes[i], "QFI\xfb", 4) == 0 ? "qcow2" : "raw";
	return file_new(in, i);
}

static void check_failure(const struct inputs *in, const char *text, int error)
{
	const struct qcow2_failure *failure = qcow2_last_failure();

	CHECK(failure != NULL && failure->error == error && failure->text != NULL);
	CHECK(memchr(failure->message, 0, sizeof failure->message) != NULL);
	CHECK(text == NULL || text == failure->text);
	CHECK(error == ENOTSUP || error == EINVAL || error == EFBIG || error == EIO ||
	      error == ENOENT || error == ELOOP ||
	      (in->callback_errno != 0 && error == in->callback_errno));
}

/* ---- Calls of the library that the linker redirects to this file (--wrap) ---- */

enum { PREAD_ERRNO = ENODATA };

static struct {
	uint64_t n_preads, n_allocs;
	uint64_t fail_pread, fail_alloc; /* the call that fails, from 1; 0 if none does */
	bool for_good;                   /* all calls after it also fail */
	bool has_failed;
	size_t pread_most; /* not 0: the most bytes of a pread; then every fifth is interrupted */
} hooks;

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
ssize_t __real_pread64(int fd, void *buf, size_t len, off_t pos);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t pos);

static bool fails(uint64_t n, uint64_t fail, int error)
{
	if (fail == 0 || n < fail || (n > fail && !hooks.for_good))
		return false;
	hooks.has_failed = true;
	errno = error;
	return true;
}

static bool alloc_fails(void)
{
	return fails(++hooks.n_allocs, hooks.fail_alloc, ENOMEM);
}

void *__wrap_malloc(size_t len)
{
	return alloc_fails() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
	return alloc_fails() ? NULL : __real_calloc(n, len);
}

char *__wrap_strdup(const char *text)
{
	return alloc_fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t len)
{
	return alloc_fails() ? NULL : __real_strndup(text, len);
}

ssize_t __wrap_pread64(int fd, void *buf, size_t len, off_t pos)
{
	if (fails(++hooks.n_preads, hooks.fail_pread, PREAD_ERRNO))
		return -1;
	if (hooks.pread_most != 0 && hooks.n_preads % 5 == 0) {
		errno = EINTR;
		return -1;
	}
	if (hooks.pread_most != 0 && len > hooks.pread_most)
		len = hooks.pread_most;
	return __real_pread64(fd, buf, len, pos);
}

/* Makes one of the next calls fail, or that and all after it. */
static void faults_on(struct fuzz_choices *choices)
{
	uint64_t n = 1 + fuzz_choose(choices, 6);

	hooks.n_preads = hooks.n_allocs = 0;
	hooks.has_failed = false;
	hooks.for_good = fuzz_choose(choices, 2) == 0;
	if (fuzz_choose(choices, 3) == 0)
		hooks.fail_alloc = n;
	else
		hooks.fail_pread = n;
}

static void faults_off(void)
{
	hooks.fail_pread = hooks.fail_alloc = 0;
}

/* True if a call failed with the errno of a fault in it. */
static bool is_fault(int error)
{
	return hooks.has_failed && (error == PREAD_ERRNO || error == ENOMEM);
}

/*
 * The library makes at most two preads for each io call of the core: it tries to read ahead, and
 * then reads the slice alone. It makes no others.
 */
static void check_preads(uint64_t n_io)
{
	if (hooks.pread_most == 0)
		CHECK(hooks.n_preads <= 2 * n_io);
}

/* ---- Reading ---- */

/* A handle of the library, a reader of the core on the same files, and the memory of readers. */
struct subject {
	struct qcow2 *q;
	struct inputs *in;
	struct qcow2_image image; /* the image of the snapshot, or the active one */
	struct fuzz_reader core;
	int how;
};

/* The largest number of io calls that reading a part of the disk may take. */
static uint64_t read_cost(struct subject *s, uint64_t off, size_t len)
{
	struct qcow2_extent e;
	uint64_t n = 0;

	for (; len > 0; off += e.len, len -= (size_t)e.len) {
		CHECK(qcow2_reader_map(&s->core.reader, off, len, &e) == QCOW2_OK);
		n += fuzz_map_cost(&s->image, &e, s->how) + fuzz_data_cost(&e, s->how);
	}
	return n;
}

/* Reads into a buffer between canaries, with a fault or without. Returns -1 and errno, or len. */
static int read_guarded(struct subject *s, uint64_t off, uint8_t *bytes, size_t len, bool faulty)
{
	uint8_t *buf = fuzz_buf_new(len);
	int n, error;

	hooks.n_preads = 0;
	if (faulty)
		faults_on(&s->in->choices);
	n = qcow2_read(s->q, buf, len, off);
	error = errno;
	faults_off();
	CHECK(n < 0 || (size_t)n == len);
	if (n > 0)
		memcpy(bytes, buf, len);
	fuzz_buf_free(buf, len);
	errno = error;
	return n;
}

/* A read with a fault reports it, or succeeds all the same, or meets another error first. */
static void read_faulty(struct subject *s, uint64_t off, const uint8_t *want, size_t len, int rc)
{
	static uint8_t got[READ_MAX];
	int n = read_guarded(s, off, got, len, true);
	int error = errno;

	if (n >= 0)
		CHECK(rc == QCOW2_OK && memcmp(got, want, len) == 0);
	else if (is_fault(error))
		CHECK(qcow2_last_failure()->error == error);
	else
		CHECK(rc != QCOW2_OK);
}

static void read_in_two(struct subject *s, uint64_t off, const uint8_t *want, size_t len, int rc)
{
	static uint8_t got[READ_MAX];
	size_t first = (size_t)fuzz_choose(&s->in->choices, len + 1);
	int n = read_guarded(s, off, got, first, false);
	int n2 = read_guarded(s, off + first, got + first, len - first, false);

	CHECK((n < 0 || n2 < 0) == (rc != QCOW2_OK));
	CHECK(rc != QCOW2_OK || memcmp(got, want, len) == 0);
}

/* The library reads the bytes of the core: with a fault, after it, again, and in pieces. */
static void check_read(struct subject *s, uint64_t off)
{
	static uint8_t got[READ_MAX], want[READ_MAX];
	size_t len = 1 + (size_t)fuzz_choose(&s->in->choices, READ_MAX);
	uint64_t left = qcow2_get_size(s->q) - off;
	int n, rc, i;

	if (len > left)
		len = (size_t)left;
	rc = qcow2_reader_read(&s->core.reader, off, want, len);
	if (rc == QCOW2_E_CODEC)
		return;
	read_faulty(s, off, want, len, rc);
	for (i = 0; i < 2; i++) {
		n = read_guarded(s, off, got, len, false);
		CHECK((n < 0) == (rc != QCOW2_OK));
		if (n < 0)
			check_failure(s->in, NULL, errno);
		else
			CHECK(memcmp(got, want, len) == 0);
		if (n >= 0)
			check_preads(read_cost(s, off, len));
	}
	read_in_two(s, off, want, len, rc);
}

static void check_segment(struct subject *subject, const struct qcow2_segment *s)
{
	const unsigned may_fail = QCOW2_SEGMENT_COMPRESSED | QCOW2_SEGMENT_ENCRYPTED;
	static uint8_t got[4096], want[4096];
	size_t len = s->length < sizeof got ? (size_t)s->length : sizeof got;
	int n;

	CHECK((s->flags & ~63u) == 0);
	CHECK((s->flags & QCOW2_SEGMENT_AT) == 0 || (s->flags & may_fail) == 0);
	n = read_guarded(subject, s->start, got, len, false);
	if (n < 0) {
		CHECK((s->flags & may_fail) != 0);
		return;
	}
	memset(want, 0, sizeof want);
	if ((s->flags & QCOW2_SEGMENT_DATA) != 0) {
		if ((s->flags & QCOW2_SEGMENT_AT) == 0 || s->file_offset > INT64_MAX - 4096)
			return;
		CHECK(__real_pread64(s->fd, want, len, (off_t)s->file_offset) >= 0);
	}
	CHECK(memcmp(got, want, len) == 0);
}

/* Maps, with a fault or without, and checks what must be true of each call. */
static int map_guarded(struct subject *s, uint64_t off, struct qcow2_segment *segment, bool faulty)
{
	uint8_t *buf = fuzz_buf_new(sizeof *segment);
	int rc, error;

	hooks.n_preads = 0;
	if (faulty)
		faults_on(&s->in->choices);
	rc = qcow2_map(s->q, off, UINT64_C(1) << 30, (struct qcow2_segment *)(void *)buf);
	error = errno;
	faults_off();
	memcpy(segment, buf, sizeof *segment);
	fuzz_buf_free(buf, sizeof *segment);
	CHECK(rc != 0 || off >= qcow2_get_size(s->q));
	if (rc == 1) {
		const struct qcow2_extent e = { .off = off, .len = segment->length };

		CHECK(segment->start == off && segment->length > 0);
		CHECK(segment->length <= qcow2_get_size(s->q) - off);
		check_preads(fuzz_map_cost(&s->image, &e, s->how));
	}
	errno = error;
	return rc;
}

static bool same_segment(const struct qcow2_segment *a, const struct qcow2_segment *b)
{
	return a->start == b->start && a->flags == b->flags && a->depth == b->depth &&
	       a->fd == b->fd && a->file_offset == b->file_offset;
}

static void map_faulty(struct subject *s, uint64_t off, const struct qcow2_segment *want, int rc)
{
	struct qcow2_segment got;
	int rc2 = map_guarded(s, off, &got, true);

	if (rc2 >= 0)
		CHECK(rc2 == rc && (rc == 0 || same_segment(&got, want)));
	else
		CHECK(is_fault(errno) || rc < 0);
}

static void check_map(struct subject *s, uint64_t off)
{
	struct qcow2_segment first, again;
	int steps, rc;

	for (steps = 0; steps < 8; steps++) {
		rc = map_guarded(s, off, &first, false);
		/* Maps another place, then this one with a fault, then this one again. */
		map_guarded(s, fuzz_choose(&s->in->choices, s->image.size), &again, false);
		map_faulty(s, off, &first, rc);
		CHECK(map_guarded(s, off, &again, false) == rc);
		if (rc <= 0)
			return;
		CHECK(same_segment(&first, &again));
		check_segment(s, &first);
		off += first.length;
	}
}

/* ---- Snapshots ---- */

/* True if the snapshot has this id, or this name. */
static bool has_text(const struct qcow2_image *image, const struct qcow2_snapshot *s,
                     const char *text, bool is_name)
{
	static uint8_t strings[2 * UINT16_MAX];
	size_t len = is_name ? s->name_len : s->id_len;

	if (len != strlen(text))
		return false;
	CHECK(qcow2_snapshot_strings(image, s, strings, NULL) == QCOW2_OK);
	return memcmp(strings + (is_name ? s->id_len : 0), text, len) == 0;
}

/* The image of the first snapshot with this id, or else with this name. */
static void snapshot_image(struct qcow2_image *image, const char *text)
{
	const struct qcow2_image active = *image;
	struct qcow2_snapshot s;
	int pass;

	for (pass = 0; pass < 2; pass++) {
		const struct qcow2_snapshot *previous = NULL;

		while (qcow2_snapshot_next(&active, previous, &s, NULL) == QCOW2_OK) {
			if (has_text(&active, &s, text, pass == 1)) {
				CHECK(qcow2_snapshot_image(image, &active, &s, NULL) == QCOW2_OK);
				return;
			}
			previous = &s;
		}
	}
	fuzz_fail(__FILE__, __LINE__, "a snapshot that was opened is in the table");
}

static int list_guarded(struct qcow2 *q)
{
	struct qcow2_snapshot_entry *list;
	int n, i;

	hooks.n_preads = 0;
	n = qcow2_list_snapshots(q, &list);
	if (n < 0)
		return n;
	for (i = 0; i < n; i++)
		CHECK(list[i].id[list[i].id_len] == 0 && list[i].name[list[i].name_len] == 0);
	/* The library reads each entry twice and its strings once. */
	check_preads(5 * (uint64_t)n);
	free(list);
	return n;
}

static int bitmaps_guarded(struct qcow2 *q)
{
	struct qcow2_bitmap_entry *list;
	int n, i;

	hooks.n_preads = 0;
	n = qcow2_list_bitmaps(q, &list);
	if (n < 0)
		return n;
	for (i = 0; i < n; i++)
		CHECK(list[i].name[list[i].name_len] == 0 && list[i].granularity != 0);
	check_preads(2 + 3 * (uint64_t)n);
	free(list);
	return n;
}

/* Returns the number of clusters in use, or -1 for a failure. */
static int count_guarded(struct qcow2 *q)
{
	const struct qcow2_image *image = &q->top->image;
	uint64_t n;

	if (qcow2_count_clusters(q, 0, UINT64_MAX, &n) != 0)
		return -1;
	CHECK(n <= (image->io.size >> image->cluster_bits) + 1);
	return (int)n;
}

/* Makes a call that returns a number or -1: with a fault, after it, and again. */
static void check_call(struct qcow2 *q, struct inputs *in, int (*call)(struct qcow2 *q))
{
	int faulty, error, n;

	faults_on(&in->choices);
	faulty = call(q);
	error = errno;
	faults_off();
	n = call(q);
	CHECK(faulty == n || (faulty < 0 && is_fault(error)));
	CHECK(call(q) == n);
}

static void check_string(struct qcow2_string s)
{
	char shown[16];

	CHECK(s.bytes == NULL ? s.len == 0 : s.bytes[s.len] == 0); /* it may be empty */
	CHECK(qcow2_printable(shown, sizeof shown, s.bytes, s.len) >= s.len);
	CHECK(memchr(shown, 0, sizeof shown) != NULL);
}

/* Describes each image of the chain, with a fault and without. */
static void check_info(struct qcow2 *q, struct inputs *in)
{
	struct qcow2_info info = { .struct_size = sizeof info }, again = info;
	unsigned depth;

	for (depth = 0; qp_layer_at(q->top, depth) != NULL; depth++) {
		faults_on(&in->choices);
		CHECK(qcow2_get_info(q, depth, &info) == 0);
		CHECK(!info.incomplete || qcow2_last_failure()->error != 0);
		faults_off();
		CHECK(qcow2_get_info(q, depth, &info) == 0);
		check_string(info.backing_file);
		check_string(info.backing_format);
		check_string(info.data_file);
		CHECK(qcow2_get_info(q, depth, &again) == 0);
		CHECK(info.incomplete == again.incomplete);
		CHECK(info.backing_file.bytes == again.backing_file.bytes);
		CHECK(qcow2_in_use(q, depth) == 0);
	}
	CHECK(qcow2_in_use(q, depth) == -1);
	CHECK(qcow2_get_info(q, depth, &info) == -1);
}

static void check_reading(struct qcow2 *q, struct inputs *in, const struct qcow2_options *o)
{
	struct subject s = { .q = q, .in = in };
	uint64_t size = qcow2_get_size(q);
	char end;
	int i;

	s.image = q->top->image;
	s.how = o->reader_memory == 0 ? FUZZ_LARGE : FUZZ_SMALL;
	if (o->snapshot != NULL)
		snapshot_image(&s.image, o->snapshot);
	CHECK(s.image.size == size && qcow2_read(q, &end, 1, size) == 0);
	if (fuzz_reader_start(&s.core, &s.image, FUZZ_LARGE) != QCOW2_OK) {
		CHECK(qcow2_read(q, &end, 1, 0) <= 0);
		return;
	}
	for (i = 0; i < 4 && size != 0; i++) {
		uint64_t off = fuzz_choose_offset(&in->choices, &s.image, in->bytes[0], in->len[0]);

		if (off >= size)
			off = size - 1;
		check_read(&s, off);
		check_map(&s, off);
	}
	fuzz_reader_stop(&s.core);
}

/* ---- Opening ---- */

static void choose_options(struct inputs *in, struct qcow2_options *o)
{
	static const char *const names[] = { "1", "one", "second", "third", "" };
	static const size_t memories[] = { 0, 0, 1, 8000 };

	memset(o, 0, sizeof *o);
	o->struct_size = sizeof *o;
	o->flags = (unsigned)fuzz_choose(&in->choices, 4);
	if (fuzz_choose(&in->choices, 8) == 0)
		o->flags |= QCOW2_INSPECT;
	o->max_readers = (unsigned)fuzz_choose(&in->choices, 3);
	o->reader_memory = memories[fuzz_choose(&in->choices, 4)];
	if (fuzz_choose(&in->choices, 4) == 0)
		o->snapshot = names[fuzz_choose(&in->choices, 5)];
	if (fuzz_choose(&in->choices, 2) == 0)
		o->backing_format = "raw";
	if (fuzz_choose(&in->choices, 8) != 0)
		o->open_file = open_file;
	o->open_file_ctx = in;
}

/*
 * The most io calls of opening: for each image the header and each extension of 8 bytes, and for
 * each snapshot of at least 40 bytes three calls, once by id and once by name.
 */
static uint64_t open_cost(const struct inputs *in)
{
	uint64_t n = 0;
	unsigned i;

	for (i = 0; i < in->n; i++)
		n += 1 + in->len[i] / 8 + 6 * (1 + in->len[i] / 40);
	return n;
}

/* Opens with a fault, which is reported or does no harm. The descriptor is free afterwards. */
static void open_faulty(struct inputs *in, const struct qcow2_options *o, int fd)
{
	const char *text = NULL;
	struct qcow2 *q;

	faults_on(&in->choices);
	q = qcow2_open_options(fd, o, &text);
	faults_off();
	if (q == NULL && is_fault(errno))
		CHECK(text != NULL && qcow2_last_failure()->error == errno);
	else if (q == NULL)
		check_failure(in, text, errno);
	qcow2_close(q);
	CHECK(file_new(in, 0) == fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct inputs in;
	struct qcow2_options options;
	const char *text = NULL;
	struct qcow2 *q;
	int fd, next;

	memset(&in, 0, sizeof in);
	memset(&hooks, 0, sizeof hooks);
	split(&in, data, len);
	fuzz_choices_init(&in.choices, in.bytes[0], in.len[0]);
	choose_options(&in, &options);
	if (fuzz_choose(&in.choices, 4) == 0)
		hooks.pread_most = 100 + (size_t)fuzz_choose(&in.choices, 700);
	fd = file_new(&in, 0);
	open_faulty(&in, &options, fd);
	hooks.n_preads = 0;
	q = qcow2_open_options(fd, &options, &text);
	check_preads(open_cost(&in));
	if (q == NULL) {
		CHECK(text != NULL);
		check_failure(&in, text, errno);
	} else {
		CHECK(text == NULL);
		check_reading(q, &in, &options);
		check_call(q, &in, list_guarded);
		check_call(q, &in, bitmaps_guarded);
		check_call(q, &in, count_guarded);
		check_info(q, &in);
		qcow2_close(q);
	}
	/* If everything is closed, the next descriptor is the first one again. */
	next = file_new(&in, 0);
	CHECK(next == fd);
	close(next);
	return 0;
}
