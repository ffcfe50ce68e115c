/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * A picture of the map in the characters of a terminal.
 *
 * A character stands for a cell. Its shape is the share of data: the last shape of a kind means
 * that all of the cell is data, the first that there is some. Its colour is the kind; without
 * colours, each kind has shapes of its own.
 */
#include "picture_text.h"

#include <string.h>

#include "../show/text.h"

enum { LABEL_WIDTH = 9, ROWS_DEFAULT = 8, ROWS_MOST = 32, SHAPES_MOST = 8 };

/* The shapes of a kind, from a little data to nothing else; all take the same number of bytes. */
struct shapes {
	const char *text;
	unsigned n;
	/* Of the foreground or, after 38 is made 48, of the background. That of damage has both, as
	 * a damaged cell shows nothing else. */
	const char *color;
};

#define EIGHTHS "▁▂▃▄▅▆▇█"
#define ALARM   "1;38;5;231;48;5;160" /* bold, white on red: one cell of many must be seen */

/* The colours are of the 256 that terminals do not let users change; people who confuse red and
 * green can tell them apart, on a dark and on a light background. */
static const struct shapes colored[PICTURE_KINDS] = {
	[PICTURE_DAMAGED] = { "!", 1, ALARM },
	[PICTURE_DATA] = { EIGHTHS, 8, "38;5;32" },
	[PICTURE_COMPRESSED] = { EIGHTHS, 8, "38;5;214" },
	[PICTURE_BACKING_1] = { EIGHTHS, 8, "38;5;36" },
	[PICTURE_BACKING_2] = { EIGHTHS, 8, "38;5;175" },
	[PICTURE_BACKING_3] = { EIGHTHS, 8, "38;5;117" },
	[PICTURE_BACKING_MORE] = { EIGHTHS, 8, "38;5;143" },
	[PICTURE_ZERO] = { "-", 1, "38;5;245" },
	[PICTURE_ABSENT] = { "·", 1, "38;5;245" },
};

static const struct shapes plain[PICTURE_KINDS] = {
	[PICTURE_DAMAGED] = { "!", 1, "" },      [PICTURE_DATA] = { EIGHTHS, 8, "" },
	[PICTURE_COMPRESSED] = { "░▒▓", 3, "" }, [PICTURE_BACKING_1] = { "1", 1, "" },
	[PICTURE_BACKING_2] = { "2", 1, "" },    [PICTURE_BACKING_3] = { "3", 1, "" },
	[PICTURE_BACKING_MORE] = { "4", 1, "" }, [PICTURE_ZERO] = { "-", 1, "" },
	[PICTURE_ABSENT] = { "·", 1, "" },
};

static const struct shapes ascii[PICTURE_KINDS] = {
	[PICTURE_DAMAGED] = { "!", 1, ALARM },
	[PICTURE_DATA] = { ":+#", 3, "38;5;32" },
	[PICTURE_COMPRESSED] = { "cC", 2, "38;5;214" },
	[PICTURE_BACKING_1] = { "1", 1, "38;5;36" },
	[PICTURE_BACKING_2] = { "2", 1, "38;5;175" },
	[PICTURE_BACKING_3] = { "3", 1, "38;5;117" },
	[PICTURE_BACKING_MORE] = { "4", 1, "38;5;143" },
	[PICTURE_ZERO] = { "-", 1, "38;5;245" },
	[PICTURE_ABSENT] = { ".", 1, "38;5;245" },
};

/* How to draw with this terminal, and the colours that are on. */
struct pen {
	const struct shapes *shapes; /* of each kind */
	bool color;
	unsigned front, behind; /* kinds; PICTURE_KINDS: the terminal's own colour */
};

/* What a cell looks like. */
struct look {
	unsigned kind;
	unsigned behind; /* the kind of the background; PICTURE_KINDS: none */
	unsigned shape;
};

/*
 * The largest number of the series 8, 12, 16, 24, 32 ... that fits: rows then begin at round
 * offsets.
 */
unsigned picture_text_columns(const struct terminal *t)
{
	unsigned room = t->columns > LABEL_WIDTH + 2u ? t->columns - LABEL_WIDTH - 2u : 0;
	unsigned columns = 8;

	while (columns * 2u <= room)
		columns *= 2u;
	return columns + columns / 2u <= room ? columns + columns / 2u : columns;
}

/* Leaves half of the terminal for the legend and what was there before. */
unsigned picture_text_rows(const struct terminal *t)
{
	if (t->lines / 2u < ROWS_DEFAULT)
		return ROWS_DEFAULT;
	return t->lines / 2u < ROWS_MOST ? t->lines / 2u : ROWS_MOST;
}

