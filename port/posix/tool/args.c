/* SPDX-License-Identifier: MIT */
/*
 * The command line.
 */
#include "args.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

/* Long options without a letter have numbers above those of all letters. */
enum {
	OPT_FOLLOW = 256,
	OPT_BACKING,
	OPT_BACKING_FORMAT,
	OPT_DATA_FILE,
	OPT_LAYER_ONLY,
	OPT_SNAPSHOT,
	OPT_ALLOW_TRUNCATED,
	OPT_JSON
};

static const struct option long_options[] = {
	{ "follow", optional_argument, NULL, OPT_FOLLOW },
	{ "backing", required_argument, NULL, OPT_BACKING },
	{ "backing-format", required_argument, NULL, OPT_BACKING_FORMAT },
	{ "data-file", required_argument, NULL, OPT_DATA_FILE },
	{ "layer-only", no_argument, NULL, OPT_LAYER_ONLY },
	{ "snapshot", required_argument, NULL, OPT_SNAPSHOT },
	{ "allow-truncated", no_argument, NULL, OPT_ALLOW_TRUNCATED },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "skip", required_argument, NULL, 's' },
	{ "length", required_argument, NULL, 'n' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "progress", no_argument, NULL, 'p' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static const char common_help[] =
	"\n"
	"  --follow[=any]         open the backing and data files that an image names, if they\n"
	"                         are in the image's directory; =any: wherever they are\n"
	"  --backing FILE[,raw|,qcow2]\n"
	"                         use FILE as the backing file; repeat it for each file below\n"
	"  --backing-format raw|qcow2\n"
	"                         the format of backing files for which none is given\n"
	"  --data-file FILE       use FILE as the external data file\n"
	"  --layer-only           read this image alone; what a backing file holds is zeros\n"
	"  --snapshot ID|NAME     read an internal snapshot instead of the current disk\n"
	"  --allow-truncated      read as zeros what is missing from a truncated file\n";

/* Prints a message about the command line. Returns EXIT_USAGE. */
static int usage(const struct command *command, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "qcow2 %s: ", command->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\nTry 'qcow2 %s --help'.\n", command->name);
	return EXIT_USAGE;
}

static void print_help(const struct command *command)
{
	printf("Usage: qcow2 %s [OPTION]... %s\n%s\n\n", command->name, command->operands,
	       command->summary);
	if ((command->takes & ARG_JSON) != 0u)
		puts("  --json                 print JSON, with the keys of qemu-img");
	if ((command->takes & ARG_RANGE) != 0u)
		puts("  -s, --skip OFFSET      start at OFFSET; suffixes K, M, G and T are powers "
		     "of 1024\n"
		     "  -n, --length LENGTH    write at most LENGTH bytes");
	if ((command->takes & ARG_PROGRESS) != 0u)
		puts("  -p, --progress         show progress even if standard error is no "
		     "terminal\n"
		     "  -q, --quiet            do not show progress");
	puts("  -h, --help             print this help\n"
	     "  -V, --version          print the version");
	fputs(common_help, stdout);
}

/* Reads a number of bytes with an optional suffix. Fails if it is not a number, or too large. */
static bool parse_size(const char *text, uint64_t *value)
{
	static const char suffixes[] = "kmgtKMGT";
	uint64_t n = 0;
	unsigned shift = 0;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		unsigned digit = (unsigned)(*text - '0');

		if (n > (UINT64_MAX - digit) / 10u)
			return false;
		n = n * 10u + digit;
	}
	if (*text != '\0') {
		const char *suffix = strchr(suffixes, *text);

		if (suffix == NULL || text[1] != '\0')
			return false;
		shift = 10u * (unsigned)((suffix - suffixes) % 4 + 1);
	}
	if (n > UINT64_MAX >> shift)
		return false;
	*value = n << shift;
	return true;
}

static bool is_backing_format(const char *text)
{
	return strcmp(text, "raw") == 0 || strcmp(text, "qcow2") == 0;
}

/* Splits FILE[,FORMAT], in place. A comma that no format follows is part of the name. */
static void parse_backing(struct args *args, char *text)
{
	struct qcow2_file *file = &args->backing[args->options.n_backing++];
	char *comma = strrchr(text, ',');

	file->path = text;
	if (comma != NULL && is_backing_format(comma + 1)) {
		*comma = '\0';
		file->format = comma + 1;
	}
	args->options.backing = args->backing;
}

