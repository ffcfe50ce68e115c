/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * The POSIX library: reads qcow2 disk images.
 *
 *	const char *error;
 *	struct qcow2 *q = qcow2_open(open("disk.qcow2", O_RDONLY), &error);
 *	if (!q)
 *		errx(1, "disk.qcow2: %s", error);
 *	int n = qcow2_read(q, buf, sizeof buf, 0);
 *	qcow2_close(q);
 *
 * An image that needs no other file needs no other call. The rest of this header opens images that
 * need other files, describes an image without reading its disk, and explains failures.
 * Programs without a libc, such as firmware, use the core instead: see qcow2/reader.h.
 * "qcow2.txt" is QEMU's description of the format, docs/interop/qcow2.txt.
 *
 * Threads: any number of threads may use one handle, and their calls run in parallel. Only
 * qcow2_close must run alone: the caller makes sure that no other call uses the handle.
 *
 * Cancellation: qcow2_read, qcow2_map and qcow2_map_bitmaps are cancellation points of
 * pthread_cancel(3), at their beginning. After that, and in all other calls and in the callbacks,
 * the library holds cancellation off, so that nothing is lost. It must be deferred: no call is safe
 * in a thread whose cancellation is asynchronous.
 *
 * Processes: after fork(2) the parent and the child can both use the handle, also if other threads
 * were in a call. Each of them closes it. What the calls of those threads had (for each a reader,
 * or an image that was being opened) stays allocated in the child. Do not fork in a signal handler
 * that interrupts a call, nor by a system call that runs no handlers of pthread_atfork(3), such as
 * _Fork(3): then the child must not use the handle.
 *
 * An image that is being written: the library takes no lock. As long as another process writes to a
 * file of the chain, calls return what the file has at that moment, or what it had earlier, because
 * the library keeps parts of tables; a call may also fail, because it sees half of a change. What
 * the writer has not flushed yet is missing, because the tables that lead there are still in its
 * memory. A file may grow: before qcow2_read or qcow2_map fails because a file ends too early, it
 * asks the system for the size again, and reads the tables anew if the file is longer. The other
 * calls know what was in the file when the image was opened. If a file ends inside a cluster of
 * data, the rest of that cluster reads as zeros, also when the file has grown. What the header
 * says, for instance the size of the disk, stays as it was when the image was opened. A program
 * that must see all that has been flushed opens the image again.
 *
 * Errors: a call that fails sets errno and leaves the handle usable. qcow2_last_failure has the
 * details. The meaning of errno is the same in all calls:
 *
 *	ENOTSUP  the library cannot read this kind of image (its version, an incompatible feature,
 *	         its encryption or its compression), or the image needs a file or a key that was
 *	         not given
 *	EACCES   the password of an encrypted image is wrong
 *	EINVAL   the file is not a qcow2 image; the header, or a table that the call checks, is
 *	         invalid; or an argument is invalid
 *	EFBIG    a size in the image exceeds a limit of QEMU, or a LUKS header asks for more
 *	         iterations than the caller allows
 *	EIO      the image is damaged: a bad table entry, bad compressed data, or the file ends too
 *	         early
 *	ENOMEM   there is not enough memory
 *	ENOENT   a snapshot, a bitmap, a file or an image of the chain does not exist
 *	ESTALE   a bitmap may lack changes
 *	ELOOP    the backing chain contains a file twice or more than 256 files, or a file name
 *	         leads through a symbolic link where QCOW2_FOLLOW forbids it
 *	EPERM    a file name in the image leads out of the image's directory
 *	ESPIPE   the file is a pipe, a socket or a character device
 *	EISDIR   the file is a directory
 *	others   the errno of pread(2), open(2), fstat(2) or of the caller's open_file
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

/* An open image with all files that it needs. */
struct qcow2;

/*
 * Opens the qcow2 image in the file fd: a regular file or a block device that is open for reading.
 *
 * The library owns fd from the call on: qcow2_close closes it, and a call that fails closes it
 * before it returns. The library neither uses nor moves the file position. fd may have O_DIRECT:
 * reads that the system refuses because of their alignment go through a buffer of the library.
 *
 * Returns the handle, or NULL on failure. On failure errno is set, and *error_ret points to a
 * static text if error_ret is not NULL. On success *error_ret and errno keep their values.
 *
 * The call opens no other file. It fails with ENOTSUP if the image needs a backing file or an
 * external data file, or if it is encrypted: use qcow2_open_options for these. It also fails with
 * ENOTSUP if the version, an incompatible feature or the compression of the image is not supported,
 * with EINVAL if the file is no qcow2 image or its header is not valid, with EFBIG if the disk or a
 * table is larger than QEMU allows, with EIO if the file ends before its tables, with ESPIPE or
 * EISDIR if fd is not seekable or a directory, with ENOMEM if there is not enough memory, and with
 * the errno of fstat(2) or pread(2) if one of these fails.
 *
 * Cost: one pread(2) of at most 4 KiB, and one more for each header extension or name after these
 * 4 KiB. No table is read.
 */
struct qcow2 *qcow2_open(int fd, const char **error_ret);

