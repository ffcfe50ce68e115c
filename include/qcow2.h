/* SPDX-License-Identifier: MIT */
/*
 * Read qcow2 disk images: the POSIX library.
 *
 *	const char *error;
 *	struct qcow2 *q = qcow2_open(open("disk.qcow2", O_RDONLY), &error);
 *	if (!q)
 *		errx(1, "disk.qcow2: %s", error);
 *	int n = qcow2_read(q, buf, sizeof buf, 0);
 *	qcow2_close(q);
 *
 * The first four calls are the whole of it for an image that stands alone. The others open images
 * that need other files, tell what an image holds without reading it, and say more about errors.
 * For firmware and others without a libc there is the core below this library: qcow2/reader.h.
 *
 * Threads: all calls on one handle may run at once, in parallel, but qcow2_close only alone.
 */
#ifndef QCOW2_H
#define QCOW2_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

struct qcow2;

/*
 * Opens the qcow2 image in the file fd, a regular file or block device that is open for reading.
 *
 * From the call on fd belongs to the library: qcow2_close closes it, and when the call fails it is
 * closed before that returns. Its file position is neither used nor moved.
 *
 * On failure: NULL, errno is set, and *error_ret, where error_ret is not NULL, points to a static
 * text; qcow2_last_failure tells more. On success *error_ret is left as it was.
 *
 * No other file is ever opened: an image that needs a backing file or an external data file is
 * refused with ENOTSUP. See qcow2_open_options.
 *
 * Cost: one pread(2), of at most 4 KiB, and one more for each header extension or name that lies
 * behind these. No table of clusters is read.
 *
 * errno, here and in all calls below:
 *	ENOTSUP  an image of a kind that is not read: another version, an unknown incompatible
 *	         feature, encryption or compression; another file is needed
 *	EINVAL   not a qcow2 image; the header, or a table checked at open, says what cannot be;
 *	         or a bad argument
 *	EFBIG    the image is beyond the limits of the format's reference implementation
 *	EIO      damaged: bad table entry, bad compressed data, or the file ends too early
 *	ENOMEM   no memory; the handle stays usable
 *	ENOENT   no such snapshot; no such file
 *	ELOOP    the backing chain comes back to itself, is longer than 256 files, or a name goes
 *	         through a symbolic link where that is not allowed
 *	EPERM    a name in the image leads out of the image's directory
 *	ESPIPE   not seekable: pipe, socket, terminal; EISDIR: a directory
 *	others   as the system has set it: from pread(2), open(2), fstat(2)
 */
struct qcow2 *qcow2_open(int fd, const char **error_ret);

/* Closes all files of the handle and frees it. NULL: nothing happens. errno is kept. */
void qcow2_close(struct qcow2 *q);

/* The virtual size in bytes: what the guest sees as the size of its disk. */
uint64_t qcow2_get_size(struct qcow2 *q);

/*
 * Copies the disk's bytes from offset on to dest, and returns how many: len, or fewer if the disk
 * ends before that, and 0 at or past its end. It is never short for another reason, except that
 * len is cut to INT_MAX. What is not allocated reads as zeros.
 * On error: -1 and errno, and dest may hold anything; the next call may succeed.
 */
int qcow2_read(struct qcow2 *q, void *dest, size_t len, uint64_t offset);

/* Flags of qcow2_open_options. */
enum {
	/*
	 * A file cut short: what it does not hold any more reads as zeros, instead of failing
	 * with EIO. Compressed data that is cut still fails.
	 */
	QCOW2_ALLOW_TRUNCATED = 1,
	/* This image alone: the parts that a backing file would serve read as zeros. */
	QCOW2_LAYER_ONLY = 2,
	/*
	 * Open the backing and data files that images name, inside the directory of the image
	 * that names them: no "..", no symbolic link, and an absolute name only if it begins with
	 * that directory. Needs path.
	 */
	QCOW2_FOLLOW = 4,
	/* Open them wherever they are. For images that are trusted. */
	QCOW2_FOLLOW_ANY = 8,
	/*
	 * To look, not to read: opens encrypted images too, and no other file, not even one that
	 * is given. qcow2_read and qcow2_map fail for an image that cannot be read.
	 */
	QCOW2_INSPECT = 16
};

/* A file given by the caller. */
struct qcow2_file {
	const char *path;   /* to be opened; NULL: fd is used */
	int fd;             /* if path is NULL; belongs to the library from the call on */
	const char *format; /* backing: "raw" or "qcow2"; NULL: what the image above it says */
};

enum { QCOW2_FILE_BACKING = 1, QCOW2_FILE_DATA = 2 };

/* What an image asks for: for the callback that decides. The strings are only there during it. */
struct qcow2_file_request {
	int kind;           /* QCOW2_FILE_* */
	unsigned depth;     /* of the image that names it: 0 is the one that is opened */
	const char *name;   /* as the image has it: name_len bytes, and a NUL */
	size_t name_len;    /* not to be trusted: may hold anything, except a NUL */
	const char *path;   /* of the image that names it; NULL: not known */
	const char *format; /* backing: as the image has it, or NULL */
};

/*
 * Set struct_size to sizeof(struct qcow2_options), and all that is not needed to zero; the struct
 * may grow at its end. Nothing in it is kept after the call. A file that an image needs comes from
 * the first of these that is given: data_file or backing; open_file; QCOW2_FOLLOW or _FOLLOW_ANY.
 */
struct qcow2_options {
	size_t struct_size;
	unsigned flags; /* QCOW2_ALLOW_TRUNCATED ... */

