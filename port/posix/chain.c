/* SPDX-License-Identifier: MIT */
/*
 * The images of a handle: the one that is opened, its data file, and what lies below it.
 *
 * Each file comes from what the caller gave, or from a name in the image that the caller allows to
 * be followed. Nothing is probed: a file is what somebody says it is.
 */
#include "qp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The options, and what has been taken of them. */
struct plan {
	const struct qcow2_options *options;
	size_t n_taken; /* of options->backing */
	bool data_taken;
};

/* A file found for an image, not yet given to a layer. */
struct found {
	int fd;
	char *path;
	const char *format; /* for a backing file: "raw", "qcow2", or not to be read */
};

/* What an image asks for, with the memory of the strings. */
struct wish {
	struct qcow2_file_request request;
	char *name;
	char format[64];
};

static const char need_backing[] = "the image needs its backing file, which is not given";
static const char need_data[] = "the image needs its external data file, which is not given";
static const char need_format[] = "the format of the backing file is not given";

static bool out_of_memory(void)
{
	qp_fail_text(ENOMEM, 0, "out of memory");
	return false;
}

static struct qp_layer *layer_new(unsigned depth)
{
	struct qp_layer *layer = calloc(1, sizeof *layer);

	if (layer == NULL)
		return NULL;
	layer->file.fd = -1;
	layer->file.depth = depth;
	layer->data.fd = -1;
	layer->data.depth = depth;
	layer->data.is_data = true;
	return layer;
}

void qp_chain_free(struct qp_layer *top)
{
	while (top != NULL) {
		struct qp_layer *below = top->below;

		qp_file_close(&top->file);
		qp_file_close(&top->data);
		free(top);
		top = below;
	}
}

/* Copies bytes of the header to *text, which gets a NUL; to be freed. */
static bool span_text(const struct qcow2_image *image, struct qcow2_span span, char **text)
{
	struct qcow2_error err;
	int rc;

	*text = malloc((size_t)span.len + 1u);
	if (*text == NULL)
		return out_of_memory();
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
static bool not_given(const struct wish *wish)
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
	return false;
}

/* Takes a file that the caller gave: by path, or as a descriptor. */
static bool take_given(const struct qcow2_file *given, struct found *found)
{
	char shown[QP_PRINTABLE];
	int fd;

	found->fd = given->fd;
	found->path = NULL;
	if (given->path == NULL)
		return true;
	fd = qp_open(AT_FDCWD, given->path, 0);
	found->fd = fd;
	if (fd < 0) {
		qp_fail_errno(errno, "a file given cannot be opened",
		              qp_printable(shown, given->path, strlen(given->path)));
		return false;
	}
	found->path = strdup(given->path);
	return true;
}

/* Asks the caller's callback. */
static bool ask(const struct qcow2_options *o, const struct wish *wish, struct found *found)
{
	char shown[QP_PRINTABLE];

	errno = EPERM;
	found->fd = o->open_file(o->open_file_ctx, &wish->request, &found->format);
	if (found->fd >= 0)
		return true;
	qp_fail(errno, 0, "a file that the image names was refused", "%s '%s': %s",
	        wish->request.kind == QCOW2_FILE_DATA ? "data file" : "backing file",
	        qp_printable(shown, wish->request.name, wish->request.name_len), strerror(errno));
	return false;
}

/* Finds the file for a wish; found->format may be NULL still. */
static bool find_file(const struct qcow2_options *o, const struct qcow2_file *given,
                      const struct wish *wish, struct found *found)
{
	found->path = NULL;
	found->format = wish->request.format;
	if (given != NULL)
		return take_given(given, found);
	if (o->open_file == NULL && (o->flags & (QCOW2_FOLLOW | QCOW2_FOLLOW_ANY)) == 0u)
		return not_given(wish);
	if (strlen(wish->request.name) != wish->request.name_len) {
		qp_fail_text(EINVAL, 0, "a file name in the image has a NUL byte in it");
		return false;
	}
	if (o->open_file != NULL)
		return ask(o, wish, found);
	if (wish->request.name_len == 0u)
		return not_given(wish);
	found->fd = qp_resolve(&wish->request, o->flags, &found->path);
	return found->fd >= 0;
}

