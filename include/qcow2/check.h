/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Checks an image: counts the references to each cluster of the image file, and compares them with
 * the refcounts that the image records. It reads only tables, never data, and changes nothing.
 *
 * The counters are in memory of the caller. If there are not enough for all clusters of the file,
 * the call takes several passes over the tables, each for a window of the clusters:
 *
 *	           first      window_end
 *	file       [ window ]
 *	clusters   0 1 2 3 4 5 6 7 8 9 ...
 *
 * What is counted, and what is a corruption or a leak, is the same as in `qemu-img check`. A part
 * of the check and an addition to it are objects of their own, which a program links only if it
 * names them:
 *
 *	check.bitmaps = qcow2_check_bitmaps;    // to check images that have bitmaps
 *	check.strict = qcow2_check_strict;      // to find also what QEMU passes over
 *
 * Even without qcow2_check_strict, the check finds two things that `qemu-img check` does not
 * report: an invalid bitmap directory (QCOW2_CHECK_BITMAP_DIRECTORY), because of which QEMU does
 * not even open the image, and bit 0 of an extended L2 entry (QCOW2_CHECK_L2_RESERVED), which QEMU
 * ignores.
 */
#ifndef QCOW2_CHECK_H
#define QCOW2_CHECK_H

#include "qcow2/bitmap.h"
#include "qcow2/image.h"
#include "qcow2/snapshot.h"
#include "qcow2/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What refers to a cluster of the image file. */
enum qcow2_check_owner {
	QCOW2_OWNER_HEADER = 0,
	QCOW2_OWNER_L1 = 1,
	QCOW2_OWNER_L2 = 2,   /* an entry of the L1 table; the cluster is an L2 table */
	QCOW2_OWNER_DATA = 3, /* an entry of an L2 table */
	QCOW2_OWNER_COMPRESSED = 4,
	QCOW2_OWNER_SNAPSHOT_L1 = 5,
	QCOW2_OWNER_SNAPSHOT_TABLE = 6,
	QCOW2_OWNER_REFCOUNT_TABLE = 7,
	QCOW2_OWNER_REFCOUNT_BLOCK = 8,
	QCOW2_OWNER_CRYPTO = 9,
	QCOW2_OWNER_BITMAP_DIRECTORY = 10,
	QCOW2_OWNER_BITMAP_TABLE = 11,
	QCOW2_OWNER_BITMAP_DATA = 12
};

/* The kinds of findings: their codes divided by QCOW2_CHECK_KIND. */
enum {
	QCOW2_CHECK_CORRUPTIONS = 0,
	QCOW2_CHECK_LEAKS = 1,
	QCOW2_CHECK_ERRORS = 2, /* something could not be checked */
	QCOW2_CHECK_NOTES = 3,
	QCOW2_CHECK_KINDS = 4,
	QCOW2_CHECK_KIND = 64
};

/*
 * What a finding is. "entry", "cluster" and so on are members of struct qcow2_check_finding. `pos`
 * is that of the entry, or of the field in the header.
 */
enum qcow2_check_code {
	/* ---- Corruptions ---- */

