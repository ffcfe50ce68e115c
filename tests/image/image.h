/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Builds qcow2 images in memory, valid or damaged, for tests.
 *
 * It shares no code with the library under test. Adding content allocates host clusters, so the
 * order of the calls is the order in the file. image_finish() places the remaining tables, and
 * writes all tables, the refcounts and the header. After that, a test may change any byte with
 * image_put() or image_buf_put(). Without such changes, raw entries or overrides, `qemu-img check`
 * finds no fault.
 *
 *	struct image img;
 *	image_init(&img, 3, 16, 1 << 20);
 *	image_add(&img, &img.active, 3, IMAGE_DATA);
 *	image_finish(&img);
 *	... img.file.data, img.file.len ...
 *	image_free(&img);
 *
 * The content of a cluster is a function of its offset in the disk and of the seed of its table, so
 * that image_expect() can compute it again. No byte of it is 0. The writer aborts if memory runs
 * out.
 */
#ifndef TEST_IMAGE_H
#define TEST_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A byte array that grows; holes are zeros. */
struct image_buf {
	uint8_t *data;
	size_t len;
	size_t cap;
};

/* The header fields, in order; see image_field_name(). */
enum image_field {
	IMAGE_MAGIC,
	IMAGE_VERSION,
	IMAGE_BACKING_FILE_OFFSET,
	IMAGE_BACKING_FILE_SIZE,
	IMAGE_CLUSTER_BITS,
	IMAGE_SIZE,
	IMAGE_CRYPT_METHOD,
	IMAGE_L1_SIZE,
	IMAGE_L1_TABLE_OFFSET,
	IMAGE_REFCOUNT_TABLE_OFFSET,
	IMAGE_REFCOUNT_TABLE_CLUSTERS,
	IMAGE_NB_SNAPSHOTS,
	IMAGE_SNAPSHOTS_OFFSET,
	IMAGE_INCOMPATIBLE_FEATURES,
	IMAGE_COMPATIBLE_FEATURES,
	IMAGE_AUTOCLEAR_FEATURES,
	IMAGE_REFCOUNT_ORDER,
	IMAGE_HEADER_LENGTH,
	IMAGE_COMPRESSION_TYPE,
	IMAGE_N_FIELDS
};

#define IMAGE_EXT_BACKING_FORMAT UINT32_C(0xe2792aca)
#define IMAGE_EXT_FEATURE_NAMES  UINT32_C(0x6803f857)
#define IMAGE_EXT_DATA_FILE      UINT32_C(0x44415441)
#define IMAGE_EXT_BITMAPS        UINT32_C(0x23852875)
#define IMAGE_EXT_CRYPTO         UINT32_C(0x0537be77)

#define IMAGE_COPIED          (UINT64_C(1) << 63)
#define IMAGE_COMPRESSED_FLAG (UINT64_C(1) << 62)
#define IMAGE_ALL_ALLOCATED   UINT64_C(0x00000000ffffffff) /* extended L2 bitmaps */
#define IMAGE_ALL_ZERO        UINT64_C(0xffffffff00000000)

/* Fills those parts of allocated clusters that no reader may return. */
#define IMAGE_GARBAGE 0xee

enum image_kind {
	IMAGE_ABSENT,     /* the entry is 0 */
	IMAGE_ZERO,       /* zeros, no host cluster */
	IMAGE_ZERO_ALLOC, /* zeros over a host cluster full of garbage */
	IMAGE_DATA,
	IMAGE_COMPRESSED, /* one deflate block with fixed codes */
	IMAGE_STORED,     /* "compressed" in stored blocks */
	IMAGE_SUBCLUSTERS,
	IMAGE_RAW /* an entry with any bits */
};

enum image_place {
	IMAGE_IN_ORDER,
	IMAGE_SHUFFLED, /* pseudo-random within every 16 clusters */
	IMAGE_GAPS      /* with unused clusters between */
};

struct image_cluster {
	uint64_t index; /* guest offset / cluster size */
	uint64_t entry; /* without the copied flag, except for IMAGE_RAW */
	uint64_t bitmap;
	uint64_t seed;
	uint64_t pos;   /* of the host cluster or the packed bytes */
	uint8_t kind;   /* enum image_kind */
	bool last;      /* at the end of the file */
	uint8_t *bytes; /* if last: what to put there */
	size_t n_bytes;
	uint8_t *plain; /* content other than the pattern; NULL: the pattern */
};

