/* SPDX-License-Identifier: MIT */
/*
 * The POSIX library, with options, on files in memory: what it reads is what the core reads with
 * its own decoder, map agrees with read, and no descriptor is lost, whatever fails.
 *
 * The input is an image or a container of fuzz_chain.c, whose layers are given to whoever asks for
 * a backing file; the last one is the external data file, too.
 */
#define _GNU_SOURCE /* memfd_create */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"

#include "qcow2.h"

enum { FILES_MAX = 4, HEAD_LEN = 16 };

struct inputs {
	const uint8_t *bytes[FILES_MAX];
	size_t len[FILES_MAX];
	unsigned n;
	struct fuzz_choices choices;
	int said; /* errno that the callback gave */
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
		errno = in->said = EXDEV;
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
	      error == ENOENT || error == ELOOP || (in->said != 0 && error == in->said));
}

/* ---- Reading ---- */

/* The same bytes from the core, on the same files. */
static void check_core(struct qcow2 *q, struct inputs *in, struct fuzz_reader *core, uint64_t off)
{
	static uint8_t got[8192], want[8192];
	size_t len = 1 + (size_t)fuzz_choose(&in->choices, sizeof got);
	uint64_t left = qcow2_get_size(q) - off;
	int n = qcow2_read(q, got, len, off);
	int error = errno;
	int rc;

	if (len > left)
		len = (size_t)left;
	rc = qcow2_reader_read(&core->reader, off, want, len);
	if (rc == QCOW2_E_CODEC)
		return;
	CHECK((n < 0) == (rc != QCOW2_OK));
	if (n < 0)
		check_failure(in, NULL, error);
	else
		CHECK((size_t)n == len && memcmp(got, want, len) == 0);
}

static void check_segment(struct qcow2 *q, const struct qcow2_segment *s)
{
	static uint8_t got[4096], want[4096];
	size_t len = s->length < sizeof got ? (size_t)s->length : sizeof got;
	int n;

	CHECK((s->flags & ~31u) == 0);
	CHECK((s->flags & QCOW2_SEGMENT_AT) == 0 || (s->flags & QCOW2_SEGMENT_COMPRESSED) == 0);
	n = qcow2_read(q, got, len, s->start);
	if (n < 0) {
		CHECK((s->flags & QCOW2_SEGMENT_COMPRESSED) != 0);
		return;
	}
	CHECK((size_t)n == len);
	memset(want, 0, sizeof want);
	if ((s->flags & QCOW2_SEGMENT_DATA) != 0) {
		if ((s->flags & QCOW2_SEGMENT_AT) == 0 || s->file_offset > INT64_MAX - 4096)
			return;
		CHECK(pread(s->fd, want, len, (off_t)s->file_offset) >= 0);
	}
	CHECK(memcmp(got, want, len) == 0);
}

static void check_map(struct qcow2 *q, uint64_t off)
{
	struct qcow2_segment s;
	int steps, rc;

	for (steps = 0; steps < 8; steps++) {
		rc = qcow2_map(q, off, UINT64_C(1) << 30, &s);
		if (rc <= 0) {
			CHECK(rc < 0 || off >= qcow2_get_size(q));
			return;
		}
		CHECK(s.start == off && s.length > 0 && s.length <= qcow2_get_size(q) - off);
		check_segment(q, &s);
		off += s.length;
	}
}

/* is_active: it is what qcow2_get_image() describes, not a snapshot. */
static void check_reading(struct qcow2 *q, struct inputs *in, bool is_active)
{
	const struct qcow2_image *image = qcow2_get_image(q, 0);
	uint64_t size = qcow2_get_size(q);
	struct fuzz_reader core;
	char end;
	int i;

	CHECK(image != NULL && (!is_active || image->size == size));
	CHECK(qcow2_read(q, &end, 1, size) == 0);
	if (fuzz_reader_start(&core, image, FUZZ_LARGE) != QCOW2_OK) {
		CHECK(qcow2_read(q, &end, 1, 0) <= 0);
		return;
	}
	for (i = 0; i < 4 && size != 0; i++) {
		uint64_t off = fuzz_choose_offset(&in->choices, image, in->bytes[0], in->len[0]);

		if (off >= size)
			off = size - 1;
		if (is_active)
			check_core(q, in, &core, off);
		check_map(q, off);
	}
	fuzz_reader_stop(&core);
}

static void check_snapshots(struct qcow2 *q)
{
	struct qcow2_snapshot_entry *list = NULL;
	int n = qcow2_list_snapshots(q, &list);
	int i;

	if (n < 0)
		return;
	for (i = 0; i < n; i++)
		CHECK(list[i].id[list[i].id_len] == 0 && list[i].name[list[i].name_len] == 0);
	free(list);
}

/* ---- Opening ---- */

static void choose_options(struct inputs *in, struct qcow2_options *o)
{
	static const char *const names[] = { "1", "one", "second", "third", "" };

	memset(o, 0, sizeof *o);
	o->struct_size = sizeof *o;
	o->flags = (unsigned)fuzz_choose(&in->choices, 4);
	if (fuzz_choose(&in->choices, 8) == 0)
		o->flags |= QCOW2_INSPECT;
	o->max_readers = (unsigned)fuzz_choose(&in->choices, 3);
	o->reader_memory = fuzz_choose(&in->choices, 2) == 0 ? 0 : 8000;
	if (fuzz_choose(&in->choices, 4) == 0)
		o->snapshot = names[fuzz_choose(&in->choices, 5)];
	if (fuzz_choose(&in->choices, 2) == 0)
		o->backing_format = "raw";
	if (fuzz_choose(&in->choices, 8) != 0)
		o->open_file = open_file;
	o->open_file_ctx = in;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct inputs in;
	struct qcow2_options options;
	const char *text = NULL;
	struct qcow2 *q;
	int fd, next;

	memset(&in, 0, sizeof in);
	split(&in, data, len);
	fuzz_choices_init(&in.choices, in.bytes[0], in.len[0]);
	choose_options(&in, &options);
	fd = file_new(&in, 0);
	q = qcow2_open_options(fd, &options, &text);
	if (q == NULL) {
		CHECK(text != NULL);
		check_failure(&in, text, errno);
	} else {
		CHECK(text == NULL);
		check_reading(q, &in, options.snapshot == NULL);
		check_snapshots(q);
		qcow2_close(q);
	}
	/* All is closed: the next descriptor is the one that was the first. */
	next = file_new(&in, 0);
	CHECK(next == fd);
	close(next);
	return 0;
}
