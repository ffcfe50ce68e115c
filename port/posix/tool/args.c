/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Parses the command line with the table of options.
 */
#include "args.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "help.h"
#include "message.h"
#include "options.h"
#include "show/text.h"

/* What getopt_long returns for the long name of a row: this number and the index of the row. */
enum { LONG_NAME = 256 };

/* The options of one command, for getopt_long. */
struct known_options {
	char letters[2 + 3 * OPTIONS_MAX]; /* a ':' first, so that a missing value is told apart */
	struct option names[OPTIONS_MAX + 1];
};

/* Prints a message about the command line, whose words may be file names. Returns EXIT_USAGE. */
static int usage(const struct command *command, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	fprintf(stderr, "qcow2 %s: ", command->name);
	if (text != NULL)
		text_print(stderr, text, strlen(text));
	fprintf(stderr, "\nTry 'qcow2 %s --help'.\n", command->name);
	free(text);
	return EXIT_USAGE;
}

static bool takes(const struct command *command, const struct option_row *row)
{
	return (row->commands & command->bit) != 0;
}

static int has_arg(const struct option_row *row)
{
	if (option_needs_value(row))
		return required_argument;
	return option_may_have_value(row) ? optional_argument : no_argument;
}

static void collect_options(struct known_options *known, const struct command *command)
{
	static const char *const colons[] = { "", ":", "::" }; /* by has_arg */
	struct option *name = known->names;
	char *letter = known->letters;
	int i;

	*letter++ = ':';
	for (i = 0; options[i].name != NULL; i++) {
		if (!takes(command, &options[i]))
			continue;
		*name++ = (struct option){ options[i].name, has_arg(&options[i]), NULL,
			                   LONG_NAME + i };
		if (options[i].letter != '\0') {
			*letter++ = options[i].letter;
			letter = stpcpy(letter, colons[has_arg(&options[i])]);
		}
	}
	*name = (struct option){ NULL, 0, NULL, 0 };
	*letter = '\0';
}

/* The row of an option of the command, by what getopt_long says. */
static const struct option_row *find_row(const struct command *command, int option)
{
	const struct option_row *row = options;

	if (option >= LONG_NAME)
		return &options[option - LONG_NAME];
	while (row->name != NULL && (row->letter != option || !takes(command, row)))
		row++;
	return row;
}

/* Does any command take this letter or, if letter is 0, the long name in the word "--NAME=..."? */
static bool is_known(int letter, const char *word)
{
	size_t len = letter == 0 ? strcspn(word + 2, "=") : 0;
	const struct option_row *row;

	for (row = options; row->name != NULL; row++)
		if (letter != 0 ? row->letter == letter
		                : strncmp(row->name, word + 2, len) == 0 && row->name[len] == '\0')
			return true;
	return false;
}

/*
 * Puts the options of the command that begin like the word "--NAME..." into list, for a message.
 * Returns how many there are; without room for all, the last ones are left out.
 */
static int list_similar(char *list, size_t room, const struct command *command, const char *word)
{
	size_t len = strcspn(word + 2, "="), used = 0;
	const struct option_row *row;
	int n = 0;

	for (row = options; row->name != NULL; row++) {
		if (!takes(command, row) || strncmp(row->name, word + 2, len) != 0)
			continue;
		if (used < room)
			used += (size_t)snprintf(list + used, room - used, "%s--%s",
			                         n > 0 ? ", " : "", row->name);
		n++;
	}
	return n;
}

/* Refuses an option that the command does not take, or the value of one that takes none. */
static int refuse_option(const struct command *command, const char *word)
{
	char letter[3] = { '-', (char)optopt, '\0' };
	char similar[1024];

	if (optopt == 0 && list_similar(similar, sizeof similar, command, word) > 1)
		return usage(command, "ambiguous option: %s; it may be %s", word, similar);
	if (optopt >= LONG_NAME)
		return usage(command, "option takes no value: %s", word);
	if (is_known(optopt, word))
		return usage(command, "option does not apply to this command: %s",
		             optopt != 0 ? letter : word);
	return usage(command, "unknown option: %s", optopt != 0 ? letter : word);
}