static bool is_format(const char *format)
{
	return strcmp(format, "raw") == 0 || strcmp(format, "qcow2") == 0;
}

/* Somebody must have said what a backing file is; before it is opened, if that can be. */
static bool format_known(const char *format, const struct wish *wish)
{
	char name[QP_PRINTABLE], shown[QP_PRINTABLE];

	if (format != NULL && is_format(format))
		return true;
	qp_printable(name, wish->request.name, wish->request.name_len);
	if (format == NULL)
		qp_fail(ENOTSUP, QCOW2_E_ARGUMENT, need_format,
		        "the format of its backing file '%s' is not given: raw or qcow2", name);
	else
		qp_fail(ENOTSUP, 0, "the backing file has a format that is not read",
		        "backing file '%s' has the format '%s', which is not read", name,
		        qp_printable(shown, format, strlen(format)));
	return false;
}

/* The order in which a format is looked for: given, in the image, given for all. */
static const char *format_of(const struct qcow2_options *o, const struct qcow2_file *given,
                             const char *named)
{
	if (given != NULL && given->format != NULL)
		return given->format;
	return named != NULL ? named : o->backing_format;
}

/* The file below the layer and its format. */
static bool find_backing(struct plan *plan, const struct wish *wish, struct found *found)
{
	const struct qcow2_options *o = plan->options;
	const struct qcow2_file *given = NULL;
	bool asked = false;

	if (plan->n_taken < o->n_backing)
		given = &o->backing[plan->n_taken];
	asked = given == NULL && o->open_file != NULL;
	if (given == NULL && o->open_file == NULL &&
	    (o->flags & (QCOW2_FOLLOW | QCOW2_FOLLOW_ANY)) == 0u)
		return not_given(wish);
	if (!asked && !format_known(format_of(o, given, wish->request.format), wish))
		return false;
	if (given != NULL)
		plan->n_taken++;
	if (!find_file(o, given, wish, found))
		return false;
	found->format = format_of(o, given, found->format);
	return format_known(found->format, wish);
}

static bool attach_data(struct plan *plan, struct qp_layer *layer)
{
	const struct qcow2_options *o = plan->options;
	const struct qcow2_file *given = NULL;
	struct found found = {-1, NULL, NULL};
	struct wish wish;
	bool done;

	if (layer->file.depth == 0u && o->data_file != NULL) {
		given = o->data_file;
		plan->data_taken = true;
	}
	if (!wish_read(layer, QCOW2_FILE_DATA, &wish))
		return false;
	done = find_file(o, given, &wish, &found);
	free(wish.name);
	if (!done || !qp_file_open(&layer->data, found.fd, found.path))
		return false;
	qcow2_image_attach_data(&layer->image, &layer->data.io);
	return true;
}

/* Opens the image of a layer on a file, and the layer's data file. */
static bool layer_open(struct plan *plan, struct qp_layer *layer, struct found found)
{
	unsigned options = plan->options->flags;
	struct qcow2_error err;
	unsigned flags = 0;
	int rc;

	if (!qp_file_open(&layer->file, found.fd, found.path))
		return false;
	if ((options & QCOW2_ALLOW_TRUNCATED) != 0u)
		flags |= QCOW2_OPEN_TRUNCATED;
	if ((options & QCOW2_LAYER_ONLY) != 0u)
		flags |= QCOW2_OPEN_LAYER;
	if ((options & QCOW2_INSPECT) != 0u)
		flags |= QCOW2_OPEN_INSPECT;
	if (strcmp(found.format, "raw") == 0)
		rc = qcow2_image_raw(&layer->image, &layer->file.io);
	else
		rc = qcow2_image_open(&layer->image, &layer->file.io, flags, &err);
	if (rc != QCOW2_OK) {
		qp_fail_core(rc, &err);
		return false;
	}
	if ((layer->image.incompatible & QCOW2_INCOMPATIBLE_DATA_FILE) == 0u ||
	    (options & QCOW2_INSPECT) != 0u)
		return true;
	return attach_data(plan, layer);
}

/* Is there to be an image below this one? */
static bool wants_backing(const struct plan *plan, const struct qp_layer *layer)
{
	const struct qcow2_options *o = plan->options;

	if (layer->image.version == 0u || (o->flags & (QCOW2_LAYER_ONLY | QCOW2_INSPECT)) != 0u)
		return false;
	return layer->image.backing_name.len != 0u || plan->n_taken < o->n_backing;
}

