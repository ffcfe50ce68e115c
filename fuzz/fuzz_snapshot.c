/* SPDX-License-Identifier: MIT */
/* The snapshot table, entry by entry, and each snapshot read as an image. */
#include "common.h"

#include "qcow2/snapshot.h"

enum { SNAPSHOTS_MOST = 64, READ_MOST = 4 };

struct subject {
	struct fuzz_file file;
	struct fuzz_files files;
	struct fuzz_choices choices;
	struct qcow2_image image;
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

static void check_as_image(struct subject *w, const struct qcow2_snapshot *s)
{
	struct qcow2_image image, again;
	struct qcow2_error err;
	int rc;

	memset(&image, 0, sizeof image);
	memset(&again, 0, sizeof again);
	fuzz_calls_reset(&w->files, 0);
	rc = qcow2_snapshot_image(&image, &w->image, s, &err);
	CHECK(qcow2_snapshot_image(&again, &w->image, s, NULL) == rc);
	CHECK(memcmp(&image, &again, sizeof image) == 0 && fuzz_calls(&w->files) == 0);
	if (rc != QCOW2_OK) {
		CHECK(err.status == rc);
		return;
	}
	CHECK(image.size == s->disk_size && image.l1_entries == s->l1_entries);
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

static void check_table(struct subject *w)
{
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
		check_as_image(w, &s);
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
	if (qcow2_image_open(&w.image, &w.file.io,
	                     QCOW2_OPEN_LAYER | (unsigned)fuzz_choose(&w.choices, 2),
	                     NULL) == QCOW2_OK)
		check_table(&w);
	return 0;
}
