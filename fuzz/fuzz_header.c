/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Header and extensions: opening an image with all flags, names of features, bytes of all spans.
 * The status and every member of the image are those of a model. Each call gives the same answer
 * twice, makes no more io calls than image.h allows, and succeeds after a fault.
 */
#include "common.h"
#include "model.h"

static void check_error(const struct qcow2_error *err, int rc, const struct qcow2_io *io)
{
	CHECK(rc < 0 && err->status == rc);
	CHECK(err->io == io);
	CHECK((rc == QCOW2_E_IO) == (err->io_code != 0));
	CHECK(qcow2_status_text(rc) != NULL);
}

/* Checks what must be true of every open image. */
static void check_open(const struct qcow2_image *image, unsigned flags)
{
	uint64_t l1_len = (uint64_t)image->l1_entries * 8;

	CHECK(image->version == 2 || image->version == 3);
	CHECK(image->cluster_bits >= 9 && image->cluster_bits <= 21);
	CHECK(image->size <= INT64_MAX && image->flags == flags);
	CHECK(image->l1_pos % (UINT64_C(1) << image->cluster_bits) == 0);
	if ((flags & QCOW2_OPEN_TRUNCATED) == 0)
		CHECK(l1_len == 0 ||
		      (l1_len <= image->io.size && image->l1_pos <= image->io.size - l1_len));
	CHECK(image->crypt_method == 0 || (flags & QCOW2_OPEN_INSPECT) != 0);
	CHECK(image->crypt_method <= 2 && image->backing == NULL && image->data == NULL);
	CHECK(image->backing_name.len <= QCOW2_NAME_MAX && image->backing_format.len <= 15);
	CHECK((image->incompatible >> 5) == 0 && image->refcount_order <= 6);
	CHECK(image->header_len <= UINT32_C(1) << image->cluster_bits);
	CHECK(image->version == 3 || (image->incompatible == 0 && image->header_len == 72));
}

/* Must make at most one io call. Called with a fault, and then without. */
static int bytes_guarded(const struct qcow2_image *image, struct qcow2_span span, uint8_t *buf,
                         struct qcow2_error *err)
{
	struct fuzz_file *file = image->io.ctx;
	int rc, want;

	file->n_calls = 0;
	want = qcow2_image_bytes(image, span, buf, err);
	CHECK(file->n_calls <= (span.len != 0));
	file->fail_at = file->n_calls + 1;
	rc = qcow2_image_bytes(image, span, buf, err);
	CHECK(rc == (file->n_calls == file->fail_at ? QCOW2_E_IO : want));
	file->fail_at = 0;
	CHECK(qcow2_image_bytes(image, span, buf, err) == want);
	return want;
}

/* The bytes are those of the file. Past its end they are zeros, or an error, by the flags. */
static void check_span(const struct qcow2_image *image, struct qcow2_span span)
{
	const struct fuzz_file *file = image->io.ctx;
	bool is_inside = span.len == 0 || (uint64_t)span.pos + span.len <= image->io.size;
	struct qcow2_error err;
	uint8_t *buf = fuzz_buf_new(span.len);
	int rc = bytes_guarded(image, span, buf, &err);
	uint32_t i;

	CHECK(span.len <= UINT32_C(1) << image->cluster_bits);
	if (is_inside || (image->flags & QCOW2_OPEN_TRUNCATED) != 0)
		CHECK(rc == QCOW2_OK);
	else
		CHECK(rc == QCOW2_E_TRUNCATED && err.status == rc);
	for (i = 0; rc == QCOW2_OK && i < span.len; i++) {
		uint64_t pos = (uint64_t)span.pos + i;

		CHECK(buf[i] == (pos < image->io.size ? file->bytes[pos] : 0));
	}
	fuzz_buf_free(buf, span.len);
}

