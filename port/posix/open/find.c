/* SPDX-License-Identifier: MIT */
/*
 * The files that an image needs: which they are, and whether they may be opened.
 *
 * Each comes from what the caller gave, or from the caller's callback, or from the name in the
 * image if the caller allows that to be followed. Nothing is probed: a file is what somebody says.
 */
#include "../posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an image asks for, with the memory of the strings. */
struct wish {
	struct qcow2_file_request request;
	char *name;
	char format[64];
};

static const char need_backing[] = "the image needs its backing file, which is not given";
static const char need_data[] = "the image needs its external data file, which is not given";
static const char need_format[] = "the format of the backing file is not given";

/* Copies bytes of the header to *text, which gets a NUL; to be freed. */
static bool span_text(const struct qcow2_image *image, struct qcow2_span span, char **text)
{
	struct qcow2_error err;
	int rc;

	*text = malloc((size_t)span.len + 1u);
	if (*text == NULL) {
		qp_fail_memory();
		return false;
	}
	rc = qcow2_image_bytes(image, span, *text, &err);
	if (rc != QCOW2_OK) {
		free(*text);
		*text = NULL;
		qp_fail_core(rc, &err);
		return false;
	}
	(*text)[span.len] = '\0';
	return true;
}

/* Reads from the image what it wants. On success wish->name is to be freed. */
static bool wish_read(const struct qp_layer *layer, int kind, struct wish *wish)
{
	const struct qcow2_image *image = &layer->image;
	struct qcow2_span name = image->backing_name;
	struct qcow2_span format = image->backing_format;
	char *text;

	if (kind == QCOW2_FILE_DATA) {
		name = image->data_file_name;
		format.len = 0;
	}
	memset(wish, 0, sizeof *wish);
	if (!span_text(image, name, &wish->name))
		return false;
	if (format.len != 0u) {
		if (!span_text(image, format, &text)) {
			free(wish->name);
			return false;
		}
		strncpy(wish->format, text, sizeof wish->format - 1u);
		free(text);
		wish->request.format = wish->format;
	}
	wish->request.kind = kind;
	wish->request.depth = layer->file.depth;
	wish->request.name = wish->name;
	wish->request.name_len = name.len;
	wish->request.path = layer->file.path;
	return true;
}

/* Nobody gave the file and nobody allows to look for it. */
static void not_given(const struct wish *wish)
{
	bool data = wish->request.kind == QCOW2_FILE_DATA;
	int status = data ? QCOW2_E_DATA_FILE : QCOW2_E_BACKING;
	const char *text = data ? need_data : need_backing;
	const char *kind = data ? "external data file" : "backing file";
	char who[QP_PRINTABLE] = "", name[QP_PRINTABLE], format[QP_PRINTABLE];

	if (wish->request.depth > 0u)
		snprintf(who, sizeof who, "the image at depth %u of its backing chain ",
		         wish->request.depth);
	qp_printable(name, wish->request.name, wish->request.name_len);
	qp_printable(format, wish->format, strlen(wish->format));
	if (wish->request.name_len == 0u)
		qp_fail(ENOTSUP, status, text, "%sneeds its %s, and names none", who, kind);
	else
		qp_fail(ENOTSUP, status, text, "%sneeds its %s '%s'%s%s", who, kind, name,
		        *format != '\0' ? ", format " : "", format);
}

/* Takes a file that the caller gave: by path, or as a descriptor. */
static bool take_given(const struct qcow2_file *given, struct qp_found *found)
{
	int fd;

	found->fd = given->fd;
	if (given->path == NULL)
		return true;
	fd = qp_open(AT_FDCWD, given->path, 0);
	found->fd = fd;
	if (fd < 0) {
		char shown[QP_PRINTABLE];

		qp_fail_errno(errno, "a file given cannot be opened",
		              qp_printable(shown, given->path, strlen(given->path)));
		return false;
	}
	found->path = strdup(given->path);
	if (found->path == NULL)
		qp_fail_memory();
	return found->path != NULL;
}