/*
 * Closes all files of the handle and frees it with all strings that it owns. q may be NULL. Keeps
 * errno. No other thread may use the handle during or after the call.
 */
void qcow2_close(struct qcow2 *q);

/* Returns the size of the virtual disk in bytes, as the guest sees it. Never fails. */
uint64_t qcow2_get_size(struct qcow2 *q);

/*
 * Copies the bytes [offset, offset + len) of the disk to dest. Parts that no image allocates read
 * as zeros.
 *
 * Returns the number of bytes copied: len, or fewer if the disk ends before that or if len exceeds
 * INT_MAX. Returns 0 at and past the end of the disk. Returns -1 and sets errno on failure; then
 * dest may hold anything, and the same call may succeed later.
 *
 * Fails with EIO if a table entry or compressed data is damaged or if a file of the chain ends too
 * early, with ENOTSUP if QCOW2_INSPECT opened an image that cannot be read, or if the data is
 * encrypted and the image was opened without a key, with ENOMEM if there is no memory for a reader,
 * and with the errno of pread(2). qcow2_last_failure says where the damage is and how far it
 * reaches.
 *
 * Cost: one pread(2) for each run of data, straight into dest, and some for tables that are not in
 * the cache yet. Encrypted data is decrypted in dest; if the run begins or ends inside one of its
 * sectors of 512 bytes, each of these ends costs one more pread(2).
 */
int qcow2_read(struct qcow2 *q, void *dest, size_t len, uint64_t offset);

/* Flags of qcow2_open_options. */
enum {
	/*
	 * Accept files that are cut short: what is missing reads as zeros instead of failing with
	 * EIO. A compressed cluster that is cut short still fails.
	 */
	QCOW2_ALLOW_TRUNCATED = 1,
	/* Open this image without its backing file, whose data then reads as zeros. */
	QCOW2_LAYER_ONLY = 2,
	/*
	 * Open the backing and data files that images name, if they are inside the directory of the
	 * image that names them: no "..", no symbolic link, and an absolute name only if it begins
	 * with that directory. The directory is the one that has the file, not the one that has a
	 * symbolic link to it, and it is the same one for the whole call, even if another process
	 * renames directories meanwhile. Needs qcow2_options.path.
	 */
	QCOW2_FOLLOW = 4,
	/*
	 * Open these files wherever they are. As in QEMU, a relative name begins at the directory
	 * in the path of the image. Only for trusted images. Needs qcow2_options.path.
	 */
	QCOW2_FOLLOW_ANY = 8,
	/*
	 * Inspect only: ask for no key, and never open another file, not even one passed in the
	 * options. qcow2_read and qcow2_map fail if the image needs another file, and qcow2_read
	 * fails where data is encrypted.
	 */
	QCOW2_INSPECT = 16,
	/*
	 * Read the state of the machine that was saved with the snapshot in qcow2_options.snapshot
	 * instead of the disk. It needs no backing file, so none is opened. Fails with ENOENT if
	 * the snapshot has no state, and with EINVAL if no snapshot is given.
	 */
	QCOW2_VM_STATE = 32,
	/*
	 * Open encrypted images without their keys, and do not call get_key. qcow2_map works, and
	 * qcow2_read fails where data is encrypted.
	 */
	QCOW2_WITHOUT_KEYS = 64
};

/* A file that the caller passes in the options. */
struct qcow2_file {
	const char *path;   /* the file to open; NULL: use fd */
	int fd;             /* used if path is NULL; owned by the library from the call on */
	const char *format; /* of a backing file, as in the image; NULL: see backing_format */
};

/* What an image needs a file for. */
enum { QCOW2_FILE_BACKING = 1, QCOW2_FILE_DATA = 2 };

/*
 * Describes a file that an image needs, for the open_file callback. The strings are valid only
 * during the call. Name and format come from the image and may hold anything.
 */
struct qcow2_file_request {
	int kind;           /* QCOW2_FILE_BACKING or QCOW2_FILE_DATA */
	unsigned depth;     /* of the image that names the file; 0: the image that is opened */
	const char *name;   /* as the image has it, followed by a NUL; has no NUL inside */
	size_t name_len;    /* bytes of name without the NUL */
	const char *path;   /* of the image that names the file; NULL: unknown */
	const char *format; /* of a backing file, as the image has it; NULL: the image has none */
};

/* Describes an encrypted image, for the get_key callback. Valid only during the call. */
struct qcow2_key_request {
	unsigned depth;     /* of the image; 0: the one that is opened */
	const char *method; /* static: "luks" or "aes" */
	const char *uuid;   /* of LUKS, in printable form; NULL: the method has none */
	const char *path;   /* of the image; NULL: unknown */
};

/*
 * A password. Its bytes are used as they are: a newline at the end belongs to it. LUKS hashes all
 * of them. AES uses the first 16 bytes as the key, and cannot tell whether it is right: with a
 * wrong key, the disk reads as noise.
 */
struct qcow2_key {
	const void *bytes; /* NULL if len is 0 */
	size_t len;
};