static void check_spans(const struct qcow2_image *image)
{
	check_span(image, image->backing_name);
	check_span(image, image->backing_format);
	check_span(image, image->data_file_name);
	check_span(image, image->feature_names);
	check_span(image, image->bitmaps);
	check_span(image, image->crypto);
}

/* Opens with extensions. On failure the image is closed and the error names the caller's io. */
static int open_whole(struct qcow2_image *image, const struct qcow2_io *io, unsigned flags,
                      struct qcow2_error *err)
{
	int rc = qcow2_image_open(image, io, flags, err);

	if (rc != QCOW2_OK)
		return rc;
	rc = qcow2_image_extensions(image, err);
	if (rc == QCOW2_OK)
		return rc;
	CHECK(image->io.ops == io->ops); /* the image stays open */
	if (err != NULL) {
		CHECK(err->io == &image->io);
		err->io = io;
	}
	memset(image, 0, sizeof *image);
	return rc;
}

/* If any one io call fails, opening fails with QCOW2_E_IO; the next try gives the answer. */
static void check_faults(struct fuzz_file *file, unsigned flags, int want, uint64_t n_calls)
{
	uint64_t n = n_calls > 6 ? 6 : n_calls;
	struct qcow2_image image;
	struct qcow2_error err;

	for (; n > 0; n--) {
		file->n_calls = 0;
		file->fail_at = n;
		CHECK(open_whole(&image, &file->io, flags, &err) == QCOW2_E_IO);
		check_error(&err, QCOW2_E_IO, &file->io);
		CHECK(err.io_code == FUZZ_FAULT && image.io.ops == NULL);
	}
	file->fail_at = 0;
	CHECK(open_whole(&image, &file->io, flags, NULL) == want);
}

/* The most io calls of opening: one, and for extensions at most cluster size / 8. */
static uint64_t open_cost(const struct fuzz_file *file)
{
	uint8_t bits = file->io.size > 23 ? file->bytes[23] : 0;

	return bits >= 9 && bits <= 21 ? 1 + (UINT64_C(1) << bits >> 3) : 1;
}

static void check_same_span(struct qcow2_span a, struct qcow2_span b)
{
	CHECK(a.pos == b.pos && a.len == b.len);
}

static void check_same(const struct qcow2_image *image, const struct qcow2_image *want)
{
	CHECK(image->size == want->size && image->flags == want->flags);
	CHECK(image->l1_pos == want->l1_pos && image->l1_entries == want->l1_entries);
	CHECK(image->version == want->version && image->cluster_bits == want->cluster_bits);
	CHECK(image->refcount_order == want->refcount_order);
	CHECK(image->compression_type == want->compression_type);
	CHECK(image->l2_entry_bits == want->l2_entry_bits);
	CHECK(image->l1_entry_bits == want->l1_entry_bits);
	CHECK(image->cluster_len == want->cluster_len && image->crypt_method == want->crypt_method);
	CHECK(image->incompatible == want->incompatible && image->compatible == want->compatible);
	CHECK(image->autoclear == want->autoclear && image->header_len == want->header_len);
	CHECK(image->refcount_table_pos == want->refcount_table_pos);
	CHECK(image->refcount_table_clusters == want->refcount_table_clusters);
	CHECK(image->snapshots_pos == want->snapshots_pos);
	CHECK(image->n_snapshots == want->n_snapshots);
	check_same_span(image->backing_name, want->backing_name);
	check_same_span(image->backing_format, want->backing_format);
	check_same_span(image->data_file_name, want->data_file_name);
	check_same_span(image->feature_names, want->feature_names);
	check_same_span(image->bitmaps, want->bitmaps);
	check_same_span(image->crypto, want->crypto);
}

