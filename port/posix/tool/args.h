/* SPDX-License-Identifier: MIT */
/*
 * The command line.
 */
#ifndef QCOW2_TOOL_ARGS_H
#define QCOW2_TOOL_ARGS_H

#include "tool.h"

/* Groups of options that only some commands take. */
enum {
	ARG_JSON = 1,    /* --json */
	ARG_RANGE = 2,   /* --skip, --length */
	ARG_PROGRESS = 4 /* --progress, --quiet */
};

/* What the user asks for. The strings are those of argv. */
struct args {
	const char *command; /* the name of the command */
	const char *image;   /* "-" for standard input */
	const char *out;     /* the output file, or NULL if the command has none */
	bool json;
	bool quiet;
	bool progress;
	bool has_length;
	uint64_t offset;              /* bytes; --skip */
	uint64_t length;              /* bytes, if has_length */
	struct qcow2_options options; /* points to backing and data_file below */
	struct qcow2_file *backing;   /* room for as many as the command line has words */
	struct qcow2_file data_file;
};

struct command {
	const char *name;
	const char *operands;
	const char *summary;
	unsigned takes;      /* ARG_* */
	unsigned n_operands; /* 1, or 2 with an output file */
	int (*run)(struct args *args);
};

/*
 * Fills *args from the command line of a command; argv[0] is the command's name. Returns EXIT_OK,
 * or EXIT_USAGE or EXIT_FAILED after a message, or -1 if it has printed the help or the version,
 * which is all the user wanted. The caller calls args_free in every case.
 */
int args_parse(struct args *args, const struct command *command, int argc, char **argv);
void args_free(struct args *args);

#endif