/* Stores an option that the command takes; option and value are those of getopt_long. */
static int take_option(struct args *args, const struct command *command, int option, bool has_value)
{
	const struct option_row *row = find_row(command, option);
	char letter[2] = { row->letter, '\0' };
	const char *hyphens = option >= LONG_NAME ? "--" : "-";
	const char *name = option >= LONG_NAME ? row->name : letter;
	const char *expected;

	if (!has_value)
		return usage(command, "option needs a value: %s%s", hyphens, name);
	expected = row->store(option_is_for_second(row) ? args->second : args, row, optarg);
	if (expected != NULL)
		return usage(command, "invalid value for %s%s: %s; expected %s", hyphens, name,
		             optarg, expected);
	return EXIT_OK;
}

static int parse_options(struct args *args, const struct command *command, int argc, char **argv)
{
	struct known_options known = { 0 };
	int rc = EXIT_OK;

	collect_options(&known, command);
	optind = 1;
	opterr = 0;
	while (rc == EXIT_OK && !args->help && !args->version) {
		int option = getopt_long(argc, argv, known.letters, known.names, NULL);

		if (option == -1)
			break;
		if (option == '?')
			rc = refuse_option(command, argv[optind - 1]);
		else
			rc = take_option(args, command, option == ':' ? optopt : option,
			                 option != ':');
	}
	return rc;
}

static int refuse_operands(const struct command *command, int n)
{
	if (n < command->min_operands)
		return usage(command, "too few operands; expected %s", command->operands);
	if (command->max_operands == 0)
		return usage(command, "too many operands; expected none");
	if (strstr(command->operands, "...") != NULL)
		return usage(command, "too many operands; expected %s, at most %d",
		             command->operands, command->max_operands);
	return usage(command, "too many operands; expected %s", command->operands);
}

static int parse_operands(struct args *args, const struct command *command, int n, char **operands)
{
	int i;

	if (n < command->min_operands || n > command->max_operands)
		return refuse_operands(command, n);
	for (i = 0; i < n; i++)
		if (*operands[i] == '\0')
			return usage(command, "an operand is empty; expected %s",
			             command->operands);
	if (command->has_out)
		args->out = operands[--n];
	args->image = n > 0 ? operands[0] : NULL;
	args->images = operands;
	args->n_images = (unsigned)n;
	return EXIT_OK;
}

/* Fills in what counts without options. Returns false if there is no memory. */
static bool begin(struct args *args, const struct command *command, int argc)
{
	memset(args, 0, sizeof *args);
	args->command = command->name;
	args->length = UINT64_MAX;
	args->options.struct_size = sizeof args->options;
	args->backing = calloc((size_t)argc, sizeof *args->backing);
	args->keys = calloc((size_t)argc, sizeof *args->keys);
	args->bitmaps = (const char **)calloc((size_t)argc, sizeof *args->bitmaps);
	args->mount_options = (const char **)calloc((size_t)argc, sizeof *args->mount_options);
	return args->backing != NULL && args->keys != NULL && args->bitmaps != NULL &&
	       args->mount_options != NULL;
}

static bool begin_all(struct args *args, const struct command *command, int argc)
{
	if (!begin(args, command, argc))
		return false;
	if (command->bit != FOR_COMPARE)
		return true;
	args->second = calloc(1, sizeof *args->second);
	return args->second != NULL && begin(args->second, command, argc);
}

/* Is a backing file given for either image? */
static bool has_backing(const struct args *args)
{
	return args->options.n_backing != 0u ||
	       (args->second != NULL && args->second->options.n_backing != 0u);
}

/* Is the saved state of a snapshot wanted, and no snapshot? */
static bool lacks_snapshot(const struct args *args)
{
	const struct snapshot_wanted *s = &args->snapshot;

	return (args->options.flags & QCOW2_VM_STATE) != 0u && s->id_or_name == NULL &&
	       s->id == NULL && s->name == NULL;
}

/* Looks for two passwords for the same image. */
static int check_keys_of(const struct args *args, const struct command *command)
{
	unsigned i, k;

	for (i = 0; i < args->n_keys; i++)
		for (k = 0; k < i; k++) {
			const struct key_source *a = &args->keys[k], *b = &args->keys[i];

			if (a->has_depth != b->has_depth || a->depth != b->depth)
				continue;
			if (a->has_depth)
				return usage(command, "two passwords for the image at depth %u",
				             a->depth);
			return usage(command, "two passwords without a depth");
		}
	return EXIT_OK;
}