/* Opening, and then reading the extensions, gives what the model gives. */
static void check_model(struct fuzz_file *file, unsigned flags)
{
	const struct fuzz_model m = { file->bytes, file->io.size, flags };
	struct qcow2_image image, want;
	struct qcow2_error err;
	uint64_t pos;
	int rc = fuzz_model_open(&m, &want, &pos);

	CHECK(qcow2_image_open(&image, &file->io, flags, &err) == rc);
	CHECK(rc != QCOW2_E_HEADER || err.pos == pos);
	if (rc != QCOW2_OK)
		return;
	check_same(&image, &want);
	rc = fuzz_model_extensions(&m, &want);
	CHECK(qcow2_image_extensions(&image, &err) == rc);
	check_same(&image, &want);
}

static void check_flags(struct fuzz_file *file, unsigned flags)
{
	uint8_t *buf = fuzz_buf_new(sizeof(struct qcow2_image));
	struct qcow2_image *image = (struct qcow2_image *)(void *)buf, again;
	struct qcow2_error err;
	uint64_t n_calls;
	int rc;

	memset(&again, 0x5a, sizeof again);
	file->n_calls = 0;
	rc = open_whole(image, &file->io, flags, &err);
	n_calls = file->n_calls;
	CHECK(n_calls <= open_cost(file) && n_calls <= 2 + file->io.size / 8);
	CHECK(open_whole(&again, &file->io, flags, NULL) == rc);
	CHECK(memcmp(image, &again, sizeof again) == 0);
	if (rc == QCOW2_OK) {
		check_open(image, flags);
		check_spans(image);
	} else {
		check_error(&err, rc, &file->io);
		CHECK(image->io.ops == NULL);
	}
	fuzz_buf_free(buf, sizeof *image);
	check_faults(file, flags, rc, n_calls);
	check_model(file, flags);
}

/* Gets a name into a buffer between canaries. */
static int name_guarded(struct fuzz_file *file, unsigned kind, unsigned bit,
                        char name[QCOW2_FEATURE_NAME_ROOM])
{
	uint8_t *buf = fuzz_buf_new(QCOW2_FEATURE_NAME_ROOM);
	int rc = qcow2_feature_name(&file->io, kind, bit, (char *)buf);

	memcpy(name, buf, QCOW2_FEATURE_NAME_ROOM);
	fuzz_buf_free(buf, QCOW2_FEATURE_NAME_ROOM);
	return rc;
}

static void check_name(struct fuzz_file *file, unsigned kind, unsigned bit, uint64_t fail)
{
	char name[QCOW2_FEATURE_NAME_ROOM], again[QCOW2_FEATURE_NAME_ROOM];
	uint64_t n_calls;
	int rc, rc2;

	file->n_calls = 0;
	rc = name_guarded(file, kind, bit, name);
	n_calls = file->n_calls;
	CHECK(n_calls <= open_cost(file) + open_cost(file) * 8 / 48);
	CHECK(rc == QCOW2_OK || rc == QCOW2_E_NOT_FOUND);
	CHECK(rc != QCOW2_OK || memchr(name, 0, sizeof name) != NULL);
	file->n_calls = 0;
	file->fail_at = 1 + fail;
	rc2 = name_guarded(file, kind, bit, again);
	file->fail_at = 0;
	CHECK(rc2 == (n_calls > fail ? QCOW2_E_IO : rc));
	CHECK(name_guarded(file, kind, bit, again) == rc);
	CHECK(memcmp(name, again, sizeof name) == 0);
}

static void check_names(struct fuzz_file *file, struct fuzz_choices *choices)
{
	unsigned i;

	for (i = 0; i < 6; i++) {
		unsigned kind = (unsigned)fuzz_choose(choices, 3);
		unsigned bit = (unsigned)fuzz_choose(choices, 64);

		check_name(file, kind, bit, fuzz_choose(choices, 8));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_choices choices;
	struct fuzz_file file;
	unsigned flags;

	fuzz_choices_init(&choices, data, len);
	fuzz_file_init(&file, data, len);
	for (flags = 0; flags < 8; flags++)
		check_flags(&file, flags);
	check_names(&file, &choices);
	return 0;
}
