/* SPDX-License-Identifier: MIT */
/*
 * GRUB: a file filter like gzio, for files that become disks:
 *	grub> insmod qcow2io
 *	grub> loopback vm (hd0,gpt2)/vm.qcow2
 *	grub> ls (vm,gpt1)/
 * The last command lists the files in the image.
 *
 * Written for GRUB 2.06 and tried there by hand on i386-pc: it read a file from a FAT partition in
 * a compressed image on a FAT disk. tests/glue/test_grub.c runs it against a model of
 * grub_file_open.
 *
 * Copy this file, src/ and include/qcow2/ to grub-core/io/qcow2/; name GRUB_FILE_FILTER_QCOW2 in
 * include/grub/file.h, before GRUB_FILE_FILTER_MAX; and in grub-core/Makefile.core.def:
 *	module = {
 *	  name = qcow2io;
 *	  common = io/qcow2/qcow2io.c;
 *	  common = io/qcow2/src/header.c;   and so on for each file of QCOW2_CORE_READ,
 *	                                    QCOW2_CORE_UNPACK, QCOW2_CORE_DEFLATE_SMALL and
 *	                                    QCOW2_CORE_ZSTD_FAST in src/sources.mk, and for
 *	                                    status.c
 *	  cppflags = '-I$(srcdir)/io/qcow2/include -ffreestanding';
 *	};
 *
 * (Without -ffreestanding, the compiler's stdint.h includes that of a libc.)
 *
 * Like gzio, the filter recognises a file by its magic number and passes other files on unchanged.
 * So while the module is loaded, loopback cannot show a raw disk that begins with the magic number
 * of qcow2. Images that need another file (backing file, external data file) are refused; no other
 * file is ever opened.
 */
#include <grub/dl.h>
#include <grub/err.h>
#include <grub/file.h>
#include <grub/fs.h>
#include <grub/i18n.h>
#include <grub/misc.h>
#include <grub/mm.h>

#include "qcow2/reader.h"

/* GRUB loads only modules that declare a GPL licence; the MIT licence allows the combination. */
GRUB_MOD_LICENSE("GPLv3+");

struct qcow2_file {
	grub_file_t below;
	struct qcow2_image image;
	struct qcow2_reader reader;
	void *memory;
};

static const struct qcow2_codec *const codecs[] = { &qcow2_deflate_small, &qcow2_zstd_fast, NULL };

static int below_read(void *ctx, uint64_t pos, void *buf, size_t len)
{
	grub_file_t below = ctx;
	char *to = buf;

	grub_file_seek(below, pos);
	while (len > 0) {
		grub_ssize_t n = grub_file_read(below, to, len);

		if (n <= 0)
			return GRUB_ERR_READ_ERROR;
		to += n;
		len -= (size_t)n;
	}
	return 0;
}

static const struct qcow2_io_ops below_ops = { below_read };

/* Reports an error, unless a failed read has already set grub_errno. */
static grub_err_t complain(const struct qcow2_error *error)
{
	if (error->status != QCOW2_E_IO || grub_errno == GRUB_ERR_NONE)
		grub_error(GRUB_ERR_BAD_FILE_TYPE, N_("qcow2: %s (byte %llu)"),
		           qcow2_status_text(error->status), (unsigned long long)error->pos);
	return grub_errno;
}

/* Gives the reader the memory that makes it fast, or else the least that it needs. */
static grub_err_t start_reader(struct qcow2_file *qcow2)
{
	size_t min, good;

	if (qcow2_reader_memory(&qcow2->image, codecs, &min, &good) != QCOW2_OK)
		min = good = QCOW2_READER_MEMORY_DEFLATE; /* the start fails, with the reason */
	qcow2->memory = grub_malloc(good);
	if (qcow2->memory == NULL) {
		grub_errno = GRUB_ERR_NONE;
		good = min;
		qcow2->memory = grub_malloc(good);
	}
	if (qcow2->memory == NULL)
		return grub_errno;
	if (qcow2_reader_start(&qcow2->reader, &qcow2->image, codecs, qcow2->memory, good) !=
	    QCOW2_OK)
		return complain(&qcow2->reader.error);
	return GRUB_ERR_NONE;
}

static void free_file(struct qcow2_file *qcow2)
{
	grub_free(qcow2->memory);
	grub_free(qcow2);
}

/* grub_file_read never asks for more than the file has. */
static grub_ssize_t qcow2io_read(grub_file_t file, char *buf, grub_size_t len)
{
	struct qcow2_file *qcow2 = file->data;

	if (qcow2_reader_read(&qcow2->reader, file->offset, buf, len) == QCOW2_OK)
		return (grub_ssize_t)len;
	complain(&qcow2->reader.error);
	return -1;
}

static grub_err_t qcow2io_close(grub_file_t file)
{
	struct qcow2_file *qcow2 = file->data;

	grub_file_close(qcow2->below); /* also closes the device, which both files share */
	file->device = NULL;
	free_file(qcow2);
	return grub_errno;
}

static struct grub_fs qcow2io_fs = {
	.name = "qcow2io",
	.fs_read = qcow2io_read,
	.fs_close = qcow2io_close,
};

/* Returns the file with the content of the disk, or sets grub_errno and returns NULL. */
static grub_file_t make_file(struct qcow2_file *qcow2)
{
	grub_file_t file;

	if (start_reader(qcow2) != GRUB_ERR_NONE)
		return NULL;
	file = grub_zalloc(sizeof *file);
	if (file == NULL)
		return NULL;
	file->device = qcow2->below->device;
	file->fs = &qcow2io_fs;
	file->size = qcow2->image.size;
	file->data = qcow2;
	return file;
}

/*
 * Returns a file with the content of the disk, or `below` itself if it is not an image. On
 * failure, sets grub_errno, leaves `below` open and returns NULL.
 */
static grub_file_t qcow2io_open(grub_file_t below, enum grub_file_type type)
{
	struct qcow2_io io = { &below_ops, below, grub_file_size(below) };
	struct qcow2_file *qcow2;
	struct qcow2_error error;
	grub_file_t file = NULL;
	int status;

	if ((type & GRUB_FILE_TYPE_MASK) != GRUB_FILE_TYPE_LOOPBACK ||
	    io.size == GRUB_FILE_SIZE_UNKNOWN)
		return below;
	qcow2 = grub_zalloc(sizeof *qcow2);
	if (qcow2 == NULL)
		return NULL;
	qcow2->below = below;
	status = qcow2_image_open(&qcow2->image, &io, 0, &error);
	if (status == QCOW2_OK)
		file = make_file(qcow2);
	else if (status != QCOW2_E_NOT_QCOW2)
		complain(&error);
	if (file == NULL)
		free_file(qcow2);
	if (status == QCOW2_E_NOT_QCOW2) {
		grub_file_seek(below, 0);
		return below;
	}
	return file;
}

GRUB_MOD_INIT(qcow2io)
{
	grub_file_filter_register(GRUB_FILE_FILTER_QCOW2, qcow2io_open);
}

GRUB_MOD_FINI(qcow2io)
{
	grub_file_filter_unregister(GRUB_FILE_FILTER_QCOW2);
}
