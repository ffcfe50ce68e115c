/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A picture of the map as SVG.
 *
 * In the panel of cells, the area of a colour is the number of bytes of that kind: each cell is
 * filled from the bottom up, in the order of enum picture_kind. Where a kind that holds data would
 * be too thin to see, a mark of constant height ("trace") is drawn on top.
 */
#include "picture_svg.h"

#include <string.h>

#include "../show/svg.h"
#include "../show/text.h"

/* The layout, in pixels. The legend has as many rows as it needs; all below it moves down. */
enum {
	WIDTH = 1010,
	LEFT = 84,
	CELL_WIDTH = 7,
	CELL_HEIGHT = 18,
	ROW_HEIGHT = 21,
	PANEL_WIDTH = PICTURE_SVG_COLUMNS * CELL_WIDTH,
	LEGEND_TOP = 74,
	LEGEND_COLUMNS = 3,
	LEGEND_ROW = 22,
	PANEL_GAP = 32, /* above the heading of a panel */
	PANEL_HEAD = 12,
	PANEL_FOOT = 24,
	PLOT_HEAD = 14,
	PLOT_FOOT = 54,
	BIN = 2,
	PLOT_HEIGHT = PLOT_ROWS * BIN,
	NAME_MOST = 80
};

typedef char panels_are_equally_wide[PANEL_WIDTH == PLOT_COLUMNS * BIN ? 1 : -1];

/* The class of a kind, and its colours on a light and on a dark page. */
static const struct {
	const char *css;
	const char *light;
	const char *dark;
} styles[PICTURE_KINDS] = {
	[PICTURE_DAMAGED] = { "damaged", "#d00000", "#ff5555" },
	[PICTURE_DATA] = { "data", "#0072b2", "#3a9bdc" },
	[PICTURE_COMPRESSED] = { "compressed", "#e69f00", "#f0b030" },
	[PICTURE_BACKING_1] = { "backing1", "#009e73", "#1fbf93" },
	[PICTURE_BACKING_2] = { "backing2", "#cc79a7", "#d98fb8" },
	[PICTURE_BACKING_3] = { "backing3", "#56b4e9", "#86cdf2" },
	[PICTURE_BACKING_MORE] = { "backing4", "#8f8a3c", "#b5b06a" },
	[PICTURE_ZERO] = { "zero", "#b4bac2", "#68707a" },
	[PICTURE_ABSENT] = { "absent", "#eceff2", "#272c33" },
};

static const char style_light[] = "text{font-family:system-ui,\"DejaVu Sans\",sans-serif;"
				  "font-size:12px;fill:#1f2328}\n"
				  ".page{fill:#ffffff}\n"
				  ".name{font-size:18px;font-weight:600}\n"
				  ".head{font-size:14px;font-weight:600}\n"
				  ".note{fill:#59636e}\n"
				  ".grid{stroke:#d8dee4;fill:none}\n"
				  ".axis{stroke:#8c959f;fill:none}\n"
				  ".bins{fill:none}\n";
static const char style_dark[] = "text{fill:#e6edf3}\n"
				 ".page{fill:#0d1117}\n"
				 ".note{fill:#9198a1}\n"
				 ".grid{stroke:#2a313a}\n"
				 ".axis{stroke:#6e7681}\n";

static void print_styles(FILE *out)
{
	unsigned kind;

	fprintf(out, "<style>\n%s", style_light);
	for (kind = 0; kind < PICTURE_KINDS; kind++)
		fprintf(out, ".%s{fill:%s}.bins.%s{fill:none;stroke:%s}\n", styles[kind].css,
		        styles[kind].light, styles[kind].css, styles[kind].light);
	fprintf(out, "@media (prefers-color-scheme:dark){\n%s", style_dark);
	for (kind = 0; kind < PICTURE_KINDS; kind++)
		fprintf(out, ".%s{fill:%s}.bins.%s{fill:none;stroke:%s}\n", styles[kind].css,
		        styles[kind].dark, styles[kind].css, styles[kind].dark);
	fputs("}\n</style>\n", out);
}

/* "data: 3.2 GiB (32.5 %)" */
static void print_amount(FILE *out, const struct picture *p, unsigned kind)
{
	char size[TEXT_SIZE_MAX], share[TEXT_SIZE_MAX];

	text_size(size, p->total.bytes[kind]);
	text_share(share, p->total.bytes[kind], p->size);
	fprintf(out, "%s: %s (%s%s)", picture_kind_name(kind), size,
	        share[0] == '<'   ? "&lt;"
	        : share[0] == '>' ? "&gt;"
	                          : "",
	        share[0] == '<' || share[0] == '>' ? share + 1 : share);
}

