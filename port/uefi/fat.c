/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Files on a FAT volume: geometry, directories, cluster chains. Field names such as BPB_FATSz16 are
 * those of the "Microsoft FAT Specification".
 */
#include "fat.h"

#include "path.h"

enum {
	ENTRY_LEN = 32,
	NAME_MAX = 255,
	CLUSTER_MIN = 2,
	DIR_ENTRIES_MAX = 65536, /* a directory has at most 2 MiB, so a loop ends here */
	ATTR_VOLUME = 0x08,
	ATTR_DIRECTORY = 0x10,
	ATTR_LONG_NAME = 0x0f,
	LONG_CHARS = 13 /* characters of a long name in one entry */
};

/* A position in a directory. */
struct directory {
	const struct qu_fat *fat;
	uint32_t cluster;    /* 0 in the root directory of FAT12 and FAT16, which has no clusters */
	uint32_t index;      /* of the next entry */
	uint32_t in_cluster; /* byte position of the next entry in the cluster */
};

/* The long name that precedes an entry. */
struct long_name {
	uint16_t text[NAME_MAX + LONG_CHARS + 1];
	uint8_t checksum;
	uint8_t left; /* entries that must still follow; 0 if the name is complete */
	bool is_valid;
};

static uint32_t le16(const uint8_t *p)
{
	return p[0] + ((uint32_t)p[1] << 8);
}

static uint32_t le32(const uint8_t *p)
{
	return le16(p) + (le16(p + 2) << 16);
}

/* log2 of a power of two up to 2^15; 16 for any other number. */
static unsigned log2_of(uint32_t value)
{
	unsigned bits = 0;

	while (bits < 16u && UINT32_C(1) << bits != value)
		bits++;
	return bits;
}

static int volume_read(const struct qu_fat *fat, uint64_t pos, void *buf, size_t len)
{
	if (pos > fat->io.size || len > fat->io.size - pos)
		return QU_FAT_DAMAGED;
	return fat->io.ops->read(fat->io.ctx, pos, buf, len) == 0 ? QU_FAT_OK : QU_FAT_IO;
}

/* The fields of the boot sector from which the positions follow. Lengths are in sectors. */
struct boot_sector {
	uint32_t sector_bits, cluster_bits; /* log2 of bytes, log2 of sectors */
	uint32_t reserved, n_fats, fat_len, root_entries, total;
	bool is_fat32;
	uint32_t active_fat; /* the number of the FAT that is up to date */
};

static bool boot_sector_parse(struct boot_sector *b, const uint8_t *raw)
{
	b->sector_bits = log2_of(le16(raw + 11)); /* BPB_BytsPerSec */
	b->cluster_bits = log2_of(raw[13]);       /* BPB_SecPerClus */
	b->reserved = le16(raw + 14);             /* BPB_RsvdSecCnt */
	b->n_fats = raw[16];                      /* BPB_NumFATs */
	b->root_entries = le16(raw + 17);         /* BPB_RootEntCnt */
	b->total = le16(raw + 19);                /* BPB_TotSec16 */
	if (b->total == 0u)
		b->total = le32(raw + 32); /* BPB_TotSec32 */
	b->fat_len = le16(raw + 22);       /* BPB_FATSz16 */
	if (b->fat_len == 0u)
		b->fat_len = le32(raw + 36); /* BPB_FATSz32 */
	/* As Linux and EDK2 recognise FAT32. The number of clusters tells FAT12 from FAT16. */
	b->is_fat32 = le16(raw + 22) == 0u;
	b->active_fat = 0;
	/* BPB_ExtFlags: without mirroring, only the active FAT is up to date. */
	if (b->is_fat32 && (raw[40] & 0x80u) != 0u)
		b->active_fat = raw[40] & 0x0fu;
	return raw[510] == 0x55u && raw[511] == 0xaau && raw[21] >= 0xf0u && b->sector_bits >= 9u &&
	       b->sector_bits <= 12u && b->cluster_bits <= 7u && b->reserved != 0u &&
	       b->n_fats >= 1u && b->n_fats <= 2u && b->active_fat < b->n_fats &&
	       b->fat_len != 0u && b->fat_len < UINT32_C(1) << 28;
}

/* BS_VolID, which is valid if BS_BootSig before it has one of two values. */
static uint32_t volume_id(const uint8_t *raw, bool is_fat32)
{
	const uint8_t *signature = raw + (is_fat32 ? 66 : 38);

	return *signature == 0x28u || *signature == 0x29u ? le32(signature + 1) : 0u;
}

