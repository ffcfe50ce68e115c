/* SPDX-License-Identifier: MIT */
/*
 * What the files of the POSIX port share. Not installed. Include it before anything else: it asks
 * the system for 64-bit file offsets and for openat2.
 *
 * Functions that can fail note the failure for qcow2_last_failure (failure.c) and return -1, NULL
 * or false; the public call that is on top sets errno from it.
 */
#ifndef QCOW2_POSIX_H
#define QCOW2_POSIX_H

#define _GNU_SOURCE       1
#define _FILE_OFFSET_BITS 64

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "qcow2.h"
#include "qcow2/codec.h"
#include "qcow2/image.h"
#include "qcow2/reader.h"

enum {
	QP_CHAIN_MAX = 256, /* files in a backing chain */
	QP_READERS_MAX = 1024,
	QP_READERS_DEFAULT = 32, /* at most, where the caller does not say */
	QP_SLOT_ALIGN = 128,     /* two cache lines, which processors fetch together */
	QP_HEAD_LEN = 4096,      /* of a file, read at once while it is opened */
	QP_IO_SHRANK = -1        /* qcow2_error.io_code: the file is shorter than it was at open */
};

#if defined(__GNUC__)
#pragma GCC visibility push(hidden)
#endif

/* file.c: one open file. */
struct qp_file {
	struct qcow2_io io; /* ctx: this */
	int fd;             /* -1: none */
	unsigned depth;     /* of the image that it belongs to */
	bool is_data;       /* its external data file */
	char *path;         /* NULL: not known */
	dev_t dev;
	ino_t ino;
	uint32_t table_len; /* where a table may end: at multiples of this; 0: not known */
	/*
	 * While the image is opened: the first head_len bytes, so that its header and the names in
	 * it take one call.
	 */
	const char *head;
	size_t head_len;
};

/*
 * Starts on a file; takes over fd and path (malloc, or NULL), also when it fails: qp_file_close
 * gives them back. Fails unless it is a regular file or block device.
 */
bool qp_file_open(struct qp_file *file, int fd, char *path);
void qp_file_close(struct qp_file *file);

/*
 * Reads the head of the file to buf, to serve what is read there from now on, until it is dropped:
 * before any other thread can see the file.
 */
bool qp_file_keep_head(struct qp_file *file, char buf[QP_HEAD_LEN]);
void qp_file_drop_head(struct qp_file *file);
bool qp_file_same(const struct qp_file *a, const struct qp_file *b);

/* What has been read ahead of a file, for one reader. */
struct qp_ahead {
	const struct qp_file *file;
	uint64_t expected; /* where the next slice is, if they come in order */
	uint64_t pos;      /* len bytes from here on are there */
	size_t len;
	char bytes[16 * 1024];
};

/* This is the memory for reading ahead in this thread, from now on; NULL: none. */
void qp_ahead_use(struct qp_ahead *memory);

/* chain.c: the images of a handle. */
struct qp_layer {
	struct qcow2_image image;
	struct qp_file file;
	struct qp_file data; /* external data file; fd -1: none */
	struct qp_layer *below;
};

/*
 * codecs.c: the decompressors of one reader. What deflate works with is made when it is first
 * needed: most readers never are. libzstd's state is made in the reader's working memory, once for
 * as long as it is not overwritten: making it asks the processor what it can do, which in a virtual
 * machine takes a tenth of the time of a cluster.
 */
struct qp_deflate {
	struct qcow2_codec codec; /* first: the core hands back its address */
	void **state;             /* NULL in it: not made yet */
	void **zstd_state;        /* NULL from begin on, which is free to overwrite it */
};

struct qp_zstd {
	struct qcow2_codec codec; /* first, too */
	void **state;             /* where it is ready; NULL in it: nowhere */
};

struct qp_codecs {
	struct qp_deflate deflate;
	void *deflate_state;
	struct qp_zstd zstd;
	void *zstd_state;
	const struct qcow2_codec *list[3];
};

/* pool.c: one reader, and whose turn it is. */
struct qp_slot {
	int busy;     /* 1: claimed by a thread; by atomic access only */
	bool started; /* below is valid; only looked at by the claimer */
	struct qcow2_reader reader;
	struct qp_ahead *ahead; /* and after it the reader's memory */
	struct qp_codecs codecs;
} __attribute__((aligned(QP_SLOT_ALIGN)));

struct qp_pool {
	struct qp_slot *slots;
	unsigned n_slots;
	size_t memory_len; /* for each; 0: what is good */
	const struct qcow2_image *image;
	int n_waiting; /* by atomic access only */
	pthread_mutex_t mutex;
	pthread_cond_t given;
};

struct qcow2 {
	struct qp_layer *top;
	struct qcow2_image snapshot; /* the image that is read, if it is a snapshot */
	const struct qcow2_image *image;
	struct qp_pool pool;
};

