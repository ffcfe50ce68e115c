/* SPDX-License-Identifier: MIT */
/*
 * What the files of the qcow2 command share. Include it first.
 *
 * Exit status: EXIT_OK, EXIT_FAILED with a message, EXIT_USAGE with a hint at --help.
 */
#ifndef QCOW2_TOOL_H
#define QCOW2_TOOL_H

#define _GNU_SOURCE       1
#define _FILE_OFFSET_BITS 64

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "qcow2.h"

#ifndef QCOW2_VERSION
#define QCOW2_VERSION "without version" /* the build knows it */
#endif

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* args.c: the command line. */

/* Options that only some commands take. */
enum { ARG_JSON = 1, ARG_RANGE = 2, ARG_PROGRESS = 4 };

struct args {
	const char *command; /* its name */
	const char *image;
	const char *out; /* convert */
	bool json;
	bool quiet;
	bool progress;
	bool has_length;
	uint64_t offset;
	uint64_t length;
	struct qcow2_options options;
	struct qcow2_file *backing; /* room for all --backing */
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
 * Fills *args from the command line of a command. Returns EXIT_OK, or EXIT_USAGE after a message,
 * or -1 if --help or --version was all (printed). args_free in every case.
 */
int args_parse(struct args *args, const struct command *command, int argc, char **argv);
void args_free(struct args *args);

/* main.c */
int run_cat(struct args *args);
int run_convert(struct args *args);
int run_info(struct args *args);
int run_map(struct args *args);
int run_snapshots(struct args *args);

/* open.c: images and messages. */

/* Opens the image as the arguments say; NULL after a message. */
struct qcow2 *tool_open(const struct args *args);
/* The same with other flags, and no message. */
struct qcow2 *tool_open_quietly(const struct args *args, unsigned flags);
/* A message from the last failure of the library; returns EXIT_FAILED. */
int tool_failed(const struct args *args);
/* "qcow2: SUBJECT: MESSAGE" on stderr; returns EXIT_FAILED. */
int tool_error(const char *subject, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Flushes standard output; EXIT_FAILED after a message if that or an earlier write failed. */
int tool_finish_stdout(void);

/* text.c: bytes of unknown origin, for people. Control and malformed bytes become \xNN. */
void text_print(FILE *out, const char *bytes, size_t len);
/* "1.5 GiB" */
void text_print_size(FILE *out, uint64_t bytes);

/*
 * json.c: a writer that keeps no tree. Members of an object have a key, those of an array NULL.
 * Strings: what is well-formed UTF-8 stays, with control characters escaped; each byte that is not
 * becomes U+FFFD, as QEMU has it.
 */
struct json {
	FILE *out;
	int depth;
	bool first; /* nothing in the innermost brackets yet */
};

void json_begin(struct json *j, const char *key, char bracket);
void json_end(struct json *j, char bracket);
void json_string(struct json *j, const char *key, const char *bytes, size_t len);
void json_text(struct json *j, const char *key, const char *text);
void json_number(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);

/* map_entries.c: the map as QEMU draws it. */
struct map_entry {
	uint64_t start, length;
	uint64_t offset; /* if has_offset */
	unsigned depth;
	bool present, zero, data, compressed, has_offset;
};

struct map_walk {
	struct qcow2 *q;
	uint64_t at;
	struct qcow2_segment segment; /* length 0: none left of it */
	bool has_entry;
	struct map_entry entry;   /* that the next one may continue */
	unsigned char holes[256]; /* HOLES_*, for each image that a chain can have */
};

/* What holes mean in the file of an image. */
enum {
	HOLES_UNKNOWN = 0,     /* not looked at yet */
	HOLES_NONE = 1,        /* nothing */
	HOLES_RAW = 2,         /* zeros */
	HOLES_PREALLOCATED = 3 /* zeros in clusters that are allocated */
};

void map_walk_begin(struct map_walk *x, struct qcow2 *q);
/* The next entry, merged as QEMU merges. Returns 1, 0 at the end, -1 for a failure. */
int map_walk_next(struct map_walk *x, struct map_entry *entry);

/* copy_plan.c: the parts of a disk that have to be copied. */
struct copy_plan {
	struct qcow2 *q;
	uint64_t at;
	struct qcow2_segment segment; /* what is left of it begins at `at` */
	int known_fd;                 /* of this file, ... */
	uint64_t known_from;          /* ... these bytes ... */
	uint64_t known_len;
	bool known_hole; /* ... are a hole, or are not */
};

struct piece {
	uint64_t off;
	size_t len;
	bool compressed; /* some of it */
};

void copy_plan_begin(struct copy_plan *p, struct qcow2 *q);
/* The next piece; it ends at a multiple of room at the latest. Returns 1, 0, -1 for a failure. */
int copy_plan_next(struct copy_plan *p, size_t room, struct piece *piece);

/*
 * holes.c: from offset on, for how many bytes of the next `len` is the file a hole, or not one?
 * *hole says which. Where the system does not know, all is data.
 */
uint64_t hole_find(int fd, uint64_t offset, uint64_t len, bool *hole);
/* Has the image clusters that were allocated without being written ("preallocation=metadata")? */
bool is_preallocated(const struct qcow2_image *image, int fd);

/* image.c: parts of the image file that the library gives no call for. */
struct qcow2_image;
bool image_bytes(const struct qcow2_image *image, uint64_t pos, void *buf, size_t len);
/* A big-endian number of len bytes. */
uint64_t bytes_be(const unsigned char *bytes, unsigned len);

/* progress.c: a bar on stderr. */
struct progress {
	bool on;
	int shown; /* per mille */
};

void progress_begin(struct progress *p, const struct args *args);
void progress_show(struct progress *p, uint64_t done, uint64_t total);
void progress_end(struct progress *p);
/* Before another message: ends the line of a bar that is not at its end. */
void progress_break(void);

/* output.c: a file that gets its name when it is complete. */
struct output {
	const char *name; /* for messages */
	char *target;     /* what is replaced */
	char *temp;
	int fd;
	bool replaces;
};

/* Each: EXIT_OK, or EXIT_FAILED after a message. */
int output_begin(struct output *o, const char *name, struct qcow2 *q);
int output_commit(struct output *o);
/* Removes what is not committed; after output_commit, nothing happens. */
void output_end(struct output *o);

#endif