/* Computes positions in bytes from the boot sector. Returns false if they exceed the volume. */
static bool geometry(struct qu_fat *fat, const struct boot_sector *b)
{
	uint32_t root_len =
		(b->root_entries * ENTRY_LEN + (1u << b->sector_bits) - 1u) >> b->sector_bits;
	uint64_t data = (uint64_t)b->reserved + (uint64_t)b->n_fats * b->fat_len + root_len;
	uint64_t fat_bytes = (uint64_t)b->fat_len << b->sector_bits;

	if (data >= b->total || ((uint64_t)b->total << b->sector_bits) > fat->io.size)
		return false;
	fat->n_clusters = (b->total - (uint32_t)data) >> b->cluster_bits;
	fat->cluster_bits = (uint8_t)(b->sector_bits + b->cluster_bits);
	fat->fat_pos = ((uint64_t)b->reserved + (uint64_t)b->active_fat * b->fat_len)
	               << b->sector_bits;
	fat->data_pos = data << b->sector_bits;
	fat->root_entries = b->root_entries;
	fat->root_pos = (data - root_len) << b->sector_bits;
	return fat_bytes * 8u >= ((uint64_t)fat->n_clusters + CLUSTER_MIN) * fat->entry_bits;
}

int qu_fat_open(struct qu_fat *fat, const struct qcow2_io *io)
{
	struct boot_sector b;
	uint8_t raw[512];
	int rc;

	fat->io.ops = io->ops;
	fat->io.ctx = io->ctx;
	fat->io.size = io->size;
	rc = volume_read(fat, 0, raw, sizeof raw);
	if (rc != QU_FAT_OK)
		return rc == QU_FAT_IO ? QU_FAT_IO : QU_FAT_NOT_FAT;
	if (!boot_sector_parse(&b, raw))
		return QU_FAT_NOT_FAT;
	if (b.is_fat32 != (b.root_entries == 0u))
		return QU_FAT_NOT_FAT;
	fat->entry_bits = b.is_fat32 ? 32 : 12;
	if (!geometry(fat, &b))
		return QU_FAT_NOT_FAT;
	if (!b.is_fat32 && fat->n_clusters >= 4085u) {
		fat->entry_bits = 16;
		if (!geometry(fat, &b))
			return QU_FAT_NOT_FAT;
	}
	fat->root_cluster = b.is_fat32 ? le32(raw + 44) : 0u; /* BPB_RootClus */
	fat->volume_id = volume_id(raw, b.is_fat32);
	return QU_FAT_OK;
}

static bool is_cluster(const struct qu_fat *fat, uint32_t cluster)
{
	return cluster >= CLUSTER_MIN && cluster - CLUSTER_MIN < fat->n_clusters;
}

static uint64_t cluster_pos(const struct qu_fat *fat, uint32_t cluster)
{
	return fat->data_pos + ((uint64_t)(cluster - CLUSTER_MIN) << fat->cluster_bits);
}

/* Sets *next to the next cluster of a chain. At the end, is_cluster(*next) is false. */
static int next_cluster(const struct qu_fat *fat, uint32_t cluster, uint32_t *next)
{
	uint8_t raw[4] = { 0, 0, 0, 0 };
	uint64_t at = fat->entry_bits == 12u ? cluster + cluster / 2u
	                                     : (uint64_t)cluster * (fat->entry_bits / 8u);
	int rc = volume_read(fat, fat->fat_pos + at, raw, fat->entry_bits == 32u ? 4 : 2);

	if (rc != QU_FAT_OK)
		return rc;
	*next = le32(raw) & UINT32_C(0x0fffffff);
	if (fat->entry_bits == 12u)
		*next = (*next >> (cluster % 2u * 4u)) & 0xfffu;
	return QU_FAT_OK;
}

static void directory_open(struct directory *dir, const struct qu_fat *fat, uint32_t cluster)
{
	dir->fat = fat;
	dir->cluster = cluster;
	dir->index = 0;
	dir->in_cluster = 0;
}

