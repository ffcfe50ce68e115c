/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The snapshot table, entry by entry, and each snapshot, and its saved state, read as an image. The
 * status and all values are those of a model.
 */
#include "common.h"
#include "model.h"

#include "qcow2/snapshot.h"

enum { SNAPSHOTS_MOST = 64, READ_MOST = 4 };

struct subject {
	struct fuzz_file file;
	struct fuzz_files files;
	struct fuzz_choices choices;
	struct qcow2_image image;
	struct fuzz_model model;
	unsigned n_read;
};

static void check_strings(struct subject *w, const struct qcow2_snapshot *s)
{
	size_t len = (size_t)s->id_len + s->name_len;
	uint8_t *buf = fuzz_buf_new(len);
	struct qcow2_error err;
	int rc, faulty;

	/* With a fault, after it, and once more. */
	fuzz_calls_reset(&w->files, 1);
	faulty = qcow2_snapshot_strings(&w->image, s, buf, &err);
	CHECK(!fuzz_has_failed(&w->files) || (faulty == QCOW2_E_IO && err.io_code == FUZZ_FAULT));
	fuzz_calls_reset(&w->files, 0);
	rc = qcow2_snapshot_strings(&w->image, s, buf, &err);
	CHECK(rc == faulty || faulty == QCOW2_E_IO);
	CHECK(rc == QCOW2_OK || (rc == QCOW2_E_TRUNCATED && err.status == rc));
	CHECK(fuzz_calls(&w->files) <= (len != 0));
	CHECK(qcow2_snapshot_strings(&w->image, s, buf, NULL) == rc);
	if (rc == QCOW2_OK && len != 0 && s->id_pos + len <= w->file.io.size)
		CHECK(memcmp(buf, w->file.bytes + s->id_pos, len) == 0);
	fuzz_buf_free(buf, len);
}

static void check_as_image(struct subject *w, const struct qcow2_snapshot *s, bool state)
{
	struct qcow2_image image, again;
	struct qcow2_error err;
	uint64_t first;
	int rc;

	memset(&image, 0, sizeof image);
	memset(&again, 0, sizeof again);
	fuzz_calls_reset(&w->files, 0);
	if (state) {
		rc = qcow2_snapshot_state_image(&image, &w->image, s, &err);
		CHECK(qcow2_snapshot_state_image(&again, &w->image, s, NULL) == rc);
	} else {
		rc = qcow2_snapshot_image(&image, &w->image, s, &err);
		CHECK(qcow2_snapshot_image(&again, &w->image, s, NULL) == rc);
	}
	CHECK(fuzz_model_snapshot_image(&w->model, &w->image, s, state, &first) == rc);
	CHECK(memcmp(&image, &again, sizeof image) == 0 && fuzz_calls(&w->files) == 0);
	if (rc != QCOW2_OK) {
		CHECK(err.status == rc);
		return;
	}
	CHECK(image.size == (state ? s->vm_state_size : s->disk_size));
	CHECK(image.l1_entries == s->l1_entries - first && image.l1_pos == s->l1_pos + 8 * first);
	if (w->n_read++ < READ_MOST)
		fuzz_check_windows(&image, &w->files, &w->choices, 1);
}

/* One io call fails; afterwards the answer is as before. */
static void check_fault(struct subject *w, const struct qcow2_snapshot *previous, int want)
{
	struct qcow2_snapshot s;
	struct qcow2_error err;
	int rc;

	fuzz_calls_reset(&w->files, 1 + fuzz_choose(&w->choices, 2));
	rc = qcow2_snapshot_next(&w->image, previous, &s, &err);
	if (fuzz_has_failed(&w->files))
		CHECK(rc == QCOW2_E_IO && err.io_code == FUZZ_FAULT && err.status == rc);
	else
		CHECK(rc == want);
	fuzz_calls_reset(&w->files, 0);
}

/* Compares an entry with that of the model. Returns where the next one is. */
static uint64_t check_model(struct subject *w, uint64_t pos, uint32_t n, int rc,
                            const struct qcow2_snapshot *s)
{
	struct qcow2_snapshot want;

	CHECK(fuzz_model_snapshot(&w->model, &w->image, pos, n, &want) == rc);
	if (rc != QCOW2_OK)
		return 0;
	CHECK(s->l1_pos == want.l1_pos && s->l1_entries == want.l1_entries);
	CHECK(s->disk_size == want.disk_size && s->has_disk_size == want.has_disk_size);
	CHECK(s->vm_state_size == want.vm_state_size && s->vm_clock_nsec == want.vm_clock_nsec);
	CHECK(s->has_icount == want.has_icount && (!s->has_icount || s->icount == want.icount));
	CHECK(s->date_sec == want.date_sec && s->date_nsec == want.date_nsec);
	CHECK(s->id_pos == want.id_pos && s->id_len == want.id_len);
	CHECK(s->name_len == want.name_len && s->next_pos == want.next_pos);
	return want.next_pos;
}

static void check_table(struct subject *w)
{
	uint64_t pos = w->image.snapshots_pos;
	struct qcow2_snapshot s, again, in_place;
	const struct qcow2_snapshot *previous = NULL;
	struct qcow2_error err;
	uint32_t n;
	int rc;

	memset(&in_place, 0, sizeof in_place);
	for (n = 0; n < SNAPSHOTS_MOST; n++) {
		struct qcow2_snapshot last = in_place;

		memset(&s, 0xa5, sizeof s);
		memset(&again, 0xa5, sizeof again);
		fuzz_calls_reset(&w->files, 0);
		rc = qcow2_snapshot_next(&w->image, previous, &s, &err);
		CHECK(fuzz_calls(&w->files) <= 2);
		CHECK(qcow2_snapshot_next(&w->image, previous, &again, NULL) == rc);
		pos = check_model(w, pos, n, rc, &s);
		check_fault(w, previous, rc);
		if (rc != QCOW2_OK) {
			CHECK(err.status == rc);
			CHECK((rc == QCOW2_E_NOT_FOUND) == (n >= w->image.n_snapshots));
			return;
		}
		CHECK(s.next_pos == again.next_pos && s.disk_size == again.disk_size);
		CHECK(s.index == n && s.next_pos % 8 == 0);
		CHECK(previous == NULL || s.next_pos > last.next_pos);
		check_strings(w, &s);
		check_as_image(w, &s, false);
		check_as_image(w, &s, true);
		/* The previous entry and the result may be the same object. */
		CHECK(qcow2_snapshot_next(&w->image, previous, &in_place, NULL) == QCOW2_OK);
		CHECK(in_place.id_pos == s.id_pos && in_place.l1_pos == s.l1_pos);
		previous = &in_place;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct subject w = { .files = { .n = 1 } };

	fuzz_choices_init(&w.choices, data, len);
	fuzz_file_init(&w.file, data, len);
	w.files.file[0] = &w.file;
	w.model.bytes = data;
	w.model.len = len;
	w.model.flags = QCOW2_OPEN_LAYER | (unsigned)fuzz_choose(&w.choices, 2);
	if (qcow2_image_open(&w.image, &w.file.io, w.model.flags, NULL) == QCOW2_OK)
		check_table(&w);
	return 0;
}
