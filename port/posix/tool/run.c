/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Finds the command that the user names, runs it, and turns its result into an exit status.
 */
#include "run.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "help.h"
#include "message.h"
#include "qemu_img.h"
#include "show/text.h"

/* Returns NULL after a message. */
static const struct command *find_command(const struct command *commands, const char *name)
{
	const struct command *command;
	const char *hint;

	for (command = commands; command->name != NULL; command++)
		if (strcmp(command->name, name) == 0)
			return command;
	hint = qemu_img_hint(name);
	if (hint != NULL) {
		fprintf(stderr, "qcow2: %s: this program only reads images%s\n", name, hint);
	} else {
		fputs("qcow2: unknown command: ", stderr);
		text_print(stderr, name, strlen(name));
		fputs("\nTry 'qcow2 --help'.\n", stderr);
	}
	return NULL;
}

int run_help(struct args *args)
{
	const struct command *command;

	if (args->table) {
		help_table(args->commands);
	} else if (args->image == NULL) {
		help_general(stdout, args->commands);
	} else {
		command = find_command(args->commands, args->image);
		if (command == NULL)
			return EXIT_USAGE;
		help_command(command);
	}
	return EXIT_OK;
}

static bool is_option(const char *arg, const char *letter, const char *word)
{
	return strcmp(arg, letter) == 0 || strcmp(arg, word) == 0;
}

/* The status of a failure. That of `compare` is another one, because EXIT_FAILED is its answer
 * "no". */
static int failure_status(const char *command)
{
	return strcmp(command, "compare") == 0 ? EXIT_USAGE : EXIT_FAILED;
}

/* The status of a wrong command line. That of `check` is another one, because EXIT_USAGE is its
 * answer "corrupt". */
static int usage_status(const char *command)
{
	return strcmp(command, "check") == 0 ? EXIT_FAILED : EXIT_USAGE;
}

static int run_command(const struct command *commands, const struct command *command, int argc,
                       char **argv)
{
	struct args args;
	int rc = args_parse(&args, command, argc, argv);

	if (rc == EXIT_FAILED)
		rc = failure_status(command->name);
	else if (rc == EXIT_USAGE)
		rc = usage_status(command->name);
	args.commands = commands;
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

int tool_run(const struct command *commands, int argc, char **argv)
{
	static char message[4096];
	const struct command *command;
	int rc = EXIT_OK, flushed;

	if (!keep_standard_descriptors())
		return failure_status(argc > 1 ? argv[1] : "");
	/* A message takes one write(2): it stays whole beside those of other processes. */
	setvbuf(stderr, message, _IOLBF, sizeof message);
	if (argc < 2) {
		help_general(stderr, commands);
		return EXIT_USAGE;
	}
	if (is_option(argv[1], "-h", "--help")) {
		help_general(stdout, commands);
	} else if (is_option(argv[1], "-V", "--version")) {
		printf("qcow2 %s\n", QCOW2_VERSION);
	} else {
		command = find_command(commands, argv[1]);
		if (command == NULL)
			return EXIT_USAGE;
		rc = run_command(commands, command, argc - 1, argv + 1);
	}
	flushed = tool_finish_stdout();
	return flushed != EXIT_OK && rc != EXIT_USAGE ? failure_status(argv[1]) : rc;
}