/* What a reader who does not see the picture gets. */
static void print_description(FILE *out, const struct picture *p, const char *name)
{
	char size[TEXT_SIZE_MAX];
	unsigned kind;

	fputs("<title id=\"title\">Map of the disk in ", out);
	svg_escape(out, name, strlen(name), NAME_MOST);
	fprintf(out, "</title>\n<desc id=\"desc\">A disk of %s.", text_size(size, p->size));
	for (kind = 0; kind < PICTURE_KINDS; kind++)
		if (p->total.bytes[kind] > 0u) {
			fputc('\n', out);
			print_amount(out, p, kind);
		}
	fputs("</desc>\n", out);
}

static void print_heading(FILE *out, const struct picture *p, const char *name)
{
	char size[TEXT_SIZE_MAX], row[TEXT_SIZE_MAX], cell[TEXT_SIZE_MAX], line[160];

	fprintf(out, "<text x=\"%d\" y=\"32\" class=\"name\">", LEFT);
	svg_escape(out, name, strlen(name), NAME_MOST);
	fputs("</text>\n", out);
	snprintf(line, sizeof line,
	         "A disk of %s. A row is %s, a cell %s. Each kind fills its share of a cell%s.",
	         text_size(size, p->size), text_size(row, p->columns * p->cell_size),
	         text_size(cell, p->cell_size),
	         p->total.bytes[PICTURE_DAMAGED] > 0u ? ", damage all of it" : "");
	svg_label(out, LEFT, 53, "note", "start", line);
}

static void print_legend(FILE *out, const struct picture *p)
{
	unsigned kind, n = 0;

	for (kind = 0; kind < PICTURE_KINDS; kind++) {
		unsigned x = LEFT + n % LEGEND_COLUMNS * (PANEL_WIDTH / LEGEND_COLUMNS);
		unsigned y = LEGEND_TOP + n / LEGEND_COLUMNS * LEGEND_ROW;

		if (p->total.bytes[kind] == 0u)
			continue;
		fprintf(out,
		        "<rect x=\"%u\" y=\"%u\" width=\"14\" height=\"14\" rx=\"2\" "
		        "class=\"%s\"/>\n",
		        x, y, styles[kind].css);
		fprintf(out, "<text x=\"%u\" y=\"%u\">", x + 20u, y + 11u);
		print_amount(out, p, kind);
		fputs("</text>\n", out);
		n++;
	}
}

/* A rectangle of a row that the next cell may continue; it is empty if its width is 0. */
struct strip {
	double x, y, width, height;
};

static void strip_flush(FILE *out, struct strip *s)
{
	if (s->width > 0 && s->height > 0)
		svg_rectangle(out, s->x, s->y, s->width, s->height);
	s->width = 0;
}

static void strip_add(FILE *out, struct strip *s, const struct strip *next)
{
	/* Both are multiples of the same steps, so equal values are exactly equal. */
	if (s->width > 0 && s->x + s->width >= next->x && s->y <= next->y && s->y >= next->y &&
	    s->height <= next->height && s->height >= next->height) {
		s->width += next->width;
		return;
	}
	strip_flush(out, s);
	*s = *next;
}

/* The upper left corner of a cell, in pixels. */
static unsigned cell_x(const struct picture *p, unsigned cell)
{
	return LEFT + cell % p->columns * CELL_WIDTH;
}

static unsigned cell_y(const struct picture *p, unsigned cell, unsigned top)
{
	return top + cell / p->columns * ROW_HEIGHT;
}

/* The share of a kind in a cell, and of the kinds below it. The last cell is narrower instead. */
static struct strip strip_of(const struct picture *p, unsigned cell, unsigned kind, unsigned top)
{
	double length = (double)picture_cell_length(p, cell);
	double below = 0, share = (double)p->cells[cell].bytes[kind] / length;
	struct strip s;
	unsigned k;

	for (k = 0; k < kind; k++)
		below += (double)p->cells[cell].bytes[k] / length;
	s.x = cell_x(p, cell);
	s.y = cell_y(p, cell, top) + (double)CELL_HEIGHT * (1 - below - share);
	s.width = (double)CELL_WIDTH * length / (double)p->cell_size;
	s.height = (double)CELL_HEIGHT * share;
	return s;
}

