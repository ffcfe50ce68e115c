/* SPDX-License-Identifier: MIT */
/*
 * The qcow2 command: shows what qcow2 disk images hold, and extracts their content.
 */
#include "tool.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "message.h"

static const struct command commands[] = {
	{ "info", "IMAGE", "Show the header of IMAGE: sizes, features, names, snapshots.", ARG_JSON,
	  1, run_info },
	{ "map", "IMAGE", "Show which parts of the disk hold data, and where in which file.",
	  ARG_JSON, 1, run_map },
	{ "cat", "IMAGE", "Write the content of the disk to standard output.", ARG_RANGE, 1,
	  run_cat },
	{ "convert", "IMAGE OUT", "Write the content of the disk to the sparse raw file OUT.",
	  ARG_PROGRESS, 2, run_convert },
	{ "snapshots", "IMAGE", "List the internal snapshots.", ARG_JSON, 1, run_snapshots },
};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void general_help(FILE *out)
{
	size_t i;

	fputs("Usage: qcow2 COMMAND [OPTION]... IMAGE [OUT]\n"
	      "Read qcow2 disk images. Files that an image names are opened only on request.\n\n",
	      out);
	for (i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
	fputs("\nIf IMAGE is -, the image is standard input.\n"
	      "'qcow2 COMMAND --help' lists the options of a command. See also qcow2(1).\n",
	      out);
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static bool is_option(const char *arg, const char *letter, const char *word)
{
	return strcmp(arg, letter) == 0 || strcmp(arg, word) == 0;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	struct args args;
	int rc = args_parse(&args, command, argc, argv);

	if (rc == EXIT_OK)
		rc = command->run(&args);
	args_free(&args);
	return rc < 0 ? EXIT_OK : rc;
}

/*
 * If a standard descriptor is closed, the next file that is opened gets its number, and messages
 * would go into that file. So this opens it, but in the wrong direction: its use still fails.
 */
static bool keep_standard_descriptors(void)
{
	int fd;

	for (fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return false;
	return true;
}

int main(int argc, char **argv)
{
	const struct command *command;
	int rc = EXIT_OK, flushed;

	if (!keep_standard_descriptors())
		return EXIT_FAILED;
	if (argc < 2) {
		general_help(stderr);
		return EXIT_USAGE;
	}
	command = find_command(argv[1]);
	if (command != NULL) {
		rc = run_command(command, argc - 1, argv + 1);
	} else if (is_option(argv[1], "-h", "--help")) {
		general_help(stdout);
	} else if (is_option(argv[1], "-V", "--version")) {
		printf("qcow2 %s\n", QCOW2_VERSION);
	} else {
		fprintf(stderr, "qcow2: unknown command: %s\nTry 'qcow2 --help'.\n", argv[1]);
		return EXIT_USAGE;
	}
	flushed = tool_finish_stdout();
	return rc != EXIT_OK ? rc : flushed;
}
