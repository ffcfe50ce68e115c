/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Tells the type of a file by the bytes that all files of that type have at a fixed place.
 */
#include "filetype.h"

#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	HEAD_LEN = 4096,
	MAGIC_LEN_MAX = 32,
	FOOTER_LEN = 512 /* that of VHD and DMG files */
};

#define UNPACK(what)  "packed with " what "; unpack it first"
#define IMAGE(what)   "an image in the format " what "; convert it with qemu-img"
#define NO_DISK(what) what ", not a disk image"

struct magic {
	const char *bytes;
	const char *text;
	uint32_t at; /* position in the file */
	uint8_t len;
	bool is_raw;
};

/* clang-format off */
#define MAGIC(at, bytes, text) { bytes, text, at, sizeof(bytes) - 1u, false }
#define RAW(at, bytes, text) { bytes, text, at, sizeof(bytes) - 1u, true }

/* The first one that fits counts. A file system may have a boot sector, so it comes before that. */
static const struct magic magics[] = {
	MAGIC(0, "\x1f\x8b", UNPACK("gzip")),
	MAGIC(0, "\xfd" "7zXZ\0", UNPACK("xz")),
	MAGIC(0, "\x28\xb5\x2f\xfd", UNPACK("zstd")),
	MAGIC(0, "BZh", UNPACK("bzip2")),
	MAGIC(0, "\x04\x22\x4d\x18", UNPACK("lz4")),
	MAGIC(0, "LZIP", UNPACK("lzip")),
	MAGIC(0, "\x89LZO\0\r\n", UNPACK("lzop")),
	MAGIC(0, "PK\x03\x04", UNPACK("zip")),
	MAGIC(0, "7z\xbc\xaf\x27\x1c", UNPACK("7-Zip")),
	MAGIC(0, "Rar!\x1a\x07", UNPACK("rar")),
	MAGIC(257, "ustar", "a tar archive (an OVA file is one as well); extract the image first"),
	MAGIC(0, "KDMV", IMAGE("vmdk")),
	MAGIC(0, "COWD", IMAGE("vmdk")),
	MAGIC(0, "# Disk DescriptorFile",
	      "the description of a vmdk image; the disk is in the files that it names"),
	MAGIC(64, "\x7f\x10\xda\xbe", IMAGE("vdi")),
	MAGIC(0, "conectix", IMAGE("vpc (VHD)")),
	MAGIC(0, "vhdxfile", IMAGE("vhdx")),
	MAGIC(0, "QED\0", IMAGE("qed")),
	MAGIC(0, "WithoutFreeSpace", IMAGE("parallels")),
	MAGIC(0, "WithouFreSpacExt", IMAGE("parallels")),
	MAGIC(0, "Bochs Virtual HD Image", IMAGE("bochs")),
	MAGIC(0, "MSWIM\0\0\0", "a Windows image (wim), not a disk image"),
	MAGIC(0, "\x3a\xff\x26\xed", "an Android sparse image; convert it with simg2img"),
	MAGIC(0, "partclone-image", "an image of partclone; restore it with partclone"),
	MAGIC(0, "version https://git-lfs.github.com/spec/",
	      "a pointer of git-lfs; get the file with 'git lfs pull'"),
	MAGIC(0, "/annex/objects/", "a pointer of git-annex; get the file with 'git annex get'"),
	MAGIC(0, "-----BEGIN PGP ", NO_DISK("a signature or a key")),
	MAGIC(0, "\x7f" "ELF", NO_DISK("a program (ELF)")),
	RAW(0, "hsqs", "a squashfs file system"),
	RAW(0, "LUKS\xba\xbe", "a raw disk encrypted with LUKS"),
	RAW(32769, "CD001", "an ISO 9660 image (a CD or DVD)"),
	RAW(512, "EFI PART", "a raw disk with a GPT"),
	RAW(4096, "EFI PART", "a raw disk with a GPT"),
	RAW(3, "NTFS    ", "a raw disk with an NTFS file system"),
	RAW(3, "EXFAT   ", "a raw disk with an exFAT file system"),
	RAW(54, "FAT1", "a raw disk with a FAT file system"),
	RAW(82, "FAT32", "a raw disk with a FAT file system"),
	RAW(0, "XFSB", "a raw disk with an XFS file system"),
	RAW(1080, "\x53\xef", "a raw disk with an ext2, ext3 or ext4 file system"),
	RAW(65600, "_BHRfS_M", "a raw disk with a btrfs file system"),
	RAW(512, "LABELONE", "a raw disk of LVM"),
	RAW(510, "\x55\xaa", "a raw disk with a boot sector (MBR)"),
};
/* clang-format on */