/*
 * Options of qcow2_open_options. Set struct_size to sizeof(struct qcow2_options) and zero every
 * field that you do not use; new fields may follow in later versions. The library keeps nothing of
 * the struct after the call.
 *
 * A file that an image needs comes from the first of these that is set: data_file or backing, then
 * open_file, then QCOW2_FOLLOW or QCOW2_FOLLOW_ANY.
 *
 * The format of a backing file is "qcow2", "qcow" (version 1) or "raw". QEMU's "file" and
 * "host_device" are the same as "raw".
 */
struct qcow2_options {
	size_t struct_size;   /* sizeof(struct qcow2_options) */
	unsigned flags;       /* QCOW2_ALLOW_TRUNCATED and the others above, or 0 */
	unsigned max_readers; /* how many threads can read at once, at most 1024; others wait;
	                       * 0: as many as there are processors, at most 32 */
	size_t reader_memory; /* bytes for each reader, raised to the minimum; 0: a good size */
	const char *path;     /* by which fd was opened, for messages, QCOW2_FOLLOW and
	                       * QCOW2_FOLLOW_ANY; NULL: unknown */
	const char *snapshot; /* id, or else name, of the snapshot to read; NULL: the disk */
	const struct qcow2_file *data_file; /* the image's external data file; NULL: not given */
	const struct qcow2_file *backing;   /* the file below the image, then the one below that */
	size_t n_backing;                   /* number of files in backing */
	const char *backing_format;         /* "raw", "qcow2" or "qcow": for backing files without a
	                                     * format, which are never probed; NULL: not given */
	/*
	 * Opens a file that an image names, or refuses it. Returns a descriptor, which the library
	 * then owns, or -1 with errno set. On entry *format is request->format; the callback may
	 * set it to a static string. NULL: no callback.
	 */
	int (*open_file)(void *ctx, const struct qcow2_file_request *request, const char **format);
	void *open_file_ctx; /* passed to open_file */
	/*
	 * Where the image is in the file fd, if it is inside another file, such as a tar archive:
	 * its first byte, and its length in bytes. Length 0 means up to the end of the file, and so
	 * does a length that goes past it. Other files of the chain begin at their first byte.
	 */
	uint64_t image_offset;
	uint64_t image_length;
	const char *format; /* of the image: "qcow2", "qcow" for version 1 only, or "raw" if the
	                     * file is the disk itself; NULL: "qcow2" or "qcow", by its header */
	/*
	 * Gives the password of an encrypted image. It is called once for each of them, from the
	 * top of the chain down, after all files are open. Returns 1 and sets *key, whose bytes
	 * stay valid until the next call or the end of qcow2_open_options; the library copies none
	 * of them, so the callback's owner can wipe them after that. Returns 0 if it has no
	 * password, or -1 with errno set. NULL: no passwords.
	 */
	int (*get_key)(void *ctx, const struct qcow2_key_request *request, struct qcow2_key *key);
	void *get_key_ctx; /* passed to get_key */
	/*
	 * The most iterations of PBKDF2 that a LUKS header may ask for, for a key slot and for the
	 * digest; 0: a hundred million, tens of seconds of work for each slot that is tried.
	 * qemu-img chooses as many as take two seconds where the image is made: more than ten
	 * million on a fast machine.
	 */
	uint32_t max_iterations;
};

/*
 * Like qcow2_open, with options. NULL options are the same as qcow2_open. The library owns the
 * descriptors in the options from the call on, even if the call fails.
 *
 * In addition to the errors of qcow2_open, for every file of the chain: fails with ENOTSUP if a
 * file or a key is needed but not given, if the cryptographic library of this build lacks the
 * cipher, or if the format of a backing file is unknown or neither raw, qcow2 nor qcow; with EACCES
 * if the password of an image opens none of its key slots; with EFBIG if a LUKS header asks for too
 * many iterations; with EINVAL if struct_size is not set, if an option of a later version is used,
 * if format is neither raw, qcow2 nor qcow, if a LUKS header is invalid, if a file is given that no
 * image needs, if a name in the image contains a NUL, or if the file ends before image_offset; with
 * ENOENT if the snapshot or a file does not exist; with ELOOP if the chain contains a file twice or
 * more than 256 files; with EPERM or ELOOP if QCOW2_FOLLOW forbids the name; and with the errno of
 * open(2), of open_file or of get_key.
 *
 * Cost: that of qcow2_open for each file of the chain. An image with LUKS also costs two reads for
 * its header, and for each key slot that is tried a PBKDF2 and some 500 reads of 512 bytes.
 */
struct qcow2 *qcow2_open_options(int fd, const struct qcow2_options *options,
                                 const char **error_ret);

/* What is known about the last failure of a call in this thread. */
struct qcow2_failure {
	int error; /* errno of the call */
	/*
	 * An enum qcow2_status of qcow2/status.h, or 0 if the core was not involved.
	 * QCOW2_E_BACKING, QCOW2_E_DATA_FILE: this file is needed and not given, does not exist
	 * under the name that the image has for it, or cannot be used because of its format or
	 * because the image names it by other means than a file name.
	 * QCOW2_E_ARGUMENT with ENOTSUP: the format of a backing file is needed and not given.
	 */
	int status;
	int has_pos;        /* not 0: pos is valid */
	uint64_t pos;       /* byte position in the file of the image at this depth */
	unsigned depth;     /* of the image that the failure is about; 0: the one opened */
	const char *text;   /* static, without names or numbers: what *error_ret gets */
	char message[1024]; /* text, names and numbers, in printable form, without a newline */