/*
 * Opens the image in fd and all that it needs, as the options say, and puts the images in q->top.
 * Takes over fd and the descriptors in the options. On failure q->top may hold a part:
 * qp_chain_free.
 */
bool qp_chain_open(struct qcow2 *q, int fd, const struct qcow2_options *options);
void qp_chain_free(struct qp_layer *top);
/* The layer with this depth; NULL: the chain is not that long. */
struct qp_layer *qp_layer_at(struct qp_layer *top, unsigned depth);

/* snapshots.c: makes q->snapshot the snapshot with this id or else this name, and q->image that. */
bool qp_snapshot_select(struct qcow2 *q, const char *id_or_name);

/* The options of an open call, and what has been taken of them. */
struct qp_plan {
	const struct qcow2_options *options;
	size_t n_taken; /* of options->backing */
	bool data_taken;
	char head[QP_HEAD_LEN]; /* of the image that is being opened */
};

/* chain.c: closes the descriptors in the options that nobody has taken. */
void qp_plan_drop(struct qp_plan *plan);

/* A file found for an image, not yet given to a layer. */
struct qp_found {
	int fd;
	char *path; /* malloc; NULL: not known */
	bool is_raw;
};

/*
 * find.c: the file below an image, and its external data file. Also when they fail, *found may hold
 * a descriptor and a path, which are the caller's.
 */
bool qp_find_backing(struct qp_plan *plan, const struct qp_layer *layer, struct qp_found *found);
bool qp_find_data(struct qp_plan *plan, const struct qp_layer *layer, struct qp_found *found);

/*
 * resolve.c: opens the file that `request` names, by QCOW2_FOLLOW or QCOW2_FOLLOW_ANY. Returns the
 * descriptor, and in *path its path, to be freed; or -1.
 */
int qp_resolve(const struct qcow2_file_request *request, unsigned flags, char **path);

/* Opens a file so that no FIFO or terminal can hold it up. As open(2), nothing noted. */
int qp_open(int dir_fd, const char *path, int flags);

/* pool.c */
/* How many slots there are to be; max_readers as in the options. */
unsigned qp_pool_slots(unsigned max_readers);
/* Bytes that so many take. */
size_t qp_pool_room(unsigned n_slots);
/* pool->image is to be set before a slot is taken. */
void qp_pool_init(struct qp_pool *pool, unsigned n_slots, void *room, size_t memory_len);
void qp_pool_free(struct qp_pool *pool);
/* A reader for the calling thread alone, until it is given back; NULL: failed. May wait. */
struct qp_slot *qp_slot_take(struct qp_pool *pool);
void qp_slot_give(struct qp_pool *pool, struct qp_slot *slot);

/* codecs.c. *codecs must stay where it is. */
void qp_codecs_init(struct qp_codecs *codecs);
void qp_codecs_end(struct qp_codecs *codecs);

/* deflate.c, or deflate_builtin.c; deflate_*.c */
void qp_deflate_init(struct qp_deflate *deflate);
void qp_deflate_end(struct qp_deflate *deflate);
/*
 * deflate_*.c, but not builtin: decodes the input at hand to exactly one cluster. False: it is no
 * such stream, or there was no memory for *state; that leaves the work to the core's decoder.
 */
bool qp_deflate_cluster(void **state, const struct qcow2_stream *stream);

/* zstd_*.c; false: there is none. */
bool qp_zstd_init(struct qp_zstd *zstd);

/* failure.c */

#if defined(__GNUC__)
#define QP_PRINTF(at) __attribute__((format(printf, at, (at) + 1)))
#else
#define QP_PRINTF(at)
#endif

/* Forgets the last failure of this thread. */
void qp_failure_reset(void);
/* Notes a failure: text is static, format makes the message. */
void qp_fail(int error, int status, const char *text, const char *format, ...) QP_PRINTF(4);
/* The same, where the text is the message. */
void qp_fail_text(int error, int status, const char *text);
/* Notes that there is no memory. */
void qp_fail_memory(void);
/* Notes errno, with a message that begins with what was tried: "%s: No such file". */
void qp_fail_errno(int error, const char *text, const char *what);

/* The same about a file of the handle, which is named if it is not the image itself. */
void qp_fail_file(const struct qp_file *file, int error, const char *text, const char *reason);
/* Notes what the core has answered; err may be NULL. */
void qp_fail_core(int status, const struct qcow2_error *err);
/* Sets errno from the last failure and *text, if that is not NULL. */
void qp_fail_deliver(const char **text);

/*
 * Makes untrusted bytes printable, in as much of buf as it takes: UTF-8 stays, other and control
 * bytes become \xNN. Returns buf, which is always terminated; what does not fit is cut off.
 */
enum { QP_PRINTABLE = 256 };
const char *qp_printable(char buf[QP_PRINTABLE], const char *bytes, size_t len);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