/* Reads the next entry. Returns QU_FAT_NOT_FOUND after the last one. */
static int directory_next(struct directory *dir, uint8_t raw[ENTRY_LEN])
{
	const struct qu_fat *fat = dir->fat;
	uint64_t pos = fat->root_pos + (uint64_t)dir->index * ENTRY_LEN;
	int rc;

	if (dir->index >= (dir->cluster == 0u ? fat->root_entries : DIR_ENTRIES_MAX))
		return QU_FAT_NOT_FOUND;
	if (dir->cluster != 0u) {
		if (dir->in_cluster >> fat->cluster_bits != 0u) {
			rc = next_cluster(fat, dir->cluster, &dir->cluster);
			if (rc != QU_FAT_OK)
				return rc;
			dir->in_cluster = 0;
			if (!is_cluster(fat, dir->cluster))
				return QU_FAT_NOT_FOUND;
		}
		pos = cluster_pos(fat, dir->cluster) + dir->in_cluster;
	}
	rc = volume_read(fat, pos, raw, ENTRY_LEN);
	dir->index++;
	dir->in_cluster += ENTRY_LEN;
	return rc == QU_FAT_OK && raw[0] == 0u ? QU_FAT_NOT_FOUND : rc;
}

/* Adds the 13 characters of a long name entry. The entry with the end of the name comes first. */
static void long_name_add(struct long_name *name, const uint8_t *raw)
{
	static const uint8_t places[LONG_CHARS] = { 1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30 };
	unsigned n = raw[0] & 0x3fu; /* LDIR_Ord */
	unsigned i;

	if ((raw[0] & 0x40u) != 0u) { /* LAST_LONG_ENTRY */
		name->is_valid = n >= 1u && n * LONG_CHARS <= NAME_MAX + LONG_CHARS;
		name->checksum = raw[13];
		name->left = (uint8_t)n;
		if (name->is_valid)
			name->text[n * LONG_CHARS] = 0;
	}
	if (!name->is_valid || n != name->left || n == 0u || raw[13] != name->checksum) {
		name->is_valid = false;
		return;
	}
	name->left--;
	for (i = 0; i < LONG_CHARS; i++)
		name->text[name->left * LONG_CHARS + i] = (uint16_t)le16(raw + places[i]);
}

static uint8_t short_name_checksum(const uint8_t *raw)
{
	uint8_t sum = 0;
	unsigned i;

	for (i = 0; i < 11u; i++)
		sum = (uint8_t)((uint8_t)(sum << 7 | sum >> 1) + raw[i]);
	return sum;
}

/* Converts "NAME    EXT" to "NAME.EXT". */
static void short_name(const uint8_t *raw, uint16_t name[13])
{
	unsigned len = 0, end, i;

	for (end = 8; end > 0u && raw[end - 1u] == ' '; end--)
		;
	for (i = 0; i < end; i++)
		name[len++] = raw[i];
	if (len > 0u && name[0] == 0x05u) /* stands for 0xe5, which would mark a deleted entry */
		name[0] = 0xe5;
	for (end = 11; end > 8u && raw[end - 1u] == ' '; end--)
		;
	if (end > 8u)
		name[len++] = '.';
	for (i = 8; i < end; i++)
		name[len++] = raw[i];
	name[len] = 0;
}

static bool is_name(const uint16_t *name, const uint16_t *wanted, size_t len)
{
	return qu_path_len(name) == len && qu_path_equal(name, wanted, len);
}

static bool entry_has_name(const uint8_t *raw, const struct long_name *longer,
                           const uint16_t *wanted, size_t len)
{
	uint16_t shorter[13];

	if (longer->is_valid && longer->left == 0u &&
	    longer->checksum == short_name_checksum(raw) && is_name(longer->text, wanted, len))
		return true;
	short_name(raw, shorter);
	return is_name(shorter, wanted, len);
}

/* Finds the entry with the wanted name in a directory. */
static int directory_find(struct directory *dir, const uint16_t *wanted, size_t len,
                          uint8_t raw[ENTRY_LEN])
{
	struct long_name longer;

	longer.is_valid = false;
	for (;;) {
		int rc = directory_next(dir, raw);

		if (rc != QU_FAT_OK)
			return rc;
		if (raw[0] != 0xe5u && (raw[11] & 0x3fu) == ATTR_LONG_NAME) {
			long_name_add(&longer, raw);
			continue;
		}
		if (raw[0] != 0xe5u && (raw[11] & ATTR_VOLUME) == 0u &&
		    entry_has_name(raw, &longer, wanted, len))
			return QU_FAT_OK;
		longer.is_valid = false;
	}
}