	/*
	 * The part of the disk that cannot be read or mapped, after qcow2_read and qcow2_map. It
	 * begins where the call failed; what the call was asked for before that can be read. It
	 * may end past what was asked for: it is the cluster of a bad entry, with neighbours that
	 * fail alike, or everything that an unreadable table maps. To read on after the damage,
	 * continue at offset + length. If pread(2) fails for data that is not compressed, the part
	 * ends with what was asked for, and reading less at a time finds what is still readable.
	 */
	uint64_t offset; /* in the disk, bytes */
	uint64_t length; /* bytes; 0: the failure is not about a part of the disk */
	/*
	 * QCOW2_E_TRUNCATED: not 0 if the file seems to have lost its end and
	 * QCOW2_ALLOW_TRUNCATED opens or reads what is left; 0 if an entry points past the end
	 * where nothing was, if the file ends in its header, or if compressed data is cut.
	 */
	int looks_cut;
	/* QCOW2_E_BACKING, QCOW2_E_DATA_FILE: not 0 if QCOW2_FOLLOW may find the file by name */
	int names_file;
};

/*
 * Returns the last failure of a call of this library in the calling thread. Never NULL. The struct
 * belongs to the thread and is valid until its next call; it means nothing after a call that
 * succeeded.
 */
const struct qcow2_failure *qcow2_last_failure(void);

/* Flags of a segment. */
enum {
	QCOW2_SEGMENT_PRESENT = 1,    /* an image of the chain has an entry for it */
	QCOW2_SEGMENT_ZERO = 2,       /* reads as zeros */
	QCOW2_SEGMENT_DATA = 4,       /* holds data */
	QCOW2_SEGMENT_COMPRESSED = 8, /* holds data that is compressed */
	QCOW2_SEGMENT_AT = 16,        /* fd and file_offset are valid */
	QCOW2_SEGMENT_ENCRYPTED = 32  /* holds data that is encrypted */
};

/* A run of the disk that is all of one kind. */
struct qcow2_segment {
	uint64_t start;       /* offset in the disk, bytes */
	uint64_t length;      /* bytes */
	unsigned flags;       /* QCOW2_SEGMENT_* */
	unsigned depth;       /* of the image that has the entry; 0: the one that was opened */
	int fd;               /* the file that holds the bytes, owned by the library; else -1 */
	uint64_t file_offset; /* where they begin in fd; bytes past the end of fd are zeros */
};

/*
 * Finds what the disk is at offset: a run of one kind, which ends at offset + len at the latest.
 * The next run may be of the same kind, because one call examines a limited part of the disk, or
 * because the file is not contiguous. Compressed data never has QCOW2_SEGMENT_AT, and nothing in an
 * encrypted image has it. Compressed data is not encrypted, even in an encrypted image: QEMU stores
 * it as plain text.
 *
 * Returns 1 and fills *segment. Returns 0 at and past the end of the disk, and if len is 0. Returns
 * -1 and sets errno on failure. *segment is only written if the result is 1.
 *
 * Fails with EIO if the table entry for offset is damaged, or if a file ends before its table or
 * before the data of a cluster begins; qcow2_last_failure says how far the damage reaches. Fails
 * with ENOTSUP if QCOW2_INSPECT opened an image that cannot be read, with ENOMEM if there is no
 * memory for a reader, and with the errno of pread(2).
 *
 * Cost: reads tables only, never data: 512 bytes at a time, or 16 KiB if the caller goes through
 * the disk in order. One call examines at most a million entries of the L2 tables of all images
 * (8 MiB, or 16 MiB with extended L2 entries), whatever len is: 64 GiB of a disk with clusters of
 * 64 KiB and no backing file. Going through a whole disk reads an L2 table for each L1 entry that
 * points to one. In a hostile image, up to 4 million L1 entries can point to the same L2 table, so
 * a caller that must end soon counts its calls.
 */
int qcow2_map(struct qcow2 *q, uint64_t offset, uint64_t len, struct qcow2_segment *segment);

/*
 * A string from an image. It may hold anything: use qcow2_printable before you show it. A NUL that
 * len does not count follows it.
 */
struct qcow2_string {
	const char *bytes; /* NULL: the image has none */
	size_t len;        /* bytes, without the NUL; 0 if bytes is NULL */
};

/* Values of qcow2_info.flags: features of an image, qcow2.txt "Header". */
enum {
	QCOW2_INFO_DIRTY = 1,          /* refcounts may be out of date */
	QCOW2_INFO_CORRUPT = 2,        /* QEMU found damage and refuses to write */
	QCOW2_INFO_EXTENDED_L2 = 4,    /* has subclusters */
	QCOW2_INFO_LAZY_REFCOUNTS = 8, /* QEMU updates refcounts late */
	QCOW2_INFO_DATA_FILE = 16,     /* the data is in an external data file */
	QCOW2_INFO_DATA_FILE_RAW = 32  /* the external data file is a raw disk by itself */
};