	/* The cluster has more references than its refcount says. */
	QCOW2_CHECK_REFCOUNT = 0,
	/* The cluster has one reference more than a refcount can count. */
	QCOW2_CHECK_OVERFLOW,
	/* The refcount block number `index` also has other references: `references` in all. */
	QCOW2_CHECK_BLOCK_SHARED,
	/* An entry of the refcount table, with the number `index`, has reserved bits. */
	QCOW2_CHECK_BLOCK_RESERVED,
	/* ... is not aligned to a cluster. */
	QCOW2_CHECK_BLOCK_UNALIGNED,
	/* ... points past the end of the file. */
	QCOW2_CHECK_BLOCK_OUTSIDE,
	/* The `length` bytes at `value` end a cluster or more past the end of the file. */
	QCOW2_CHECK_PAST_END,
	/* An L1 entry has reserved bits. */
	QCOW2_CHECK_L1_RESERVED,
	/* The L2 table at `value` is not aligned to a cluster. */
	QCOW2_CHECK_L2_UNALIGNED,
	/* Bit 63 of the L1 entry with the number `index` does not agree with `refcount`. */
	QCOW2_CHECK_L1_COPIED,
	/* An L2 entry has reserved bits. */
	QCOW2_CHECK_L2_RESERVED,
	/* Bit 63 of an L2 entry does not agree with `refcount`. */
	QCOW2_CHECK_L2_COPIED,
	/* The data cluster at `value` is not aligned. */
	QCOW2_CHECK_DATA_UNALIGNED,
	/* The same, of a cluster that has a place, but no data. */
	QCOW2_CHECK_ZERO_UNALIGNED,
	/* The entry of a compressed cluster at `value` has bit 63. */
	QCOW2_CHECK_COMPRESSED_COPIED,
	/* A compressed cluster, of an image with an external data file. */
	QCOW2_CHECK_COMPRESSED_EXTERNAL,
	/* A compressed cluster with bits of subclusters. */
	QCOW2_CHECK_COMPRESSED_SUBCLUSTERS,
	/* A subcluster, of the cluster at `value`, is data and zeros at the same time. */
	QCOW2_CHECK_SUBCLUSTERS,
	/* Subclusters are allocated, but the cluster has no place. */
	QCOW2_CHECK_SUBCLUSTERS_NOWHERE,
	/* The L1 table, at `value`, of the snapshot with the number `index` is not aligned. */
	QCOW2_CHECK_SNAPSHOT_UNALIGNED,
	/* ... has `value` entries, which is too many. */
	QCOW2_CHECK_SNAPSHOT_TOO_BIG,
	/* The entry lacks extra data that version 3 needs. */
	QCOW2_CHECK_SNAPSHOT_INCOMPLETE,
	/* The image has `value` snapshots and an external data file. */
	QCOW2_CHECK_SNAPSHOT_EXTERNAL,
	/* An entry of a bitmap table is invalid. */
	QCOW2_CHECK_BITMAP_ENTRY,

	/*
	 * The bitmap directory, or its entry at `pos`, is invalid, or something follows the last
	 * entry. QEMU does not open such an image. What the rest of the directory refers to is not
	 * counted.
	 */
	QCOW2_CHECK_BITMAP_DIRECTORY,

	/* ---- Only with qcow2_check_strict ---- */

	/* The file ends inside the L2 table at `value`: reading fails with QCOW2_E_TRUNCATED. */
	QCOW2_CHECK_TABLE_CUT,
	/* The compressed data at `value` begins past the end of the file. */
	QCOW2_CHECK_COMPRESSED_OUTSIDE,
	/* Version 2, and bit 0 of an L2 entry is set. */
	QCOW2_CHECK_ZERO_VERSION,
	/* The cluster at `value` of the external data file is not at its offset in the disk. */
	QCOW2_CHECK_EXTERNAL_OFFSET,
	/* The L1 table of the snapshot with the number `index` is too short for its disk. */
	QCOW2_CHECK_SNAPSHOT_SHORT,

	/* ---- Leaks ---- */

	/* The cluster has fewer references than its refcount says. */
	QCOW2_CHECK_LEAK = QCOW2_CHECK_LEAKS * QCOW2_CHECK_KIND,

	/* ---- The refcount of the cluster cannot be read, because of a bad refcount table ---- */
	QCOW2_CHECK_UNREADABLE = QCOW2_CHECK_ERRORS * QCOW2_CHECK_KIND,

	/* ---- Notes ---- */

	/* With qcow2_check_strict: the image is marked dirty, as a writer did not close it. */
	QCOW2_CHECK_DIRTY = QCOW2_CHECK_NOTES * QCOW2_CHECK_KIND,
	/* The same: it is marked corrupt, because QEMU found damage when it wrote to it. */
	QCOW2_CHECK_MARKED_CORRUPT,
	/* With QCOW2_CHECK_OWNERS: a cluster of QCOW2_CHECK_REFCOUNT is in the `owner`. */
	QCOW2_CHECK_OWNER
};

