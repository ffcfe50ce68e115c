/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The names in an image, read once and kept.
 */
#include "../posix.h"

#include <stdlib.h>

#include "../failure.h"
#include "cut.h"
#include "names.h"

static struct qcow2_span name_span(const struct qcow2_image *image, enum qp_name which)
{
	switch (which) {
	case QP_NAME_BACKING: return image->backing_name;
	case QP_NAME_FORMAT: return image->backing_format;
	case QP_NAME_DATA:
	case QP_NAMES:
	default: return image->data_file_name;
	}
}

/* Copies bytes of the image to memory from malloc, and adds a NUL. Returns NULL on failure. */
static char *name_read(const struct qcow2_image *image, struct qcow2_span span, const char *what)
{
	struct qcow2_error err;
	char *text;
	int rc;

	/* Zeros are not read here even with QCOW2_ALLOW_TRUNCATED: they would make another name. */
	if (span.pos > image->io.size || span.len > image->io.size - span.pos) {
		qp_fail_cut(image, what, span.pos, span.len, false);
		return NULL;
	}
	text = malloc((size_t)span.len + 1u);
	if (text == NULL) {
		qp_fail_memory();
		return NULL;
	}
	rc = qcow2_image_bytes(image, span, text, &err);
	if (rc != QCOW2_OK) {
		free(text);
		qp_fail_core(rc, &err);
		return NULL;
	}
	text[span.len] = '\0';
	return text;
}

bool qp_layer_name(struct qp_layer *layer, enum qp_name which, struct qcow2_string *name)
{
	static const char *const what[QP_NAMES] = { "the name of the backing file",
		                                    "the format of the backing file",
		                                    "the name of the data file" };
	struct qcow2_span span = name_span(&layer->image, which);
	char *text, *kept;

	name->bytes = NULL;
	name->len = 0;
	if (span.len == 0u)
		return true;
	kept = __atomic_load_n(&layer->names[which], __ATOMIC_ACQUIRE);
	if (kept == NULL) {
		text = name_read(&layer->image, span, what[which]);
		if (text == NULL)
			return false;
		/* If another thread was faster, kept becomes its text. */
		if (__atomic_compare_exchange_n(&layer->names[which], &kept, text, false,
		                                __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			kept = text;
		else
			free(text);
	}
	name->bytes = kept;
	name->len = span.len;
	return true;
}