/* Describes an image of the chain. */
struct qcow2_info {
	size_t struct_size; /* set by the caller: sizeof(struct qcow2_info) */
	const char *format; /* static: "qcow2", "qcow" or "raw" */
	unsigned version;   /* 2 or 3; 1: qcow; 0: raw */
	unsigned flags;     /* QCOW2_INFO_* */
	int incomplete;     /* not 0: a string below could not be read and is NULL */
	uint64_t size;      /* of the virtual disk, bytes; of the active disk, not a snapshot's */
	uint64_t file_size; /* of the image file, bytes, when it was opened */
	uint64_t cluster_size;              /* bytes; 0: raw */
	unsigned refcount_bits;             /* bits of a refcount; 0: raw */
	const char *compression;            /* static: "zlib" or "zstd"; NULL: raw */
	const char *encryption;             /* static: "aes" or "luks"; NULL: not encrypted */
	struct qcow2_string backing_file;   /* name of the backing file, as the image has it */
	struct qcow2_string backing_format; /* its format, as the image has it */
	/* Name of the external data file: "" if the image has an empty one, NULL if it has none. */
	struct qcow2_string data_file;

	/* The header's own numbers, for tools that check or repair images; 0: raw. */
	uint64_t incompatible;            /* feature bits, all three 0 in version 2 */
	uint64_t compatible;              /* feature bits */
	uint64_t autoclear;               /* feature bits */
	uint64_t l1_offset;               /* of the active L1 table in the file, bytes */
	uint64_t refcount_table_offset;   /* in the file, bytes; not validated */
	uint64_t snapshots_offset;        /* of the snapshot table in the file, bytes */
	uint32_t header_length;           /* bytes */
	uint32_t crypt_method;            /* 0: not encrypted, 1: AES, 2: LUKS */
	uint32_t l1_entries;              /* of the active L1 table */
	uint32_t refcount_table_clusters; /* clusters of the refcount table */
	uint32_t n_snapshots;             /* entries of the snapshot table */

	uint64_t file_start; /* where the image begins in its file: image_offset of the options */
};

/*
 * Describes the image at a depth of the chain; depth 0 is the image that was opened. The caller
 * sets info->struct_size; the library fills the fields that it knows and zeroes the others, which
 * a later version may fill. The strings belong to the handle and are valid until qcow2_close.
 *
 * Returns 0, or -1 with errno set and *info unchanged. Fails with EINVAL if struct_size is smaller
 * than the struct was in the first version, and with ENOENT if the chain has no image at this
 * depth. If a name cannot be read, the call still returns 0: incomplete is set, the name is NULL,
 * qcow2_last_failure has the reason, and the next call tries again.
 *
 * Cost: at most one pread(2) for each of the three strings, in the first call for a depth; later
 * calls make no system call.
 */
int qcow2_get_info(struct qcow2 *q, unsigned depth, struct qcow2_info *info);

/* A key slot of LUKS: the key of the image, encrypted under one password. */
struct qcow2_key_slot {
	int active;          /* not 0: the slot has a password */
	uint32_t iterations; /* of PBKDF2 */
	uint32_t stripes;    /* of the key material, always 4000 */
	uint64_t offset;     /* of the key material from the LUKS header, bytes */
};

enum { QCOW2_KEY_SLOTS = 8 };

/* How an image is encrypted. The names are those of QEMU. */
struct qcow2_encryption {
	size_t struct_size;      /* set by the caller: sizeof(struct qcow2_encryption) */
	const char *method;      /* static: "luks" or "aes" */
	const char *cipher;      /* static: "aes-256", "serpent-128", ... */
	const char *mode;        /* static: "xts", "cbc", "ctr" or "ecb" */
	const char *iv;          /* static: "plain64", "plain" or "essiv" */
	const char *iv_hash;     /* static: of "essiv"; otherwise NULL */
	const char *hash;        /* static: of the key slots, "sha256", ...; NULL with "aes" */
	char uuid[168];          /* of the LUKS header, in printable form; "" with "aes" */
	uint64_t header_offset;  /* of the LUKS header in the file, bytes */
	uint64_t payload_offset; /* where its key material ends, from there, bytes */
	uint32_t iterations;     /* of the digest of the key */
	struct qcow2_key_slot slots[QCOW2_KEY_SLOTS];
};

/*
 * Describes how the image at a depth of the chain is encrypted. Needs no key. The caller sets
 * e->struct_size, as in qcow2_get_info.
 *
 * Returns 1, or 0 with all other fields zeroed if the image is not encrypted. Returns -1 with errno
 * set and *e unchanged on failure: EINVAL if the LUKS header is invalid or struct_size is smaller
 * than the struct was in the first version, ENOENT if the chain has no image at this depth, EIO if
 * the file ends before the LUKS header does, and the errno of pread(2).
 *
 * Cost: two pread(2) with LUKS, none with AES.
 */
int qcow2_get_encryption(struct qcow2 *q, unsigned depth, struct qcow2_encryption *e);

/*
 * Returns the name of the library that decrypts, "libgcrypt" or "libcrypto", or NULL if this build
 * has none: then encrypted images open only with QCOW2_INSPECT or QCOW2_WITHOUT_KEYS. The string is
 * static. Any thread may call it at any time. It makes no system call.
 */