static bool parse_follow(struct args *args, const char *how)
{
	unsigned flags = args->options.flags & ~(unsigned)(QCOW2_FOLLOW | QCOW2_FOLLOW_ANY);

	if (how != NULL && strcmp(how, "any") != 0)
		return false;
	args->options.flags = flags | (how != NULL ? QCOW2_FOLLOW_ANY : QCOW2_FOLLOW);
	return true;
}

/* Stores an option that the command takes. Returns false if its value is invalid. */
static bool take_option(struct args *args, int option)
{
	switch (option) {
	case OPT_FOLLOW: return parse_follow(args, optarg);
	case OPT_BACKING: parse_backing(args, optarg); break;
	case OPT_BACKING_FORMAT:
		args->options.backing_format = optarg;
		return is_backing_format(optarg);
	case OPT_DATA_FILE:
		args->data_file.path = optarg;
		args->options.data_file = &args->data_file;
		break;
	case OPT_LAYER_ONLY: args->options.flags |= QCOW2_LAYER_ONLY; break;
	case OPT_SNAPSHOT: args->options.snapshot = optarg; break;
	case OPT_ALLOW_TRUNCATED: args->options.flags |= QCOW2_ALLOW_TRUNCATED; break;
	case OPT_JSON: args->json = true; break;
	case 's': return parse_size(optarg, &args->offset);
	case 'n': args->has_length = true; return parse_size(optarg, &args->length);
	case 'q': args->quiet = true; break;
	case 'p': args->progress = true; break;
	default: return false;
	}
	return true;
}

static bool is_taken(const struct command *command, int option)
{
	if (option == OPT_JSON)
		return (command->takes & ARG_JSON) != 0u;
	if (option == 's' || option == 'n')
		return (command->takes & ARG_RANGE) != 0u;
	if (option == 'q' || option == 'p')
		return (command->takes & ARG_PROGRESS) != 0u;
	return true;
}

/* The option as the user wrote it: its long name in full, or its letter. */
static const char *option_name(char name[40], int letter, int long_index, const char *arg)
{
	if (long_index >= 0)
		snprintf(name, 40, "--%s", long_options[long_index].name);
	else if (letter > 0 && letter < 256)
		snprintf(name, 40, "-%c", letter);
	else
		return arg;
	return name;
}

static int parse_options(struct args *args, const struct command *command, int argc, char **argv)
{
	char name[40];
	int option, index = -1;

	optind = 1;
	opterr = 0;
	while ((option = getopt_long(argc, argv, ":s:n:qphV", long_options, &index)) != -1) {
		bool wrong = option == '?' || option == ':';
		const char *shown =
			option_name(name, wrong ? optopt : option, index, argv[optind - 1]);

		if (option == '?')
			return usage(command, "unknown option: %s", shown);
		if (option == ':')
			return usage(command, "option needs a value: %s", shown);
		if (option == 'h') {
			print_help(command);
			return -1;
		}
		if (option == 'V') {
			printf("qcow2 %s\n", QCOW2_VERSION);
			return -1;
		}
		if (!is_taken(command, option))
			return usage(command, "option does not apply to this command: %s", shown);
		if (!take_option(args, option))
			return usage(command, "invalid value for %s: %s", shown, optarg);
		index = -1;
	}
	return EXIT_OK;
}

int args_parse(struct args *args, const struct command *command, int argc, char **argv)
{
	int rc;

	memset(args, 0, sizeof *args);
	args->command = command->name;
	args->options.struct_size = sizeof args->options;
	args->backing = calloc((size_t)argc, sizeof *args->backing);
	if (args->backing == NULL)
		return tool_error(command->name, "out of memory");
	rc = parse_options(args, command, argc, argv);
	if (rc != EXIT_OK)
		return rc;
	if (argc - optind != (int)command->n_operands)
		return usage(command, "%s operands; expected %s",
		             argc - optind < (int)command->n_operands ? "too few" : "too many",
		             command->operands);
	if ((args->options.flags & QCOW2_LAYER_ONLY) != 0u && args->options.n_backing != 0u)
		return usage(command, "--layer-only and --backing cannot be combined");
	args->image = argv[optind];
	if (command->n_operands > 1u)
		args->out = argv[optind + 1];
	return EXIT_OK;
}

void args_free(struct args *args)
{
	free(args->backing);
}
