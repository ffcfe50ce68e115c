/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Finds the files that an image needs, and decides whether they may be opened.
 *
 * A file comes from what the caller gave, or else from the caller's callback, or else from the name
 * in the image, if the caller allows the library to follow it. The format of a backing file comes
 * from the caller or from the image; it is never probed.
 */
#include "find.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../failure.h"
#include "../printable.h"
#include "../words.h"
#include "beneath.h"
#include "names.h"
#include "resolve.h"

/* The static texts of failures, which qcow2_open returns in *error_ret. */
static const char need_backing[] = "the image needs a backing file, which was not given";
static const char need_data[] = "the image needs an external data file, which was not given";
static const char need_format[] = "no format given for the backing file (raw, qcow2 or qcow)";

/* Reads from the image which file it needs. The strings belong to the layer. */
static bool request_read(struct qp_layer *layer, int kind, struct qcow2_file_request *request)
{
	bool is_data = kind == QCOW2_FILE_DATA;
	struct qcow2_string name, format = { NULL, 0 };

	if (!qp_layer_name(layer, is_data ? QP_NAME_DATA : QP_NAME_BACKING, &name))
		return false;
	if (!is_data && !qp_layer_name(layer, QP_NAME_FORMAT, &format))
		return false;
	request->kind = kind;
	request->depth = layer->file.depth;
	request->name = name.bytes != NULL ? name.bytes : "";
	request->name_len = name.len;
	request->path = layer->file.path;
	request->format = format.bytes;
	return true;
}

/* These names of QEMU mean the bytes as they are: the second and third are its own drivers. */
static bool is_raw_format(const char *format)
{
	return strcmp(format, "raw") == 0 || strcmp(format, "file") == 0 ||
	       strcmp(format, "host_device") == 0;
}

static bool is_readable_format(const char *format)
{
	return is_raw_format(format) || strcmp(format, "qcow2") == 0 || strcmp(format, "qcow") == 0;
}

/* Notes that the caller neither gave the file nor allows the library to open it. */
static void not_given(const struct qcow2_file_request *request)
{
	bool data = request->kind == QCOW2_FILE_DATA;
	int status = data ? QCOW2_E_DATA_FILE : QCOW2_E_BACKING;
	const char *text = data ? need_data : need_backing;
	const char *what = data ? "external data file" : "backing file";
	const char *format = request->format != NULL ? request->format : "";
	char who[64] = "the image", name[QP_PRINTABLE], shown[QP_PRINTABLE];

	if (request->depth > 0u)
		snprintf(who, sizeof who, "the image at depth %u of the backing chain",
		         request->depth);
	qp_printable(name, request->name, request->name_len);
	qp_printable(shown, format, strlen(format));
	if (request->name_len == 0u)
		qp_fail(ENOTSUP, status, text, "%s needs an %s, but names none", who, what);
	else
		qp_fail(ENOTSUP, status, text, "%s needs its %s '%s'%s%s%s, which was not given",
		        who, what, name, *shown != '\0' ? " (format " : "", shown,
		        *shown != '\0' ? ")" : "");
	if (qp_resolve_may_follow(request->name) &&
	    (request->format == NULL || is_readable_format(request->format)))
		qp_failure_names_file();
}

/* Uses a file that the caller gave: opens its path, or takes the descriptor. */
static bool take_given(const struct qcow2_file *given, struct qp_found *found)
{
	int fd;

	found->fd = given->fd;
	if (given->path == NULL)
		return true;
	fd = qp_open(AT_FDCWD, given->path, 0);
	found->fd = fd;
	if (fd < 0) {
		int error = errno;
		char shown[QP_PRINTABLE];

		qp_fail(error, 0, "cannot open a file that was given",
		        "cannot open the given file '%s': %s",
		        qp_printable(shown, given->path, strlen(given->path)), strerror(error));
		return false;
	}
	found->path = strdup(given->path);
	if (found->path == NULL)
		qp_fail_memory();
	return found->path != NULL;
}

/* Asks the caller's callback, which may change *format. */
static bool ask(const struct qcow2_options *o, const struct qcow2_file_request *request,
                struct qp_found *found, const char **format)
{
	char shown[QP_PRINTABLE];
	int error;

	errno = EPERM; /* for a callback that refuses without setting it */
	found->fd = o->open_file(o->open_file_ctx, request, format);
	if (found->fd >= 0)
		return true;
	error = errno;
	qp_printable(shown, request->name, request->name_len);
	qp_fail(error, 0, "opening a file that the image names was refused",
	        "opening the %s '%s' was refused: %s", qp_kind_name(request->kind), shown,
	        strerror(error));
	return false;
}

static bool may_follow(const struct qcow2_options *o)
{
	return (o->flags & (QCOW2_FOLLOW | QCOW2_FOLLOW_ANY)) != 0u;
}