/* Members that the code does not name mean nothing. */
struct qcow2_check_finding {
	uint32_t code;       /* enum qcow2_check_code */
	uint32_t owner;      /* enum qcow2_check_owner: what is referred to */
	uint32_t index;      /* of the entry in its table */
	uint32_t cluster;    /* number of a cluster of the image file: position >> cluster_bits */
	uint32_t references; /* to the cluster, as counted */
	uint64_t refcount;   /* that the image records for the cluster */
	uint64_t pos;        /* of what refers to it: a byte position in the image file */
	uint64_t entry;      /* what is there, as a number */
	uint64_t value;      /* a position, or a number, that comes from the entry */
	uint64_t length;     /* bytes */
};

/* Flags of qcow2_check. */
enum {
	/*
	 * After QCOW2_CHECK_REFCOUNT, one more pass over the tables reports everything that refers
	 * to the cluster.
	 */
	QCOW2_CHECK_OWNERS = 1
};

/* Private: how far a walk through a table is. */
struct qcow2_check_table {
	uint8_t *piece;      /* the part of the table that is in memory */
	uint32_t piece_len;  /* bytes, a power of two */
	uint32_t entry_bits; /* log2 of the bytes of an entry */
	uint32_t owner;      /* enum qcow2_check_owner: what the entries refer to */
	uint32_t index;      /* of the next entry */
	uint32_t n_entries;
	uint64_t pos; /* of the next entry */
};

struct qcow2_check {
	/* ---- Filled in by the caller ---- */

	/*
	 * Gets each finding, in any order. *finding is valid only during the call. A result other
	 * than 0 ends the check with QCOW2_E_LIMIT. NULL: findings are only counted.
	 */
	int (*report)(void *ctx, const struct qcow2_check_finding *finding);
	/*
	 * Called once for each 64 L1 entries, to show progress: see `first` and the members after
	 * it. A result other than 0 ends the check with QCOW2_E_LIMIT. NULL: not called.
	 */
	int (*step)(void *ctx, const struct qcow2_check *check);
	void *ctx; /* passed to both */
	/* Each is the call of this name, qcow2_check_bitmaps and so on, or NULL. */
	void (*bitmaps)(struct qcow2_check *check);
	void (*strict)(struct qcow2_check *check);
	uint32_t flags;     /* QCOW2_CHECK_OWNERS, or 0 */
	uint64_t max_calls; /* the check ends with QCOW2_E_LIMIT when it needs more io calls */

	/* ---- How far the check is ---- */

	uint32_t n_clusters; /* of the file, with the incomplete last one */
	uint32_t first;      /* the window: the first cluster */
	uint32_t window_end; /* the cluster after the last one */
	uint32_t l1_done;    /* entries of the active L1 table in this pass */

	/* ---- Private ---- */

	struct qcow2_error *error; /* the caller's */
	int ended;                 /* the status that ended the check early, or QCOW2_OK */
	uint32_t next;             /* the first cluster in use after the window */
	uint32_t settled;     /* clusters below it have had bit 63 compared; 0: the first pass */
	uint32_t cluster_len; /* of the image */
	uint32_t most;        /* the largest refcount that the image can record */
	uint32_t zero_bit;    /* of an L2 entry that reads as zeros; 0 if entries are extended */
	uint8_t *counters;    /* of the clusters of the window */
	size_t n_counters;    /* bytes */
	/* These are false or true. As words, they need shorter instructions than as bytes. */
	uint32_t wide;      /* a counter has four bytes, not one */
	uint32_t too_short; /* a counter of one byte has reached its limit */
	uint32_t owners;    /* owners of clusters are wanted, so the walk does not count */
	uint32_t active;    /* the walk is in the active tables, not in those of a snapshot */
	uint32_t in_header; /* a bad L1 entry makes the header an L2 table */
	struct qcow2_check_finding finding;
	struct qcow2_check_table table; /* any table but an L2 table */
	struct qcow2_check_table l2;
	uint64_t room;        /* no reference may end past this position */
	uint64_t expected;    /* where a cluster must be to continue the last one; 0: anywhere */
	uint64_t subclusters; /* the second half of an extended L2 entry */

	/* ---- Results; valid whenever the call returns, for what has been checked ---- */