const char *qcow2_get_crypto(void);

/*
 * Returns the path by which the image at a depth of the chain was opened, or NULL if it is unknown
 * or if there is no such image. The string belongs to the handle and is valid until qcow2_close.
 */
const char *qcow2_get_path(struct qcow2 *q, unsigned depth);

/*
 * Returns the descriptor of the image at a depth of the chain, or -1 if there is no such image. The
 * library still owns it.
 */
int qcow2_get_fd(struct qcow2 *q, unsigned depth);

/*
 * Finds out whether QEMU (a running guest, qemu-nbd and the like) has the image at a depth of the
 * chain, or its external data file, open for writing. If so, what is read may be old, or half of a
 * change; see "An image that is being written" above. QEMU takes locks on the files that it writes,
 * and this call asks the system whether there are such locks. It takes none.
 *
 * Returns 1 if so, and 0 if not, or if the system cannot tell. Returns -1 with errno ENOENT if the
 * chain has no image at this depth. Cost: one fcntl(2) for each of the two files.
 */
int qcow2_in_use(struct qcow2 *q, unsigned depth);

/*
 * Returns the descriptor of the external data file of the image at a depth of the chain, or -1 if
 * it has none. The library still owns it.
 */
int qcow2_get_data_fd(struct qcow2 *q, unsigned depth);

/* An internal snapshot. The strings come from the image and may hold anything. */
struct qcow2_snapshot_entry {
	const char *id;         /* a NUL follows */
	const char *name;       /* a NUL follows */
	size_t id_len;          /* bytes, without the NUL */
	size_t name_len;        /* bytes, without the NUL */
	uint64_t disk_size;     /* bytes */
	uint64_t vm_state_size; /* bytes; 0: the snapshot has the disk only */
	uint64_t vm_clock_nsec; /* how long the guest had run, nanoseconds */
	uint64_t icount;        /* instructions the guest had run; UINT64_MAX: not recorded */
	uint64_t date_sec;      /* when it was taken, seconds since 1970 */
	uint32_t date_nsec;     /* and nanoseconds */
};

/*
 * Lists the internal snapshots of the image that was opened. Puts one block of memory in *list,
 * with the entries and all strings; the caller frees it with free().
 *
 * Returns the number of snapshots, or -1 with errno set and *list unchanged. Fails with EINVAL if
 * the snapshot table is damaged, with EFBIG if it is larger than 64 MiB, with EIO if the file ends
 * before it does, with ENOMEM if there is no memory for the list, and with the errno of pread(2).
 *
 * Cost: at most five pread(2) for each snapshot.
 */
int qcow2_list_snapshots(struct qcow2 *q, struct qcow2_snapshot_entry **list);

/* Flags of a bitmap, qcow2.txt "Bitmap directory". */
enum {
	/*
	 * It may lack changes: it was not closed properly, or a program that does not know bitmaps
	 * has written to the image (then autoclear bit 0 is not set).
	 */
	QCOW2_BITMAP_ENTRY_IN_USE = 1,
	QCOW2_BITMAP_ENTRY_AUTO = 2 /* records writes to the disk all the time */
};

/* A persistent dirty bitmap. The name comes from the image and may hold anything. */
struct qcow2_bitmap_entry {
	const char *name;       /* a NUL follows */
	size_t name_len;        /* bytes, without the NUL */
	uint64_t granularity;   /* bytes of the disk that a bit stands for */
	unsigned flags;         /* QCOW2_BITMAP_ENTRY_* */
	uint32_t table_entries; /* of the bitmap table; not validated */
	uint64_t table_offset;  /* of the bitmap table in the image, bytes; not validated */
};

/*
 * Lists the persistent bitmaps of the image that was opened. Puts one block of memory in *list,
 * with the entries and all names; the caller frees it with free().
 *
 * Returns the number of bitmaps, or -1 with errno set and *list unchanged. Fails with EINVAL
 * (status QCOW2_E_BITMAP) if the bitmap directory is damaged, with EIO if the file ends before it
 * does, with ENOMEM if there is no memory for the list, and with the errno of pread(2).
 *
 * Cost: two pread(2) to begin with, and at most three for each bitmap.
 */
int qcow2_list_bitmaps(struct qcow2 *q, struct qcow2_bitmap_entry **list);

/* Some bitmaps of an image. It does not change, so any number of threads may use it. */
struct qcow2_bitmap_set;

/* A flag of qcow2_find_bitmaps: also find bitmaps that are in use, which may lack changes. */
enum { QCOW2_BITMAPS_IN_USE = 1 };

/*
 * Finds n bitmaps of the image that was opened by their names, for qcow2_map_bitmaps. Puts one
 * block of memory in *set; the caller frees it with free(). The set belongs to this handle. Bitmaps
 * of other images of the chain are not found: such a bitmap has no marks for what was written to
 * the images above it. Open that image by itself to use it.
 *
 * Returns 0, or -1 with errno set and *set unchanged. Fails with ENOENT if there is no bitmap with
 * one of the names; with ESTALE (status QCOW2_E_INCONSISTENT) if one is in use, unless flags is
 * QCOW2_BITMAPS_IN_USE rather than 0; with EINVAL if n is 0, if a snapshot was opened, or (status
 * QCOW2_E_BITMAP) if the bitmap directory is damaged; with EIO if the file ends before it does;
 * with ENOMEM if there is not enough memory; and with the errno of pread(2).
 *
 * Cost: for each name, a pread(2) for each bitmap up to the one that is found, and one for each
 * name of the same length.
 */