static void print_cells(FILE *out, const struct picture *p, unsigned kind, unsigned top)
{
	struct strip s = { 0, 0, 0, 0 }, next;
	unsigned cell;

	fprintf(out, "<path class=\"cells %s\" d=\"", styles[kind].css);
	for (cell = 0; cell < p->n_cells; cell++) {
		if (cell % p->columns == 0u)
			strip_flush(out, &s);
		next = strip_of(p, cell, kind, top);
		strip_add(out, &s, &next);
	}
	strip_flush(out, &s);
	fputs("\"><title>", out);
	print_amount(out, p, kind);
	fputs("</title></path>\n", out);
}

/* Marks of a visible height where a kind takes little of a cell; damage fills its cell. */
static void print_traces(FILE *out, const struct picture *p, unsigned kind, unsigned top)
{
	double least = kind == PICTURE_DAMAGED ? CELL_HEIGHT : 2;
	bool any = false;
	unsigned cell;

	for (cell = 0; cell < p->n_cells; cell++) {
		struct strip s = strip_of(p, cell, kind, top);

		if (s.height <= 0 || s.height >= least)
			continue;
		if (!any)
			fprintf(out, "<path class=\"trace %s\" d=\"", styles[kind].css);
		any = true;
		s.y = cell_y(p, cell, top) + CELL_HEIGHT - least;
		svg_rectangle(out, s.x, s.y, s.width, least);
	}
	if (any)
		fputs("\"/>\n", out);
}

/* The offsets of the rows at the left, and the offsets in a row below. */
static void print_cell_labels(FILE *out, const struct picture *p, unsigned top)
{
	char text[TEXT_SIZE_MAX + 2];
	unsigned i, bottom = top + p->rows * ROW_HEIGHT;

	for (i = 0; i < p->rows; i++)
		svg_label(out, LEFT - 8, top + i * ROW_HEIGHT + 13, "", "end",
		          text_size(text, i * (p->columns * p->cell_size)));
	for (i = 0; i < 8u; i++) {
		unsigned x = LEFT + i * (PANEL_WIDTH / 8);

		text[0] = '+';
		text_size(text + 1, p->columns / 8u * p->cell_size * i);
		fprintf(out, "<path class=\"axis\" d=\"M%u %uv5\"/>\n", x, bottom);
		svg_label(out, x, bottom + 17u, "note", "start", i > 0u ? text : "+0");
	}
}

static void print_panel(FILE *out, const struct picture *p, unsigned top)
{
	unsigned kind;

	svg_label(out, LEFT, top, "head", "start", "What the disk holds");
	top += PANEL_HEAD;
	fprintf(out, "<g shape-rendering=\"crispEdges\">\n");
	for (kind = PICTURE_KINDS; kind-- > 0u;)
		if (p->total.bytes[kind] > 0u)
			print_cells(out, p, kind, top);
	for (kind = PICTURE_EMPTY; kind-- > 0u;)
		if (p->total.bytes[kind] > 0u)
			print_traces(out, p, kind, top);
	fputs("</g>\n", out);
	print_cell_labels(out, p, top);
}

/* The smallest power of two that cuts a range into at most eight parts. */
static uint64_t tick_step(uint64_t range)
{
	uint64_t step = 1;

	while (range / step > 8u)
		step *= 2u;
	return step;
}

static void print_plot_axes(FILE *out, const struct plot *plot, unsigned top)
{
	uint64_t at, step = tick_step(plot->width);
	unsigned bottom = top + PLOT_HEIGHT;
	char text[TEXT_SIZE_MAX];

	for (at = 0; at <= plot->width && at / step <= 8u; at += step) {
		double x = (double)LEFT + (double)at / (double)plot->width * (double)PANEL_WIDTH;

		fprintf(out, "<path class=\"grid\" d=\"M%.1f %uv%d\"/>\n", x, top, PLOT_HEIGHT + 5);
		svg_label(out, x, bottom + 18u, "", "middle", text_size(text, at));
	}
	step = tick_step(plot->height);
	for (at = 0; at <= plot->height && at / step <= 8u; at += step) {
		double y = bottom - (double)at / (double)plot->height * (double)PLOT_HEIGHT;

		fprintf(out, "<path class=\"grid\" d=\"M%d %.1fh%d\"/>\n", LEFT - 5, y,
		        PANEL_WIDTH + 5);
		svg_label(out, LEFT - 8, y + 4, "", "end", text_size(text, at));
	}
	fprintf(out, "<path class=\"axis\" d=\"M%d %uv%dh%d\"/>\n", LEFT, top, PLOT_HEIGHT,
	        PANEL_WIDTH);
	svg_label(out, (double)LEFT + (double)PANEL_WIDTH / 2, bottom + 36u, "note", "middle",
	          "offset in the disk");
}