	/*
	 * Readers: how many threads are served at once, at most 1024; others wait. 0: one for each
	 * processor, at most 32; ...
	 */
	unsigned max_readers;
	/* ... and the memory of each in bytes, raised to what is needed. 0: what is good. */
	size_t reader_memory;

	const char *path;     /* of the image: for messages, and where names in it begin */
	const char *snapshot; /* id or else name of the internal snapshot to read; NULL: none */

	const struct qcow2_file *data_file; /* the external data file of the image */
	const struct qcow2_file *backing;   /* n_backing files: the one below the image, ... */
	size_t n_backing;                   /* ... the one below that, and so on */

	/* "raw" or "qcow2": for a backing file whose format is given nowhere. Never probed. */
	const char *backing_format;

	/*
	 * Decides about a name: returns a descriptor, which then belongs to the library, or -1
	 * with errno to refuse. *format is request->format, and may be set to a static string.
	 */
	int (*open_file)(void *ctx, const struct qcow2_file_request *request, const char **format);
	void *open_file_ctx;
};

/*
 * As qcow2_open, with a choice. options NULL: the same as that. Descriptors in the options belong
 * to the library as fd does, also when the call fails.
 */
struct qcow2 *qcow2_open_options(int fd, const struct qcow2_options *options,
                                 const char **error_ret);

/* What is known of the last failure of a call in this thread. */
struct qcow2_failure {
	int error; /* errno of the call */
	/*
	 * enum qcow2_status of qcow2/status.h, or 0 where errno says it better. QCOW2_E_BACKING,
	 * QCOW2_E_DATA_FILE: that file is needed and not given; QCOW2_E_ARGUMENT with ENOTSUP: the
	 * format of a backing file is.
	 */
	int status;
	int has_pos;        /* whether ... */
	uint64_t pos;       /* ... a byte position in the file is known, ... */
	unsigned depth;     /* ... that of the image with this depth */
	const char *text;   /* static: what *error_ret gets */
	char message[1024]; /* "what is wrong (at file offset N)", with names, in printable form */
};

/*
 * The last failure of any call above or below in the calling thread, until its next one; after a
 * successful call it means nothing. Never NULL.
 */
const struct qcow2_failure *qcow2_last_failure(void);

enum {
	QCOW2_SEGMENT_PRESENT = 1,    /* an image of the chain has an entry for it */
	QCOW2_SEGMENT_ZERO = 2,       /* reads as zeros */
	QCOW2_SEGMENT_DATA = 4,       /* holds data */
	QCOW2_SEGMENT_COMPRESSED = 8, /* and that is compressed */
	QCOW2_SEGMENT_AT = 16         /* fd and file_offset are valid */
};

/* A piece of the disk that is all of one kind. */
struct qcow2_segment {
	uint64_t start;
	uint64_t length;
	unsigned flags; /* QCOW2_SEGMENT_* */
	unsigned depth; /* of the image that answered: 0 is the one that was opened */
	/*
	 * Where its bytes are: at file_offset in the file fd, which stays the library's. Bytes
	 * past the end of that file are zeros. Never for compressed data.
	 */
	int fd;
	uint64_t file_offset;
};

/*
 * Tells what the disk holds from offset on, as far as that is all of one kind, but not further than
 * offset + len. Cheap: no data is read, but tables, by 512 bytes or, where they are gone through in
 * order, 16 KiB. The next segment may be of the same kind.
 * Returns 1, or 0 at or past the end of the disk or with len 0, or -1 and errno; *segment is only
 * written with 1.
 */
int qcow2_map(struct qcow2 *q, uint64_t offset, uint64_t len, struct qcow2_segment *segment);

/* An internal snapshot. The strings are the image's: not to be trusted, terminated here. */
struct qcow2_snapshot_entry {
	const char *id;
	const char *name;
	size_t id_len;
	size_t name_len;
	uint64_t disk_size;     /* bytes */
	uint64_t vm_state_size; /* bytes; 0: the disk only */
	uint64_t vm_clock_nsec; /* how long the guest had run */
	uint64_t icount;        /* instructions it had run; UINT64_MAX: not recorded */
	uint64_t date_sec;      /* when it was taken, since 1970, ... */
	uint32_t date_nsec;     /* ... and nanoseconds */
};

/*
 * Lists the internal snapshots of the image. Returns how many there are and puts them in *list, one
 * block of memory with all strings in it, to be given to free(); or -1 and errno.
 */
int qcow2_list_snapshots(struct qcow2 *q, struct qcow2_snapshot_entry **list);

/*
 * The header of an image of the chain, as qcow2/image.h describes it: depth 0 is the one that was
 * opened, which names its snapshots and so on; NULL: the chain is not that long. To be looked at
 * while the handle is open. The shared library has only the calls of this header; those of
 * qcow2/image.h and the others are in the static ones.
 */
struct qcow2_image;
const struct qcow2_image *qcow2_get_image(struct qcow2 *q, unsigned depth);

/*
 * The path by which an image of the chain was opened, which is there as long as the handle; NULL:
 * not known, or no such image. And its descriptor, which stays the library's; -1: no such image.
 */
const char *qcow2_get_path(struct qcow2 *q, unsigned depth);
int qcow2_get_fd(struct qcow2 *q, unsigned depth);

/* The descriptor of its external data file, which stays the library's; -1: it has none. */
int qcow2_get_data_fd(struct qcow2 *q, unsigned depth);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif
#endif