struct image_l1_entry {
	uint64_t index;
	uint64_t value; /* raw, or the position of the L2 table */
	bool raw;
};

/* An L1 table and its L2 tables and clusters: the active table, or a snapshot's. */
struct image_table {
	struct image_cluster *clusters; /* by index */
	size_t n_clusters, cap_clusters;
	struct image_l1_entry *l1; /* by index */
	size_t n_l1, cap_l1;
	uint64_t l1_pos; /* 0: not placed */
	uint32_t l1_entries;
	uint64_t seed;
};

struct image_snapshot {
	struct image_table table;
	char *id, *name;
	uint32_t id_len, name_len; /* as written to the entry */
	uint32_t date_sec, date_nsec;
	uint64_t vm_clock_nsec;
	uint32_t vm_state_size;
	uint64_t vm_state_size_large, disk_size, icount;
	uint32_t extra_len; /* 16: up to disk_size; 24: with icount; what follows is 0xee */
	bool l1_pos_set, l1_entries_set; /* write the two below, not the true values */
	uint64_t l1_pos;
	uint32_t l1_entries;
};

struct image_ext {
	uint32_t type;
	uint32_t len; /* as written to the header */
	uint8_t *bytes;
	size_t n_bytes;
};

struct image {
	struct image_buf file;
	struct image_buf data; /* the external data file */

	/* May be changed after image_init(), before anything is added. */
	unsigned version;
	unsigned cluster_bits; /* of the layout; IMAGE_CLUSTER_BITS sets what the header has */
	uint64_t size;
	bool extended_l2;
	bool has_data_file; /* data goes to `data`, at its offset in the disk */
	bool refcounts;     /* write refcounts; true by default */
	bool no_end;        /* no end marker after the extensions */
	unsigned refcount_order;
	uint8_t compression_type;
	uint32_t header_length; /* default 112; where extensions begin in version 3 */
	enum image_place place;
	/*
	 * Encrypts len bytes in place, before they go to pos in the file that holds the data; off
	 * is their offset in the disk. All are multiples of 512. NULL: the data stays plain.
	 * crypt.h sets this; a test may set a function of its own.
	 */
	void (*encrypt)(void *ctx, uint64_t off, uint64_t pos, uint8_t *buf, size_t len);
	void *encrypt_ctx;

	bool field_set[IMAGE_N_FIELDS];
	uint64_t field[IMAGE_N_FIELDS];

	struct image_table active;
	struct image_snapshot *snapshots;
	size_t n_snapshots;
	struct image_ext *ext;
	size_t n_ext;
	uint8_t *backing;
	size_t backing_len;
	uint64_t backing_pos; /* 0: after the extensions */

	/* Positions that image_finish() sets. */
	uint64_t snapshots_pos, refcount_table_pos, ext_pos, ext_end;
	uint32_t refcount_table_clusters;

	/* Private. */
	uint16_t *refs;
	size_t n_refs;
	uint64_t next;    /* the first host cluster that is not given out */
	uint32_t shuffle; /* bits: which of the 16 clusters before next are free */
	uint64_t random;
	uint64_t packed_pos; /* where the next packed bytes can go; 0: nowhere */
	bool finished;
};

/* Sizes and positions. */
uint64_t image_cluster_size(const struct image *img);
uint64_t image_l2_entries(const struct image *img); /* in one L2 table */
/* Only after image_finish(). For an L2 entry, its table must exist. */
uint64_t image_l1_entry_pos(const struct image *img, const struct image_table *t, uint64_t index);
uint64_t image_l2_entry_pos(const struct image *img, const struct image_table *t, uint64_t index);

void image_init(struct image *img, unsigned version, unsigned cluster_bits, uint64_t size);
void image_free(struct image *img);
void image_finish(struct image *img);

/* Overrides a field of the header, whatever the layout is. */
void image_set(struct image *img, enum image_field field, uint64_t value);
const char *image_field_name(enum image_field field);
unsigned image_field_pos(enum image_field field);
unsigned image_field_len(enum image_field field);