/* A path in units of bins, whose rows go up. */
static void print_bins(FILE *out, const struct plot *plot, unsigned kind, unsigned top)
{
	unsigned row, column, run;
	bool any = false;

	for (row = 0; row < PLOT_ROWS; row++)
		for (column = 0; column<PLOT_COLUMNS; column += run> 0u ? run : 1u) {
			for (run = 0; column + run < PLOT_COLUMNS &&
			              plot_kind(plot, column + run, row) == kind;)
				run++;
			if (run == 0u)
				continue;
			if (!any)
				fprintf(out,
				        "<path class=\"bins %s\" stroke-width=\"1\" "
				        "transform=\"translate(%d %g) scale(%d -%d)\" d=\"",
				        styles[kind].css, LEFT, top + PLOT_HEIGHT - (double)BIN / 2,
				        BIN, BIN);
			any = true;
			fprintf(out, "M%u %uh%u", column, row, run);
		}
	if (any)
		fputs("\"/>\n", out);
}

/* Adds what the plot does not show: " Not shown: 4 KiB of compressed data, 1 KiB of damage". */
static void list_hidden(char *list, size_t room, const struct picture *p, unsigned kind,
                        const char *name)
{
	size_t used = strlen(list);

	if (p->total.bytes[kind] > 0u) {
		char size[TEXT_SIZE_MAX];

		snprintf(list + used, room - used, "%s %s of %s",
		         used > 0u ? "," : " Not shown:", text_size(size, p->total.bytes[kind]),
		         name);
	}
}

/* The words beside the heading of the plot. */
static void print_plot_note(FILE *out, const struct picture *p, unsigned top)
{
	char hidden[96] = "", line[160];

	list_hidden(hidden, sizeof hidden, p, PICTURE_COMPRESSED, "compressed data");
	list_hidden(hidden, sizeof hidden, p, PICTURE_DAMAGED, "damage");
	snprintf(line, sizeof line, "A file in the order of the disk is one rising line.%s%s",
	         hidden, hidden[0] != '\0' ? "." : "");
	svg_label(out, LEFT + PANEL_WIDTH, top, "note", "end", line);
}

static void print_plot(FILE *out, const struct picture *p, const struct plot *plot, unsigned top)
{
	unsigned kind;

	svg_label(out, LEFT, top, "head", "start", "Where the file holds it");
	if (!plot->any) {
		svg_label(out, LEFT + PANEL_WIDTH, top, "note", "end",
		          "No part of the disk has a place in a file that the map knows.");
		return;
	}
	print_plot_note(out, p, top);
	top += PLOT_HEAD;
	print_plot_axes(out, plot, top);
	fputs("<g shape-rendering=\"crispEdges\">\n", out);
	for (kind = 0; kind < PICTURE_KINDS; kind++)
		print_bins(out, plot, kind, top);
	fputs("</g>\n", out);
	fprintf(out,
	        "<text class=\"note\" text-anchor=\"middle\" transform=\"translate(14 %u) "
	        "rotate(-90)\">offset in the file</text>\n",
	        top + PLOT_HEIGHT / 2u);
}

/* The height of the legend depends on the number of kinds. */
static unsigned legend_height(const struct picture *p)
{
	unsigned kind, n = 0;

	for (kind = 0; kind < PICTURE_KINDS; kind++)
		n += p->total.bytes[kind] > 0u;
	return (n + LEGEND_COLUMNS - 1u) / LEGEND_COLUMNS * LEGEND_ROW;
}

void picture_print_svg(FILE *out, const struct picture *p, const struct plot *plot,
                       const char *name)
{
	unsigned panel = LEGEND_TOP + legend_height(p) + PANEL_GAP;
	unsigned second = panel + PANEL_HEAD + p->rows * ROW_HEIGHT + PANEL_FOOT + PANEL_GAP;
	unsigned height = second + (plot->any ? PLOT_HEAD + PLOT_HEIGHT + PLOT_FOOT : PANEL_GAP);

	fprintf(out,
	        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" "
	        "viewBox=\"0 0 %d %u\" role=\"img\" aria-labelledby=\"title desc\">\n",
	        WIDTH, height, WIDTH, height);
	print_description(out, p, name);
	print_styles(out);
	fprintf(out, "<rect class=\"page\" width=\"%d\" height=\"%u\"/>\n", WIDTH, height);
	print_heading(out, p, name);
	print_legend(out, p);
	print_panel(out, p, panel);
	print_plot(out, p, plot, second);
	fputs("</svg>\n", out);
}