/* Finds the file by its name in the image: asks the callback, or follows the name. */
static bool find_named(const struct qcow2_options *o, struct qp_layer *layer,
                       const struct qcow2_file_request *request, struct qp_found *found,
                       const char **format)
{
	if (o->open_file == NULL && (!may_follow(o) || request->name_len == 0u)) {
		not_given(request);
		return false;
	}
	/* System calls would ignore what follows the NUL. */
	if (strlen(request->name) != request->name_len) {
		qp_fail_text(EINVAL, 0, "a file name in the image contains a NUL byte");
		return false;
	}
	if (o->open_file != NULL)
		return ask(o, request, found, format);
	return qp_resolve(request, layer, o->flags, found);
}

/* What the first bytes of a file are, for a message. Nothing is ever decided by that. */
static const char *looks_like(int fd)
{
	unsigned char magic[4];

	if (fd < 0 || pread(fd, magic, sizeof magic, 0) != (ssize_t)sizeof magic)
		return "";
	return memcmp(magic, "QFI\xfb", sizeof magic) == 0
	               ? "; it starts like a qcow2 image"
	               : "; it does not start like a qcow2 image";
}

/* Notes that the format of a backing file is not known. fd is the file, or -1. */
static void format_missing(const struct qcow2_file_request *request, int fd)
{
	const char *looks = looks_like(fd);
	char name[QP_PRINTABLE];

	qp_printable(name, request->name, request->name_len);
	if (*name == '\0')
		qp_fail(ENOTSUP, QCOW2_E_ARGUMENT, need_format, "%s%s", need_format, looks);
	else
		qp_fail(ENOTSUP, QCOW2_E_ARGUMENT, need_format,
		        "no format given for the backing file '%s' (raw, qcow2 or qcow)%s", name,
		        looks);
}

/* Makes sure that a format is one that the library reads. */
static bool format_supported(const char *format, const struct qcow2_file_request *request)
{
	char name[QP_PRINTABLE], shown[QP_PRINTABLE];

	if (is_readable_format(format))
		return true;
	qp_printable(name, request->name, request->name_len);
	qp_fail(ENOTSUP, QCOW2_E_BACKING, "the format of the backing file is not supported",
	        "the format '%s' of the backing file '%s' is not supported: give a raw or qcow2 "
	        "copy of it",
	        qp_printable(shown, format, strlen(format)), name);
	return false;
}

/* Opens the backing file: the one that is given, or else the one that the image names. */
static bool find_file(struct qp_plan *plan, struct qp_layer *layer,
                      const struct qcow2_file_request *request, const struct qcow2_file *given,
                      struct qp_found *found, const char **format)
{
	if (given == NULL)
		return find_named(plan->options, layer, request, found, format);
	plan->n_taken++;
	return take_given(given, found);
}

/*
 * Finds the backing file of a request. Its format is the one that is given with the file, or else
 * the one in the image, or else options->backing_format.
 */
static bool find_backing(struct qp_plan *plan, struct qp_layer *layer,
                         const struct qcow2_file_request *request, struct qp_found *found)
{
	const struct qcow2_options *o = plan->options;
	const struct qcow2_file *given = NULL;
	const char *format = request->format;

	if (plan->n_taken < o->n_backing)
		given = &o->backing[plan->n_taken];
	if (given != NULL && given->format != NULL)
		format = given->format;
	/* A file in a format that is not supported is not opened; only a callback may change it. */
	if (format != NULL && (given != NULL || (o->open_file == NULL && may_follow(o))) &&
	    !format_supported(format, request))
		return false;
	if (!find_file(plan, layer, request, given, found, &format))
		return false;
	if (format == NULL)
		format = o->backing_format;
	if (format == NULL)
		format_missing(request, found->fd);
	if (format == NULL || !format_supported(format, request))
		return false;
	found->is_raw = is_raw_format(format);
	found->is_v1 = strcmp(format, "qcow") == 0;
	return true;
}

bool qp_find_backing(struct qp_plan *plan, struct qp_layer *layer, struct qp_found *found)
{
	struct qcow2_file_request request;

	return request_read(layer, QCOW2_FILE_BACKING, &request) &&
	       find_backing(plan, layer, &request, found);
}

bool qp_find_data(struct qp_plan *plan, struct qp_layer *layer, struct qp_found *found)
{
	const struct qcow2_options *o = plan->options;
	const char *format = NULL;
	struct qcow2_file_request request;

	if (layer->file.depth == 0u && o->data_file != NULL) {
		plan->data_taken = true;
		return take_given(o->data_file, found);
	}
	return request_read(layer, QCOW2_FILE_DATA, &request) &&
	       find_named(o, layer, &request, found, &format);
}