int qcow2_find_bitmaps(struct qcow2 *q, const char *const *names, size_t n, unsigned flags,
                       struct qcow2_bitmap_set **set);

/* A part of the disk in which all bytes are dirty, or all are clean. */
struct qcow2_dirty_range {
	uint64_t start;  /* offset in the disk, bytes */
	uint64_t length; /* bytes */
	int dirty;       /* not 0: at least one of the bitmaps has marks here, for all of it */
};

/*
 * Finds whether the disk is dirty at offset, which is so if one of the bitmaps says so, and how
 * far: the range ends at offset + len at the latest, and the next one may be of the same kind.
 *
 * Returns 1 and fills *range. Returns 0 at and past the end of the disk, and if len is 0. Returns
 * -1 and sets errno on failure. *range is only written if the result is 1.
 *
 * Fails with EINVAL (status QCOW2_E_BITMAP) if the entry of a bitmap, or its table at offset, is
 * damaged; with EIO (status QCOW2_E_TRUNCATED) if the file ends before the bits do, whatever the
 * image was opened with; with ENOTSUP if QCOW2_INSPECT opened an image that cannot be read; with
 * ENOMEM if there is no memory for a reader; and with the errno of pread(2).
 *
 * Cost: reads tables and bits 512 bytes at a time, or 16 KiB if the caller goes through the disk in
 * order. One call examines at most a million bits of each bitmap, whatever len is: 64 GiB of the
 * disk if each bit stands for 64 KiB.
 */
int qcow2_map_bitmaps(struct qcow2 *q, const struct qcow2_bitmap_set *set, uint64_t offset,
                      uint64_t len, struct qcow2_dirty_range *range);

/*
 * Counts the clusters of the image file at a depth of the chain whose refcount is not 0. Counts no
 * more clusters than the file has, and stops once it has counted `enough` of them; *count may be
 * larger than enough. Pass UINT64_MAX to count all. The call examines no more refcounts than fit
 * in the allocated size of the file, or four million if that is more, because the refcount table
 * of a hostile image can list one block many times.
 *
 * Returns 0 and sets *count, or returns -1 with errno set and *count unchanged. Fails with ENOENT
 * if the chain has no image at this depth, with ENOTSUP if the image is raw, with EFBIG if the
 * refcount table is larger than 8 MiB, QEMU's limit, with EIO if an entry of the refcount table is
 * damaged or the file ends before a refcount block does, with ENOMEM if there is no memory for the
 * refcounts (256 KiB), and with the errno of pread(2).
 *
 * Cost: one fstat(2), and two pread(2) for each refcount block, or for 32768 clusters if a block
 * has more of them.
 */
int qcow2_count_clusters(struct qcow2 *q, unsigned depth, uint64_t enough, uint64_t *count);

/* What qcow2_check found. */
enum {
	QCOW2_FINDING_CORRUPTION = 1, /* data is lost or wrong, or a writer would destroy it */
	QCOW2_FINDING_LEAK = 2,       /* a cluster is marked as used, and is not */
	QCOW2_FINDING_ERROR = 3,      /* a part of the image could not be checked */
	QCOW2_FINDING_NOTE = 4        /* neither: the dirty bit, what refers to a cluster, ... */
};

struct qcow2_finding {
	int kind;          /* QCOW2_FINDING_* */
	const char *text;  /* one line, printable, as in `qemu-img check`; without a newline */
	uint64_t cluster;  /* number of the cluster of the image file that the finding is about;
	                    * UINT64_MAX: none */
	uint64_t refcount; /* of the cluster, as the image has it; 0 if the text has no refcount */
	uint64_t references; /* to the cluster, as counted; 0 if the text has none */
	uint64_t position;   /* in the file, of the entry, or of the data, that the finding is
	                      * about; 0: it is about no single entry */
};

/* Flags of qcow2_check. */
enum {
	/*
	 * Also reads everything that the disk has, and decodes what is compressed. Data that the
	 * file does not have is a corruption, even if the tables have shown it already.
	 */
	QCOW2_CHECK_DEEP = 1,
	/* For a cluster that has more references than its refcount, also reports what they are. */
	QCOW2_CHECK_TELL_OWNERS = 2
};