static uint32_t entry_cluster(const struct qu_fat *fat, const uint8_t *raw)
{
	uint32_t low = le16(raw + 26); /* DIR_FstClusLO, DIR_FstClusHI */

	return fat->entry_bits == 32u ? low + (le16(raw + 20) << 16) : low;
}

int qu_fat_find(const struct qu_fat *fat, const uint16_t *path, struct qu_fat_file *file)
{
	uint32_t cluster = fat->root_cluster;
	uint8_t raw[ENTRY_LEN];
	bool is_directory = true;

	while (*path == '\\') {
		struct directory dir;
		size_t len = 0;
		int rc;

		path++;
		while (path[len] != 0u && path[len] != '\\')
			len++;
		if (!is_directory)
			return QU_FAT_NOT_FOUND;
		if (cluster != 0u && !is_cluster(fat, cluster))
			return QU_FAT_DAMAGED;
		directory_open(&dir, fat, cluster);
		rc = directory_find(&dir, path, len, raw);
		if (rc != QU_FAT_OK)
			return rc;
		cluster = entry_cluster(fat, raw);
		is_directory = (raw[11] & ATTR_DIRECTORY) != 0u;
		path += len;
	}
	if (is_directory)
		return QU_FAT_NOT_FOUND;
	file->fat = fat;
	file->size = le32(raw + 28); /* DIR_FileSize */
	file->first_cluster = cluster;
	file->n_runs = 0;
	return QU_FAT_OK;
}

int qu_fat_locate(struct qu_fat_file *file, struct qu_fat_run *runs, uint32_t max_runs)
{
	const struct qu_fat *fat = file->fat;
	uint32_t cluster = file->first_cluster;
	uint32_t expected = 0; /* the cluster that continues the run; 0 if there is no run yet */
	uint32_t n = (uint32_t)(((uint64_t)file->size + (1u << fat->cluster_bits) - 1u) >>
	                        fat->cluster_bits);
	uint32_t index;

	file->runs = runs;
	file->n_runs = 0;
	for (index = 0; index < n; index++) {
		int rc;

		if (!is_cluster(fat, cluster))
			return QU_FAT_DAMAGED;
		if (cluster != expected) {
			if (file->n_runs == max_runs)
				return QU_FAT_FRAGMENTED;
			runs[file->n_runs].index = index;
			runs[file->n_runs].cluster = cluster;
			file->n_runs++;
		}
		expected = cluster + 1u;
		rc = next_cluster(fat, cluster, &cluster);
		if (rc != QU_FAT_OK)
			return rc;
	}
	return QU_FAT_OK;
}

/* The run that contains cluster number `index` of the file. */
static uint32_t find_run(const struct qu_fat_file *file, uint32_t index)
{
	uint32_t low = 0, high = file->n_runs;

	while (high - low > 1u) {
		uint32_t middle = low + (high - low) / 2u;

		if (file->runs[middle].index <= index)
			low = middle;
		else
			high = middle;
	}
	return low;
}

int qu_fat_read(const struct qu_fat_file *file, uint64_t pos, void *buf, size_t len)
{
	const struct qu_fat *fat = file->fat;
	uint32_t i = find_run(file, (uint32_t)(pos >> fat->cluster_bits));
	uint8_t *to = buf;

	for (; len > 0u; i++) {
		const struct qu_fat_run *run = &file->runs[i];
		uint64_t end = i + 1u < file->n_runs ? (uint64_t)run[1].index << fat->cluster_bits
		                                     : UINT64_MAX;
		uint64_t start = (uint64_t)run->index << fat->cluster_bits;
		size_t n = len < end - pos ? len : (size_t)(end - pos);
		int rc = fat->io.ops->read(fat->io.ctx,
		                           cluster_pos(fat, run->cluster) + (pos - start), to, n);

		if (rc != 0)
			return rc;
		pos += n;
		to += n;
		len -= n;
	}
	return 0;
}

const char *qu_fat_text(int status)
{
	static const char *const texts[QU_FAT_STATUSES] = {
		"no error",
		"not a FAT volume",
		"reading the volume failed",
		"no such file",
		"the file system is damaged; repair it with chkdsk or fsck",
		"the file has too many fragments; delete it and copy it again",
	};

	return status >= 0 && status < QU_FAT_STATUSES ? texts[status] : "unknown status";
}