static void pen_color(struct pen *pen, unsigned front, unsigned behind)
{
	if (!pen->color || (pen->front == front && pen->behind == behind))
		return;
	fputs("\033[0", stdout);
	if (front < PICTURE_KINDS)
		printf(";%s", pen->shapes[front].color);
	if (behind < PICTURE_KINDS)
		printf(";4%s", pen->shapes[behind].color + 1);
	putchar('m');
	pen->front = front;
	pen->behind = behind;
}

static void pen_off(struct pen *pen)
{
	pen_color(pen, PICTURE_KINDS, PICTURE_KINDS);
}

/*
 * The shape for a part of a whole; the last one stands for all of it. A picture has at least 32
 * cells if they are larger than the smallest, so the product fits.
 */
static unsigned shape_for(const struct shapes *s, uint64_t part, uint64_t whole)
{
	return part == whole ? s->n - 1u : (unsigned)(part * (s->n - 1u) / whole);
}

/* The kind in [from, to) with the most bytes, except one; PICTURE_KINDS if there are none. */
static unsigned largest(const struct picture_cell *c, unsigned from, unsigned to, unsigned except)
{
	unsigned kind, best = PICTURE_KINDS;

	for (kind = from; kind < to; kind++)
		if (kind != except && c->bytes[kind] > 0u &&
		    (best == PICTURE_KINDS || c->bytes[kind] > c->bytes[best]))
			best = kind;
	return best;
}

static struct look look_of(const struct pen *pen, const struct picture_cell *c, uint64_t whole)
{
	struct look look = { PICTURE_DAMAGED, PICTURE_KINDS, 0 };
	uint64_t data = whole - c->bytes[PICTURE_ZERO] - c->bytes[PICTURE_ABSENT];
	unsigned second;

	if (c->bytes[PICTURE_DAMAGED] > 0u)
		return look;
	look.kind = largest(c, 0, PICTURE_EMPTY, PICTURE_KINDS);
	if (look.kind == PICTURE_KINDS) {
		look.kind = largest(c, PICTURE_EMPTY, PICTURE_KINDS, PICTURE_KINDS);
		return look;
	}
	second = largest(c, 0, PICTURE_EMPTY, look.kind);
	if (pen->color && data == whole && second < PICTURE_KINDS &&
	    pen->shapes[look.kind].n == SHAPES_MOST) {
		look.behind = second;
		data = c->bytes[look.kind];
	}
	look.shape = shape_for(&pen->shapes[look.kind], data, whole);
	return look;
}

static void print_look(struct pen *pen, struct look look)
{
	const struct shapes *s = &pen->shapes[look.kind];
	size_t len = strlen(s->text) / s->n;

	pen_color(pen, look.kind, look.behind);
	fwrite(s->text + look.shape * len, 1, len, stdout);
}

static void print_row(struct pen *pen, const struct picture *p, unsigned row)
{
	char label[TEXT_SIZE_MAX];
	unsigned cell = row * p->columns, end = cell + p->columns;

	printf("%*s  ", LABEL_WIDTH, text_size(label, cell * p->cell_size));
	for (; cell < end && cell < p->n_cells; cell++)
		print_look(pen, look_of(pen, &p->cells[cell], picture_cell_length(p, cell)));
	pen_off(pen);
	putchar('\n');
}

/* A line with the shapes of a kind, its words, its bytes and its share of the disk. */
static void print_key(struct pen *pen, const struct picture *p, unsigned kind)
{
	const struct shapes *s = &pen->shapes[kind];
	const char *name = picture_kind_name(kind);
	char size[TEXT_SIZE_MAX], share[TEXT_SIZE_MAX];

	printf("%*s  ", LABEL_WIDTH, "");
	pen_color(pen, kind, PICTURE_KINDS);
	fputs(s->text, stdout);
	pen_off(pen);
	printf("%*s %-22s %10s %8s\n", (int)(SHAPES_MOST - s->n), "", name,
	       text_size(size, p->total.bytes[kind]),
	       text_share(share, p->total.bytes[kind], p->size));
}

void picture_print(const struct picture *p, const struct terminal *t, const char *name)
{
	struct pen pen = { t->utf8 ? (t->color ? colored : plain) : ascii, t->color, PICTURE_KINDS,
		           PICTURE_KINDS };
	char size[TEXT_SIZE_MAX], row[TEXT_SIZE_MAX], cell[TEXT_SIZE_MAX];
	unsigned i;

	text_print(stdout, name, strlen(name));
	if (p->size == 0u) {
		puts(": an empty disk");
		return;
	}
	printf(": %s; a row is %s, a character is %s\n\n", text_size(size, p->size),
	       text_size(row, p->columns * p->cell_size), text_size(cell, p->cell_size));
	for (i = 0; i < p->rows; i++)
		print_row(&pen, p, i);
	putchar('\n');
	for (i = 0; i < PICTURE_KINDS; i++)
		if (p->total.bytes[i] > 0u)
			print_key(&pen, p, i);
}
