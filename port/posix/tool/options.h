/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The table of options. Parsing, --help and the listing for completion all come from it.
 */
#ifndef QCOW2_TOOL_OPTIONS_H
#define QCOW2_TOOL_OPTIONS_H

#include "args.h"

/* The most rows that the table may have. */
enum { OPTIONS_MAX = 96 };

/*
 * An option of some commands; two commands may use one letter or one name for different things. The
 * members are in the order of the columns of the table.
 */
struct option_row {           /* NOLINT(clang-analyzer-optin.performance.Padding) */
	const char *name;     /* without the hyphens; NULL ends the table */
	char letter;          /* '\0': it has none */
	const char *argument; /* as --help shows it: "FILE", or "[=any]" if it may be left out;
	                       * NULL: the option takes none */
	int commands;         /* those that take it: FOR_* */
	const char *help;     /* one line, however long; NULL: an option that help does not show */
	/*
	 * Stores the value in *args; it is NULL if the command line gives none. Returns NULL, or
	 * what a valid value is, for a message.
	 */
	const char *(*store)(struct args *args, const struct option_row *row, char *value);
	size_t at; /* for store: the offset of a field of struct args, or a flag of the library */
};

extern const struct option_row options[];

/* Is the option one of all commands that open images? */
bool option_is_common(const struct option_row *row);

/* Is it about the second image? These are the options of two images whose names end in "-b". */
bool option_is_for_second(const struct option_row *row);

/* Does the option need a value, or can it have one? */
bool option_needs_value(const struct option_row *row);
bool option_may_have_value(const struct option_row *row);

#endif
