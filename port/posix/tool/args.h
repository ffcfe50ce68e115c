/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The command line.
 */
#ifndef QCOW2_TOOL_ARGS_H
#define QCOW2_TOOL_ARGS_H

#include "disk/key_source.h"
#include "disk/snapshot_find.h"
#include "tool.h"

/* The commands, one bit each. A row of the option table says with them which commands take it. */
enum {
	FOR_HELP = 1 << 0,
	FOR_VERSION = 1 << 1,
	FOR_INFO = 1 << 2,
	FOR_MAP = 1 << 3,
	FOR_CAT = 1 << 4,
	FOR_CONVERT = 1 << 5,
	FOR_SNAPSHOTS = 1 << 6,
	FOR_COMPARE = 1 << 7,
	FOR_BITMAPS = 1 << 8,
	FOR_CHECK = 1 << 9,
	FOR_ATTACH = 1 << 11,
	FOR_DETACH = 1 << 12,
	FOR_ALL = 0x7fffffff,
	/* The commands that open images. */
	FOR_IMAGES = FOR_ALL & ~(FOR_HELP | FOR_VERSION | FOR_DETACH)
};

/* Whether the output has holes: where it can, or only if it can, or not at all. */
enum sparse { SPARSE_AUTO, SPARSE_ALWAYS, SPARSE_NEVER };
enum args_color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

/* What the user asks for. The strings are those of argv. */
struct args {
	const char *command;            /* the name of the command */
	const struct command *commands; /* all commands of the program, for `help` */
	const char *image;  /* the first operand; "-" is standard input; NULL: there is none */
	char **images;      /* all operands but out */
	const char *out;    /* the output file, or NULL if the command has none */
	const char *svg;    /* the file of --svg, or NULL */
	const char *report; /* the file of --report, or NULL */
	uint64_t offset;    /* bytes; --skip */
	uint64_t length;    /* bytes; UINT64_MAX without --length */
	uint64_t memory;    /* bytes; 0: not given */
	uint32_t max_reads; /* 0: not given */
	unsigned n_images;
	unsigned connections; /* of attach; 0: not given */
	enum sparse sparse;
	enum args_color color;
	bool help;
	bool version;
	bool table;
	bool no_sandbox;
	bool json;
	bool backing_chain;
	bool quiet;
	bool progress;
	bool in_place;       /* write into a file that exists instead of replacing it */
	bool no_create;      /* the same; it must exist, and keeps its length */
	bool target_is_zero; /* the device, or the file of no_create, reads as zeros already */
	bool force;          /* also write to a terminal */
	bool human;
	bool summary;
	bool picture;
	bool salvage;
	bool strict;
	bool scan; /* however long it takes */
	bool no_scan;
	bool deep;
	bool repair;
	struct snapshot_wanted snapshot;
	const char **bitmaps; /* the names of --bitmap; room for as many as there are words */
	size_t n_bitmaps;
	bool inconsistent;            /* also bitmaps that are in use */
	struct qcow2_options options; /* points to backing and data_file below */
	struct qcow2_file *backing;   /* room for as many as the command line has words */
	struct qcow2_file data_file;
	struct key_source *keys; /* room for as many as the command line has words */
	unsigned n_keys;
	/* What the options for the second image say, such as --snapshot-b, in the same fields; NULL
	 * if the command has no second image. */
	struct args *second;
};

/*
 * A command: a row of the table in main.c, with its members in the order of the columns.
 */
struct command {              /* NOLINT(clang-analyzer-optin.performance.Padding) */
	const char *name;     /* NULL ends the table */
	int bit;              /* FOR_* */
	const char *operands; /* as --help shows them: "IMAGE OUT"; "" if there are none */
	const char *summary;
	int min_operands;
	int max_operands;
	bool has_out; /* the last operand is the output file */
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
