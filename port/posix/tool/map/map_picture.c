/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * qcow2 map --picture and --svg: one walk over the map, which is then drawn.
 */
#include "map_picture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../message.h"
#include "../output/output.h"
#include "../sandbox/sandbox.h"
#include "map_report.h"
#include "picture_svg.h"
#include "picture_text.h"

/* The title of a picture. */
static const char *image_name(const struct args *args)
{
	return strcmp(args->image, "-") == 0 ? "standard input" : args->image;
}

/*
 * Counts the map in the cells of a picture and, unless it is NULL, marks it in a plot. Returns what
 * map_walk_next returned last.
 */
static int walk(struct map_walk *w, struct qcow2 *q, struct picture *p, struct plot *plot)
{
	struct map_entry entry;
	int rc;

	map_walk_begin(w, q, NULL);
	while ((rc = map_walk_next(w, &entry)) > 0) {
		picture_add(p, &entry);
		if (plot != NULL)
			plot_add(plot, &entry);
	}
	return rc;
}

int map_draw_text(const struct args *args, struct qcow2 *q)
{
	struct map_walk w;
	struct terminal t;
	struct picture p;
	int rc;

	terminal_examine(&t);
	if (args->color != COLOR_AUTO)
		t.color = args->color == COLOR_ALWAYS;
	if (!picture_begin(&p, qcow2_get_size(q), picture_text_columns(&t), picture_text_rows(&t)))
		return tool_error(args->image, "out of memory");
	sandbox_enter_reading(args->no_sandbox);
	rc = walk(&w, q, &p, NULL);
	if (rc == 0)
		picture_print(&p, &t, image_name(args));
	picture_free(&p);
	return map_report(&w, args, rc);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The length of the longest file of the chain: the height of the plot. */
static uint64_t longest_file(struct qcow2 *q)
{
	struct qcow2_info info = { .struct_size = sizeof info };
	uint64_t longest = 0;
	struct stat st;
	unsigned depth;

	for (depth = 0; qcow2_get_info(q, depth, &info) == 0; depth++) {
		longest = larger(longest, info.file_size);
		if (fstat(qcow2_get_data_fd(q, depth), &st) != 0)
			continue;
		/* A device as data file has no length here; it holds the disk as it is. */
		longest = larger(longest, S_ISREG(st.st_mode) ? (uint64_t)st.st_size : info.size);
	}
	return longest;
}

/* What map_draw_svg draws. */
struct drawing {
	struct picture picture;
	struct plot plot;
};

/* Opens a stream on a copy of the descriptor, so that closing the stream leaves the file open. */
static FILE *open_stream(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	FILE *out = copy >= 0 ? fdopen(copy, "w") : NULL;

	if (out == NULL && copy >= 0)
		close(copy);
	return out;
}

/* Walks over the map and draws it on the stream, unless the walk fails: then *drawn is false. */
static int draw_on(const struct args *args, struct qcow2 *q, struct drawing *d, FILE *out,
                   bool *drawn)
{
	struct map_walk w;
	int rc = walk(&w, q, &d->picture, &d->plot);

	*drawn = rc == 0;
	if (*drawn)
		picture_print_svg(out, &d->picture, &d->plot, image_name(args));
	return map_report(&w, args, rc);
}

static int close_stream(const struct args *args, FILE *out)
{
	bool failed = ferror(out) != 0;

	if (fclose(out) != 0 || failed)
		return tool_error(args->svg, "%s", strerror(errno));
	return EXIT_OK;
}

/* Draws to the open file. A damaged disk has a picture as well, although the command then fails. */
static int draw_to_output(const struct args *args, struct qcow2 *q, struct drawing *d,
                          struct output *o)
{
	FILE *out = open_stream(o->fd);
	bool drawn;
	int rc;

	if (out == NULL)
		return tool_error(args->svg, "%s", strerror(errno));
	sandbox_enter(args->no_sandbox, &(struct sandbox_needs){ .files = { o->fd, fileno(out) },
	                                                         .beside = output_beside(o) });
	rc = draw_on(args, q, d, out, &drawn);
	if (close_stream(args, out) != EXIT_OK || (drawn && output_commit(o) != EXIT_OK))
		return EXIT_FAILED;
	return rc;
}

/* Draws to a file, which appears under its name when it is complete. */
static int draw_to_file(const struct args *args, struct qcow2 *q, struct drawing *d)
{
	struct output o;
	int rc = output_begin_text(&o, args->svg, args, q);

	if (rc == EXIT_OK)
		rc = draw_to_output(args, q, d, &o);
	output_end(&o);
	return rc;
}

static int draw_to_stdout(const struct args *args, struct qcow2 *q, struct drawing *d)
{
	bool drawn;

	sandbox_enter_reading(args->no_sandbox);
	return draw_on(args, q, d, stdout, &drawn);
}

int map_draw_svg(const struct args *args, struct qcow2 *q)
{
	struct drawing d = { 0 };
	int rc;

	if (!picture_begin(&d.picture, qcow2_get_size(q), PICTURE_SVG_COLUMNS, PICTURE_SVG_ROWS) ||
	    !plot_begin(&d.plot, qcow2_get_size(q), longest_file(q)))
		rc = tool_error(args->image, "out of memory");
	else if (strcmp(args->svg, "-") == 0)
		rc = draw_to_stdout(args, q, &d);
	else
		rc = draw_to_file(args, q, &d);
	plot_free(&d.plot);
	picture_free(&d.picture);
	return rc;
}