/* Set struct_size to sizeof(struct qcow2_check_options), and zero every field you do not use. */
struct qcow2_check_options {
	size_t struct_size;
	unsigned flags;     /* QCOW2_CHECK_*, or 0 */
	unsigned depth;     /* of the image to check; 0: the one that was opened */
	size_t memory;      /* bytes, at most; less than the image needs makes the check slower.
	                     * 0: as much as the image needs, one byte for each cluster of the file,
	                     * at most 64 MiB */
	uint64_t max_reads; /* the check ends when it needs more reads of tables; 0: no limit */
	/*
	 * Gets each finding, in any order. *finding is valid only during the call. A result other
	 * than 0 ends the check. NULL: findings are only counted.
	 */
	int (*report)(void *ctx, const struct qcow2_finding *finding);
	/*
	 * Called now and then, with `done` growing up to `total`, in bytes: of the file, and then
	 * of the disk if that is read as well. A result other than 0 ends the check. NULL: not
	 * called.
	 */
	int (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *ctx; /* passed to both */
};

struct qcow2_check_result {
	size_t struct_size;   /* set by the caller: sizeof(struct qcow2_check_result) */
	uint64_t corruptions; /* findings by kind */
	uint64_t leaks;
	uint64_t errors;
	uint64_t notes;
	uint64_t total_clusters;      /* that the disk has */
	uint64_t allocated_clusters;  /* of these, those that have a place in a file */
	uint64_t fragmented_clusters; /* of the allocated: not right after the one before */
	uint64_t compressed_clusters; /* of the allocated: compressed */
	uint64_t image_end;           /* end of the last cluster in use, bytes of the file */
	/* Entries of snapshots whose COPIED flag does not agree with the refcount. The format says
	 * that it need not. */
	uint64_t snapshot_copied;
};

/*
 * Checks an image: counts the references to each cluster of the file and compares them with the
 * refcounts that the image records, as `qemu-img check` does. It changes nothing. The image may be
 * encrypted, and may need other files: QCOW2_INSPECT is enough to open it. QCOW2_CHECK_DEEP also
 * reads the whole disk of the handle, including what the images below have.
 *
 * The numbers are those of `qemu-img check`, except that it does not count these corruptions: an
 * invalid bitmap directory, an L2 table that is not wholly inside the file, compressed data that
 * begins past the end of the file, zero clusters in version 2, bit 0 of an extended L2 entry, data
 * that an external data file has at another offset than the disk, an L1 table too short for its
 * snapshot, and what QCOW2_CHECK_DEEP finds.
 *
 * The callbacks run in the calling thread. They and other threads may use the handle meanwhile.
 *
 * Returns 0 if the check was completed, whatever it found, and 1 if max_reads or a callback ended
 * it early; *result has what was found. Returns -1 with errno set, and *result unchanged, if the
 * image cannot be checked: EINVAL if struct_size is not set or an option of a later version is
 * used, or if the refcount table or the snapshot table is damaged; ENOENT if the chain has no image
 * at this depth; ENOTSUP if it is raw or of version 1, which has no refcounts; EFBIG if the file
 * has 2^31 - 1 clusters or more, or if the refcount table is larger than 8 MiB, QEMU's limit;
 * ENOMEM if there is no memory; and the errno of pread(2). QCOW2_CHECK_DEEP may also fail as
 * qcow2_read does.
 *
 * Cost: one pread(2) for each L2 table, or each 64 KiB of it, and for each 64 entries of other
 * tables; four for each refcount block. With too little memory for all clusters, all of this again
 * for each part of the file that the memory can count. A hostile image, whose entries all lead to
 * the same tables, can make this take very long: set max_reads, or end the check from `progress`,
 * if the image is not trusted.
 */
int qcow2_check(struct qcow2 *q, const struct qcow2_check_options *options,
                struct qcow2_check_result *result);

/*
 * Names the compression types of qcow2 images, and what decodes each of them in this build of the
 * library. Call it with index 0, 1 and so on until it returns 0.
 *
 * Returns 1 and sets *compression to the name that qcow2_info.compression has ("zlib", which is
 * deflate, or "zstd"), and *decoder to the name of the decoder ("libdeflate", "zlib", "libzstd", or
 * "built in" for the library's own). The strings are static. Returns 0, with both unchanged, if
 * there are no more types. No pointer may be NULL.
 *
 * Any thread may call it at any time. It makes no system call.
 */
int qcow2_get_decoder(unsigned index, const char **compression, const char **decoder);

/*
 * Decodes the first character of untrusted text, which has len > 0 bytes. No pointer may be NULL.
 *
 * Returns the number of bytes that the character takes, 1 to 4, and sets *code to its code point.
 * If the first byte does not begin a well-formed UTF-8 sequence, returns 1 and sets *code to
 * U+FFFD. Sets *printable to 0 if the character must not be shown, because it is malformed, changes
 * the text around it or cannot be seen: control and format characters (Unicode's categories Cc and
 * Cf), line and paragraph separators, what is invisible by default, and what is no character.
 * Otherwise sets it to 1.
 */
size_t qcow2_character(const char *bytes, size_t len, uint32_t *code, int *printable);

/*
 * Writes untrusted bytes to buf in printable form: characters that qcow2_character calls printable
 * stay, and every other byte becomes \xNN. Like snprintf, returns the length of the complete result
 * without the NUL. If that is not less than room, the text in buf ends after the last character or
 * \xNN that fits. buf always ends with a NUL, unless room is 0; then buf may be NULL.
 */
size_t qcow2_printable(char *buf, size_t room, const char *bytes, size_t len);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#ifdef __cplusplus
}
#endif
#endif