	uint64_t found[QCOW2_CHECK_KINDS]; /* findings by kind */
	uint64_t n_guest;                  /* clusters that the disk has */
	uint64_t allocated;  /* those that have a place in a file, by the active tables */
	uint64_t fragmented; /* of these: not right after the one before, or compressed */
	uint64_t compressed; /* of these: compressed */
	/*
	 * Entries of the tables of snapshots whose bit 63 does not agree with the refcount. That is
	 * no damage: "This information is only accurate in the active L1 table". Entries of one L2
	 * table count once for each L1 entry that leads to it, and those that lead past the end of
	 * the file do not count.
	 */
	uint64_t snapshot_copied;
	uint64_t n_calls; /* io calls, at most */
	uint32_t end;     /* the cluster after the last one in use */

	/* ---- Private ---- */

	struct qcow2_image image;       /* as if it were opened with QCOW2_OPEN_TRUNCATED */
	struct qcow2_snapshot snapshot; /* where the walks are */
	struct qcow2_bitmap bitmap;
};

/*
 * Bytes of memory for a check. It must be aligned to 8. A window has about 7/8 of it in clusters.
 *
 *	QCOW2_CHECK_MEMORY          the least
 *	QCOW2_CHECK_MEMORY_WHOLE    enough for one pass over an image file of n clusters, unless
 *	    (n)                     one of them has 127 references or more
 */
#define QCOW2_CHECK_MEMORY          2048u
#define QCOW2_CHECK_MEMORY_WHOLE(n) ((n) + 66048u + 8u)

/*
 * Checks an image of version 2 or 3 that qcow2_image_open has opened, with any flags. Nothing needs
 * to be attached to it, and an encrypted image needs no key. Call qcow2_image_extensions before, so
 * that bitmaps and the LUKS header are counted. memory has len bytes; it and *check are free when
 * the call returns.
 *
 * Returns QCOW2_OK if the check was completed, whatever it found.
 *
 * Fails with
 *	QCOW2_E_ARGUMENT   check, image or memory is NULL, image is closed, raw or of version 1,
 *	                   memory is misaligned
 *	QCOW2_E_MEMORY     len is less than QCOW2_CHECK_MEMORY; err->detail is what is needed
 *	QCOW2_E_LIMIT      max_calls io calls were made, or a callback ended the check
 *	QCOW2_E_TOO_BIG    the file has 2^31 - 1 clusters or more, err->detail is its size; or the
 *	                   refcount table is longer than 8 MiB, err->detail is the number of its
 *	                   clusters
 *	QCOW2_E_BITMAP     the image has bitmaps, and check->bitmaps is NULL; err->pos is that of
 *	                   the header extension
 *	QCOW2_E_REFCOUNT   the refcount table is not aligned to a cluster, or at 2^63 or above
 *	QCOW2_E_SNAPSHOT   an entry of the snapshot table is invalid; err->pos is its position
 *	QCOW2_E_IO         the io callback failed
 *
 * Cost: for each window, one io call for each 64 L1 entries of the image and of each snapshot, and
 * one for each L2 table, or each piece of it that is as long as 1/16 of the memory, at most 64 KiB;
 * two for each bitmap and snapshot, and one for each 64 entries of a bitmap table. For the
 * refcounts two for each 64 entries of the refcount table, and four for each refcount block, or for
 * as many refcounts as an eighth of the bytes of such a piece. Windows in which nothing is in use
 * are passed over. A hostile image can make this very long; max_calls bounds it.
 */
int qcow2_image_check(struct qcow2_check *check, const struct qcow2_image *image, void *memory,
                      size_t len, struct qcow2_error *err);

/* ---- Parts of the check; they are not called, but are put in struct qcow2_check ---- */

/* Goes through the bitmaps of an image, and so links bitmap.c. */
void qcow2_check_bitmaps(struct qcow2_check *check);

/*
 * Finds what `qemu-img check` passes over, and what the bits of the header say: dirty, corrupt. It
 * looks at each entry once, and needs no io calls.
 */
void qcow2_check_strict(struct qcow2_check *check);

#ifdef __cplusplus
}
#endif
#endif