static int check_keys(const struct args *args, const struct command *command)
{
	int rc = check_keys_of(args, command);

	if (rc == EXIT_OK && args->second != NULL)
		rc = check_keys_of(args->second, command);
	return rc;
}

/*
 * Finds the first of the n sources in `list` with the same file or descriptor. NULL: none. The
 * lists are so short that this takes no time.
 */
static struct key_source *find_same(struct key_source *list, unsigned n,
                                    const struct key_source *source)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (key_source_is_same(&list[i], source))
			return &list[i];
	return NULL;
}

/* A file or descriptor that is named more than once, also for both images, is read once. */
static void link_keys(struct args *args)
{
	struct args *b = args->second;
	unsigned i;

	for (i = 0; i < args->n_keys; i++)
		args->keys[i].same = find_same(args->keys, i, &args->keys[i]);
	for (i = 0; b != NULL && i < b->n_keys; i++) {
		b->keys[i].same = find_same(args->keys, args->n_keys, &b->keys[i]);
		if (b->keys[i].same == NULL)
			b->keys[i].same = find_same(b->keys, i, &b->keys[i]);
	}
}

/* Looks for options that exclude each other, or that do nothing without another. */
static int check_combinations(const struct args *args, const struct command *command)
{
	const struct {
		const char *a;
		const char *b;
		bool has_a;
		bool has_b;
	} pairs[] = {
		{ "layer-only", "backing", (args->options.flags & QCOW2_LAYER_ONLY) != 0u,
		  has_backing(args) },
		{ "json", "human", args->json, args->human },
		{ "json", "picture", args->json, args->picture },
		{ "json", "svg", args->json, args->svg != NULL },
		{ "summary", "picture", args->summary, args->picture },
		{ "summary", "svg", args->summary, args->svg != NULL },
		{ "picture", "svg", args->picture, args->svg != NULL },
		{ "scan", "no-scan", args->scan, args->no_scan },
		{ "bitmap", "picture", args->n_bitmaps != 0u, args->picture },
		{ "bitmap", "svg", args->n_bitmaps != 0u, args->svg != NULL },
		{ "bitmap", "salvage", args->n_bitmaps != 0u, args->salvage },
		{ "bitmap", "target-is-zero", args->n_bitmaps != 0u, args->target_is_zero },
	};
	size_t i;

	for (i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
		if (pairs[i].has_a && pairs[i].has_b)
			return usage(command, "--%s and --%s cannot be combined", pairs[i].a,
			             pairs[i].b);
	if (lacks_snapshot(args))
		return usage(command, "--vm-state needs --snapshot");
	if (args->second != NULL && lacks_snapshot(args->second))
		return usage(command, "--vm-state-b needs --snapshot-b");
	if (args->report != NULL && !args->salvage)
		return usage(command, "--report needs --salvage");
	if (args->inconsistent && args->n_bitmaps == 0u)
		return usage(command, "--inconsistent needs --bitmap");
	if (args->in_place && args->n_bitmaps != 0u)
		return usage(command, "--bitmap and --in-place cannot be combined; -n brings a "
		                      "copy up to date");
	return check_keys(args, command);
}

int args_parse(struct args *args, const struct command *command, int argc, char **argv)
{
	int rc;

	if (!begin_all(args, command, argc))
		return tool_error(command->name, "out of memory");
	rc = parse_options(args, command, argc, argv);
	if (rc != EXIT_OK)
		return rc;
	if (args->help || args->version) {
		if (args->help)
			help_command(command);
		else
			printf("qcow2 %s\n", QCOW2_VERSION);
		return -1;
	}
	rc = check_combinations(args, command);
	if (rc != EXIT_OK)
		return rc;
	link_keys(args);
	return parse_operands(args, command, argc - optind, argv + optind);
}

static void free_lists(struct args *args)
{
	unsigned i;

	for (i = 0; args->keys != NULL && i < args->n_keys; i++)
		key_source_wipe(&args->keys[i]);
	free(args->backing);
	free(args->keys);
	free((void *)args->bitmaps);
	free((void *)args->mount_options);
}

void args_free(struct args *args)
{
	if (args->second != NULL)
		free_lists(args->second);
	free(args->second);
	free_lists(args);
}
