/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Prints what the tables of commands and options say.
 */
#include "help.h"

#include <string.h>

#include "options.h"

enum {
	LINE_WIDTH = 80,
	HELP_COLUMN = 25 /* where the help of an option begins */
};

void help_general(FILE *out, const struct command *commands)
{
	const struct command *command;

	fputs("Usage: qcow2 COMMAND [OPTION]... IMAGE [OUT]\n"
	      "Read qcow2 disk images. Files that an image names are opened only on request.\n\n",
	      out);
	for (command = commands; command->name != NULL; command++)
		fprintf(out, "  %-10s %s\n", command->name, command->summary);
	fputs("\nIf IMAGE is -, the image is standard input.\n"
	      "'qcow2 COMMAND --help' lists the options of a command. See also qcow2(1).\n",
	      out);
}

/* Prints text from the column on. Lines break at spaces, and all begin at the column. */
static void print_wrapped(const char *text, int column)
{
	int at = column;

	while (*text != '\0') {
		int len = (int)strcspn(text, " ");

		if (at > column && len >= LINE_WIDTH - at) {
			printf("\n%*s", column, "");
			at = column;
		}
		at += printf("%s%.*s", at > column ? " " : "", len, text);
		text += len;
		text += strspn(text, " ");
	}
	putchar('\n');
}

/* Prints the names of an option. Returns the number of characters. */
static int print_names(const struct option_row *row)
{
	int n = row->letter != '\0' ? printf("  -%c, --%s", row->letter, row->name)
	                            : printf("  --%s", row->name);

	if (option_may_have_value(row))
		n += printf("%s%s", option_needs_value(row) ? " " : "", row->argument);
	return n;
}

static void print_option(const struct option_row *row)
{
	int n = print_names(row);

	if (n > HELP_COLUMN - 2) {
		putchar('\n');
		n = 0;
	}
	printf("%*s", HELP_COLUMN - n, "");
	print_wrapped(row->help, HELP_COLUMN);
}

/* Prints the options of a command: its own, or those that it shares with the others. */
static void print_options(const struct command *command, bool common)
{
	const struct option_row *row;

	for (row = options; row->name != NULL; row++)
		if ((row->commands & command->bit) != 0 && row->help != NULL &&
		    option_is_common(row) == common)
			print_option(row);
}

void help_command(const struct command *command)
{
	bool takes_images = (command->bit & FOR_IMAGES) != 0;

	printf("Usage: qcow2 %s [OPTION]...%s%s\n%s\n\n", command->name,
	       command->operands[0] != '\0' ? " " : "", command->operands, command->summary);
	print_options(command, false);
	if (takes_images)
		putchar('\n');
	print_options(command, true);
}

void help_table(const struct command *commands)
{
	const struct command *command;
	const struct option_row *row;

	for (command = commands; command->name != NULL; command++) {
		printf("%s\t\t\t%s\t%s\n", command->name, command->operands, command->summary);
		for (row = options; row->name != NULL; row++) {
			if ((row->commands & command->bit) == 0 || row->help == NULL)
				continue;
			printf("%s\t%s\t%.1s\t%s\t%s\n", command->name, row->name, &row->letter,
			       option_may_have_value(row) ? row->argument : "", row->help);
		}
	}
}