/* A chain must not come back to a file that is in it. */
static bool is_new(const struct qp_layer *top, const struct qp_layer *layer)
{
	for (; top != layer; top = top->below)
		if (qp_file_same(&top->file, &layer->file)) {
			qp_fail(ELOOP, QCOW2_E_DEPTH, "the backing chain is a loop",
			        "the backing chain comes back to the file at depth %u",
			        top->file.depth);
			return false;
		}
	return true;
}

/* Finds and opens the image below `layer`. */
static bool open_below(struct plan *plan, struct qp_layer *top, struct qp_layer *layer)
{
	struct found found = {-1, NULL, NULL};
	struct wish wish;
	bool done;

	if (layer->file.depth + 1u >= QP_CHAIN_MAX) {
		qp_fail_text(ELOOP, QCOW2_E_DEPTH, "the backing chain has more than 256 files");
		return false;
	}
	if (!wish_read(layer, QCOW2_FILE_BACKING, &wish))
		return false;
	layer->below = layer_new(layer->file.depth + 1u);
	done = layer->below != NULL ? find_backing(plan, &wish, &found) : out_of_memory();
	free(wish.name);
	if (layer->below == NULL || !done) {
		struct qp_file unused = {.fd = found.fd, .path = found.path};

		qp_file_close(&unused);
		return false;
	}
	return layer_open(plan, layer->below, found) && is_new(top, layer->below);
}

static struct qp_layer *layer_at(struct qp_layer *top, unsigned depth)
{
	while (top != NULL && top->file.depth != depth)
		top = top->below;
	return top;
}

/* Puts the images on top of each other, from the bottom up. */
static void join_layers(struct qp_layer *top, const struct qp_layer *bottom)
{
	unsigned depth = bottom->file.depth;

	while (depth-- > 0u) {
		struct qp_layer *layer = layer_at(top, depth);

		qcow2_image_attach_backing(&layer->image, &layer->below->image);
	}
}

/* What was given and not taken is of no use here: said, not passed over. */
static bool all_taken(const struct plan *plan)
{
	const struct qcow2_options *o = plan->options;

	if ((o->flags & QCOW2_INSPECT) != 0u)
		return true;
	if (plan->n_taken < o->n_backing)
		qp_fail_text(EINVAL, 0, "a backing file is given for an image that takes none");
	else if (o->data_file != NULL && !plan->data_taken)
		qp_fail_text(EINVAL, 0, "a data file is given for an image that has its own data");
	else
		return true;
	return false;
}

/* Closes the descriptors in the options that nobody has taken. */
static void drop_rest(struct plan *plan)
{
	const struct qcow2_options *o = plan->options;
	struct qp_file unused = {.fd = -1};

	for (; plan->n_taken < o->n_backing; plan->n_taken++)
		if (o->backing[plan->n_taken].path == NULL) {
			unused.fd = o->backing[plan->n_taken].fd;
			qp_file_close(&unused);
		}
	if (o->data_file != NULL && !plan->data_taken && o->data_file->path == NULL) {
		unused.fd = o->data_file->fd;
		qp_file_close(&unused);
	}
}

static bool chain_fill(struct plan *plan, struct qcow2 *q, int fd)
{
	struct found found = {fd, NULL, "qcow2"};
	struct qp_layer *layer = layer_new(0);

	q->top = layer;
	if (layer == NULL) {
		struct qp_file unused = {.fd = fd};

		qp_file_close(&unused);
		return out_of_memory();
	}
	if (plan->options->path != NULL)
		found.path = strdup(plan->options->path);
	if (!layer_open(plan, layer, found))
		return false;
	for (; wants_backing(plan, layer); layer = layer->below)
		if (!open_below(plan, q->top, layer))
			return false;
	if (!all_taken(plan))
		return false;
	join_layers(q->top, layer);
	return true;
}

bool qp_chain_open(struct qcow2 *q, int fd, const struct qcow2_options *options)
{
	struct plan plan = {options, 0, false};
	bool done = chain_fill(&plan, q, fd);

	drop_rest(&plan);
	return done;
}
