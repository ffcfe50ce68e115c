/* SPDX-License-Identifier: MIT */
/*
 * The qcow2 command: shows what qcow2 disk images hold, and extracts their content.
 */
#include "tool.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "help.h"
#include "message.h"
#include "qemu_img.h"

static int run_help(struct args *args);

static const struct command commands[] = {
	{ "info", FOR_INFO, "IMAGE...",
	  "Show what an image is: sizes, features, names, partitions, snapshots.", 1, 256, false,
	  run_info },
	{ "map", FOR_MAP, "IMAGE",
	  "Show which parts of the disk hold data, and where in which file.", 1, 1, false,
	  run_map },
	{ "cat", FOR_CAT, "IMAGE", "Write the content of the disk to standard output.", 1, 1, false,
	  run_cat },
	{ "convert", FOR_CONVERT, "IMAGE OUT",
	  "Write the content of the disk to OUT: a sparse raw file, a device or a pipe.", 2, 2,
	  true, run_convert },
	{ "compare", FOR_COMPARE, "IMAGE-A IMAGE-B",
	  "Compare the content of two disks. Exit status: 0 equal, 1 different, 2 trouble.", 2, 2,
	  false, run_compare },
	{ "check", FOR_CHECK, "IMAGE",
	  "Find damage. Exit status: 0 none, 1 trouble, 2 corruption, 3 only leaks.", 1, 1, false,
	  run_check },
	{ "snapshots", FOR_SNAPSHOTS, "IMAGE", "List the internal snapshots.", 1, 1, false,
	  run_snapshots },
	{ "bitmaps", FOR_BITMAPS, "IMAGE", "List the persistent dirty bitmaps.", 1, 1, false,
	  run_bitmaps },
	{ "mount", FOR_MOUNT, "IMAGE DIR",
	  "Show the disk, its partitions and snapshots as files in the directory DIR.", 2, 2, true,
	  run_mount },
	{ "umount", FOR_UMOUNT, "DIR", "End what mount has begun.", 1, 1, false, run_umount },
	{ "help", FOR_HELP, "[COMMAND]", "Print this help, or that of COMMAND.", 0, 1, false,
	  run_help },
	{ "version", FOR_VERSION, "", "Print the version and the built-in decoders.", 0, 0, false,
	  run_version },
	{ NULL, 0, NULL, NULL, 0, 0, false, NULL },
};

/* Returns NULL after a message. */
static const struct command *find_command(const char *name)
{
	const struct command *command;
	const char *hint;

	for (command = commands; command->name != NULL; command++)
		if (strcmp(command->name, name) == 0)
			return command;
	hint = qemu_img_hint(name);
	if (hint != NULL)
		fprintf(stderr, "qcow2: %s: this program only reads images%s\n", name, hint);
	else
		fprintf(stderr, "qcow2: unknown command: %s\nTry 'qcow2 --help'.\n", name);
	return NULL;
}

static int run_help(struct args *args)
{
	const struct command *command;

	if (args->table) {
		help_table(commands);
	} else if (args->image == NULL) {
		help_general(stdout, commands);
	} else {
		command = find_command(args->image);
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

static int run_command(const struct command *command, int argc, char **argv)
{
	struct args args;
	int rc = args_parse(&args, command, argc, argv);

	if (rc == EXIT_FAILED)
		rc = failure_status(command->name);
	else if (rc == EXIT_USAGE)
		rc = usage_status(command->name);
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
		command = find_command(argv[1]);
		if (command == NULL)
			return EXIT_USAGE;
		rc = run_command(command, argc - 1, argv + 1);
	}
	flushed = tool_finish_stdout();
	return flushed != EXIT_OK && rc != EXIT_USAGE ? failure_status(argv[1]) : rc;
}