/* Asks the caller's callback, which may change *format. */
static bool ask(const struct qcow2_options *o, const struct wish *wish, struct qp_found *found,
                const char **format)
{
	char shown[QP_PRINTABLE];

	errno = EPERM;
	found->fd = o->open_file(o->open_file_ctx, &wish->request, format);
	if (found->fd >= 0)
		return true;
	qp_fail(errno, 0, "a file that the image names was refused", "%s '%s': %s",
	        wish->request.kind == QCOW2_FILE_DATA ? "data file" : "backing file",
	        qp_printable(shown, wish->request.name, wish->request.name_len), strerror(errno));
	return false;
}

static bool may_follow(const struct qcow2_options *o)
{
	return (o->flags & (QCOW2_FOLLOW | QCOW2_FOLLOW_ANY)) != 0u;
}

/* Finds the file by what is in the image: its name, for the callback or to be followed. */
static bool find_named(const struct qcow2_options *o, const struct wish *wish,
                       struct qp_found *found, const char **format)
{
	if (o->open_file == NULL && (!may_follow(o) || wish->request.name_len == 0u)) {
		not_given(wish);
		return false;
	}
	if (strlen(wish->request.name) != wish->request.name_len) {
		qp_fail_text(EINVAL, 0, "a file name in the image has a NUL byte in it");
		return false;
	}
	if (o->open_file != NULL)
		return ask(o, wish, found, format);
	found->fd = qp_resolve(&wish->request, o->flags, &found->path);
	return found->fd >= 0;
}

/* Somebody must have said what a backing file is; before it is opened, if that can be. */
static bool format_known(const char *format, const struct wish *wish)
{
	char name[QP_PRINTABLE], shown[QP_PRINTABLE];

	if (format != NULL && (strcmp(format, "raw") == 0 || strcmp(format, "qcow2") == 0))
		return true;
	qp_printable(name, wish->request.name, wish->request.name_len);
	if (format == NULL && *name == '\0')
		qp_fail(ENOTSUP, QCOW2_E_ARGUMENT, need_format,
		        "the format of the backing file given is not said: raw or qcow2");
	else if (format == NULL)
		qp_fail(ENOTSUP, QCOW2_E_ARGUMENT, need_format,
		        "the format of its backing file '%s' is not given: raw or qcow2", name);
	else
		qp_fail(ENOTSUP, 0, "the backing file has a format that is not read",
		        "backing file '%s' has the format '%s', which is not read", name,
		        qp_printable(shown, format, strlen(format)));
	return false;
}

/*
 * Finds the backing file of a wish. Its format: what is given with the file, or what the image
 * says, or what is given for all. A file that could not be read anyway is not opened.
 */
static bool find_backing(struct qp_plan *plan, const struct wish *wish, struct qp_found *found)
{
	const struct qcow2_options *o = plan->options;
	const struct qcow2_file *given = NULL;
	const char *format = wish->request.format;

	if (plan->n_taken < o->n_backing)
		given = &o->backing[plan->n_taken];
	if (given != NULL && given->format != NULL)
		format = given->format;
	if (given != NULL || (o->open_file == NULL && may_follow(o))) {
		if (!format_known(format != NULL ? format : o->backing_format, wish))
			return false;
	}
	if (given != NULL) {
		plan->n_taken++;
		if (!take_given(given, found))
			return false;
	} else if (!find_named(o, wish, found, &format)) {
		return false;
	}
	if (format == NULL)
		format = o->backing_format;
	if (!format_known(format, wish))
		return false;
	found->is_raw = strcmp(format, "raw") == 0;
	return true;
}

bool qp_find_backing(struct qp_plan *plan, const struct qp_layer *layer, struct qp_found *found)
{
	struct wish wish;
	bool done;

	if (!wish_read(layer, QCOW2_FILE_BACKING, &wish))
		return false;
	done = find_backing(plan, &wish, found);
	free(wish.name);
	return done;
}

bool qp_find_data(struct qp_plan *plan, const struct qp_layer *layer, struct qp_found *found)
{
	const struct qcow2_options *o = plan->options;
	const char *format = NULL;
	struct wish wish;
	bool done;

	if (layer->file.depth == 0u && o->data_file != NULL) {
		plan->data_taken = true;
		return take_given(o->data_file, found);
	}
	if (!wish_read(layer, QCOW2_FILE_DATA, &wish))
		return false;
	done = find_named(o, &wish, found, &format);
	free(wish.name);
	return done;
}