enum { N_MAGICS = sizeof magics / sizeof magics[0] };

struct head {
	int fd;
	uint64_t size; /* of the file */
	size_t len;
	char bytes[HEAD_LEN + 1]; /* a NUL follows */
};

static bool head_read(struct head *h, int fd)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) != 0)
		return false;
	n = pread(fd, h->bytes, HEAD_LEN, 0);
	if (n < 0)
		return false;
	h->fd = fd;
	h->size = (uint64_t)st.st_size; /* 0 for a block device */
	h->len = (size_t)n;
	h->bytes[n] = '\0';
	return true;
}

/* Has the file these bytes there? Reads them if they are not in the head. */
static bool has_bytes(const struct head *h, uint64_t at, const char *bytes, size_t len)
{
	char buf[MAGIC_LEN_MAX];

	if (at <= h->len && len <= h->len - at)
		return memcmp(h->bytes + at, bytes, len) == 0;
	return len <= sizeof buf && at >= h->len && h->len == HEAD_LEN &&
	       pread(h->fd, buf, len, (off_t)at) == (ssize_t)len && memcmp(buf, bytes, len) == 0;
}

/* Fixed VHD files and DMG files have their magic in a footer. */
static const char *footer_guess(const struct head *h)
{
	if (h->size < FOOTER_LEN)
		return NULL;
	if (has_bytes(h, h->size - FOOTER_LEN, "conectix", 8))
		return IMAGE("vpc (VHD)");
	if (has_bytes(h, h->size - FOOTER_LEN, "koly", 4))
		return IMAGE("dmg");
	return NULL;
}

/* Text that only people read: a page that a server sent instead of the file, a list, a note. */
static const char *text_guess(const struct head *h)
{
	static const char blanks[] = " \t\r\n\v\f";
	const char *p = h->bytes;
	size_t i;

	if (strncmp(p, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
		p += 3;
	p += strspn(p, blanks);
	if (strncasecmp(p, "<!doctype html", 14) == 0 || strncasecmp(p, "<html", 5) == 0)
		return "an HTML page; the download went wrong";
	if (strncasecmp(p, "<?xml", 5) == 0)
		return NO_DISK("an XML file");
	for (i = 0; i < h->len; i++) {
		unsigned char c = (unsigned char)h->bytes[i];

		if ((c < ' ' && strchr(blanks, c) == NULL) || c == 0u || c == 0x7fu)
			return NULL;
	}
	return NO_DISK("a text file");
}

static bool is_zero(const struct head *h)
{
	return h->bytes[0] == 0 && memcmp(h->bytes, h->bytes + 1, h->len - 1u) == 0;
}

const char *filetype_guess(int fd, bool *is_raw)
{
	struct head h;
	const char *text;
	size_t i;

	*is_raw = false;
	if (!head_read(&h, fd))
		return NULL;
	if (h.len == 0u)
		return "empty";
	for (i = 0; i < N_MAGICS; i++)
		if (has_bytes(&h, magics[i].at, magics[i].bytes, magics[i].len)) {
			*is_raw = magics[i].is_raw;
			return magics[i].text;
		}
	text = footer_guess(&h);
	*is_raw = text == NULL && is_zero(&h);
	if (*is_raw)
		text = "all zeros at its beginning: overwritten, never written, or a raw disk";
	return text != NULL ? text : text_guess(&h);
}