/*
 * Adds a header extension; says_len is its length field. The bytes are padded to a multiple of 8.
 */
void image_add_ext(struct image *img, uint32_t type, uint32_t says_len, const void *bytes,
                   size_t n_bytes);
/* Adds a 48-byte record to the feature name table. One extension holds all of them. */
void image_add_feature_name(struct image *img, unsigned kind, unsigned bit, const void *name,
                            size_t name_len);
void image_set_backing(struct image *img, const void *name, size_t len, uint64_t pos);

/* Allocates n contiguous host clusters and returns their position in the file. */
uint64_t image_alloc(struct image *img, uint64_t n);
/* Counts a reference to each host cluster that the bytes touch. image_alloc() does not. */
void image_ref(struct image *img, uint64_t pos, uint64_t len);

/* Adds clusters to a table. A second call for the same index replaces the first. */
void image_add(struct image *img, struct image_table *t, uint64_t index, enum image_kind kind);
void image_add_range(struct image *img, struct image_table *t, uint64_t index, uint64_t n,
                     enum image_kind kind);
/*
 * Extended L2: bits 0-31 are the allocated bits, bits 32-63 the zero bits. The cluster gets a host
 * cluster if any bit is allocated, or if `host` is true.
 */
void image_add_subclusters(struct image *img, struct image_table *t, uint64_t index,
                           uint64_t bitmap, bool host);
void image_add_raw(struct image *img, struct image_table *t, uint64_t index, uint64_t entry,
                   uint64_t bitmap);
/*
 * A compressed cluster of the bytes given. align: IMAGE_ANYWHERE, or the wanted position % 512.
 * sectors: 0 for the right number, or the number in the entry (at least 1).
 * plain: the content of the cluster if it is not the pattern; NULL otherwise.
 */
#define IMAGE_ANYWHERE 512u
void image_add_packed(struct image *img, struct image_table *t, uint64_t index, const void *bytes,
                      size_t n_bytes, unsigned align, unsigned sectors, const uint8_t *plain);
/*
 * A data cluster at the very end of the file, of which only n_bytes are written. If it is
 * encrypted, what is left of its last sector reads as zeros.
 */
void image_add_last(struct image *img, struct image_table *t, uint64_t index, size_t n_bytes);
void image_add_last_packed(struct image *img, struct image_table *t, uint64_t index,
                           const void *bytes, size_t n_bytes, unsigned align, unsigned sectors);
/* Makes `to` use the cluster that `from` has at this index. */
void image_share(struct image *img, struct image_table *to, const struct image_table *from,
                 uint64_t index);
/* Returns the L2 entry of a compressed cluster. sectors: as above. */
uint64_t image_packed_entry(unsigned cluster_bits, uint64_t pos, size_t n_bytes, unsigned sectors);

/* Places a table now rather than at the end. An L2 table placed like this exists even if empty. */
void image_place_l1(struct image *img, struct image_table *t);
uint64_t image_place_l2(struct image *img, struct image_table *t, uint64_t l1_index);
void image_set_l1(struct image *img, struct image_table *t, uint64_t l1_index, uint64_t value);

/* Adds a snapshot with an empty table, to be filled with image_add(). The pointer is valid
 * until the next call. */
struct image_snapshot *image_add_snapshot(struct image *img, const char *id, const char *name);

/* Change bytes of the file at any time after image_finish(). Numbers are big-endian. */
void image_buf_put(struct image_buf *buf, uint64_t pos, const void *bytes, size_t len);
void image_buf_fill(struct image_buf *buf, uint64_t pos, uint8_t byte, size_t len);
void image_buf_resize(struct image_buf *buf, size_t len); /* cuts, or adds zeros */
void image_put(struct image_buf *buf, uint64_t pos, uint64_t value, unsigned n_bytes);
uint64_t image_get(const struct image_buf *buf, uint64_t pos, unsigned n_bytes);

/* The content: one byte, or many. */
uint8_t image_pattern(uint64_t seed, uint64_t off);
void image_fill(uint8_t *buf, size_t len, uint64_t seed, uint64_t off);
/* Puts into buf what this table has at [off, off + len), and leaves what is absent as it was. */
void image_expect(const struct image *img, const struct image_table *t, uint64_t off, uint8_t *buf,
                  size_t len);

#endif
