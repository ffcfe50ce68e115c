/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/* The consistency check, with any memory, against a model that has a counter for each cluster. */
#include "common.h"

#include "../tests/support/check_model.h"
#include "qcow2/check.h"

enum {
	MODEL_STEPS = 200000,
	MEMORY_MORE = 200000,
	CODES = QCOW2_CHECK_OWNER + 1,
	TABLE_LEN_MAX = 8 * 1024 * 1024,
	TABLE_CLUSTERS_MOST = 64 /* of the tables that this target looks at */
};

struct subject {
	struct fuzz_file file;
	struct fuzz_files files;
	struct fuzz_choices choices;
	struct qcow2_image image;
	struct qcow2_check check;
	uint64_t n[CODES];
};

static int count(void *ctx, const struct qcow2_check_finding *finding)
{
	struct subject *w = ctx;

	CHECK(finding->code < CODES && finding->owner <= QCOW2_OWNER_BITMAP_DATA);
	w->n[finding->code]++;
	return 0;
}

static int run(struct subject *w, size_t len, uint64_t max_calls, struct qcow2_error *err)
{
	uint8_t *memory = fuzz_buf_new(len);
	uint32_t how = (uint32_t)fuzz_choose(&w->choices, 4);
	int rc;

	memset(&w->check, 0xa5, sizeof w->check);
	memset(w->n, 0, sizeof w->n);
	w->check.report = count;
	w->check.step = NULL;
	w->check.ctx = w;
	w->check.bitmaps = qcow2_check_bitmaps;
	w->check.strict = (how & 2u) != 0u ? NULL : qcow2_check_strict;
	w->check.flags = how & QCOW2_CHECK_OWNERS;
	w->check.max_calls = max_calls;
	rc = qcow2_image_check(&w->check, &w->image, memory, len, err);
	CHECK(err->status == rc);
	CHECK(w->check.n_calls <= max_calls && fuzz_calls(&w->files) <= w->check.n_calls);
	fuzz_buf_free(memory, len);
	return rc;
}

static size_t choose_memory(struct subject *w)
{
	if (fuzz_choose(&w->choices, 2) == 0)
		return QCOW2_CHECK_MEMORY + (size_t)fuzz_choose(&w->choices, 2000);
	return QCOW2_CHECK_MEMORY + (size_t)fuzz_choose(&w->choices, MEMORY_MORE);
}

/* How often a check finds this, by the model. Without qcow2_check_strict, it does not find all. */
static uint64_t expected(const struct subject *w, const struct check_model *m, unsigned code)
{
	return w->check.strict == NULL && check_model_is_strict(code) ? 0 : m->n[code];
}

static void check_against_model(struct subject *w, const uint8_t *data, size_t len)
{
	struct check_model m;
	struct qcow2_error err;
	unsigned code;
	int rc;

	if (!check_model_run(&m, &w->image, data, len, MODEL_STEPS))
		return;
	fuzz_calls_reset(&w->files, 0);
	rc = run(w, choose_memory(w), UINT64_MAX, &err);
	CHECK(rc == m.failed);
	if (rc != QCOW2_OK)
		return;
	for (code = 0; code < QCOW2_CHECK_OWNER; code++)
		CHECK(w->n[code] == expected(w, &m, code) || code == QCOW2_CHECK_BLOCK_SHARED);
	CHECK((w->n[QCOW2_CHECK_BLOCK_SHARED] != 0) == (m.n[QCOW2_CHECK_BLOCK_SHARED] != 0));
	CHECK(w->check.allocated == m.allocated && w->check.fragmented == m.fragmented);
	CHECK(w->check.compressed == m.compressed && w->check.end == m.end);
	CHECK(w->check.snapshot_copied == m.snapshot_copied);
}

/* With few calls, and with a call that fails. */
static void check_limits(struct subject *w)
{
	struct qcow2_error err;
	int rc;

	fuzz_calls_reset(&w->files, 0);
	rc = run(w, choose_memory(w), fuzz_choose(&w->choices, 100), &err);
	CHECK(rc == QCOW2_OK || rc == QCOW2_E_LIMIT || rc == QCOW2_E_SNAPSHOT);
	fuzz_calls_reset(&w->files, 1 + fuzz_choose(&w->choices, 20));
	rc = run(w, choose_memory(w), 10000, &err);
	if (fuzz_has_failed(&w->files))
		CHECK(rc == QCOW2_E_IO && err.io_code == FUZZ_FAULT && err.io == &w->image.io);
}

/* Images whose refcount table is too large or misplaced are refused. Returns whether this one is.
 */
static bool check_refused(struct subject *w)
{
	const struct qcow2_image *image = &w->image;
	int want = QCOW2_OK;
	struct qcow2_error err;

	if (image->refcount_table_clusters > (uint32_t)TABLE_LEN_MAX >> image->cluster_bits)
		want = QCOW2_E_TOO_BIG;
	else if (image->refcount_table_pos >> 63 != 0 ||
	         (image->refcount_table_pos & (image->cluster_len - 1)) != 0)
		want = QCOW2_E_REFCOUNT;
	if (want == QCOW2_OK)
		return false;
	fuzz_calls_reset(&w->files, 0);
	CHECK(run(w, choose_memory(w), UINT64_MAX, &err) == want && fuzz_calls(&w->files) == 0);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct subject w = { .files = { .n = 1 } };
	unsigned flags = QCOW2_OPEN_INSPECT | QCOW2_OPEN_TRUNCATED | QCOW2_OPEN_LAYER;

	fuzz_choices_init(&w.choices, data, len);
	fuzz_file_init(&w.file, data, len);
	w.files.file[0] = &w.file;
	if (qcow2_image_open(&w.image, &w.file.io, flags, NULL) != QCOW2_OK ||
	    qcow2_image_extensions(&w.image, NULL) != QCOW2_OK)
		return 0;
	/* The choices are in the fields of the refcount table, so this is often a huge one. */
	if (check_refused(&w) || w.image.refcount_table_clusters > TABLE_CLUSTERS_MOST)
		return 0;
	check_against_model(&w, data, len);
	check_limits(&w);
	return 0;
}
